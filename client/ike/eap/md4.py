"""MD4 (RFC 1320), which MSCHAPv2 prescribes and no current library offers.

It is broken as a hash function and used for nothing else here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

_MASK = 0xFFFFFFFF
_INITIAL = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)


class _Round(NamedTuple):
    """One round of section 3.4: mixing function, added constant, order of the words, rotations."""

    mix: Callable[[int, int, int], int]
    constant: int
    words: tuple[int, ...]
    rotations: tuple[int, int, int, int]


_ROUNDS = (
    _Round(lambda x, y, z: (x & y) | (~x & z), 0, tuple(range(16)), (3, 7, 11, 19)),
    _Round(
        lambda x, y, z: (x & y) | (x & z) | (y & z),
        0x5A827999,
        (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        (3, 5, 9, 13),
    ),
    _Round(
        lambda x, y, z: x ^ y ^ z,
        0x6ED9EBA1,
        (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
        (3, 9, 11, 15),
    ),
)


def md4(data: bytes) -> bytes:
    """The digest of `data`, 16 octets."""
    padded = data + b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", len(data) * 8)
    state = _INITIAL
    for start in range(0, len(padded), 64):
        state = _compress(state, struct.unpack("<16I", padded[start : start + 64]))
    return struct.pack("<4I", *state)


def _compress(state: tuple[int, int, int, int], block: tuple[int, ...]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for mix, constant, words, rotations in _ROUNDS:
        for step, word in enumerate(words):
            total = (a + mix(b, c, d) + block[word] + constant) & _MASK
            a, b, c, d = d, _rotate(total, rotations[step % 4]), b, c
    return tuple((old + new) & _MASK for old, new in zip(state, (a, b, c, d), strict=True))  # type: ignore[return-value]


def _rotate(value: int, count: int) -> int:
    return ((value << count) | (value >> (32 - count))) & _MASK
