"""What we offer in TLS: one row for each cipher suite, group and signature scheme; nothing else knows numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from .. import kex, signatures
from ..errors import InvalidSyntax
from ..events import Rng
from ..keys import Secret
from ..registry import Kex, SignatureHash
from ..signatures import Ecdsa, PublicKey, RsaPkcs1, RsaPss, Scheme
from .faults import Alert, Fault

TLS_1_2, TLS_1_3 = 0x0303, 0x0304


class Cipher(Protocol):
    """An AEAD as the library has it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher suite.

    `explicit` octets of each nonce stand in the record (TLS 1.2 with GCM, RFC 5288).  `signers` are the kinds of
    key that the server's certificate may have: suites of TLS 1.2 say it, those of TLS 1.3 do not.
    """

    id: int
    version: int
    cipher: Callable[[bytes], Cipher]
    key_size: int
    hash_name: str
    explicit: int = 0
    signers: tuple[type[PublicKey], ...] = ()

    @property
    def fixed_size(self) -> int:
        """Octets of the nonce that the key schedule gives."""
        return 12 - self.explicit


_RSA = (rsa.RSAPublicKey,)
_CURVES = (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)  # RFC 8422 section 5.3

SUITES: Mapping[int, Suite] = {
    row.id: row
    for row in (
        Suite(0x1302, TLS_1_3, AESGCM, 32, "sha384"),
        Suite(0x1303, TLS_1_3, ChaCha20Poly1305, 32, "sha256"),
        Suite(0x1301, TLS_1_3, AESGCM, 16, "sha256"),
        Suite(0xC02C, TLS_1_2, AESGCM, 32, "sha384", 8, _CURVES),
        Suite(0xC030, TLS_1_2, AESGCM, 32, "sha384", 8, _RSA),
        Suite(0xCCA9, TLS_1_2, ChaCha20Poly1305, 32, "sha256", 0, _CURVES),  # RFC 7905
        Suite(0xCCA8, TLS_1_2, ChaCha20Poly1305, 32, "sha256", 0, _RSA),
        Suite(0xC02B, TLS_1_2, AESGCM, 16, "sha256", 8, _CURVES),
        Suite(0xC02F, TLS_1_2, AESGCM, 16, "sha256", 8, _RSA),
    )
}
"""By number, best first; those of TLS 1.2 agree on keys by ephemeral curves (ECDHE)."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group for ephemeral keys; `prefix` is what TLS has in front of the value that IKE has (RFC 8422)."""

    id: int
    method: Kex
    prefix: bytes = b""


GROUPS: Mapping[int, Group] = {
    row.id: row
    for row in (
        Group(29, Kex.X25519),
        Group(23, Kex.ECP_256, b"\x04"),
        Group(24, Kex.ECP_384, b"\x04"),
        Group(25, Kex.ECP_521, b"\x04"),
    )
}
"""By number, best first.  In TLS 1.2 the list is that of certificates' curves too (RFC 8422 section 5.1.1)."""
SHARED_AT_ONCE = (29, 23)
"""The groups that a ClientHello has a share for; others cost a HelloRetryRequest."""


class Share:
    """Our half of a key agreement."""

    def __init__(self, group: Group, rng: Rng) -> None:
        self.group = group
        self._pair = kex.generate(group.method, rng)
        self.public = group.prefix + self._pair.public

    def agree(self, peer_public: bytes) -> Secret:
        """The shared secret; `Fault` for an impossible value of the server's (RFC 8446 section 4.2.8.2)."""
        size = len(self.group.prefix)
        if peer_public[:size] != self.group.prefix:
            raise Fault(
                Alert.ILLEGAL_PARAMETER, "the server's public value is in a form that is not on offer"
            )
        try:
            return self._pair.agree(peer_public[size:])
        except InvalidSyntax as error:
            raise Fault(Alert.ILLEGAL_PARAMETER, f"the server's half of the key agreement: {error}") from None


_BY_HASH = (SignatureHash.SHA2_256, SignatureHash.SHA2_384, SignatureHash.SHA2_512)
SCHEMES: Mapping[int, Scheme] = {
    **{0x0403 + 0x100 * n: Ecdsa(hash_id) for n, hash_id in enumerate(_BY_HASH)},
    **{0x0804 + n: RsaPss(hash_id) for n, hash_id in enumerate(_BY_HASH)},
    0x0807: signatures.WHOLE["2b6570"],
    0x0808: signatures.WHOLE["2b6571"],
    **{0x0401 + 0x100 * n: RsaPkcs1(hash_id) for n, hash_id in enumerate(_BY_HASH)},
}
"""Signature schemes by number (RFC 8446 section 4.2.3), as `signature_algorithms` lists them."""

_CURVE_OF: Mapping[int, type[ec.EllipticCurve]] = {
    0x0403: ec.SECP256R1,
    0x0503: ec.SECP384R1,
    0x0603: ec.SECP521R1,
}


def scheme_of(code: int, version: int, key: PublicKey) -> Scheme | None:
    """The scheme, where a signature by `key` may have it in this version of TLS.

    TLS 1.3 has no PKCS #1 v1.5 in signatures of its own, and binds ECDSA's hash to the curve.
    """
    scheme = SCHEMES.get(code)
    if version == TLS_1_3 and isinstance(scheme, RsaPkcs1):
        return None
    if version == TLS_1_3 and isinstance(scheme, Ecdsa) and isinstance(key, ec.EllipticCurvePublicKey):
        return scheme if isinstance(key.curve, _CURVE_OF[code]) else None
    return scheme


def ways_for(key: PublicKey, version: int, accepted: tuple[int, ...]) -> dict[str, tuple[int, Scheme]]:
    """What our key can sign with and the server accepts, by the scheme's name, best first."""
    codes = {scheme: code for code, scheme in SCHEMES.items()}
    return {
        scheme.name: (codes[scheme], scheme)
        for _, scheme in signatures.ours(key)
        if codes.get(scheme) in accepted and scheme_of(codes[scheme], version, key) is not None
    }
