"""IKE_SA_INIT as the initiator, RFC 7296 sections 1.2, 2.6, 2.7 and 2.21.1.

The exchange is unauthenticated.  A response may make us ask again (COOKIE, INVALID_KE_PAYLOAD; both bounded), or
offer an IKE SA; anything else is a hint, to be reported if nothing better comes.  IKE_AUTH covers the very request
and response that made the SA.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from ..announcements import Announced, parse_announcements
from ..authentication import OUR_HASHES, parse_hashes
from ..core import Core
from ..errors import InvalidSyntax, NoProposalChosen, ProtocolError
from ..events import Channel, Failure, Kind, Path
from ..kex import KeyPair, generate
from ..keys import derive_ike_keys
from ..message import Message, encode_clear
from ..natd import NatVerdict, detection_notifies, judge_nat
from ..payloads import CertificateRequest, KeyExchange, Nonce, Notify, Payload, SecurityAssociation, VendorId
from ..proposals import accept_ike
from ..quirks import Quirk
from ..registry import ExchangeType, Kex, NotifyType
from ..sa import SPI_SIZE, IkeSa

NONCE_SIZE = 32  # at least half the key of every PRF that we offer (RFC 7296 section 2.10)
MAX_COOKIES = 3
MAX_GROUP_CHANGES = 2
NO_SPI = bytes(SPI_SIZE)


@dataclass(frozen=True, slots=True)
class Handshake:
    """What IKE_AUTH needs of a finished IKE_SA_INIT."""

    request: bytes = field(repr=False)
    response: bytes = field(repr=False)
    nonce_i: bytes
    nonce_r: bytes
    peer_hashes: frozenset[int]
    authorities: tuple[bytes, ...]  # key hashes of the CAs that the gateway trusts
    nat: NatVerdict
    several_rounds: bool = False  # the gateway knows RFC 4739
    announced: Announced | None = None  # what it takes, if it says so (RFC 9593)
    vendors: tuple[bytes, ...] = ()
    asked_group: int | None = None  # by INVALID_KE_PAYLOAD, instead of the one that we began with


@dataclass(frozen=True, slots=True)
class Candidate:
    """An IKE SA offered by a response; only IKE_AUTH can tell whether the gateway sent it.

    Responses that differ in octets and not in keys make one IKE SA with several handshakes, of which the
    gateway's AUTH fits one.
    """

    sa: IkeSa
    handshakes: list[Handshake]

    def is_same(self, other: Candidate) -> bool:
        """Whether both lead to the same IKE SA."""
        return self.sa.spi_r == other.sa.spi_r and self.sa.keys == other.sa.keys


class Sent(NamedTuple):
    """The last request with one group, and the key pair whose public value it carries."""

    request: bytes
    key_pair: KeyPair


class Verdict(Enum):
    """What a response that offers no IKE SA asks of us."""

    REPEAT = "send the request again as `build` makes it now"
    WAIT = "go on waiting for a better response"


class SaInit:
    """One attempt: its SPI and nonce stay the same over all repeats (S2, S3)."""

    def __init__(self, core: Core) -> None:
        self.spi_i = core.new_ike_spi()
        self.nonce = core.rng(NONCE_SIZE)
        self.proposals = core.config.ike_offer.proposals_with_spi(b"")
        self.key_pair: KeyPair = generate(_first_group(core), core.rng)
        self.cookie: bytes | None = None
        self.cookies = 0
        self.group_changes = 0
        self.sent: dict[int, Sent] = {}  # by group: who made us change it may not have been the gateway
        self.hint: Failure | None = None

    def build(self, core: Core, path: Path) -> bytes:
        """The request as octets, remembered for AUTH."""
        message = Message(
            self.spi_i, NO_SPI, ExchangeType.IKE_SA_INIT, 0, self._payloads(core, path), True, False
        )
        request = encode_clear(message)
        self.sent[self.key_pair.method] = Sent(request, self.key_pair)
        return request

    def _payloads(self, core: Core, path: Path) -> tuple[Payload, ...]:
        cookie = () if self.cookie is None else (Notify(NotifyType.COOKIE, self.cookie),)
        local, remote = path.ends(first_channel(path))
        disguise = core.rng if core.config.force_encapsulation else None
        return (
            *cookie,
            SecurityAssociation(self.proposals),
            KeyExchange(self.key_pair.method, self.key_pair.public),
            Nonce(self.nonce),
            *detection_notifies(self.spi_i, NO_SPI, local, remote, disguise=disguise),
            Notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
            Notify(
                NotifyType.SIGNATURE_HASH_ALGORITHMS, b"".join(number.to_bytes(2) for number in OUR_HASHES)
            ),
        )

    def process(
        self, core: Core, path: Path, data: bytes, message: Message, now: float
    ) -> Candidate | Verdict:
        """An IKE SA that AUTH may prove right, or what to do instead."""
        if (cookie := message.notify(NotifyType.COOKIE)) is not None:
            return self._repeat_with_cookie(cookie.data)
        if (wanted := message.notify(NotifyType.INVALID_KE_PAYLOAD)) is not None:
            return self._repeat_with_group(core, wanted.data)
        if (error := message.error()) is not None:
            self.hint = _hint(error)
            return Verdict.WAIT
        try:
            return self._accept(core, path, data, message, now)
        except NoProposalChosen as error:
            self.hint = Failure(Kind.CRYPTO_NO_PROPOSAL, str(error))
        except ProtocolError as error:
            self.hint = Failure(Kind.PEER_PROTOCOL, str(error))
        return Verdict.WAIT

    def _repeat_with_cookie(self, cookie: bytes) -> Verdict:
        if not 1 <= len(cookie) <= 64 or cookie == self.cookie or self.cookies >= MAX_COOKIES:
            return Verdict.WAIT
        self.cookie = cookie
        self.cookies += 1
        return Verdict.REPEAT

    def _repeat_with_group(self, core: Core, data: bytes) -> Verdict:
        group = int.from_bytes(data)
        offered = core.config.ike_offer.kex_methods
        if len(data) != 2 or group == self.key_pair.method or self.group_changes >= MAX_GROUP_CHANGES:
            return Verdict.WAIT
        if group not in offered:
            self.hint = Failure(
                Kind.CRYPTO_NO_PROPOSAL, f"the gateway wants key exchange group {group}, which is not offered"
            )
            return Verdict.WAIT
        earlier = self.sent.get(group)
        self.key_pair = earlier.key_pair if earlier else generate(group, core.rng)
        self.group_changes += 1
        return Verdict.REPEAT

    def _accept(self, core: Core, path: Path, data: bytes, message: Message, now: float) -> Candidate:
        chosen, share, nonce = (message.first(kind) for kind in (SecurityAssociation, KeyExchange, Nonce))
        if not isinstance(chosen, SecurityAssociation) or not isinstance(share, KeyExchange):
            raise InvalidSyntax("the IKE_SA_INIT response lacks SA or KE")
        if not isinstance(nonce, Nonce) or not any(message.spi_r):
            raise InvalidSyntax("the IKE_SA_INIT response lacks a nonce or an SPI")
        suite, _ = accept_ike(self.proposals, chosen)
        sent = self.sent.get(share.method)
        if sent is None or share.method != suite.kex.id:
            raise InvalidSyntax("the gateway's key exchange is not of the group that was selected")
        if nonce.data == self.nonce or share.public == sent.key_pair.public:
            raise InvalidSyntax("our own nonce or key exchange value came back")
        shared = sent.key_pair.agree(share.public)
        keys = derive_ike_keys(suite, self.nonce, nonce.data, shared, self.spi_i, message.spi_r)
        fragmentation = message.notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) is not None
        sa = IkeSa.keyed(
            self.spi_i,
            message.spi_r,
            suite,
            keys,
            core.rng,
            initiated=True,
            fragmentation=fragmentation,
            now=now,
        )
        sa.window.next_request_id = 1
        return Candidate(sa, [self._handshake(path, sent.request, data, message, nonce.data)])

    def _handshake(
        self, path: Path, request: bytes, data: bytes, message: Message, nonce_r: bytes
    ) -> Handshake:
        local, remote = path.ends(first_channel(path))
        hashes = message.notify(NotifyType.SIGNATURE_HASH_ALGORITHMS)
        announced = message.notify(NotifyType.SUPPORTED_AUTH_METHODS)
        return Handshake(
            request,
            data,
            self.nonce,
            nonce_r,
            parse_hashes(hashes.data) if hashes else frozenset(),
            tuple(name for request in message.all(CertificateRequest) for name in request.authorities),
            judge_nat(message.all(Notify), self.spi_i, message.spi_r, local, remote),
            message.notify(NotifyType.MULTIPLE_AUTH_SUPPORTED) is not None,
            parse_announcements(announced.data) if announced else None,
            tuple(vendor.data for vendor in message.all(VendorId)),
            self.key_pair.method if self.group_changes else None,
        )


def _first_group(core: Core) -> int:
    """The group to begin with: our first one, unless this gateway has asked for another one of ours before."""
    first, group = core.config.ike_offer.kex_methods[0], core.config.habits.group
    if group is None or group == first or group not in core.config.ike_offer.kex_methods:
        return first
    evidence = f"it asked for the group {Kex(group).name.lower()} at an earlier login"
    return group if core.adapts(Quirk.FIRST_GROUP, evidence) else first


def first_channel(path: Path) -> Channel:
    """Where IKE_SA_INIT goes: to port 500, or marked to the gateway's own port."""
    return Channel.NATT if path.local_init is None else Channel.INIT


def _hint(error: Notify) -> Failure:
    """What an unauthenticated error says: reported only if nothing better comes (S7)."""
    kind = Kind.CRYPTO_NO_PROPOSAL if error.type == NotifyType.NO_PROPOSAL_CHOSEN else Kind.PEER_PROTOCOL
    return Failure(kind, f"the gateway answered IKE_SA_INIT with {notify_name(error.type)}")


def notify_name(number: int) -> str:
    """The registry's name of a notify type, or its number."""
    try:
        return NotifyType(number).name
    except ValueError:
        return f"notify {number}"


def describe_error(error: Notify) -> str:
    """An error notify in words; Windows adds a number of its own ([MS-IKEE] 2.2.7)."""
    if error.type == NotifyType.MS_STATUS:
        return f"Windows error {int.from_bytes(error.data[:4])}"
    return notify_name(error.type)
