"""Commands to a card and its replies (ETSI TS 102 221, ISO/IEC 7816-4), without a reader: sans-IO.

A dialogue is a generator that yields commands and is sent replies; `converse` is one command with all that T=0
makes of it.  Whatever a card answers, nothing but `SimError` is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from .sim_plugin import SimError

T = TypeVar("T")

MOST_TURNS = 40  # commands that one command may take: an answer of 4 KiB in small pieces, with room
LONGEST = 256  # octets that one reply can bring
GET_RESPONSE, READ_BINARY, READ_RECORD, SELECT, VERIFY, AUTHENTICATE = 0xC0, 0xB0, 0xB2, 0xA4, 0x20, 0x88

DONE = 0x9000
NOT_ALLOWED = 0x6982  # a PIN is wanted first
BLOCKED = 0x6983
NO_FILE, NO_RECORD = 0x6A82, 0x6A83
MAC_WRONG = 0x9862  # TS 31.102 section 7.3.1
_MORE, _MORE_GSM, _OTHER_LENGTH = 0x61, 0x9F, 0x6C

MEANINGS = {
    0x6200: "it answers with a warning",
    0x6281: "a part of its answer may be damaged",
    0x6282: "the file ends early",
    0x6283: "the application is invalidated",
    0x6300: "it answers with a warning",
    0x6400: "its execution failed",
    0x6500: "its memory has failed",
    0x6581: "its memory has failed",
    0x6700: "it takes no command of this length",
    0x6800: "it does not know this kind of command",
    0x6881: "it knows no logical channels",
    0x6882: "it knows no secure messaging",
    0x6900: "it does not allow this command",
    0x6981: "the file is of another kind",
    NOT_ALLOWED: "it wants a PIN first",
    BLOCKED: "its PIN is locked",
    0x6984: "what is meant is invalidated",
    0x6985: "its conditions are not met",
    0x6986: "no file is selected",
    0x6A80: "it takes no such data",
    0x6A81: "it does not know this function",
    NO_FILE: "it has no such file",
    NO_RECORD: "it has no such record",
    0x6A86: "it takes no such parameters",
    0x6A87: "the length and the parameters do not go together",
    0x6A88: "it has no such PIN",
    0x6B00: "it takes no such parameters",
    0x6D00: "it does not know this command",
    0x6E00: "it does not know this class of commands",
    0x6F00: "it has a technical problem",
    0x9300: "it is busy with its own applications",
    MAC_WRONG: "the network has not proven itself",
    0x9863: "its security session has expired",
    0x9864: "it does not know this kind of authentication",
    0x9865: "a key is too old",
    0x9866: "it has no memory left",
    0x9867: "it has no memory left",
}
"""Status words (TS 102 221 section 10.2, TS 31.102 section 7.3) in words."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `expected` octets of an answer, 0 for as many as there are, None for none; `what` for people."""

    ins: int
    p1: int
    p2: int
    what: str
    data: bytes = field(default=b"", repr=False)
    expected: int | None = None

    def push(self, *, blocks: bool) -> bytes:
        """As the card has it: with T=1 (`blocks`) whole, with T=0 in its five octets and the data."""
        header = bytes([0x00, self.ins, self.p1, self.p2])
        if self.data:
            body = bytes([len(self.data)]) + self.data
            return header + body + (self._le() if blocks else b"")
        return header + (self._le() if blocks else self._le() or b"\0")

    def _le(self) -> bytes:
        return b"" if self.expected is None else bytes([self.expected % 256])


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `status` is the status word."""

    data: bytes = field(repr=False)
    status: int

    @classmethod
    def pull(cls, octets: bytes) -> Reply:
        """Of the octets that a reader hands over."""
        if not 2 <= len(octets) <= LONGEST + 2:
            raise SimError("the card answers with what is no answer of a card")
        return cls(octets[:-2], int.from_bytes(octets[-2:]))

    @property
    def meaning(self) -> str:
        """The status word for people."""
        known = MEANINGS.get(self.status) or MEANINGS.get(self.status & 0xFF00)
        return f"{known or 'it answers with something unknown'} (status {self.status:04X})"

    @property
    def tries_left(self) -> int | None:
        """Of a PIN (63CX, 6983); None where the status says nothing about it."""
        if self.status == BLOCKED:
            return 0
        return self.status & 0xF if self.status & 0xFFF0 == 0x63C0 else None


Dialogue = Generator[Command, Reply, T]


def converse(command: Command) -> Dialogue[Reply]:
    """One command to its end: more of the answer is fetched, another length tried (TS 102 221 section 7.3.1)."""
    last, data = command, b""
    for _ in range(MOST_TURNS):
        reply = yield last
        data += reply.data
        first, second = reply.status >> 8, reply.status & 0xFF
        if first == _OTHER_LENGTH:
            last = replace(last, expected=second or LONGEST)
        elif first in {_MORE, _MORE_GSM}:
            last = Command(GET_RESPONSE, 0, 0, command.what, expected=second or LONGEST)
        else:
            return Reply(data, reply.status)
    raise SimError(f"the card did not {command.what}: its answer has no end")


def require(command: Command) -> Dialogue[bytes]:
    """What a command brings that must succeed."""
    reply = yield from converse(command)
    if reply.status != DONE:
        raise refused(command, reply)
    return reply.data


def refused(command: Command, reply: Reply) -> SimError:
    """A command has failed."""
    return SimError(f"the card did not {command.what}: {reply.meaning}")


def drive(dialogue: Dialogue[T], transmit: Callable[[bytes], bytes], *, blocks: bool) -> T:
    """Hold a dialogue with a card."""
    try:
        command = next(dialogue)
        while True:
            command = dialogue.send(Reply.pull(transmit(command.push(blocks=blocks))))
    except StopIteration as end:
        result: T = end.value
        return result


def tlvs(octets: bytes) -> Iterator[tuple[int, bytes]]:
    """BER-TLV objects in a row (TS 101 220 section 7.1), tags of one or two octets; filling behind them is none."""
    at = 0
    while at < len(octets) and octets[at] not in {0x00, 0xFF}:
        tag, at = octets[at], at + 1
        if tag & 0x1F == 0x1F:
            tag, at = tag << 8 | _octet(octets, at), at + 1
        size, at = _octet(octets, at), at + 1
        if size in {0x81, 0x82}:
            width = size & 0x7F
            size, at = int.from_bytes(octets[at : at + width]), at + width
        elif size > 0x80:
            raise _unreadable()
        if at + size > len(octets):
            raise _unreadable()
        yield tag, octets[at : at + size]
        at += size


def find_tlv(octets: bytes, tag: int) -> bytes | None:
    """The first object with the tag."""
    return next((value for found, value in tlvs(octets) if found == tag), None)


def _octet(octets: bytes, at: int) -> int:
    if at >= len(octets):
        raise _unreadable()
    return octets[at]


def _unreadable() -> SimError:
    return SimError("the card describes its files in a way that does not read")
