"""The AUTH payload: what it covers, and every way to make and to check one.

RFC 7296 sections 2.15, 2.16 and 3.8; RFC 4754 for the three ECDSA methods; RFC 7427 and RFC 8420 for method
14, whose data names its algorithm.  What is not in the tables of `signatures` is refused.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from . import signatures
from .announcements import Announced
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
    "DistantSigner",
    "Errand",
    "KeySigner",
    "PrivateKey",
    "PublicKey",
    "Signer",
    "check_shared_key",
    "parse_hashes",
    "shared_key_auth",
    "signature_in",
    "signed_octets",
    "spells_trailer",
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
    """Whoever holds our private key: a key in memory, a smart card, an agent of the user's.

    It is a port because padding salts and signature nonces are random and not taken from `rng`.
    """

    def sign(
        self, octets: bytes, peer_hashes: frozenset[int], announced: Announced | None = None
    ) -> Authentication | Errand:
        """AUTH over `octets`, or what to ask the key's holder for.

        `peer_hashes` is what the peer announced (RFC 7427 section 4); empty means the methods before it.
        `announced`, where the peer has said more (RFC 9593), narrows the choice as long as anything is left.
        `AuthenticationFailed` where the peer understands none of our signatures.
        """
        ...


class KeySigner:
    """Signs with a private key in memory."""

    def __init__(self, key: PrivateKey, *, allow_sha1: bool = False) -> None:
        self._key = key
        self._allow_sha1 = allow_sha1

    def sign(
        self, octets: bytes, peer_hashes: frozenset[int], announced: Announced | None = None
    ) -> Authentication:
        """The best that both ends know: method 14, else what RFC 7296 and RFC 4754 prescribe."""
        public = self._key.public_key()
        way = ways_to_sign(public, peer_hashes, announced, allow_sha1=self._allow_sha1)[0]
        return way.auth(way.scheme.sign(self._key, octets))


@dataclass(frozen=True, slots=True)
class Errand:
    """A signature that somebody else is to make; `finish` makes AUTH of it.

    `algorithms` are names, best first: its holder takes the first that it can.
    """

    key: str  # the profile's reference to it
    octets: bytes = field(repr=False)
    ways: tuple[Way, ...]
    public: PublicKey = field(repr=False)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What the peer takes, by name."""
        return tuple(dict.fromkeys(way.scheme.name for way in self.ways))

    def finish(self, answer: Secret) -> Authentication:
        """AUTH of `ALGORITHM BASE64`; `AuthenticationFailed` for what the key's owner has not signed."""
        ways = {way.scheme.name: way for way in reversed(self.ways)}
        schemes = {name: way.scheme for name, way in ways.items()}
        name, signature = signature_in(answer, self.key, schemes, self.public, self.octets)
        return ways[name].auth(signature)


def signature_in(
    answer: Secret, key: str, schemes: Mapping[str, Scheme], public: PublicKey, octets: bytes
) -> tuple[str, bytes]:
    """The algorithm and the signature in `ALGORITHM BASE64`; `Refusal` for what the key's owner has not signed.

    `schemes` are those that were asked for, by name.
    """
    word, _, text = answer.reveal().partition(b" ")
    name = next((name for name in schemes if name.encode() == word), None)
    if name is None:
        raise Refusal(Kind.AUTH_NEEDS_SIGNER, f"{key} was signed with in a way nobody asked for")
    try:
        signature = schemes[name].adapt(base64.b64decode(text, validate=True))
    except ValueError:
        raise Refusal(Kind.AUTH_NEEDS_SIGNER, f"the signature by {key} does not read") from None
    if not _is_valid(schemes[name], public, signature, octets):
        evidence = f"the signature by {key} does not fit our certificate or public key"
        raise Refusal(Kind.AUTH_NEEDS_SIGNER, evidence)
    return name, signature


class DistantSigner:
    """Has somebody else sign, who holds the key of this public one; `key` is the profile's reference to it."""

    def __init__(self, key: str, public: PublicKey, *, allow_sha1: bool = False) -> None:
        self._key = key
        self._public = public
        self._allow_sha1 = allow_sha1

    def sign(self, octets: bytes, peer_hashes: frozenset[int], announced: Announced | None = None) -> Errand:
        """Every way that both ends know: not every card can sign with PSS, no agent can."""
        ways = ways_to_sign(self._public, peer_hashes, announced, allow_sha1=self._allow_sha1)
        return Errand(self._key, octets, ways, self._public)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to sign: the method of AUTH, what stands before the signature in it, and the scheme."""

    method: int
    prefix: bytes
    scheme: Scheme

    def auth(self, signature: bytes) -> Authentication:
        """The payload."""
        return Authentication(self.method, self.prefix + signature)


def ways_to_sign(
    key: PublicKey,
    peer_hashes: frozenset[int],
    announced: Announced | None = None,
    *,
    allow_sha1: bool = False,
) -> tuple[Way, ...]:
    """What this key can sign and the peer understands, best first; `AuthenticationFailed` where that is nothing."""
    modern = tuple(
        Way(AuthMethod.DIGITAL_SIGNATURE, bytes([len(algorithm)]) + algorithm, scheme)
        for algorithm, scheme in signatures.ours(key)
        if scheme.hash_id in peer_hashes
    )
    if announced is not None:
        known = (*modern, *_of_its_curve(key))
        wanted = tuple(way for way in known if announced.takes(way.method, way.scheme))
        if wanted:
            return wanted
    return modern or (_classic(key, allow_sha1=allow_sha1),)


def _of_its_curve(key: PublicKey) -> tuple[Way, ...]:
    """The method of RFC 4754 that names the key's curve, if there is one."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return ()
    return tuple(
        Way(method, b"", scheme)
        for method, scheme in signatures.CURVES.items()
        if key.curve.name == scheme.curve.name
    )


def _classic(key: PublicKey, *, allow_sha1: bool) -> Way:
    """For a peer that announces no hash algorithm of ours."""
    match key:
        case ec.EllipticCurvePublicKey() if ways := _of_its_curve(key):
            return ways[0]
        case rsa.RSAPublicKey() if allow_sha1:
            return Way(AuthMethod.RSA_SIGNATURE, b"", signatures.RSA_SHA1)
        case rsa.RSAPublicKey():
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


def spells_trailer(payload: Authentication) -> bool:
    """Whether AUTH names an RSA-PSS algorithm with the trailer that is the default."""
    if payload.method != AuthMethod.DIGITAL_SIGNATURE or not payload.data:
        return False
    return payload.data[1 : 1 + payload.data[0]] in signatures.WITH_TRAILER


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
