"""The registry of signatures in AUTH: one row for each scheme, found by its AlgorithmIdentifier or method.

AlgorithmIdentifiers are compared octet by octet with the encodings that exist in practice (RFC 7427 appendix
A, RFC 4055 sections 2.1 and 3.1, RFC 8420, RFC 9881): a peer's parameters are never interpreted, so none is
lenient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from .registry import AuthMethod, SignatureHash

# Keys that sign octets as they are, without a hash in front.
WholePublicKey = (
    ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)
WholePrivateKey = (
    ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | WholePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | WholePrivateKey
TlsPrivateKey = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)
"""What serves inside EAP with TLS too."""
TlsPublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


class Scheme(Protocol):
    """One way to sign; `verify` raises `InvalidSignature`, also for a key of another kind."""

    @property
    def hash_id(self) -> SignatureHash:
        """The hash function as RFC 7427 numbers it."""
        ...

    @property
    def name(self) -> str:
        """What whoever holds the key is asked for, as `rsa-pss-sha256`."""
        ...

    def sign(self, key: PrivateKey, octets: bytes) -> bytes: ...

    def adapt(self, signature: bytes) -> bytes:
        """A signature in its usual form as this scheme has it; ValueError where it is none."""
        ...

    def verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None: ...


_HASHES: dict[SignatureHash, hashes.HashAlgorithm] = {
    SignatureHash.SHA1: hashes.SHA1(),  # for peers that know no better, and then only if allowed
    SignatureHash.SHA2_256: hashes.SHA256(),
    SignatureHash.SHA2_384: hashes.SHA384(),
    SignatureHash.SHA2_512: hashes.SHA512(),
}


class _AsItIs:
    """A scheme whose signatures have their usual form."""

    __slots__ = ()

    def adapt(self, signature: bytes) -> bytes:
        """Nothing is changed."""
        return signature


@dataclass(frozen=True, slots=True)
class RsaPkcs1(_AsItIs):
    """RSASSA-PKCS1-v1_5."""

    hash_id: SignatureHash

    @property
    def name(self) -> str:
        """As others call it."""
        return f"rsa-pkcs1-{_HASHES[self.hash_id].name}"

    def sign(self, key: PrivateKey, octets: bytes) -> bytes:
        """`key` must be an RSA key, as in all `sign` of its kind."""
        return _expect_rsa(key).sign(octets, padding.PKCS1v15(), _HASHES[self.hash_id])

    def verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        """The padding of RFC 8017 section 8.2 is encoded and compared, not parsed."""
        _fitting_rsa(key, signature).verify(signature, octets, padding.PKCS1v15(), _HASHES[self.hash_id])


@dataclass(frozen=True, slots=True)
class RsaPss(_AsItIs):
    """RSASSA-PSS with MGF1 of the same hash and a salt of its size (RFC 8247 section 3.2)."""

    hash_id: SignatureHash

    @property
    def name(self) -> str:
        """As others call it."""
        return f"rsa-pss-{_HASHES[self.hash_id].name}"

    def sign(self, key: PrivateKey, octets: bytes) -> bytes:
        """Random salt."""
        return _expect_rsa(key).sign(octets, self._padding(), _HASHES[self.hash_id])

    def verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        """A salt of another size is refused."""
        _fitting_rsa(key, signature).verify(signature, octets, self._padding(), _HASHES[self.hash_id])

    def _padding(self) -> padding.PSS:
        digest = _HASHES[self.hash_id]
        return padding.PSS(padding.MGF1(digest), digest.digest_size)


@dataclass(frozen=True, slots=True)
class Ecdsa(_AsItIs):
    """ECDSA on any curve, the signature as DER (RFC 7427 appendix A.3)."""

    hash_id: SignatureHash

    @property
    def name(self) -> str:
        """As others call it."""
        return f"ecdsa-{_HASHES[self.hash_id].name}"

    def sign(self, key: PrivateKey, octets: bytes) -> bytes:
        """Random nonce."""
        return _expect_ec(key).sign(octets, ec.ECDSA(_HASHES[self.hash_id]))

    def verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        """The library refuses r or s out of range, and DER that is none."""
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise InvalidSignature
        key.verify(signature, octets, ec.ECDSA(_HASHES[self.hash_id]))


@dataclass(frozen=True, slots=True)
class RawEcdsa:
    """ECDSA on one curve, the signature as r and s of the curve's size (RFC 4754 section 7)."""

    hash_id: SignatureHash
    curve: ec.EllipticCurve

    @property
    def size(self) -> int:
        """Octets of r, and of s."""
        return (self.curve.key_size + 7) // 8

    @property
    def name(self) -> str:
        """As others call it."""
        return f"ecdsa-{_HASHES[self.hash_id].name}"

    def sign(self, key: PrivateKey, octets: bytes) -> bytes:
        """Random nonce."""
        return self.adapt(Ecdsa(self.hash_id).sign(key, octets))

    def adapt(self, signature: bytes) -> bytes:
        """From DER."""
        r, s = decode_dss_signature(signature)
        try:
            return r.to_bytes(self.size) + s.to_bytes(self.size)
        except OverflowError:
            raise ValueError("r or s is too large for the curve") from None

    def verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        """The curve is part of the method."""
        fits = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == self.curve.name
        if not fits or len(signature) != 2 * self.size:
            raise InvalidSignature
        r, s = int.from_bytes(signature[: self.size]), int.from_bytes(signature[self.size :])
        Ecdsa(self.hash_id).verify(key, encode_dss_signature(r, s), octets)


@dataclass(frozen=True, slots=True)
class Whole(_AsItIs):
    """A key over the octets themselves, without context (RFC 8420 section 2 for Ed25519 and Ed448).

    ML-DSA (FIPS 204) is used likewise, pure and with an empty context, as its drafts for IKEv2 say.
    """

    public: type[WholePublicKey]
    private: type[WholePrivateKey]
    hash_id: SignatureHash = SignatureHash.IDENTITY

    @property
    def name(self) -> str:
        """As others call it."""
        return self.public.__name__.removesuffix("PublicKey").lower()

    def sign(self, key: PrivateKey, octets: bytes) -> bytes:
        """Deterministic, or with randomness of the library's."""
        if not isinstance(key, WholePrivateKey) or not isinstance(key, self.private):
            raise TypeError(f"a key of the kind {self.private.__name__} is needed")
        return key.sign(octets)

    def verify(self, key: PublicKey, signature: bytes, octets: bytes) -> None:
        """The key must be of the kind that the AlgorithmIdentifier names."""
        if not isinstance(key, WholePublicKey) or not isinstance(key, self.public):
            raise InvalidSignature
        key.verify(signature, octets)


def _fitting_rsa(key: PublicKey, signature: bytes) -> rsa.RSAPublicKey:
    """The key, if it may have made a signature of this size (RFC 8017 section 8.1.2): OpenSSL does not ask."""
    if not isinstance(key, rsa.RSAPublicKey) or len(signature) != (key.key_size + 7) // 8:
        raise InvalidSignature
    return key


def _expect_rsa(key: PrivateKey) -> rsa.RSAPrivateKey:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("an RSA key is needed")
    return key


def _expect_ec(key: PrivateKey) -> ec.EllipticCurvePrivateKey:
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("an elliptic curve key is needed")
    return key


# Methods of their own

CURVES: Mapping[int, RawEcdsa] = {
    AuthMethod.ECDSA_SHA256_P256: RawEcdsa(SignatureHash.SHA2_256, ec.SECP256R1()),
    AuthMethod.ECDSA_SHA384_P384: RawEcdsa(SignatureHash.SHA2_384, ec.SECP384R1()),
    AuthMethod.ECDSA_SHA512_P521: RawEcdsa(SignatureHash.SHA2_512, ec.SECP521R1()),
}
RSA_SHA1 = RsaPkcs1(SignatureHash.SHA1)
RSA_SHA2 = tuple(
    RsaPkcs1(hash_id) for hash_id in (SignatureHash.SHA2_256, SignatureHash.SHA2_384, SignatureHash.SHA2_512)
)
WHOLE: Mapping[str, Whole] = {  # by the object identifier's octets
    "2b6570": Whole(ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey),
    "2b6571": Whole(ed448.Ed448PublicKey, ed448.Ed448PrivateKey),
    "608648016503040311": Whole(mldsa.MLDSA44PublicKey, mldsa.MLDSA44PrivateKey),  # 2.16.840.1.101.3.4.3.17
    "608648016503040312": Whole(mldsa.MLDSA65PublicKey, mldsa.MLDSA65PrivateKey),
    "608648016503040313": Whole(mldsa.MLDSA87PublicKey, mldsa.MLDSA87PrivateKey),
}

# AlgorithmIdentifiers of method 14


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content  # nothing here reaches 128 octets


def _identifier(oid: str, *parameters: bytes) -> bytes:
    """SEQUENCE { OBJECT IDENTIFIER, parameters }."""
    return _der(0x30, _der(0x06, bytes.fromhex(oid)), *parameters)


_NULL = _der(0x05)
_TRAILER = _der(0xA3, _der(0x02, b"\x01"))
_PKCS1 = "2a864886f70d0101"  # 1.2.840.113549.1.1
_NIST_HASH = "6086480165030402"  # 2.16.840.1.101.3.4.2
_ECDSA_SHA2 = "2a8648ce3d0403"  # 1.2.840.10045.4.3
_SHA2_ROWS = (  # hash, last arc in PKCS #1, of the hash itself, in ANSI X9.62
    (SignatureHash.SHA2_256, "0b", "01", "02"),
    (SignatureHash.SHA2_384, "0c", "02", "03"),
    (SignatureHash.SHA2_512, "0d", "03", "04"),
)


def _pss_identifiers(hash_id: SignatureHash, arc: str) -> Iterator[bytes]:
    """Every encoding of one PSS algorithm: hash parameters NULL or absent, default trailer left out or not.

    The first is the one of ours; the trailer, which DER forbids, is FortiGate's.
    """
    salt = _der(0xA2, _der(0x02, bytes([_HASHES[hash_id].digest_size])))
    for tail, outer, inner in product(((), (_TRAILER,)), ((_NULL,), ()), ((_NULL,), ())):
        digest = _der(0xA0, _identifier(_NIST_HASH + arc, *outer))
        mask = _der(0xA1, _identifier(_PKCS1 + "08", _identifier(_NIST_HASH + arc, *inner)))
        yield _identifier(_PKCS1 + "0a", _der(0x30, digest, mask, salt, *tail))


def _rows() -> Iterator[tuple[bytes, Scheme]]:
    """AlgorithmIdentifier and scheme, ours before other encodings of the same."""
    for hash_id, pkcs1_arc, hash_arc, ecdsa_arc in _SHA2_ROWS:
        for identifier in _pss_identifiers(hash_id, hash_arc):
            yield identifier, RsaPss(hash_id)
        yield _identifier(_PKCS1 + pkcs1_arc, _NULL), RsaPkcs1(hash_id)
        yield _identifier(_ECDSA_SHA2 + ecdsa_arc), Ecdsa(hash_id)
    for identifier_octets, whole in WHOLE.items():
        yield _identifier(identifier_octets), whole


ALGORITHMS: dict[bytes, Scheme] = dict(_rows())
WITH_TRAILER = frozenset(entry for entry in ALGORITHMS if entry.endswith(_TRAILER))


def ours(key: PublicKey) -> list[tuple[bytes, Scheme]]:
    """What a key can sign with by method 14, best first: PSS before PKCS #1, the curve's own hash size for ECDSA.

    Of several encodings of one algorithm the first is the one of ours.
    """
    match key:
        case rsa.RSAPublicKey():
            pss = _first_of_each(RsaPss)
            return [*pss, *_first_of_each(RsaPkcs1)]
        case ec.EllipticCurvePublicKey():
            size = key.curve.key_size
            rows = _first_of_each(Ecdsa)
            return sorted(rows, key=lambda row: abs(_HASHES[row[1].hash_id].digest_size * 8 - size))
        case _:
            return [row for row in _first_of_each(Whole) if _is_for(row[1], key)]


def own_identifiers() -> list[bytes]:
    """The AlgorithmIdentifiers of all schemes of method 14, each in the encoding of ours."""
    found: dict[Scheme, bytes] = {}
    for identifier, scheme in ALGORITHMS.items():
        found.setdefault(scheme, identifier)
    return list(found.values())


def _first_of_each(kind: type[RsaPss | RsaPkcs1 | Ecdsa | Whole]) -> list[tuple[bytes, Scheme]]:
    found: dict[Scheme, bytes] = {}
    for identifier, scheme in ALGORITHMS.items():
        if isinstance(scheme, kind):
            found.setdefault(scheme, identifier)
    return [(identifier, scheme) for scheme, identifier in found.items()]


def _is_for(scheme: Scheme, key: WholePublicKey) -> bool:
    return isinstance(scheme, Whole) and isinstance(key, scheme.public)
