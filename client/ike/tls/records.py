"""TLS records: cut out of a stream, opened and sealed.

    content type (1) | version (2) | length (2) | content, sealed once there are keys

RFC 5246 section 6.2 and RFC 8446 section 5.  What does not open ends the connection.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from cryptography.exceptions import InvalidTag

from .faults import Alert, Fault
from .suites import TLS_1_2, Suite

HEADER_SIZE = 5
LARGEST = 16384  # octets of content
_OVERHEAD = 2048  # what sealing may add in TLS 1.2
_OVERHEAD_1_3 = 256
_TAG_SIZE = 16


class ContentType(IntEnum):
    """What a record carries."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


class Protection(Protocol):
    """One direction's keys."""

    def seal(self, kind: int, content: bytes) -> bytes:
        """A whole record."""
        ...

    def open(self, kind: int, body: bytes) -> tuple[int, bytes]:
        """Content type and content; `Fault` for what this end's peer has not sealed."""
        ...


def record(kind: int, body: bytes) -> bytes:
    """A record with its header."""
    return bytes([kind]) + TLS_1_2.to_bytes(2) + len(body).to_bytes(2) + body


class Clear:
    """Before there are keys."""

    def seal(self, kind: int, content: bytes) -> bytes:
        return record(kind, content)

    def open(self, kind: int, body: bytes) -> tuple[int, bytes]:
        return kind, body


class Aead12:
    """AEAD in TLS 1.2 (RFC 5246 section 6.2.3.3, RFC 5288, RFC 7905)."""

    def __init__(self, suite: Suite, key: bytes, fixed: bytes) -> None:
        self._cipher = suite.cipher(key)
        self._fixed = fixed
        self._explicit = suite.explicit
        self._count = 0

    def seal(self, kind: int, content: bytes) -> bytes:
        explicit = self._count.to_bytes(self._explicit) if self._explicit else b""
        nonce, header = self._nonce(explicit), self._header(kind, len(content))
        self._count += 1
        return record(kind, explicit + self._cipher.encrypt(nonce, content, header))

    def open(self, kind: int, body: bytes) -> tuple[int, bytes]:
        explicit, sealed = body[: self._explicit], body[self._explicit :]
        if len(sealed) < _TAG_SIZE:
            raise _does_not_open()
        nonce, header = self._nonce(explicit), self._header(kind, len(sealed) - _TAG_SIZE)
        self._count += 1
        try:
            return kind, self._cipher.decrypt(nonce, sealed, header)
        except InvalidTag:
            raise _does_not_open() from None

    def _nonce(self, explicit: bytes) -> bytes:
        return self._fixed + explicit if self._explicit else _xor(self._fixed, self._count)

    def _header(self, kind: int, size: int) -> bytes:
        return self._count.to_bytes(8) + bytes([kind]) + TLS_1_2.to_bytes(2) + size.to_bytes(2)


class Aead13:
    """TLS 1.3 (RFC 8446 section 5.2): the content type is sealed too."""

    def __init__(self, suite: Suite, key: bytes, fixed: bytes) -> None:
        self._cipher = suite.cipher(key)
        self._fixed = fixed
        self._count = 0

    def seal(self, kind: int, content: bytes) -> bytes:
        header = record(ContentType.APPLICATION_DATA, bytes(len(content) + 1 + _TAG_SIZE))[:HEADER_SIZE]
        sealed = self._cipher.encrypt(_xor(self._fixed, self._count), content + bytes([kind]), header)
        self._count += 1
        return header + sealed

    def open(self, kind: int, body: bytes) -> tuple[int, bytes]:
        if kind != ContentType.APPLICATION_DATA:
            raise Fault(Alert.UNEXPECTED_MESSAGE, "a record in clear where it was to be sealed")
        if len(body) > LARGEST + _OVERHEAD_1_3:
            raise _too_large()
        header = record(kind, body)[:HEADER_SIZE]
        try:
            padded = self._cipher.decrypt(_xor(self._fixed, self._count), body, header)
        except (InvalidTag, ValueError):  # ValueError where it is shorter than a tag
            raise _does_not_open() from None
        self._count += 1
        if len(padded) > LARGEST + 1:
            raise _too_large()
        inner = padded.rstrip(b"\0")
        if not inner:
            raise Fault(Alert.UNEXPECTED_MESSAGE, "a record of nothing but padding")
        return inner[-1], inner[:-1]


def _xor(fixed: bytes, count: int) -> bytes:
    return (int.from_bytes(fixed) ^ count).to_bytes(len(fixed))


def _does_not_open() -> Fault:
    return Fault(Alert.BAD_RECORD_MAC, "a record of TLS does not open")


def _too_large() -> Fault:
    return Fault(Alert.RECORD_OVERFLOW, "a record of TLS is too large")


class Wire:
    """Records both ways; `reading` and `writing` are the keys in force."""

    def __init__(self) -> None:
        self.reading: Protection = Clear()
        self.writing: Protection = Clear()
        self._received = bytearray()
        self._to_send = bytearray()

    def feed(self, octets: bytes) -> None:
        """What has come from the server."""
        self._received += octets

    def next_record(self) -> tuple[int, bytes] | None:
        """Content type and content of the next whole record; None where more of it has to come."""
        if len(self._received) < HEADER_SIZE:
            return None
        kind, size = self._received[0], int.from_bytes(self._received[3:HEADER_SIZE])
        if self._received[1] != TLS_1_2 >> 8 or size > LARGEST + _OVERHEAD:
            raise Fault(Alert.RECORD_OVERFLOW, "what came inside EAP is no TLS")
        if len(self._received) < HEADER_SIZE + size:
            return None
        body = bytes(self._received[HEADER_SIZE : HEADER_SIZE + size])
        del self._received[: HEADER_SIZE + size]
        if kind == ContentType.CHANGE_CIPHER_SPEC:
            return kind, body  # in clear, in both versions, whenever it may come at all
        kind, content = self.reading.open(kind, body)
        if len(content) > LARGEST:
            raise _too_large()
        return kind, content

    def write(self, kind: ContentType, content: bytes) -> None:
        """Seal content, in as many records as it needs."""
        for start in range(0, len(content), LARGEST):
            self._to_send += self.writing.seal(kind, content[start : start + LARGEST])

    def take(self) -> bytes:
        """The records to be sent."""
        taken = bytes(self._to_send)
        self._to_send.clear()
        return taken
