"""What the rounds of IKE_AUTH share: the signed octets, the gateway's proof, and the end of a login.

The gateway's proof is verified before anything that derives from a credential leaves us, except the AUTH of a
pre-shared key or a certificate, which the protocol sends first (RFC 7296 sections 2.15 and 2.16).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..authentication import (
    Errand,
    check_shared_key,
    shared_key_auth,
    signed_octets,
    spells_trailer,
    verify_signature,
)
from ..children import accepted_selectors, build_child, install
from ..configuration import has_prefixed_dns, parse_reply
from ..core import Core
from ..errors import AuthenticationFailed, NoProposalChosen, ProtocolError, TsUnacceptable
from ..events import (
    AnswerKind,
    AnswerNeeded,
    Channel,
    Established,
    Failure,
    Kind,
    Path,
    Remark,
    RevocationNeeded,
    Selector,
    SignatureWanted,
)
from ..identity import Identity
from ..inquest import Inquest
from ..keys import Secret
from ..message import Message
from ..natd import NatVerdict
from ..options import CertLogin, CertProof, EapLogin, EapProof, PskLogin, PskProof, Round
from ..options import Login as Means
from ..payloads import Authentication, Certificate, Configuration, IdResponder, Notify, SecurityAssociation
from ..pinning import Shown, candidates, check_pins
from ..proposals import accept_esp
from ..quirks import Quirk
from ..refusal import Refusal
from ..registry import AuthMethod, CertEncoding, NotifyType
from ..sa import IkeSa
from ..signatures import PublicKey
from ..states import SessionState
from ..transforms import WEAK_GROUPS
from ..trust import Trust
from .base import Asking, Exchange, Inquiring
from .delete import say_farewell
from .mobike import peer_addresses
from .sa_init import Handshake, describe_error

ERROR_KINDS: dict[int, Kind] = {
    NotifyType.AUTHENTICATION_FAILED: Kind.AUTH_REJECTED,
    NotifyType.NO_PROPOSAL_CHOSEN: Kind.CRYPTO_NO_PROPOSAL,
    NotifyType.TS_UNACCEPTABLE: Kind.TS_UNACCEPTABLE,
    NotifyType.SINGLE_PAIR_REQUIRED: Kind.TS_UNACCEPTABLE,
    NotifyType.INTERNAL_ADDRESS_FAILURE: Kind.ADDRESS_NONE,
    NotifyType.FAILED_CP_REQUIRED: Kind.ADDRESS_NONE,
}


@dataclass(slots=True)
class Login:
    """What the rounds of one IKE_AUTH have in common, and the one under way."""

    handshakes: list[Handshake]  # of responses that differ and lead to the same keys
    spi_in: int
    id_body: bytes  # of the round's IDi: what our AUTH covers, whatever name EAP uses (A8)
    local_selectors: tuple[Selector, ...]
    remote_selectors: tuple[Selector, ...]
    by: Means  # how we prove ourselves in this round
    further: tuple[Round, ...] = ()
    responder_id_body: bytes = field(default=b"")
    inquest: Inquest | None = None  # about the gateway's certificates, until it is closed
    auth: Authentication | None = None  # ours in this round, once it is made
    errand: Errand | None = None  # while somebody else signs
    handshake: Handshake = field(init=False)  # the one that the gateway has vouched for, else the first

    def __post_init__(self) -> None:
        self.handshake = self.handshakes[0]

    @property
    def responder_id(self) -> tuple[int, bytes]:
        """Type and data of the gateway's IDr, once it is known."""
        return self.responder_id_body[0], self.responder_id_body[4:]

    def octets(self, sa: IkeSa) -> bytes:
        """InitiatorSignedOctets (RFC 7296 section 2.15)."""
        shake = self.handshake
        return signed_octets(shake.request, shake.nonce_r, sa.suite.prf, sa.keys.pi, self.id_body)

    def responder_octets(self, sa: IkeSa) -> bytes:
        """ResponderSignedOctets, once the gateway's IDr is known."""
        shake = self.handshake
        return signed_octets(shake.response, shake.nonce_i, sa.suite.prf, sa.keys.pr, self.responder_id_body)


def own_certificates(login: Login) -> tuple[Certificate, ...]:
    """The round's CERT payloads, the one of our key first; or our bare key (RFC 7670)."""
    if not isinstance(login.by, CertLogin):
        return ()
    if login.by.raw_key is not None:
        return (Certificate(CertEncoding.RAW_PUBLIC_KEY, login.by.raw_key),)
    return tuple(Certificate(CertEncoding.X509_SIGNATURE, der) for der in login.by.chain)


class Proving(Exchange, Asking, Protocol):
    """A request that carries our AUTH."""


def prove(core: Core, exchange: Proving, sa: IkeSa, login: Login, now: float) -> bool:
    """Make the round's AUTH; False where the key's holder is asked first, whose answer begins the exchange anew."""
    if login.auth is not None:
        return True
    match login.by:
        case PskLogin(secret):
            mac = shared_key_auth(sa.suite.prf, secret, login.octets(sa))
            login.auth = Authentication(AuthMethod.SHARED_KEY_MIC, mac)
        case CertLogin(_, signer):
            shake = login.handshake
            made = signer.sign(login.octets(sa), shake.peer_hashes, shake.announced)
            if isinstance(made, Errand):
                login.errand = made
                wanted = SignatureWanted(made.key, made.algorithms, made.octets)
                core.ask(exchange, sa, AnswerNeeded(AnswerKind.SIGNATURE, "", wanted), now)
                return False
            login.auth = made
        case EapLogin():
            pass
    return True


def take_signature(core: Core, exchange: Proving, sa: IkeSa, login: Login, answer: Secret) -> None:
    """Go on with what the key's holder has signed; another gateway would get nothing better from him."""
    if login.errand is None:
        raise AssertionError("nobody was asked to sign")
    try:
        login.auth = login.errand.finish(answer)
    except Refusal as refusal:
        core.close(refusal.failure or core.unanswered)
    else:
        core.begin(exchange, sa, first=True)
    login.errand = None


def own_auth(login: Login) -> tuple[Authentication | Notify, ...]:
    """The round's AUTH, and the word that another one comes; nothing asks for EAP (A2)."""
    return () if login.auth is None else (login.auth, *another_follows(login))


def another_follows(login: Login) -> tuple[Notify, ...]:
    """What stands beside AUTH while rounds are left (RFC 4739 section 3.2)."""
    return (Notify(NotifyType.ANOTHER_AUTH_FOLLOWS),) if login.further else ()


def refuse_errors(response: Message) -> None:
    """Raise where the gateway ends the login; an error about the child alone is left to `complete` (A10)."""
    error = response.error()
    if error is not None and response.first(Authentication) is None:
        kind = ERROR_KINDS.get(error.type, Kind.PEER_PROTOCOL)
        raise Refusal(kind, f"the gateway answered IKE_AUTH with {describe_error(error)}")


def verify_proof(core: Core, sa: IkeSa, login: Login, response: Message) -> None:
    """Make sure that the gateway is the one that we expect, or raise (A5, A7).

    Where it is to prove itself inside EAP, it may owe us the proof here: `settle` hears when it has come.
    """
    identity, auth = response.first(IdResponder), response.first(Authentication)
    proof = core.config.proof
    if identity is None or (auth is None and not isinstance(proof, EapProof)):
        raise Refusal(Kind.TRUST_NO_PROOF, "the gateway did not prove who it is")
    if response.notify(NotifyType.ANOTHER_AUTH_FOLLOWS) is not None:
        raise Refusal(Kind.AUTH_METHOD, "the gateway wants to prove itself in several rounds")
    login.responder_id_body = identity.body
    received = Identity.of(identity)
    match proof:
        case PskProof(secret) if auth is not None:
            _check_strict_identity(core, received)
            _check_psk(sa, login, auth, secret)
        case CertProof(trust) | EapProof(Trust() as trust) if auth is not None:
            found = candidates(trust, received, _shown(response), core.wall)
            key = _signer_of(auth, found.keys, login.responder_octets(sa), allow_sha1=trust.allow_sha1)
            _check_trailer(core, auth)
            check_pins(trust, key, received, vouched=found.vouched)
            login.inquest = trust.inquest(found.path, core.config.memory, core.wall)
            login.inquest.offer(_handed_over(response), "the gateway")
            core.peer_chain = _shown(response).chain
        case _:
            _check_strict_identity(core, received)
            return
    settle(core, login)


def _shown(response: Message) -> Shown:
    """The gateway's certificates, and its bare key where it sends that instead.

    We never announce HTTP_CERT_LOOKUP_SUPPORTED: whoever sends an address all the same would have us fetch
    something from there before it has proven anything (RFC 7296 section 3.6).
    """
    sent = response.all(Certificate)
    if sent and sent[0].encoding in {CertEncoding.HASH_AND_URL, CertEncoding.HASH_AND_URL_BUNDLE}:
        evidence = "the gateway sent the address of its certificate (hash and URL), which nobody asked for"
        raise Refusal(Kind.TRUST_NO_PROOF, evidence)
    chain = tuple(c.data for c in sent if c.encoding == CertEncoding.X509_SIGNATURE)
    raw = next((c.data for c in sent if c.encoding == CertEncoding.RAW_PUBLIC_KEY), None)
    return Shown(chain, raw)


def _handed_over(response: Message) -> tuple[bytes, ...]:
    """OCSP responses of the gateway's about its own certificates (RFC 4806)."""
    return tuple(c.data for c in response.all(Certificate) if c.encoding == CertEncoding.OCSP_CONTENT)


def inquire(core: Core, exchange: Inquiring, sa: IkeSa, login: Login, now: float) -> bool:
    """Whether the login has to wait for word about the gateway's certificates.

    Once it has not, they hold as far as the profile wants to know; `Refusal` otherwise.
    """
    inquest = login.inquest
    if inquest is None:
        return False
    if wanted := inquest.inquiries(core.rng, now):
        core.inquire(exchange, sa, RevocationNeeded(wanted, inquest.patience(now)), now)
        return True
    login.inquest = None
    if remark := inquest.conclude():
        core.emit(Remark(remark))
    return False


def _signer_of(
    auth: Authentication, keys: tuple[PublicKey, ...], octets: bytes, *, allow_sha1: bool
) -> PublicKey:
    """Which of the keys AUTH was signed with."""
    for key in keys[:-1]:
        with suppress(AuthenticationFailed):
            verify_signature(auth, key, octets, allow_sha1=allow_sha1)
            return key
    verify_signature(auth, keys[-1], octets, allow_sha1=allow_sha1)
    return keys[-1]


def _check_trailer(core: Core, auth: Authentication) -> None:
    """DER has no place for a default (X.690 section 11.5); what is meant is the same (RFC 4055 section 3.1)."""
    if spells_trailer(auth) and not core.adapts(Quirk.PSS_TRAILER, "a signature that names its trailer"):
        raise Refusal(Kind.TRUST_WEAK, "AUTH names its signature algorithm in a way that the profile forbids")


def settle(core: Core, login: Login) -> None:
    """The gateway has proven who it is: whatever else answers IKE_SA_INIT is somebody else."""
    core.peer_identity = str(Identity(*login.responder_id))
    core.channel = auth_channel(core.required_path, login.handshake.nat)
    core.opening = None
    core.stop_asking()  # another candidate may wait for a signature


def auth_channel(path: Path, nat: NatVerdict) -> Channel:
    """IKE_AUTH goes to port 4500 whenever the peer sent NAT detection (RFC 4555 section 3.3)."""
    return Channel.NATT if path.local_init is None or nat.supported else Channel.INIT


def _check_strict_identity(core: Core, received: Identity) -> None:
    expected = core.config.remote_id
    if core.config.strict_idr and expected is not None and not received.same_as(expected):
        raise Refusal(Kind.TRUST_NAME, f"the gateway calls itself {received}, the profile expects {expected}")


def _check_psk(sa: IkeSa, login: Login, auth: Authentication, secret: Secret) -> None:
    try:
        check_shared_key(auth, sa.suite.prf, secret, login.responder_octets(sa))
    except AuthenticationFailed:
        raise Refusal(
            Kind.TRUST_NO_PROOF, "the gateway's proof does not fit the pre-shared key of the profile"
        ) from None


def complete(core: Core, sa: IkeSa, login: Login, response: Message, now: float) -> None:
    """Both ends are proven: the IKE SA stands, with or without its first Child SA (A10)."""
    if core.opening is not None:
        raise Refusal(Kind.TRUST_NO_PROOF, "the gateway ended the login without a proof of who it is")
    config = core.config
    core.mobike = config.mobike and response.notify(NotifyType.MOBIKE_SUPPORTED) is not None
    core.nat = login.handshake.nat
    core.peer_vendors = login.handshake.vendors
    _note_group(core, login.handshake)
    asked = not config.static_addresses
    assigned = parse_reply(
        response.first(Configuration),
        ipv4=asked and config.request_ipv4,
        ipv6=asked and config.request_ipv6,
        cuts_prefix=_cuts_prefix(core, response),
    )
    core.assigned = replace(assigned, addresses=config.static_addresses or assigned.addresses)
    core.adopt(sa, now)
    core.enter(SessionState.ESTABLISHED)
    core.emit(
        Established(
            sa.spi_i,
            sa.spi_r,
            core.peer_identity,
            str(sa.suite),
            core.mobike,
            core.assigned,
            core.nat.local,
            core.nat.remote,
        )
    )
    if (addresses := peer_addresses(response)) is not None:
        core.emit(addresses)
    try:
        _install_first_child(core, sa, login, response, now)
    except ProtocolError as error:
        _give_up(core, error, now)


def _note_group(core: Core, handshake: Handshake) -> None:
    """Begin the next login with the group that the gateway insisted on; not with one that only legacy allows."""
    group = handshake.asked_group
    if group is not None and group not in WEAK_GROUPS:
        core.config.habits.group = group


def _cuts_prefix(core: Core, response: Message) -> bool:
    odd = has_prefixed_dns(response.first(Configuration))
    return odd and core.adapts(Quirk.DNS_PREFIX, "a name server's IPv6 address in 17 octets")


def _ask_for_less(core: Core, error: Notify) -> str:
    """Remember to ask for IPv4 alone; what to say of that."""
    if error.type != NotifyType.INTERNAL_ADDRESS_FAILURE or not core.config.may_do_with_one_family:
        return ""
    evidence = "INTERNAL_ADDRESS_FAILURE when asked for addresses of both IP versions"
    if not core.adapts(Quirk.ONE_FAMILY, evidence):
        return ""
    core.config.habits.one_family = evidence
    return "; the next login asks for IPv4 alone"


def _install_first_child(core: Core, sa: IkeSa, login: Login, response: Message, now: float) -> None:
    if (error := response.error()) is not None:
        kind = ERROR_KINDS.get(error.type, Kind.PEER_PROTOCOL)
        refusal = f"the gateway refused the Child SA with {describe_error(error)}"
        raise Refusal(kind, refusal + _ask_for_less(core, error))
    chosen = response.first(SecurityAssociation)
    if chosen is None:
        raise Refusal(Kind.PEER_PROTOCOL, "the gateway's answer lacks the Child SA")
    if not core.assigned.addresses:
        raise Refusal(Kind.ADDRESS_NONE, "the gateway assigned no inside address")
    offered = core.config.esp_offer.proposals_with_spi(login.spi_in.to_bytes(4), kex=False)
    suite, spi_out = accept_esp(offered, chosen)
    selectors = accepted_selectors(response, login.local_selectors, login.remote_selectors)
    nonces = (login.handshake.nonce_i, login.handshake.nonce_r)
    spis = (login.spi_in, int.from_bytes(spi_out))
    install(core, build_child(core, sa, suite, spis, nonces, None, selectors, initiated=True), now)


def _give_up(core: Core, error: ProtocolError, now: float) -> None:
    """The login worked and the Child SA did not: nothing is gained by keeping the IKE SA."""
    match error:
        case TsUnacceptable():
            failure = Failure(Kind.TS_UNACCEPTABLE, str(error))
        case NoProposalChosen():
            failure = Failure(Kind.CRYPTO_NO_PROPOSAL, str(error))
        case _:
            failure = error.failure or Failure(Kind.PEER_PROTOCOL, str(error))
    say_farewell(core, failure, now)
