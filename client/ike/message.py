"""IKE messages: the header, the chain of payloads, and the Encrypted payload whole or in fragments.

`decode` has four outcomes, because authentic-but-bad is not forged: `Decoded` and `Fragment` can be acted on,
`ProtectedError` is the peer's fault and ends the IKE SA or is answered (RFC 7296 section 2.21), `Rejected` is
anybody's octets and changes nothing.  It never raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple, Self, TypeVar

from .buffer import Writer
from .errors import InvalidMajorVersion, InvalidSyntax, ProtocolError, UnsupportedCriticalPayload
from .payloads import PAYLOADS, Notify, Payload, UnknownPayload
from .registry import ExchangeType, PayloadType
from .seal import IntegrityError, Opener, Sealer

VERSION = 0x20  # major 2, minor 0
FROM_INITIATOR = 0x08  # I: sent by the original initiator of the IKE SA
RESPONSE = 0x20  # R
CRITICAL = 0x80

_HEADER = Struct("!8s8sBBBBII")
_GENERIC = Struct("!BBH")  # generic payload header (RFC 7296 section 3.2)
_FRAGMENT = Struct("!HH")  # fragment number and total (RFC 7383 section 2.5)

_ENCRYPTED = (PayloadType.SK, PayloadType.SKF)
_CLEAR_EXCHANGES = (ExchangeType.IKE_SA_INIT,)

_P = TypeVar("_P", bound=Payload)


@dataclass(frozen=True, slots=True)
class Header:
    """The IKE header, RFC 7296 section 3.1; `length` is that of the whole message in octets."""

    spi_i: bytes
    spi_r: bytes
    next_payload: int
    version: int
    exchange: int
    flags: int
    message_id: int
    length: int

    @property
    def from_initiator(self) -> bool:
        """Whether the original initiator of the IKE SA sent it."""
        return bool(self.flags & FROM_INITIATOR)

    @property
    def is_response(self) -> bool:
        """Whether it answers a request."""
        return bool(self.flags & RESPONSE)

    @classmethod
    def pull(cls, data: bytes) -> Self:
        """The header in front of `data`; `InvalidSyntax` where it is too short.  Nothing else is checked."""
        if len(data) < _HEADER.size:
            raise InvalidSyntax(f"a message of {len(data)} octets")
        return cls(*_HEADER.unpack_from(data))


@dataclass(frozen=True, slots=True)
class Message:
    """One IKE message, its payloads in order; `from_initiator` and `is_response` are the flags I and R."""

    spi_i: bytes
    spi_r: bytes
    exchange: int
    message_id: int
    payloads: tuple[Payload, ...]
    from_initiator: bool
    is_response: bool

    def first(self, cls: type[_P]) -> _P | None:
        """The first payload of a class."""
        for payload in self.payloads:
            if isinstance(payload, cls):
                return payload
        return None

    def all(self, cls: type[_P]) -> tuple[_P, ...]:
        """All payloads of a class, in order."""
        return tuple(payload for payload in self.payloads if isinstance(payload, cls))

    def notifies(self, type: int) -> tuple[Notify, ...]:  # noqa: A002 - the RFC's own word
        """All notifies of a type."""
        return tuple(notify for notify in self.all(Notify) if notify.type == type)

    def notify(self, type: int) -> Notify | None:  # noqa: A002 - the RFC's own word
        """The first notify of a type."""
        return next(iter(self.notifies(type)), None)

    def error(self) -> Notify | None:
        """The first notify of the error range, known or not (RFC 7296 section 3.10.1)."""
        return next((notify for notify in self.all(Notify) if notify.is_error), None)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A message that parses; unless `protected`, anybody can have sent it."""

    header: Header
    message: Message
    protected: bool


@dataclass(frozen=True, slots=True)
class Fragment:
    """An authentic fragment, `number` of `total`; number 1 has the `first_payload` (RFC 7383 section 2.5)."""

    header: Header
    number: int
    total: int
    first_payload: int
    plaintext: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProtectedError:
    """The peer itself sent what does not parse, or an unknown critical payload (RFC 7296 section 2.21)."""

    header: Header
    error: ProtocolError


@dataclass(frozen=True, slots=True)
class Rejected:
    """Nothing that may change our state.

    `error` is what an unprotected request can be answered with; `hint` is the error notify of an unprotected
    message outside IKE_SA_INIT, of which INVALID_IKE_SPI may lead to a liveness check (section 2.21.4).
    """

    reason: str
    error: ProtocolError | None = None
    hint: Notify | None = None


class _Raw(NamedTuple):
    """A payload cut out of its chain: `next` and `start` (of the body) matter for the Encrypted payload."""

    type: int
    critical: bool
    next: int
    start: int
    body: bytes


def decode(data: bytes, opener: Opener | None) -> Decoded | Fragment | ProtectedError | Rejected:
    """Read one message as received, without non-ESP marker; `opener` None while there are no keys."""
    try:
        header = Header.pull(data)
        _check_header(header, len(data))
        chain = list(_walk(header.next_payload, data, _HEADER.size))
    except ProtocolError as error:
        return Rejected(str(error), error)
    if chain and chain[-1].type in _ENCRYPTED:
        return _decode_protected(header, data, chain, opener)
    return _decode_clear(header, chain)


def decode_assembled(header: Header, first_payload: int, plaintext: bytes) -> Decoded | ProtectedError:
    """Read the payloads that stood inside an Encrypted payload, or inside all of its fragments."""
    try:
        payloads = _pull_payloads(_walk(first_payload, plaintext, 0))
    except ProtocolError as error:
        return ProtectedError(header, error)
    return Decoded(header, _message(header, payloads), protected=True)


def _check_header(header: Header, size: int) -> None:
    """RFC 7296 sections 2.5 and 3.1; the minor version and unknown flags are ignored."""
    if header.version >> 4 > VERSION >> 4:
        raise InvalidMajorVersion(f"major version {header.version >> 4}")
    if header.version >> 4 < VERSION >> 4:
        raise InvalidSyntax(f"major version {header.version >> 4}")
    if header.length != size:
        raise InvalidSyntax(f"{size} octets in a message of {header.length}")


def _walk(first: int, data: bytes, position: int) -> Iterator[_Raw]:
    """Cut the chain from `position` to the end of `data`; an Encrypted payload is always its last."""
    kind = first
    while kind != PayloadType.NONE:
        start = position + _GENERIC.size
        if start > len(data):
            raise InvalidSyntax("the chain of payloads ends in a header")
        following, flags, size = _GENERIC.unpack_from(data, position)
        position += size
        if size < _GENERIC.size or position > len(data):
            raise InvalidSyntax(f"payload {kind} of {size} octets does not fit")
        yield _Raw(kind, bool(flags & CRITICAL), following, start, data[start:position])
        kind = PayloadType.NONE if kind in _ENCRYPTED else following
    if position != len(data):
        raise InvalidSyntax("octets after the last payload")


def _pull_payloads(chain: Iterable[_Raw], *, clear: bool = False) -> tuple[Payload, ...]:
    payloads: list[Payload] = []
    once = set()
    for raw in chain:
        row = PAYLOADS.get(raw.type)
        if row is None:
            payloads.append(_unknown(raw))
            continue
        if clear and not row.in_clear:
            raise InvalidSyntax(f"payload {raw.type} outside the Encrypted payload")
        if raw.type in once:
            raise InvalidSyntax(f"payload {raw.type} stands twice")
        if not row.repeatable:
            once.add(raw.type)
        payloads.append(row.pull_body(raw.body))
    return tuple(payloads)


def _unknown(raw: _Raw) -> UnknownPayload:
    """A payload without a row: to be skipped, unless it is critical (RFC 7296 section 2.5)."""
    if raw.type in _ENCRYPTED:
        raise InvalidSyntax("an Encrypted payload inside another")
    if raw.critical:
        raise UnsupportedCriticalPayload(raw.type)
    return UnknownPayload(raw.type, raw.critical, raw.body)


def _message(header: Header, payloads: tuple[Payload, ...]) -> Message:
    return Message(
        header.spi_i,
        header.spi_r,
        header.exchange,
        header.message_id,
        payloads,
        header.from_initiator,
        header.is_response,
    )


def _decode_clear(header: Header, chain: list[_Raw]) -> Decoded | Rejected:
    """Everything after IKE_SA_INIT is protected (RFC 7296 section 1.2)."""
    try:
        message = _message(header, _pull_payloads(chain, clear=True))
    except ProtocolError as error:
        return Rejected(str(error), error)
    if header.exchange not in _CLEAR_EXCHANGES:
        return Rejected("the message is not protected", hint=message.error())
    return Decoded(header, message, protected=False)


def _decode_protected(
    header: Header, data: bytes, chain: list[_Raw], opener: Opener | None
) -> Decoded | Fragment | ProtectedError | Rejected:
    if header.exchange in _CLEAR_EXCHANGES:
        return Rejected("an Encrypted payload in an exchange without keys")
    if opener is None:
        return Rejected("there are no keys to open the message")
    *outside, raw = chain
    try:
        return _open(header, data, raw, opener, outside)
    except IntegrityError:
        return Rejected("the message is not authentic")
    except ProtocolError as error:
        return ProtectedError(header, error)


def _open(
    header: Header, data: bytes, raw: _Raw, opener: Opener, outside: list[_Raw]
) -> Decoded | Fragment | ProtectedError | Rejected:
    """Open SK or SKF; associated is all from the header to the sealed octets (RFC 5282 section 5.1)."""
    if raw.type == PayloadType.SK:
        plaintext = opener.open(data[: raw.start], raw.body)
        _check_outside(outside)
        return decode_assembled(header, raw.next, plaintext)
    if len(raw.body) < _FRAGMENT.size:
        return Rejected("a fragment without numbers")
    number, total = _FRAGMENT.unpack_from(raw.body)
    if not 1 <= number <= total:
        return Rejected(f"fragment {number} of {total}")
    plaintext = opener.open(data[: raw.start + _FRAGMENT.size], raw.body[_FRAGMENT.size :])
    _check_outside(outside)
    return Fragment(header, number, total, raw.next, plaintext)


def _check_outside(chain: list[_Raw]) -> None:
    """No exchange has payloads in front of the Encrypted one: only what we would skip anyway is let pass."""
    for raw in chain:
        if raw.type in PAYLOADS:
            raise InvalidSyntax(f"payload {raw.type} in front of the Encrypted payload")
        _unknown(raw)


def encode_clear(message: Message) -> bytes:
    """The octets of an unprotected message."""
    first, body = _push_chain(message.payloads)
    return _push_header(message, first, _HEADER.size + len(body)) + body


def encode_protected(
    message: Message, seal: Sealer, *, fragment_size: int | None = None
) -> tuple[bytes, ...]:
    """The message in one Encrypted payload, or in fragments of at most `fragment_size` octets where it is
    larger (RFC 7383); None where the peer takes no fragments.
    """
    first, plaintext = _push_chain(message.payloads)
    size = _GENERIC.size + seal.sealed_size(len(plaintext))
    if fragment_size is not None and message_size(seal, len(plaintext)) > fragment_size:
        return _push_fragments(message, seal, fragment_size, first, plaintext)
    associated = _push_header(message, PayloadType.SK, _HEADER.size + size) + _GENERIC.pack(first, 0, size)
    return (associated + seal.seal(associated, plaintext),)


def message_size(seal: Sealer, plaintext_size: int) -> int:
    """Octets of a whole message whose payloads, with their headers, have so many."""
    return _HEADER.size + _GENERIC.size + seal.sealed_size(plaintext_size)


def protected_size(seal: Sealer, payloads: tuple[Payload, ...]) -> int:
    """Octets of a message with these payloads, in one Encrypted payload."""
    return message_size(seal, len(_push_chain(payloads)[1]))


def _push_fragments(
    message: Message, seal: Sealer, fragment_size: int, first: int, plaintext: bytes
) -> tuple[bytes, ...]:
    """Cut the plaintext; each part is sealed by itself and only the first names its payload (section 2.5)."""
    room = _fragment_room(seal, fragment_size)
    parts = [plaintext[start : start + room] for start in range(0, len(plaintext), room)]
    fragments = []
    for number, part in enumerate(parts, start=1):
        size = _GENERIC.size + _FRAGMENT.size + seal.sealed_size(len(part))
        associated = (
            _push_header(message, PayloadType.SKF, _HEADER.size + size)
            + _GENERIC.pack(first if number == 1 else PayloadType.NONE, 0, size)
            + _FRAGMENT.pack(number, len(parts))
        )
        fragments.append(associated + seal.seal(associated, part))
    return tuple(fragments)


def _fragment_room(seal: Sealer, fragment_size: int) -> int:
    """The most octets of plaintext that a fragment can carry."""
    sealed = fragment_size - _HEADER.size - _GENERIC.size - _FRAGMENT.size
    for room in range(sealed, 0, -1):
        if seal.sealed_size(room) <= sealed:
            return room
    raise AssertionError(f"a fragment of {fragment_size} octets has no room")


def _push_header(message: Message, next_payload: int, length: int) -> bytes:
    flags = message.from_initiator * FROM_INITIATOR | message.is_response * RESPONSE
    return _HEADER.pack(
        message.spi_i,
        message.spi_r,
        next_payload,
        VERSION,
        message.exchange,
        flags,
        message.message_id,
        length,
    )


def _push_chain(payloads: tuple[Payload, ...]) -> tuple[int, bytes]:
    """The type of the first payload, and all of them behind their generic headers."""
    types = [_type(payload) for payload in payloads] + [PayloadType.NONE]
    chain = bytearray()
    for payload, following in zip(payloads, types[1:], strict=True):
        body = Writer()
        payload.push(body)
        critical = isinstance(payload, UnknownPayload) and payload.critical
        chain += _GENERIC.pack(following, critical * CRITICAL, _GENERIC.size + len(body)) + body.bytes()
    return types[0], bytes(chain)


def _type(payload: Payload) -> int:
    return payload.type if isinstance(payload, UnknownPayload) else payload.TYPE
