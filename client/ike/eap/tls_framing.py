"""How the EAP methods built on TLS put TLS records into EAP packets, and cut them where they are long.

    flags (1) | length of the whole message (4, with L) | records, or a part of them

EAP-TLS (RFC 5216 sections 2.1.5 and 3.1), EAP-TTLS (RFC 5281 section 9.1) and PEAP ([MS-PEAP] section 2.2.2) share
this.  A fragment is answered with an empty packet, and so is a whole message to which there is nothing to say.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Self

from ..buffer import Reader, Writer
from ..errors import InvalidSyntax

LENGTH = 0x80
MORE = 0x40
START = 0x20
VERSION = 0x07  # TTLS and PEAP; reserved in EAP-TLS

MAX_MESSAGE = 65536  # octets of one message of the server: a long chain of certificates has a tenth of that
FRAGMENT = 1004
"""Octets of records in a packet of ours: 1014 with all headers, of the 1020 that every EAP peer takes."""
INNER_FRAGMENT = 884
"""The same inside another method with TLS: such a packet fits into one of the outer method."""


@dataclass(frozen=True, slots=True)
class TlsPacket:
    """Type data of one EAP packet; `length` is that of the whole message where the packet says it."""

    flags: int
    data: bytes = field(default=b"", repr=False)
    length: int | None = None

    @classmethod
    def pull(cls, octets: bytes) -> Self:
        """Parse type data."""
        reader = Reader(octets)
        flags = reader.uint(1)
        length = reader.uint(4) if flags & LENGTH else None
        return cls(flags, reader.rest(), length)

    def push(self) -> bytes:
        """Type data."""
        writer = Writer().uint(self.flags, 1)
        if self.length is not None:
            writer.uint(self.length, 4)
        return writer.write(self.data).bytes()

    @property
    def is_start(self) -> bool:
        """The server's first packet, which asks for a ClientHello."""
        return bool(self.flags & START)

    @property
    def is_empty(self) -> bool:
        """An acknowledgement: nothing but flags, and none of them set."""
        return not self.data and not self.flags & (LENGTH | MORE | START)

    @property
    def version(self) -> int:
        """Version of TTLS or PEAP."""
        return self.flags & VERSION


ACKNOWLEDGEMENT = TlsPacket(0).push()


class Framing:
    """Both directions of one run, one message at a time."""

    def __init__(self, size: int = FRAGMENT) -> None:
        self._size = size
        self._received = bytearray()
        self._announced: int | None = None
        self._waiting: deque[bytes] = deque()

    @property
    def is_sending(self) -> bool:
        """Whether fragments of ours wait for their turn."""
        return bool(self._waiting)

    def receive(self, packet: TlsPacket) -> bytes | None:
        """The whole message that this packet ends; None where more of it is to come."""
        self._check(packet)
        self._received += packet.data
        if packet.flags & MORE:
            return None
        whole, announced = bytes(self._received), self._announced
        self._received.clear()
        self._announced = None
        if announced is not None and announced != len(whole):
            raise InvalidSyntax(f"a TLS message of {len(whole)} octets that was to have {announced}")
        return whole

    def _check(self, packet: TlsPacket) -> None:
        """L may stand on every fragment, and says the same on each; servers exist that leave it out."""
        if packet.length is not None:
            if self._received and packet.length != self._announced:
                raise InvalidSyntax("fragments of one TLS message disagree on its length")
            self._announced = packet.length
        if packet.flags & MORE and not packet.data:
            raise InvalidSyntax("an empty fragment of a TLS message")
        limit = MAX_MESSAGE if self._announced is None else min(self._announced, MAX_MESSAGE)
        if (self._announced or 0) > MAX_MESSAGE or len(self._received) + len(packet.data) > limit:
            raise InvalidSyntax(f"a TLS message of more than {limit} octets")

    def send(self, message: bytes) -> bytes:
        """Type data of the first packet of a message; an empty message is an acknowledgement."""
        parts = [message[start : start + self._size] for start in range(0, len(message), self._size)]
        if len(parts) < 2:
            return TlsPacket(0, message).push()
        middle = (TlsPacket(MORE, part).push() for part in parts[1:-1])
        self._waiting.extend((*middle, TlsPacket(0, parts[-1]).push()))
        return TlsPacket(LENGTH | MORE, parts[0], len(message)).push()

    def next_fragment(self) -> bytes:
        """Type data of the packet after an acknowledgement."""
        return self._waiting.popleft()
