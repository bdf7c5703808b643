"""What must not pass for a signature in AUTH."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ike import signatures
from client.ike.authentication import KeySigner, verify_signature
from client.ike.events import Kind
from client.ike.payloads import Authentication
from client.ike.registry import AuthMethod
from client.lab.pki import KeyKind
from tests.ike.signed import (
    ALL,
    ECDSA_SHA256,
    ECDSA_SHA384,
    ED448,
    ED25519,
    KINDS,
    NONE,
    OCTETS,
    PSS_SHA256,
    PSS_SHA256_BARE,
    PSS_SHA256_TRAILER,
    SHA256_RSA,
    digital,
    key,
    refused,
    rsa_key,
)


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


@pytest.mark.parametrize("number", range(13))
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
    assert len(spoilt) == 11
    for signature in spoilt:
        assert refused(sample.with_signature(signature), key(sample.kind)) is Kind.TRUST_NO_PROOF


@pytest.mark.parametrize("number", range(13))
def test_truncating_auth_anywhere_is_refused(number: int) -> None:
    sample = samples()[number]
    for size in range(len(sample.payload.data)):
        refused(Authentication(sample.payload.method, sample.payload.data[:size]), key(sample.kind))


@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_another_kind_are_refused(kind: KeyKind) -> None:
    others = [sample for sample in samples() if sample.kind != kind]
    assert len(others) >= 10
    for sample in others:
        assert refused(sample.payload, key(kind)) is Kind.TRUST_NO_PROOF


def test_there_are_as_many_signatures_that_are_none_as_is_said() -> None:
    """Spoilt ones, and those by keys of another kind; truncations, octets and algorithms come on top."""
    spoilt = len(samples()) * 11
    by_others = sum(sample.kind != kind for kind in KINDS for sample in samples())
    truncated = sum(len(sample.payload.data) for sample in samples())
    assert len(samples()) == 13
    assert spoilt + by_others >= 240
    assert spoilt + by_others + truncated >= 400


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


def test_another_curve_of_the_same_size_is_refused() -> None:
    bitcoin = ec.generate_private_key(ec.SECP256K1())
    payload = KeySigner(bitcoin).sign(OCTETS, ALL)
    verify_signature(payload, bitcoin.public_key(), OCTETS)
    r, s = decode_dss_signature(payload.data[payload.data[0] + 1 :])
    classic = Authentication(AuthMethod.ECDSA_SHA256_P256, r.to_bytes(32) + s.to_bytes(32))
    assert refused(classic, bitcoin) is Kind.TRUST_NO_PROOF


@pytest.mark.parametrize(("kind", "own", "other"), [("ed25519", ED25519, ED448), ("ed448", ED448, ED25519)])
def test_an_edwards_signature_under_the_other_curves_name_is_refused(
    kind: KeyKind, own: str, other: str
) -> None:
    signature = KeySigner(key(kind)).sign(OCTETS, ALL).data[8:]
    verify_signature(digital(own, signature), key(kind).public_key(), OCTETS)
    assert refused(digital(other, signature), key(kind)) is Kind.TRUST_NO_PROOF


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


def test_an_rsa_signature_without_its_leading_zero_is_refused() -> None:
    signature = b"\1"
    while signature[0] != 0:  # one in 256 is
        signature = rsa_key().sign(OCTETS, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    verify_signature(digital(PSS_SHA256, signature), rsa_key().public_key(), OCTETS)
    assert refused(digital(PSS_SHA256, signature[1:]), rsa_key()) is Kind.TRUST_NO_PROOF


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


@settings(max_examples=200)
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
