"""Octets that look random and are the same in every run."""

from __future__ import annotations

import hashlib


class SeededRng:
    """`rng(n)` for the pure core: SHA-256 in counter mode over a seed and the name of its user."""

    def __init__(self, seed: int | str, user: str = "") -> None:
        self._key = f"{seed}/{user}".encode()
        self._count = 0

    def __call__(self, size: int) -> bytes:
        octets = b""
        while len(octets) < size:
            self._count += 1
            octets += hashlib.sha256(self._key + self._count.to_bytes(8)).digest()
        return octets[:size]
