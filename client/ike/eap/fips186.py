"""The generator of FIPS 186-2, change notice 1, which EAP-AKA makes its keys with (RFC 4187 section 7).

Its function G is one compression of SHA-1 without the padding, which no library offers by itself.
"""

from __future__ import annotations

import struct

_MASK = 0xFFFFFFFF
_INITIAL = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
_MODULUS = 1 << 160
_SIZE = 20


def generate(seed: bytes, size: int) -> bytes:
    """`size` octets out of a seed of 20: x = G(XKEY), then XKEY + x + 1, and so on; no modulus q is taken."""
    key, made = int.from_bytes(seed), b""
    while len(made) < size:
        drawn = _compress(key.to_bytes(_SIZE))
        made += drawn
        key = (1 + key + int.from_bytes(drawn)) % _MODULUS
    return made[:size]


def _compress(block: bytes) -> bytes:
    """SHA-1's compression of one block filled up with zeros (FIPS 180-4 section 6.1.2)."""
    words = list(struct.unpack(">16I", block.ljust(64, b"\0")))
    for t in range(16, 80):
        words.append(_rotate(words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16], 1))
    a, b, c, d, e = _INITIAL
    for t, word in enumerate(words):
        mixed, constant = _mix(t, b, c, d)
        a, b, c, d, e = (_rotate(a, 5) + mixed + e + constant + word) & _MASK, a, _rotate(b, 30), c, d
    return struct.pack(
        ">5I", *((old + new) & _MASK for old, new in zip(_INITIAL, (a, b, c, d, e), strict=True))
    )


def _mix(t: int, b: int, c: int, d: int) -> tuple[int, int]:
    """Function and constant of a step."""
    if t < 20:
        return (b & c) | (~b & d), 0x5A827999
    if t < 40:
        return b ^ c ^ d, 0x6ED9EBA1
    if t < 60:
        return (b & c) | (b & d) | (c & d), 0x8F1BBCDC
    return b ^ c ^ d, 0xCA62C1D6


def _rotate(value: int, count: int) -> int:
    return ((value << count) | (value >> (32 - count))) & _MASK
