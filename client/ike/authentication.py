"""The AUTH payload: what it covers, and every way to make and to check one.

RFC 7296 sections 2.15, 2.16 and 3.8; RFC 4754 for the three ECDSA methods; RFC 7427 and RFC 8420 for method
14, whose data names its algorithm.  What is not in the tables of `signatures` is refused.
"""

from __future__ import annotations

import hmac
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from . import signatures
from .buffer import Reader
from .errors import InvalidSyntax
from .events import Kind
from .keys import Secret, prf
from .payloads import Authentication
from .refusal import Refusal
from .registry import AuthMethod, SignatureHash
from .signatures import PrivateKey, PublicKey, Scheme
from .transforms import Pseudorandom

__all__ = [
    "OUR_HASHES",
    "KeySigner",
    "PrivateKey",
    "PublicKey",
    "Signer",
    "check_shared_key",
    "parse_hashes",
    "shared_key_auth",
    "signed_octets",
    "verify_signature",
]

KEY_PAD = b"Key Pad for IKEv2"

OUR_HASHES: tuple[SignatureHash, ...] = (
    SignatureHash.SHA2_256,
    SignatureHash.SHA2_384,
    SignatureHash.SHA2_512,
    SignatureHash.IDENTITY,
)
"""What we announce in SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 4): what `verify_signature` accepts."""


def parse_hashes(data: bytes) -> frozenset[int]:
    """The peer's SIGNATURE_HASH_ALGORITHMS; unknown numbers are kept, an odd last octet is dropped."""
    return frozenset(int.from_bytes(data[start : start + 2]) for start in range(0, len(data) - 1, 2))


def signed_octets(
    first_message: bytes, peer_nonce: bytes, prf_row: Pseudorandom, sk_p: Secret, id_body: bytes
) -> bytes:
    """What AUTH covers (section 2.15).

    That is the sender's first message without marker, the other end's nonce, and the sender's identity
    bound to the keys: `id_body` is the body of its ID payload, RESERVED included.
    """
    return first_message + peer_nonce + prf(prf_row, sk_p, id_body)


def shared_key_auth(prf_row: Pseudorandom, secret: bytes | Secret, octets: bytes) -> bytes:
    """AUTH data made with a pre-shared key, or with the key that EAP derived (section 2.16)."""
    return prf(prf_row, prf(prf_row, secret, KEY_PAD), octets)


def check_shared_key(
    payload: Authentication, prf_row: Pseudorandom, secret: bytes | Secret, octets: bytes
) -> None:
    """Return if the payload was made with `secret` over `octets`; `AuthenticationFailed` otherwise."""
    if payload.method != AuthMethod.SHARED_KEY_MIC:
        raise Refusal(Kind.TRUST_NO_PROOF, f"AUTH method {payload.method} where a shared key is due")
    if not hmac.compare_digest(payload.data, shared_key_auth(prf_row, secret, octets)):
        raise Refusal(Kind.TRUST_NO_PROOF, "AUTH was not made with this shared key")


class Signer(Protocol):
    """Whoever holds our private key: a key in memory, later a smart card.

    It is a port because padding salts and signature nonces are random and not taken from `rng`.
    """

    def sign(self, octets: bytes, peer_hashes: frozenset[int]) -> Authentication:
        """AUTH over `octets`; `AuthenticationFailed` where the peer understands none of our signatures.

        `peer_hashes` is what the peer announced (RFC 7427 section 4); empty means the methods before it.
        """
        ...


class KeySigner:
    """Signs with a private key in memory."""

    def __init__(self, key: PrivateKey, *, allow_sha1: bool = False) -> None:
        self._key = key
        self._allow_sha1 = allow_sha1

    def sign(self, octets: bytes, peer_hashes: frozenset[int]) -> Authentication:
        """The best that both ends know: method 14, else what RFC 7296 and RFC 4754 prescribe."""
        for algorithm, scheme in signatures.ours(self._key):
            if scheme.hash_id in peer_hashes:
                data = bytes([len(algorithm)]) + algorithm + scheme.sign(self._key, octets)
                return Authentication(AuthMethod.DIGITAL_SIGNATURE, data)
        method, scheme = self._classic()
        return Authentication(method, scheme.sign(self._key, octets))

    def _classic(self) -> tuple[int, Scheme]:
        """Method and scheme for a peer that announces no hash algorithm of ours."""
        match self._key:
            case ec.EllipticCurvePrivateKey(curve=curve):
                for method, scheme in signatures.CURVES.items():
                    if curve.name == scheme.curve.name:
                        return method, scheme
            case rsa.RSAPrivateKey() if self._allow_sha1:
                return AuthMethod.RSA_SIGNATURE, signatures.RSA_SHA1
            case rsa.RSAPrivateKey():
                # Section 3.8: SHA-1 unless the peer is known to take another hash, which nothing tells us.
                raise Refusal(Kind.AUTH_METHOD, "the gateway takes RSA signatures with SHA-1 only")
            case _:
                pass
        raise Refusal(Kind.AUTH_METHOD, "the gateway announces no support for signatures of our key")


def verify_signature(
    payload: Authentication, key: PublicKey, octets: bytes, *, allow_sha1: bool = False
) -> None:
    """Return if the owner of `key` signed `octets`; `AuthenticationFailed` otherwise.

    `allow_sha1` admits SHA-1 in method 1, for gateways that do not know RFC 7427.
    """
    match payload.method:
        case AuthMethod.RSA_SIGNATURE:
            _verify_classic_rsa(payload.data, key, octets, allow_sha1=allow_sha1)
        case AuthMethod.DIGITAL_SIGNATURE:
            scheme, signature = _pull_digital_signature(payload.data)
            _verify(scheme, key, signature, octets)
        case _:
            curve_scheme = signatures.CURVES.get(payload.method)
            if curve_scheme is None:
                raise Refusal(Kind.TRUST_NO_PROOF, f"AUTH method {payload.method} where a signature is due")
            _verify(curve_scheme, key, payload.data, octets)


def _verify_classic_rsa(signature: bytes, key: PublicKey, octets: bytes, *, allow_sha1: bool) -> None:
    """Method 1, whose signature names its hash inside: SHA-1 by default, others in practice (section 3.8)."""
    if any(_is_valid(scheme, key, signature, octets) for scheme in signatures.RSA_SHA2):
        return
    if not _is_valid(signatures.RSA_SHA1, key, signature, octets):
        raise Refusal(Kind.TRUST_NO_PROOF, "the signature in AUTH does not fit the certificate's key")
    if not allow_sha1:
        raise Refusal(Kind.TRUST_WEAK, "the gateway signs AUTH with SHA-1, which the profile does not allow")


def _pull_digital_signature(data: bytes) -> tuple[Scheme, bytes]:
    """Scheme and signature of method 14 (RFC 7427 section 3): length, AlgorithmIdentifier, signature."""
    reader = Reader(data)
    try:
        algorithm = reader.take(reader.uint(1))
    except InvalidSyntax as error:
        raise Refusal(Kind.TRUST_NO_PROOF, f"AUTH names no signature algorithm: {error}") from None
    scheme = signatures.ALGORITHMS.get(algorithm)
    if scheme is None:
        raise Refusal(Kind.TRUST_WEAK, f"AUTH is signed with an algorithm not accepted: {algorithm.hex()}")
    return scheme, reader.rest()


def _verify(scheme: Scheme, key: PublicKey, signature: bytes, octets: bytes) -> None:
    if not _is_valid(scheme, key, signature, octets):
        raise Refusal(Kind.TRUST_NO_PROOF, "the signature in AUTH does not fit the certificate's key")


def _is_valid(scheme: Scheme, key: PublicKey, signature: bytes, octets: bytes) -> bool:
    """True only where the library returns without an error of any kind."""
    try:
        scheme.verify(key, signature, octets)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
