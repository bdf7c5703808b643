"""AUTH: every method round trip, and everything that must not pass for one."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ike import signatures
from client.ike.authentication import (
    OUR_HASHES,
    KeySigner,
    PrivateKey,
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
from client.lab.pki import KeyKind, make_key

OCTETS = b"the message, the nonce and the identity"
ALL = frozenset(OUR_HASHES)
NONE: frozenset[int] = frozenset()
SHA256, SHA384, SHA512 = SignatureHash.SHA2_256, SignatureHash.SHA2_384, SignatureHash.SHA2_512
KINDS: tuple[KeyKind, ...] = ("ecdsa", "ecdsa384", "ecdsa521", "ed25519", "ed448", "rsa")

# The AlgorithmIdentifiers of RFC 7427 appendix A and RFC 8420 appendix A, written out.
SHA256_RSA = "300d06092a864886f70d01010b0500"
PSS_SHA256 = (
    "3041 0609 2a864886f70d01010a 3034 a00f300d0609608648016503040201 0500"
    "a11c301a0609 2a864886f70d010108 300d0609608648016503040201 0500 a203020120"
)
PSS_SHA256_TRAILER = (
    "3046 0609 2a864886f70d01010a 3039 a00f300d0609608648016503040201 0500"
    "a11c301a0609 2a864886f70d010108 300d0609608648016503040201 0500 a203020120 a303020101"
)
PSS_SHA256_BARE = (
    "303d 0609 2a864886f70d01010a 3030 a00d300b0609608648016503040201"
    "a11a30180609 2a864886f70d010108 300b0609608648016503040201 a203020120"
)
ECDSA_SHA256 = "300a06082a8648ce3d040302"
ECDSA_SHA384 = "300a06082a8648ce3d040303"
ECDSA_SHA512 = "300a06082a8648ce3d040304"
ED25519 = "300506032b6570"
ED448 = "300506032b6571"


@cache
def key(kind: KeyKind, number: int = 0) -> PrivateKey:
    """A private key, the same in all tests; another number, another key."""
    return make_key(kind)


def rsa_key() -> rsa.RSAPrivateKey:
    found = key("rsa")
    assert isinstance(found, rsa.RSAPrivateKey)
    return found


def refused(
    payload: Authentication, by: PrivateKey, octets: bytes = OCTETS, *, allow_sha1: bool = False
) -> Kind:
    """Why the payload is refused, which it must be."""
    with pytest.raises(AuthenticationFailed) as raised:
        verify_signature(payload, by.public_key(), octets, allow_sha1=allow_sha1)
    assert raised.value.failure is not None
    return raised.value.failure.kind


def digital(algorithm: str, signature: bytes) -> Authentication:
    identifier = bytes.fromhex(algorithm)
    return Authentication(AuthMethod.DIGITAL_SIGNATURE, bytes([len(identifier)]) + identifier + signature)


# What is signed, and the shared-key methods


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


# What must not pass


@dataclass(frozen=True)
class Sample:
    """A good payload, split where its signature begins."""

    kind: KeyKind
    payload: Authentication
    at: int

    @property
    def signature(self) -> bytes:
        return self.payload.data[self.at :]

    def with_signature(self, signature: bytes) -> Authentication:
        return Authentication(self.payload.method, self.payload.data[: self.at] + signature)


@cache
def samples() -> list[Sample]:
    rows: list[Sample] = []
    for kind in KINDS:
        payload = KeySigner(key(kind)).sign(OCTETS, ALL)
        rows.append(Sample(kind, payload, payload.data[0] + 1))
    raw: tuple[KeyKind, ...] = ("ecdsa", "ecdsa384", "ecdsa521")
    rows += [Sample(kind, KeySigner(key(kind)).sign(OCTETS, NONE), 0) for kind in raw]
    classic = Authentication(1, rsa_key().sign(OCTETS, padding.PKCS1v15(), hashes.SHA256()))
    return [*rows, Sample("rsa", classic, 0)]


@pytest.mark.parametrize("number", range(10))
def test_signatures_that_are_none_are_refused(number: int) -> None:
    sample = samples()[number]
    good = sample.signature
    verify_signature(sample.payload, key(sample.kind).public_key(), OCTETS)
    spoilt = [
        b"",
        good[:-1],
        good[1:],
        good + b"\0",
        b"\0" + good,
        bytes(len(good)),
        b"\xff" * len(good),
        good[: len(good) // 2] * 2,
        bytes([good[0] ^ 1]) + good[1:],
        good[:-1] + bytes([good[-1] ^ 1]),
        good[::-1],
    ]
    for signature in spoilt:
        assert refused(sample.with_signature(signature), key(sample.kind)) is Kind.TRUST_NO_PROOF


@pytest.mark.parametrize("number", range(10))
def test_truncating_auth_anywhere_is_refused(number: int) -> None:
    sample = samples()[number]
    for size in range(len(sample.payload.data)):
        refused(Authentication(sample.payload.method, sample.payload.data[:size]), key(sample.kind))


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_another_kind_are_refused(kind: KeyKind, number: int) -> None:
    sample = samples()[number]
    if kind != sample.kind:
        assert refused(sample.payload, key(kind)) is Kind.TRUST_NO_PROOF


ORDERS: dict[KeyKind, int] = {
    "ecdsa": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ecdsa384": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("classic", [True, False])
def test_ecdsa_values_out_of_range_are_refused(kind: KeyKind, classic: bool) -> None:
    order = ORDERS[kind]
    size = (order.bit_length() + 7) // 8
    method, curve = {"ecdsa": (9, ec.SECP256R1), "ecdsa384": (10, ec.SECP384R1)}[kind]
    found = key(kind)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    assert isinstance(found.curve, curve)
    for r, s in [(0, 1), (1, 0), (0, 0), (order, 1), (1, order), (order, order), (order - 1, order - 1)]:
        raw = r.to_bytes(size) + s.to_bytes(size)
        algorithm = ECDSA_SHA256 if kind == "ecdsa" else ECDSA_SHA384
        payload = Authentication(method, raw) if classic else digital(algorithm, der_signature(r, s))
        assert refused(payload, found) is Kind.TRUST_NO_PROOF


def der_signature(r: int, s: int) -> bytes:
    def integer(value: int) -> bytes:
        octets = value.to_bytes(value.bit_length() // 8 + 1)
        return bytes([2, len(octets)]) + octets

    body = integer(r) + integer(s)
    return bytes([0x30, len(body)]) + body


@pytest.mark.parametrize("kind", ["ecdsa", "ecdsa384", "ecdsa521"])
def test_the_curve_is_part_of_the_classic_methods(kind: KeyKind) -> None:
    payload = KeySigner(key(kind)).sign(OCTETS, NONE)
    for method in {9, 10, 11, 1, 14} - {payload.method}:
        refused(Authentication(method, payload.data), key(kind))


@pytest.mark.parametrize(
    "algorithm",
    [
        ECDSA_SHA384,  # another hash than was signed with
        SHA256_RSA,
        PSS_SHA256,
        ED25519,
        "",
        "30",
        "3000",
        "300a06082a8648ce3d040303"[:-2],
        ECDSA_SHA256 + "0500",
        "300c06082a8648ce3d0403020500",  # parameters where none belong
        "300a06082a8648ce3d040301",  # ecdsa-with-SHA224
        "ff" * 40,
    ],
)
def test_a_wrong_algorithm_identifier_is_refused(algorithm: str) -> None:
    found = key("ecdsa")
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    signature = found.sign(OCTETS, ec.ECDSA(hashes.SHA256()))
    verify_signature(digital(ECDSA_SHA256, signature), found.public_key(), OCTETS)
    refused(digital(algorithm, signature), found)


def test_auth_without_its_algorithm_identifier_is_refused() -> None:
    signature = rsa_key().sign(OCTETS, padding.PKCS1v15(), hashes.SHA256())
    refused(Authentication(AuthMethod.DIGITAL_SIGNATURE, signature), key("rsa"))
    refused(Authentication(AuthMethod.DIGITAL_SIGNATURE, b""), key("rsa"))


@pytest.mark.parametrize("salt", [0, 20, 31, 33, 64])
def test_a_salt_of_another_size_is_refused(salt: int) -> None:
    signature = rsa_key().sign(OCTETS, padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
    assert refused(digital(PSS_SHA256, signature), key("rsa")) is Kind.TRUST_NO_PROOF


def test_a_mask_of_another_hash_is_refused() -> None:
    signature = rsa_key().sign(OCTETS, padding.PSS(padding.MGF1(hashes.SHA384()), 32), hashes.SHA256())
    assert refused(digital(PSS_SHA256, signature), key("rsa")) is Kind.TRUST_NO_PROOF


@pytest.mark.parametrize("trailing", [b"\0", b"\x30\x00", bytes(100)])
def test_digest_information_with_anything_behind_it_is_refused(trailing: bytes) -> None:
    """What lenient parsers of PKCS #1 fell for: the digest moved left, garbage behind it."""
    private = rsa_key()
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(OCTETS).digest()
    block = b"\0\1" + b"\xff" * (253 - len(digest) - len(trailing)) + b"\0" + digest + trailing
    numbers = private.private_numbers()
    forged = pow(int.from_bytes(block), numbers.d, numbers.public_numbers.n).to_bytes(256)
    assert refused(Authentication(1, forged), private) is Kind.TRUST_NO_PROOF
    assert refused(digital(SHA256_RSA, forged), private) is Kind.TRUST_NO_PROOF


@pytest.mark.parametrize("method", [0, 2, 3, 8, 12, 13, 15, 200, 255])
def test_other_methods_are_no_signatures(method: int) -> None:
    assert refused(Authentication(method, bytes(64)), key("ecdsa")) is Kind.TRUST_NO_PROOF


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.sampled_from(sorted({1, 9, 10, 11, 14})), st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_octets_are_refused_and_raise_nothing_else(method: int, data: bytes, kind: KeyKind) -> None:
    refused(Authentication(method, data), key(kind), allow_sha1=True)


def test_each_algorithm_identifier_is_well_formed_and_short_enough_for_its_length_octet() -> None:
    for identifier in signatures.ALGORITHMS:
        assert identifier[0] == 0x30
        assert identifier[1] == len(identifier) - 2 < 128
    for algorithm in (
        SHA256_RSA,
        PSS_SHA256,
        PSS_SHA256_TRAILER,
        PSS_SHA256_BARE,
        ECDSA_SHA256,
        ED25519,
        ED448,
    ):
        assert bytes.fromhex(algorithm) in signatures.ALGORITHMS


def test_auth_does_not_show_its_data() -> None:
    assert "b'" not in repr(KeySigner(key("ecdsa")).sign(OCTETS, NONE))
