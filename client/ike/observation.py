"""What a decoded message says, as plain facts: the one place that looks at messages for people's sake.

Values that could help somebody else to log in (AUTH, EAP responses, nonces) are left out; text of the peer's is
made safe to show.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from . import chains, distinguished
from .buffer import Reader
from .eap.packet import name_of
from .errors import ProtocolError
from .facts import CertificateFacts, MessageFacts, NotifyFacts
from .identity import Identity, alternative_names
from .message import Decoded, Message, decode
from .payloads import (
    Attribute,
    Authentication,
    Certificate,
    CertificateRequest,
    Configuration,
    Eap,
    IdInitiator,
    IdResponder,
    KeyExchange,
    Notify,
    SecurityAssociation,
    TsInitiator,
    TsResponder,
    UnknownPayload,
    VendorId,
)
from .pinning import fingerprint
from .refusal import printable
from .registry import (
    AuthMethod,
    CertEncoding,
    CfgAttribute,
    CfgType,
    EapCode,
    EapType,
    ExchangeType,
    IdType,
    NotifyType,
    TransformType,
)
from .sa_payload import Proposal, Transform
from .signatures import PublicKey
from .transforms import encryption, integrity, kex_method, pseudorandom

MOST = 16  # of each kind of thing that one message may have any number of
_MSCHAPV2_FAILURE = 4  # op-code
_EAP_HEADER = 5  # code, identifier, length, type


def observe(
    message: Message,
    *,
    sent: bool,
    channel: str = "",
    octets: int = 0,
    packets: int = 1,
    protected: bool = True,
) -> MessageFacts:
    """The facts of a message that has been read, or is about to be sent."""
    key = message.first(KeyExchange)
    auth = message.first(Authentication)
    kind, identity, wants = _identities(message)
    eap, eap_detail = _eap(message.first(Eap))
    return MessageFacts(
        sent,
        exchange_name(message.exchange),
        message.message_id,
        message.is_response,
        channel,
        octets,
        packets,
        protected=protected,
        payloads=tuple(_payload_name(payload) for payload in message.payloads[: 2 * MOST]),
        notifies=tuple(_notify(entry) for entry in message.all(Notify)[:MOST]),
        vendors=tuple(entry.data[:32].hex() for entry in message.all(VendorId)[:MOST]),
        proposals=tuple(words(entry) for entry in _proposals(message)[:MOST]),
        group="" if key is None else group_name(key.method),
        id_type=kind,
        identity=identity,
        wants=wants,
        auth="" if auth is None else _name(AuthMethod, auth.method),
        certificates=tuple(_certificates(message))[:MOST],
        authorities=_authorities(message),
        eap=eap,
        eap_detail=eap_detail,
        attributes=tuple(_attributes(message.first(Configuration)))[: 2 * MOST],
        selectors=_selectors(message),
    )


def observe_clear(data: bytes, *, sent: bool, channel: str = "") -> MessageFacts | None:
    """The same of an unprotected message's octets; None where they do not read."""
    outcome = decode(data, None)
    if not isinstance(outcome, Decoded):
        return None
    return observe(outcome.message, sent=sent, channel=channel, octets=len(data), protected=False)


def exchange_name(number: int) -> str:
    """The registry's name of an exchange type, or its number."""
    return _name(ExchangeType, number)


def group_name(number: int) -> str:
    """A key exchange method as a profile spells it, or its number."""
    row = kex_method(number)
    return row.word if row is not None else f"group {number}"


def words(proposal: Proposal) -> str:
    """A proposal as a profile spells it; what we do not know by its numbers."""
    return "-".join(
        _word(transform) for transform in proposal.transforms if transform.type != TransformType.SN
    )


def _word(transform: Transform) -> str:
    row: object | None = None
    match transform.type:
        case TransformType.ENCR:
            row = encryption(transform.id, transform.key_length)
        case TransformType.INTEG:
            row = integrity(transform.id)
        case TransformType.PRF:
            row = pseudorandom(transform.id)
        case TransformType.KE:
            row = kex_method(transform.id)
        case _:
            pass
    word = getattr(row, "word", None)
    return str(word) if word else f"({transform.type}:{transform.id})"


def _name(registry: type[NotifyType | ExchangeType | AuthMethod | IdType], number: int) -> str:
    try:
        return registry(number).name
    except ValueError:
        return f"{_WORDS.get(registry, 'number')} {number}"


_WORDS: dict[type, str] = {
    NotifyType: "notify",
    ExchangeType: "exchange",
    AuthMethod: "method",
    IdType: "type",
}


def _payload_name(payload: object) -> str:
    if isinstance(payload, UnknownPayload):
        return f"payload {payload.type}"
    return str(getattr(payload, "TYPE").name)  # noqa: B009 - all payloads but the unknown have one


def _notify(notify: Notify) -> NotifyFacts:
    detail = ""
    data = notify.data
    match notify.type:
        case NotifyType.INVALID_KE_PAYLOAD if len(data) == 2:
            detail = group_name(int.from_bytes(data))
        case NotifyType.MS_STATUS if len(data) >= 4:
            detail = str(int.from_bytes(data[:4]))
        case NotifyType.AUTH_LIFETIME if len(data) == 4:
            detail = f"{int.from_bytes(data)} s"
        case NotifyType.COOKIE:
            detail = f"{len(data)} octets"
        case number if number == _REDIRECT:
            detail = _redirect(data)
        case _:
            pass
    return NotifyFacts(_NOT_SPOKEN.get(notify.type) or _name(NotifyType, notify.type), detail)


_REDIRECT = 16407
_NOT_SPOKEN = {16406: "REDIRECT_SUPPORTED", _REDIRECT: "REDIRECT", 16435: "USE_PPK"}
"""Notifies that are worth a name whether or not the engine does anything with them (RFC 5685, RFC 8784)."""


def _redirect(data: bytes) -> str:
    """Type and length of the new gateway's name, then the name (RFC 5685 section 7.2)."""
    if len(data) < 2 or len(data) < 2 + data[1]:
        return ""
    target = data[2 : 2 + data[1]]
    if data[0] in (1, 2) and len(target) in (4, 16):
        return str(ip_address(target))
    return printable(target.decode("ascii", errors="replace"))


def _proposals(message: Message) -> tuple[Proposal, ...]:
    chosen = message.first(SecurityAssociation)
    return () if chosen is None else chosen.proposals


def _identities(message: Message) -> tuple[str, str, str]:
    """Type and text of whom the sender claims to be, and whom it asks for."""
    initiator, responder = message.first(IdInitiator), message.first(IdResponder)
    own = responder if message.is_response else initiator
    wants = "" if message.is_response or responder is None else str(Identity.of(responder))
    if own is None:
        return "", "", wants
    return _name(IdType, own.id_type), str(Identity.of(own)), wants


def _eap(payload: Eap | None) -> tuple[str, str]:
    if payload is None or len(payload.packet) < 4:
        return "", ""
    packet = payload.packet
    try:
        code = EapCode(packet[0]).name.lower()
    except ValueError:
        return "nonsense", ""
    if packet[0] not in (EapCode.REQUEST, EapCode.RESPONSE) or len(packet) < _EAP_HEADER:
        return code, ""
    kind = packet[4]
    known = {EapType.IDENTITY: "Identity", EapType.NOTIFICATION: "Notification", EapType.NAK: "Nak"}
    return f"{code} {known.get(EapType(kind)) if kind in known else name_of(kind)}", _eap_detail(packet)


def _eap_detail(packet: bytes) -> str:
    """What is no secret of the data: MSCHAPv2's error, the methods that a Nak wants instead."""
    kind, data = packet[4], packet[5:]
    if packet[0] == EapCode.RESPONSE and kind == EapType.NAK:
        return ", ".join(name_of(method) for method in data[:MOST]) or "nothing"
    if packet[0] == EapCode.REQUEST and kind == EapType.MSCHAPV2 and data[:1] == bytes([_MSCHAPV2_FAILURE]):
        found = re.search(rb"E=(\d{1,10})", data)
        return f"E={found[1].decode()}" if found else "E missing"
    if packet[0] == EapCode.REQUEST and kind == EapType.NOTIFICATION:
        return printable(data.decode(errors="replace"))
    return ""


def _certificates(message: Message) -> Iterator[CertificateFacts]:
    for entry in message.all(Certificate):
        if entry.encoding == CertEncoding.X509_SIGNATURE and (known := certificate(entry.data)) is not None:
            yield known


def certificate(data: bytes) -> CertificateFacts | None:
    """A DER certificate in words; None where it does not read."""
    read = chains.load(data)
    if read is None:
        return None
    try:
        names = tuple(printable(str(name.value)) for name in alternative_names(read))[:MOST]
        subject, issuer = (
            printable(distinguished.shown(name.public_bytes())) for name in (read.subject, read.issuer)
        )
    except (*chains.UNREADABLE, ProtocolError):
        return None
    key = cast("PublicKey", read.public_key())
    match key:
        case rsa.RSAPublicKey():
            kind = f"rsa {key.key_size}"
        case ec.EllipticCurvePublicKey():
            kind = f"ec {key.key_size}"
        case _:
            kind = type(key).__name__.removeprefix("_").removesuffix("PublicKey").lower()
    dates = (read.not_valid_before_utc.isoformat(), read.not_valid_after_utc.isoformat())
    pin = f"sha256:{fingerprint(key)}"
    return CertificateFacts(subject, issuer, names, *dates, kind, pin)


def _authorities(message: Message) -> tuple[str, ...]:
    requests = message.all(CertificateRequest)
    return tuple(name.hex() for request in requests for name in request.authorities)[: 4 * MOST]


def _attributes(payload: Configuration | None) -> Iterator[str]:
    """Names of what is asked for or given; addresses only where they are given."""
    if payload is None:
        return
    for attribute in payload.attributes:
        try:
            name = CfgAttribute(attribute.type).name
        except ValueError:
            name = f"attribute {attribute.type}"
        value = _given(attribute) if payload.cfg_type == CfgType.REPLY else ""
        yield f"{name} {value}".strip()


_TEXTS = (CfgAttribute.APPLICATION_VERSION, CfgAttribute.INTERNAL_DNS_DOMAIN)


def _given(attribute: Attribute) -> str:
    if attribute.type in _TEXTS:
        return printable(attribute.value.decode("ascii", "replace"))
    return _address(attribute.value)


def _address(value: bytes) -> str:
    if len(value) in (4, 16):
        return str(ip_address(value))
    return str(ip_address(value[:16])) if len(value) == 17 else ""


def _selectors(message: Message) -> tuple[str, ...]:
    found = []
    for side in (message.first(TsInitiator), message.first(TsResponder)):
        found += [f"{s.first}-{s.last}" for s in (side.selectors if side is not None else ())[:MOST]]
    return tuple(found)


def version_of(data: bytes) -> int:
    """The major version that a datagram claims (RFC 7296 section 3.1); 0 where it has no header."""
    return Reader(data[17:18]).uint(1) >> 4 if len(data) > 17 else 0
