"""AUTH: what it covers, shared keys, and the choice among the ways to sign."""

from __future__ import annotations

import hmac

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from client.ike.authentication import (
    OUR_HASHES,
    KeySigner,
    check_shared_key,
    parse_hashes,
    shared_key_auth,
    signed_octets,
    verify_signature,
)
from client.ike.errors import AuthenticationFailed
from client.ike.events import Kind
from client.ike.keys import Secret
from client.ike.payloads import Authentication
from client.ike.registry import AuthMethod, Prf, SignatureHash
from client.ike.transforms import pseudorandom
from client.lab.pki import KeyKind
from tests.ike.signed import (
    ALL,
    ECDSA_SHA256,
    ECDSA_SHA384,
    ECDSA_SHA512,
    ED448,
    ED25519,
    MLDSA44,
    MLDSA65,
    MLDSA87,
    NONE,
    OCTETS,
    PSS_SHA256,
    PSS_SHA256_BARE,
    PSS_SHA256_TRAILER,
    SHA256,
    SHA256_RSA,
    SHA384,
    SHA512,
    digital,
    key,
    refused,
    rsa_key,
)


@pytest.mark.parametrize("prf_id", [Prf.HMAC_SHA2_256, Prf.HMAC_SHA2_384, Prf.HMAC_SHA2_512])
def test_shared_key_auth_is_the_formula_of_rfc_7296(prf_id: Prf) -> None:
    row = pseudorandom(prf_id)
    assert row is not None
    octets = signed_octets(b"message", b"nonce", row, Secret(b"sk_p"), b"\x02\0\0\0gw")
    assert octets == b"messagenonce" + hmac.digest(b"sk_p", b"\x02\0\0\0gw", row.hash_name)
    inner = hmac.digest(b"secret", b"Key Pad for IKEv2", row.hash_name)
    wanted = hmac.digest(inner, octets, row.hash_name)
    assert shared_key_auth(row, b"secret", octets) == wanted
    assert shared_key_auth(row, Secret(b"secret"), octets) == wanted


SHARED = [
    ("right", AuthMethod.SHARED_KEY_MIC, lambda mac: mac, b"secret", OCTETS, True),
    ("other secret", AuthMethod.SHARED_KEY_MIC, lambda mac: mac, b"secreu", OCTETS, False),
    ("other octets", AuthMethod.SHARED_KEY_MIC, lambda mac: mac, b"secret", OCTETS + b"\0", False),
    ("empty", AuthMethod.SHARED_KEY_MIC, lambda mac: b"", b"secret", OCTETS, False),
    ("truncated", AuthMethod.SHARED_KEY_MIC, lambda mac: mac[:-1], b"secret", OCTETS, False),
    ("longer", AuthMethod.SHARED_KEY_MIC, lambda mac: mac + b"\0", b"secret", OCTETS, False),
    ("other method", AuthMethod.RSA_SIGNATURE, lambda mac: mac, b"secret", OCTETS, False),
    ("no method", AuthMethod.NULL, lambda mac: mac, b"secret", OCTETS, False),
]


@pytest.mark.parametrize("row", SHARED, ids=[row[0] for row in SHARED])
def test_only_the_same_secret_over_the_same_octets_passes(row: tuple[object, ...]) -> None:
    _, method, spoil, secret, octets, good = row
    assert isinstance(method, int)
    assert isinstance(secret, bytes)
    assert isinstance(octets, bytes)
    assert callable(spoil)
    prf_row = pseudorandom(Prf.HMAC_SHA2_256)
    assert prf_row is not None
    payload = Authentication(method, spoil(shared_key_auth(prf_row, b"secret", OCTETS)))
    if good:
        check_shared_key(payload, prf_row, Secret(secret), octets)
        return
    with pytest.raises(AuthenticationFailed):
        check_shared_key(payload, prf_row, Secret(secret), octets)


def test_hash_lists_are_pairs_of_octets() -> None:
    assert parse_hashes(bytes.fromhex("0001 0002 1234")) == {1, 2, 0x1234}
    assert parse_hashes(bytes.fromhex("0002 00")) == {2}
    assert parse_hashes(b"") == frozenset()
    assert SignatureHash.SHA1 not in OUR_HASHES


# Signatures that pass

SIGNED = [  # key, what the peer announces, method, AlgorithmIdentifier
    ("rsa", ALL, 14, PSS_SHA256),
    ("rsa", frozenset({SHA384, SignatureHash.SHA1}), 14, None),
    ("rsa", frozenset({SHA512}), 14, None),
    ("rsa", NONE, 1, None),
    ("rsa", frozenset({SignatureHash.SHA1, SignatureHash.IDENTITY}), 1, None),
    ("ecdsa", ALL, 14, ECDSA_SHA256),
    ("ecdsa", frozenset({SHA512}), 14, ECDSA_SHA512),
    ("ecdsa", NONE, 9, None),
    ("ecdsa384", ALL, 14, ECDSA_SHA384),
    ("ecdsa384", frozenset({SHA256}), 14, ECDSA_SHA256),
    ("ecdsa384", NONE, 10, None),
    ("ecdsa521", ALL, 14, ECDSA_SHA512),
    ("ecdsa521", NONE, 11, None),
    ("ed25519", ALL, 14, ED25519),
    ("ed448", ALL, 14, ED448),
    ("mldsa44", ALL, 14, MLDSA44),
    ("mldsa65", ALL, 14, MLDSA65),
    ("mldsa87", ALL, 14, MLDSA87),
]


@pytest.mark.parametrize(("kind", "hashes_", "method", "algorithm"), SIGNED)
def test_every_method_verifies_what_it_signs(
    kind: KeyKind, hashes_: frozenset[int], method: int, algorithm: str | None
) -> None:
    payload = KeySigner(key(kind), allow_sha1=True).sign(OCTETS, hashes_)
    assert payload.method == method
    if algorithm is not None:
        identifier = bytes.fromhex(algorithm)
        assert payload.data.startswith(bytes([len(identifier)]) + identifier)
    verify_signature(payload, key(kind).public_key(), OCTETS, allow_sha1=True)
    # … and over other octets, or by another key of the same kind, it does not.
    refused(payload, key(kind), OCTETS + b"!", allow_sha1=True)
    refused(payload, key(kind, 1), allow_sha1=True)


@pytest.mark.parametrize(("method", "size"), [(9, 64), (10, 96), (11, 132)])
def test_raw_ecdsa_signatures_have_the_curves_size(method: int, size: int) -> None:
    kinds: dict[int, KeyKind] = {9: "ecdsa", 10: "ecdsa384", 11: "ecdsa521"}
    kind = kinds[method]
    sizes = {len(KeySigner(key(kind)).sign(bytes([octet]), NONE).data) for octet in range(20)}
    assert sizes == {size}


@pytest.mark.parametrize("algorithm", [PSS_SHA256, PSS_SHA256_TRAILER, PSS_SHA256_BARE])
def test_every_encoding_of_pss_parameters_is_understood(algorithm: str) -> None:
    signature = rsa_key().sign(OCTETS, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    verify_signature(digital(algorithm, signature), rsa_key().public_key(), OCTETS)


def test_pkcs1_signatures_are_accepted_in_method_14() -> None:
    signature = rsa_key().sign(OCTETS, padding.PKCS1v15(), hashes.SHA256())
    verify_signature(digital(SHA256_RSA, signature), rsa_key().public_key(), OCTETS)


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_method_1_is_accepted_with_any_strong_hash(algorithm: hashes.HashAlgorithm) -> None:
    signature = rsa_key().sign(OCTETS, padding.PKCS1v15(), algorithm)
    verify_signature(Authentication(1, signature), rsa_key().public_key(), OCTETS)


# SHA-1


def test_sha_1_in_method_1_needs_permission_on_both_sides() -> None:
    with pytest.raises(AuthenticationFailed, match="SHA-1 only"):
        KeySigner(key("rsa")).sign(OCTETS, NONE)
    payload = KeySigner(key("rsa"), allow_sha1=True).sign(OCTETS, NONE)
    assert refused(payload, key("rsa")) is Kind.TRUST_WEAK
    verify_signature(payload, key("rsa").public_key(), OCTETS, allow_sha1=True)


@pytest.mark.parametrize(
    "algorithm",
    ["300d06092a864886f70d0101050500", "300906072a8648ce3d0401", "300d06092a864886f70d01010a3000"],
    ids=["sha1WithRSAEncryption", "ecdsa-with-SHA1", "RSASSA-PSS with default parameters"],
)
def test_sha_1_in_method_14_is_refused_in_any_case(algorithm: str) -> None:
    signature = rsa_key().sign(OCTETS, padding.PKCS1v15(), hashes.SHA1())
    assert refused(digital(algorithm, signature), key("rsa"), allow_sha1=True) is Kind.TRUST_WEAK


def test_an_edwards_key_needs_a_peer_that_announces_it() -> None:
    with pytest.raises(AuthenticationFailed) as raised:
        KeySigner(key("ed25519")).sign(OCTETS, frozenset({SHA256}))
    assert raised.value.failure is not None
    assert raised.value.failure.kind is Kind.AUTH_METHOD


def test_auth_does_not_show_its_data() -> None:
    assert "b'" not in repr(KeySigner(key("ecdsa")).sign(OCTETS, NONE))
