"""Suites to test with: one of every combination of encryption and integrity that the tables allow."""

from __future__ import annotations

import hashlib

from client.ike.events import Rng
from client.ike.registry import Kex, Prf
from client.ike.transforms import (
    ENCRYPTIONS,
    INTEGRITIES,
    Encryption,
    EspSuite,
    IkeSuite,
    Integrity,
    kex_method,
    pseudorandom,
)

Protection = tuple[Encryption, Integrity | None]

PROTECTIONS: tuple[Protection, ...] = tuple(
    (encryption, integrity)
    for encryption in ENCRYPTIONS
    for integrity in ((None,) if encryption.aead else INTEGRITIES)
)


def ike_suite(encryption: Encryption, integrity: Integrity | None, prf: Prf = Prf.HMAC_SHA2_256) -> IkeSuite:
    """An IKE suite around a way of protection."""
    prf_row, kex = pseudorandom(prf), kex_method(Kex.X25519)
    assert prf_row is not None
    assert kex is not None
    return IkeSuite(encryption, integrity, prf_row, kex)


def esp_suite(encryption: Encryption, integrity: Integrity | None) -> EspSuite:
    """An ESP suite without key exchange around a way of protection."""
    return EspSuite(encryption, integrity, False, None)


SUITES: tuple[IkeSuite, ...] = tuple(ike_suite(*protection) for protection in PROTECTIONS)


def seeded_rng(seed: str) -> Rng:
    """Octets that look random and are the same in every run; no two calls give the same."""
    calls = 0

    def rng(size: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(f"{seed} {calls}".encode()).digest(size)

    return rng


def fixed_rng(octets: bytes) -> Rng:
    """An rng that gives these octets whenever so many are asked for."""

    def rng(size: int) -> bytes:
        assert size == len(octets), f"{size} octets asked for"
        return octets

    return rng
