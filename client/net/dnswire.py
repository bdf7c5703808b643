"""DNS messages as far as a stub resolver needs them (RFC 1035 section 4).  Pure.

Answers come unauthenticated from whatever network the laptop is in: octets can raise `BadAnswer` and
nothing else, and each of them is looked at a bounded number of times.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

from ..ike.events import Address

_HEADER = struct.Struct("!HHHHHH")  # id, flags, questions, answers, authorities, additional
_QUESTION_END = struct.Struct("!HH")  # type, class
_RECORD = struct.Struct("!HHIH")  # type, class, time to live, length
_RESPONSE, _TRUNCATED, _RECURSION_DESIRED = 0x8000, 0x0200, 0x0100
_OPCODE, _RCODE = 0x7800, 0x000F
_IN = 1
_CNAME = 5
_LONGEST_NAME, _LONGEST_LABEL = 255, 63
_LONGEST_CHAIN = 8
_MOST_ADDRESSES = 16

Labels = tuple[bytes, ...]


class RecordType(IntEnum):
    """What is asked for."""

    A = 1
    AAAA = 28


class Rcode(IntEnum):
    """The answers that we tell apart; any other is the server's failure."""

    NOERROR = 0
    NXDOMAIN = 3


class BadAnswer(Exception):
    """Not a DNS message, or not the answer to the question."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question under one identifier."""

    id: int
    name: str
    type: RecordType


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; `truncated`: ask again over TCP."""

    rcode: int
    addresses: tuple[Address, ...] = ()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class _Record:
    owner: Labels
    type: int
    data: bytes
    data_at: int


def encode_query(query: Query) -> bytes:
    """The message that asks.  `ValueError` where the name cannot be one."""
    name = b"".join(bytes([len(label)]) + label for label in _labels(query.name)) + b"\0"
    header = _HEADER.pack(query.id, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + name + _QUESTION_END.pack(query.type, _IN)


def _labels(name: str) -> Labels:
    """Lower-case and in ASCII (IDNA), without the root's empty label."""
    try:
        labels = tuple(name.removesuffix(".").encode("idna").lower().split(b"."))
    except UnicodeError as error:
        raise ValueError(f"{name!r} is not a host name") from error
    size = sum(len(label) + 1 for label in labels) + 1
    if size > _LONGEST_NAME or not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
        raise ValueError(f"{name!r} is not a host name")
    return labels


def decode_answer_untrusted(data: bytes, query: Query) -> Answer:
    """What `data` says to `query`; aliases are followed within the message.  Raises `BadAnswer` alone."""
    try:
        return _decode(data, query)
    except (struct.error, IndexError) as error:
        raise BadAnswer("the message is cut off") from error


def _decode(data: bytes, query: Query) -> Answer:
    identifier, flags, questions, answers, _, _ = _HEADER.unpack_from(data)
    if identifier != query.id or not flags & _RESPONSE or flags & _OPCODE or questions != 1:
        raise BadAnswer("not an answer to our query")
    asked, at = _name(data, _HEADER.size)
    if asked != _labels(query.name) or _QUESTION_END.unpack_from(data, at) != (query.type, _IN):
        raise BadAnswer("an answer to another question")
    rcode = flags & _RCODE
    if flags & _TRUNCATED:
        return Answer(rcode, truncated=True)
    records = _records(data, at + _QUESTION_END.size, answers)
    return Answer(rcode, _addresses(data, records, asked, query.type))


def _records(data: bytes, at: int, count: int) -> list[_Record]:
    records = []
    for _ in range(count):
        owner, at = _name(data, at)
        kind, family, _, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + length > len(data):
            raise BadAnswer("a record is longer than the message")
        if family == _IN:
            records.append(_Record(owner, kind, data[at : at + length], at))
        at += length
    return records


def _addresses(data: bytes, records: list[_Record], owner: Labels, wanted: RecordType) -> tuple[Address, ...]:
    aliases = {record.owner: record for record in records if record.type == _CNAME}
    for _ in range(_LONGEST_CHAIN):
        if owner not in aliases:
            break
        owner, _end = _name(data, aliases[owner].data_at)
    found = [_address(record) for record in records if (record.owner, record.type) == (owner, wanted)]
    return tuple(dict.fromkeys(found))[:_MOST_ADDRESSES]


def _address(record: _Record) -> Address:
    if record.type == RecordType.A and len(record.data) == 4:
        return IPv4Address(record.data)
    if record.type == RecordType.AAAA and len(record.data) == 16:
        return IPv6Address(record.data)
    raise BadAnswer("an address of the wrong length")


def _name(data: bytes, at: int) -> tuple[Labels, int]:
    """The name at an offset, and the offset behind it.

    A compression pointer must lead backwards, each further than the one before: so there are no loops.
    """
    labels: list[bytes] = []
    size = 1
    end: int | None = None
    lowest = at
    while (length := data[at]) != 0:
        if length & 0xC0 == 0xC0:
            target = (length & 0x3F) << 8 | data[at + 1]
            end = at + 2 if end is None else end
            if target >= lowest:
                raise BadAnswer("a name points forwards")
            at = lowest = target
            continue
        size += length + 1
        label = data[at + 1 : at + 1 + length]
        if length > _LONGEST_LABEL or size > _LONGEST_NAME or len(label) < length:
            raise BadAnswer("a name is too long")
        labels.append(label.lower())
        at += length + 1
    return tuple(labels), at + 1 if end is None else end
