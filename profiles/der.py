"""ASN.1 in BER, as far as containers need it: elements of definite and indefinite length (X.690 section 8.1).

Streaming signers write indefinite lengths, which readers of DER refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SEQUENCE, SET, INTEGER, OID, OCTETS = 0x30, 0x31, 0x02, 0x06, 0x04
MOST_ROUNDS = 5_000_000
"""Rounds of hashing that open a container: some seconds.  Programs use two thousand to one million."""
_END = b"\0\0"
_MOST = 20_000  # elements of one file
_DEEPEST = 32  # levels of nesting
_LARGEST = 1 << 24  # octets of an element that says its length in more than four


class Malformed(ValueError):
    """Octets that are no container; the text says why, as in "it breaks off"."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag octet, and its contents (of a constructed one the encoded elements)."""

    tag: int
    content: bytes

    @property
    def is_constructed(self) -> bool:
        """Whether its contents are elements."""
        return bool(self.tag & 0x20)


class _Walk:
    """A position in octets, and how many elements have been read in all."""

    def __init__(self) -> None:
        self.count = 0

    def element(self, data: memoryview, at: int, depth: int) -> tuple[Element, int]:
        """The element at a position, and the position behind it."""
        self.count += 1
        if depth > _DEEPEST or self.count > _MOST:
            raise Malformed("is nested too deeply, or has too many parts, for a container")
        if at + 2 > len(data) or data[at] & 0x1F == 0x1F:
            raise Malformed("breaks off, or is no container")
        tag, length, at = data[at], data[at + 1], at + 2
        if length == 0x80:
            return self._indefinite(data, tag, at, depth)
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[at : at + size], "big") if size <= 4 else _LARGEST
            at += size
        if at + length > len(data):
            raise Malformed("breaks off: a part is longer than the file")
        return Element(tag, bytes(data[at : at + length])), at + length

    def _indefinite(self, data: memoryview, tag: int, at: int, depth: int) -> tuple[Element, int]:
        """Contents up to the end-of-contents octets."""
        if not tag & 0x20:
            raise Malformed("is no container: a plain part without a length")
        start = at
        while bytes(data[at : at + 2]) != _END:
            _, at = self.element(data, at, depth + 1)
        return Element(tag, bytes(data[start:at])), at + 2


def first(octets: bytes) -> Element:
    """The first element; `Malformed` where there is none."""
    return _Walk().element(memoryview(octets), 0, 0)[0]


def children(element: Element) -> list[Element]:
    """The elements inside a constructed one."""
    walk, data, at, found = _Walk(), memoryview(element.content), 0, []
    while at < len(data):
        child, at = walk.element(data, at, 0)
        found.append(child)
    return found


def octets_of(element: Element, depth: int = 0) -> bytes:
    """An OCTET STRING, which BER may cut into pieces (X.690 section 8.7.3)."""
    if not element.is_constructed:
        return element.content
    if depth > _DEEPEST:
        raise Malformed("is nested too deeply for a container")
    return b"".join(octets_of(piece, depth + 1) for piece in children(element))


def rounds(octets: bytes) -> Iterator[int]:
    """How often keys are hashed, as far as it can be seen: numbers that follow a salt (RFC 8018, RFC 7292).

    A bundle could ask for two thousand million rounds, and nothing in a library would stop it.
    """
    waiting, seen = [(octets, 0)], 0
    while waiting:
        data, depth = waiting.pop()
        try:
            parts = children(Element(SEQUENCE, data))
        except Malformed:
            continue
        seen += len(parts)
        for before, part in zip([None, *parts], parts, strict=False):
            if part.tag == INTEGER and before is not None and before.tag == OCTETS:
                yield int.from_bytes(part.content[:16], "big")
            if (part.is_constructed or part.tag == OCTETS) and depth < 24 and seen < _MOST:
                waiting.append((octets_of(part) if part.tag == OCTETS else part.content, depth + 1))


def check_rounds(octets: bytes) -> None:
    """ValueError for a container that would take for ever to open."""
    most = max(rounds(octets), default=0)
    if most > MOST_ROUNDS:
        raise ValueError(f"asks for {most} rounds of hashing, more than {MOST_ROUNDS}")
