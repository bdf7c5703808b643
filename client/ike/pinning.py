"""Keys that a profile trusts by themselves: those it names, fingerprints it pins, and what a user may confirm.

A gateway may show its key without a certificate (RFC 7670), or show nothing at all where its key is known already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from . import chains
from .events import Kind
from .identity import Identity
from .signatures import PublicKey
from .trust import Trust, TrustError, check_identity, check_strength, vouched_gateway


@dataclass(frozen=True, slots=True)
class Shown:
    """What the gateway sends of itself: its certificate with those above it, or its bare key, or nothing."""

    chain: tuple[bytes, ...] = ()
    raw_key: bytes | None = None  # SubjectPublicKeyInfo


def fingerprint(key: PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, in hexadecimal."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def parse_pin(text: str) -> str:
    """A fingerprint as people write it, with or without `sha256:` and colons; ValueError for what is none."""
    digits = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f'"{text}" is no fingerprint: sha256: and 64 hexadecimal digits')
    return digits


@dataclass(frozen=True, slots=True)
class Candidates:
    """Keys of which the gateway must have signed AUTH with one; `vouched`: an authority has confirmed it."""

    keys: tuple[PublicKey, ...]
    vouched: bool
    path: chains.Path = ()  # from the gateway's certificate to the anchor that vouches for it


def candidates(trust: Trust, claimed: Identity, shown: Shown, wall: datetime) -> Candidates:
    """What the gateway's AUTH is verified with; `TrustError` where there can be nothing."""
    if shown.chain and (trust.anchors or not _knows_keys(trust)):
        return _vouched(trust, claimed, shown.chain, wall)
    if not _knows_keys(trust):
        raise TrustError(Kind.TRUST_NO_PROOF, "the peer sent no certificate")
    check_identity(trust, claimed)
    if shown.chain:  # without an authority it is nothing but a way to show its key
        return Candidates((_leaf_key(shown.chain[0]),), vouched=False)
    if shown.raw_key is not None:
        return Candidates((_raw_key(shown.raw_key),), vouched=False)
    if not trust.keys:
        raise TrustError(Kind.TRUST_NO_PROOF, "the peer sent neither a certificate nor its key")
    return Candidates(trust.keys, vouched=False)


def _vouched(trust: Trust, claimed: Identity, chain: tuple[bytes, ...], wall: datetime) -> Candidates:
    """An authority has to vouch for the certificate, unless its key is one that the profile names."""
    try:
        found = vouched_gateway(trust, claimed, chain, wall)
    except TrustError:
        leaf = chains.load(chain[0])
        known = [key for key in trust.keys if leaf is not None and key == leaf.public_key()]
        if not known:
            raise
        check_identity(trust, claimed)
        return Candidates(tuple(known[:1]), vouched=False)
    return Candidates((found.key,), vouched=True, path=found.path)


def _knows_keys(trust: Trust) -> bool:
    return bool(trust.keys or trust.pins or trust.asks)


def check_pins(trust: Trust, key: PublicKey, claimed: Identity, *, vouched: bool) -> None:
    """Return if this key, which has signed, may be the gateway's.

    An authority's word suffices where nothing is pinned; where something is, both must agree.  Without it the key
    must be known by itself, or confirmed by the user.
    """
    mark = fingerprint(key)
    if vouched:
        accepted = trust.pins or {mark}
    else:
        accepted = _fingerprints(trust.keys) | (frozenset() if trust.anchors else trust.pins)
    if mark in accepted:
        return
    if trust.asks and not vouched and not trust.anchors:
        evidence = f"{claimed} shows the key sha256:{mark}, which nobody has confirmed"
        raise TrustError(Kind.TRUST_UNCONFIRMED, evidence, subject=mark)
    raise TrustError(Kind.TRUST_PIN, f"{claimed} has the key sha256:{mark}, which the profile does not pin")


def _fingerprints(keys: Iterable[PublicKey]) -> frozenset[str]:
    return frozenset(fingerprint(key) for key in keys)


def _leaf_key(der: bytes) -> PublicKey:
    leaf = chains.load(der)
    if leaf is None:
        raise TrustError(Kind.TRUST_NO_PROOF, "the peer's certificate does not read")
    return check_strength(leaf.public_key(), "the gateway")


def _raw_key(der: bytes) -> PublicKey:
    try:
        return check_strength(load_der_public_key(der), "the gateway")
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise TrustError(Kind.TRUST_NO_PROOF, "the gateway's public key does not read") from None
