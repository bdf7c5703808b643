"""The embedded gateway's side of IKE_SA_INIT and IKE_AUTH, pure like the engine itself.

It uses the same codec and keys as the initiator, and ends in `Session.established`: from then on both ends are one
code.  `Personality` makes it behave like gateways that exist: with cookies, with a group of its own mind, without
MOBIKE.  It is a peer for the demo, the self-test and the tests; it is not a product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from cryptography import x509

from ..ike.authentication import OUR_HASHES, KeySigner, parse_hashes
from ..ike.errors import InvalidKePayload, InvalidSyntax, NoProposalChosen, ProtocolError
from ..ike.events import Address, Channel, Endpoint, Network, Output, Path, Rng, Selector, Transmit
from ..ike.identity import Identity
from ..ike.kex import generate
from ..ike.keys import Secret, derive_ike_keys
from ..ike.message import Decoded, Header, Message, decode, encode_clear
from ..ike.natd import NatVerdict, detection_notifies, judge_nat
from ..ike.options import Lifetimes, Patience
from ..ike.payloads import Attribute, KeyExchange, Nonce, Notify, Payload, SecurityAssociation
from ..ike.proposals import Offer, choose_ike
from ..ike.registry import EapType, ExchangeType, Kex, NotifyType
from ..ike.sa import SPI_SIZE, IkeSa
from ..ike.session import Session
from ..ike.signatures import PublicKey
from ..ike.states import SessionState
from .acceptance import Acceptance
from .eap_methods import Accounts
from .pool import Pool

NONCE_SIZE = 32
COOKIE_SIZE = 16
REQUESTS_KEPT = 256  # answered IKE_SA_INIT requests remembered for their repetition
HALF_OPEN_KEPT = 256  # clients before the end of IKE_AUTH, and refused ones that may ask again for the answer


Means = Literal["psk", "cert", "eap"]


@dataclass(frozen=True, slots=True)
class Personality:
    """What this gateway does differently from a plain one."""

    cookie: bool = False  # answer the first request with COOKIE
    group: Kex | None = None  # answer other groups with INVALID_KE_PAYLOAD
    mobike: bool = True
    fragmentation: bool = True
    additional_addresses: tuple[Address, ...] = ()
    tell_unknown_spi: bool = True  # answer unknown SPIs with INVALID_IKE_SPI
    fresh_cookies: bool = False  # never accept the cookie that was given last
    only_version_1: bool = False  # know no IKE but its first version
    opening: tuple[Payload, ...] = ()  # stand in its answer to IKE_SA_INIT besides
    opening_refusal: Notify | None = None  # all that it answers IKE_SA_INIT with
    deaf_to_logins: bool = False  # drop IKE_AUTH without a word
    login_refusal: Notify | None = None  # what it answers a login with that was right
    one_family: bool = False  # refuse addresses to clients that ask for both IP versions
    login_notifies: tuple[Notify, ...] = ()  # stand beside a login that worked
    assigned: tuple[Attribute, ...] = ()  # stand behind the configuration that it means, whatever they are


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Everything the embedded gateway needs to know.

    `clients` says how clients prove themselves, `further` how they do in rounds after that; `proof` how the
    gateway does: with the pre-shared key, with its certificate chain (DER) and signer, or by EAP alone.  Without a
    chain it shows `raw_key` (SubjectPublicKeyInfo), or nothing.  Clients with one of `client_keys` need no chain.
    """

    identity: Identity
    ike_offer: Offer
    esp_offer: Offer
    selectors: tuple[Selector, ...]  # what clients may reach
    pools: tuple[Network, ...]
    clients: Means = "psk"
    further: tuple[Means, ...] = ()
    proof: Means = "psk"
    psk: Secret = field(default_factory=lambda: Secret(b""))
    chain: tuple[bytes, ...] = ()
    signer: KeySigner | None = None
    raw_key: bytes | None = None
    ocsp: tuple[bytes, ...] = ()  # responses about its certificates, for clients that ask (RFC 4806)
    client_anchors: tuple[x509.Certificate, ...] = ()
    client_keys: tuple[PublicKey, ...] = ()
    accounts: Accounts = field(default_factory=lambda: Accounts({}))
    eap_methods: tuple[EapType, ...] = (EapType.MSCHAPV2,)
    dns: tuple[Address, ...] = ()
    subnets: tuple[Network, ...] = ()
    domains: tuple[str, ...] = ()
    force_encapsulation: bool = True
    personality: Personality = field(default_factory=Personality)
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    patience: Patience = field(default_factory=Patience)


@dataclass(slots=True)
class HalfOpen:
    """What IKE_SA_INIT has made of a client."""

    sa: IkeSa
    request: bytes = field(repr=False)
    response: bytes = field(repr=False)
    nonce_i: bytes
    nonce_r: bytes
    peer_hashes: frozenset[int]
    nat: NatVerdict


class Responder:
    """All clients of one gateway; outputs carry the SPI that we chose for the client's IKE SA at first."""

    def __init__(self, config: GatewayConfig, rng: Rng) -> None:
        self.config = config
        self._rng = rng
        self._cookie_key = rng(COOKIE_SIZE)
        self._pool = Pool(config.pools)
        self._answered: dict[bytes, bytes] = {}
        self._half_open: dict[bytes, Acceptance] = {}
        self.sessions: dict[bytes, Session] = {}
        self._outputs: list[tuple[bytes, Output]] = []

    def outputs(self) -> Iterator[tuple[bytes, Output]]:
        """Everything to be performed, with the client's key, in order."""
        while self._outputs:
            yield self._outputs.pop(0)
        for key, session in list(self.sessions.items()):
            for output in session.outputs():
                yield key, output
            if session.state is SessionState.CLOSED:
                self.forget(key)

    def next_deadline(self) -> float | None:
        """When `handle_timeout` has something to do."""
        deadlines = [session.next_deadline() for session in self.sessions.values()]
        return min((at for at in deadlines if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Let all clients' sessions do what is due."""
        for session in list(self.sessions.values()):
            session.handle_timeout(now)

    def forget(self, key: bytes) -> None:
        """Drop a client without a word: what a restarted gateway does."""
        self.sessions.pop(key, None)

    def handle_datagram(
        self, data: bytes, channel: Channel, local: Endpoint, remote: Endpoint, now: float, wall: datetime
    ) -> None:
        """An IKE message without marker; raises nothing."""
        try:
            header = Header.pull(data)
        except ProtocolError:
            return
        path = _path(channel, local, remote)
        if header.exchange == ExchangeType.IKE_SA_INIT and not header.is_response:
            self._take_init(data, channel, path, now)
        elif (session := self._session_of(header)) is not None:
            session.handle_datagram(data, channel, remote, now, local)
        elif (acceptance := self._half_open.get(header.spi_r)) is not None:
            if self.config.personality.deaf_to_logins:
                return
            self._take_auth(header.spi_r, acceptance, data, channel, path, now, wall)
        elif self.config.personality.tell_unknown_spi and not header.is_response:
            self._tell_unknown(header, channel, path)

    def _session_of(self, header: Header) -> Session | None:
        spis = {header.spi_i, header.spi_r}
        return next((s for s in self.sessions.values() if spis & set(s.local_spis)), None)

    def _send(self, data: bytes, channel: Channel, path: Path, key: bytes = b"") -> None:
        self._outputs.append((key, Transmit(data, channel, path)))

    def _tell_unknown(self, header: Header, channel: Channel, path: Path) -> None:
        notify = Notify(NotifyType.INVALID_IKE_SPI)
        message = Message(
            header.spi_i, header.spi_r, header.exchange, header.message_id, (notify,), False, True
        )
        self._send(encode_clear(message), channel, path)

    # IKE_SA_INIT

    def _take_init(self, data: bytes, channel: Channel, path: Path, now: float) -> None:
        if data not in self._answered:
            outcome = decode(data, None)
            if not isinstance(outcome, Decoded) or outcome.header.message_id != 0:
                return
            while len(self._answered) >= REQUESTS_KEPT:
                self._answered.pop(next(iter(self._answered)))
            self._answered[data] = self._answer_init(data, outcome.message, channel, path, now)
        self._send(self._answered[data], channel, path)

    def _answer_init(self, data: bytes, request: Message, channel: Channel, path: Path, now: float) -> bytes:
        if self.config.personality.only_version_1:
            return _answer_of_version_1(request)
        if (refusal := self.config.personality.opening_refusal) is not None:
            return _refusal(request, refusal)
        cookie = self._cookie(request)
        given = request.notify(NotifyType.COOKIE)
        if self.config.personality.cookie and (given is None or given.data != cookie):
            return _refusal(request, Notify(NotifyType.COOKIE, cookie))
        try:
            return self._open(data, request, channel, path, now)
        except ProtocolError as error:
            return _refusal(request, Notify(error.notify, error.data))

    def _cookie(self, request: Message) -> bytes:
        if self.config.personality.fresh_cookies:
            return self._rng(COOKIE_SIZE)
        nonce = request.first(Nonce)
        return (self._cookie_key + request.spi_i + (nonce.data if nonce else b""))[:64]

    def _open(self, data: bytes, request: Message, channel: Channel, path: Path, now: float) -> bytes:
        proposals, share, nonce = (
            request.first(SecurityAssociation),
            request.first(KeyExchange),
            request.first(Nonce),
        )
        if proposals is None or share is None or nonce is None:
            raise InvalidSyntax("IKE_SA_INIT lacks SA, KE or a nonce")
        wanted = self.config.personality.group
        proposal, suite = choose_ike(self.config.ike_offer, proposals, prefer=wanted or share.method)
        if wanted is not None and suite.kex.id != wanted:
            raise NoProposalChosen("our group is not offered")
        if share.method != suite.kex.id:
            raise InvalidKePayload(suite.kex.id)
        pair = generate(suite.kex.id, self._rng)
        shared = pair.agree(share.public)
        spi_r, nonce_r = self._new_spi(), self._rng(NONCE_SIZE)
        keys = derive_ike_keys(suite, nonce.data, nonce_r, shared, request.spi_i, spi_r)
        fragmentation = self.config.personality.fragmentation and (
            request.notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) is not None
        )
        sa = IkeSa.keyed(
            request.spi_i,
            spi_r,
            suite,
            keys,
            self._rng,
            initiated=False,
            fragmentation=fragmentation,
            now=now,
        )
        sa.window.expected_request_id = 1
        payloads = (
            SecurityAssociation((proposal,)),
            KeyExchange(suite.kex.id, pair.public),
            Nonce(nonce_r),
            *self._notifies(request, spi_r, channel, path),
        )
        message = Message(request.spi_i, spi_r, ExchangeType.IKE_SA_INIT, 0, payloads, False, True)
        response = encode_clear(message)
        local, remote = path.ends(channel)
        hashes = request.notify(NotifyType.SIGNATURE_HASH_ALGORITHMS)
        opened = HalfOpen(
            sa,
            data,
            response,
            nonce.data,
            nonce_r,
            parse_hashes(hashes.data) if hashes else frozenset(),
            judge_nat(request.all(Notify), request.spi_i, bytes(SPI_SIZE), local, remote),
        )
        while len(self._half_open) >= HALF_OPEN_KEPT:
            self._half_open.pop(next(iter(self._half_open)))
        self._half_open[spi_r] = Acceptance(self.config, self._pool, self._rng, opened)
        return response

    def _notifies(self, request: Message, spi_r: bytes, channel: Channel, path: Path) -> tuple[Payload, ...]:
        local, remote = path.ends(channel)
        disguise = self._rng if self.config.force_encapsulation else None
        fragmentation = (
            (Notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),)
            if self.config.personality.fragmentation
            else ()
        )
        rounds = (Notify(NotifyType.MULTIPLE_AUTH_SUPPORTED),) if self.config.further else ()
        hashes = b"".join(number.to_bytes(2) for number in OUR_HASHES)
        return (
            *detection_notifies(request.spi_i, spi_r, local, remote, disguise=disguise),
            *fragmentation,
            *rounds,
            Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, hashes),
            *self.config.personality.opening,
        )

    def _new_spi(self) -> bytes:
        while True:
            spi = self._rng(SPI_SIZE)
            if any(spi) and spi not in self._half_open and spi not in self.sessions:
                return spi

    # IKE_AUTH

    def _take_auth(
        self,
        key: bytes,
        acceptance: Acceptance,
        data: bytes,
        channel: Channel,
        path: Path,
        now: float,
        wall: datetime,
    ) -> None:
        for packet in acceptance.handle(data, path, now, wall):
            self._send(packet, channel, path, key)
        if acceptance.session is not None:
            self.sessions[key] = acceptance.session
            del self._half_open[key]


def _path(channel: Channel, local: Endpoint, remote: Endpoint) -> Path:
    """The path of a datagram, as the gateway sees it; only the channel in use is known."""
    if channel is Channel.INIT:
        return Path("", local, remote, local, remote)
    return Path("", local, remote)


def _answer_of_version_1(request: Message) -> bytes:
    """INVALID-MAJOR-VERSION in an Informational Exchange, all of RFC 2408 sections 3.1 and 3.14."""
    notification = bytes([0, 0, 0, 12]) + (1).to_bytes(4) + bytes([1, 0]) + (5).to_bytes(2)
    header = request.spi_i + bytes(SPI_SIZE) + bytes([11, 0x10, 5, 0]) + bytes(4)
    return header + (28 + len(notification)).to_bytes(4) + notification


def _refusal(request: Message, notify: Notify) -> bytes:
    """A response without an SPI of ours: nothing is kept of the request (RFC 7296 section 2.6)."""
    return encode_clear(
        Message(request.spi_i, bytes(SPI_SIZE), ExchangeType.IKE_SA_INIT, 0, (notify,), False, True)
    )
