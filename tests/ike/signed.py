"""What the tests of signatures share: keys, AlgorithmIdentifiers written out, and the verdict."""

from __future__ import annotations

from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from client.ike.authentication import OUR_HASHES, PrivateKey, verify_signature
from client.ike.errors import AuthenticationFailed
from client.ike.events import Kind
from client.ike.payloads import Authentication
from client.ike.registry import AuthMethod, SignatureHash
from client.lab.pki import KeyKind, make_key

OCTETS = b"the message, the nonce and the identity"
ALL = frozenset(OUR_HASHES)
NONE: frozenset[int] = frozenset()
SHA256, SHA384, SHA512 = SignatureHash.SHA2_256, SignatureHash.SHA2_384, SignatureHash.SHA2_512
LATTICES: tuple[KeyKind, ...] = ("mldsa44", "mldsa65", "mldsa87")
KINDS: tuple[KeyKind, ...] = ("ecdsa", "ecdsa384", "ecdsa521", "ed25519", "ed448", *LATTICES, "rsa")

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
MLDSA44 = "300b0609608648016503040311"  # RFC 9881 section 2
MLDSA65 = "300b0609608648016503040312"
MLDSA87 = "300b0609608648016503040313"


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
