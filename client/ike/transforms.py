"""The registry of algorithms: one row for each transform that Roam can carry out.

Adding an algorithm means adding its number to `registry.py`, a row here and a vector to the tests; nothing
else spells a key size, a profile word or a kernel name.  What is not in these tables is neither offered nor
accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from . import modp
from .registry import Encr, Integ, Kex, Prf


class Aead(Protocol):
    """A keyed AEAD as `cryptography` makes it; `decrypt` raises its `InvalidTag`."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Encryption:
    """Transform type 1.  Sizes are octets, except for `key_bits`."""

    id: Encr
    key_bits: int  # without the salt
    word: str
    salt_size: int  # implicit part of the nonce, at the end of the key in KEYMAT
    iv_size: int
    block_size: int  # what the plaintext with its padding is a multiple of
    icv_size: int  # 0 where an integrity transform makes it
    kernel: str  # name of the algorithm in Linux XFRM
    key_attribute: bool  # the Key Length attribute is mandatory, else forbidden (RFC 7296 section 3.3.5)
    make_aead: Callable[[bytes], Aead] | None = field(default=None, repr=False)

    @property
    def aead(self) -> bool:
        """Encryption and integrity in one: no integrity transform beside it (RFC 5282 section 8)."""
        return self.make_aead is not None

    @property
    def key_size(self) -> int:
        """Octets of the key alone."""
        return self.key_bits // 8

    @property
    def keymat_size(self) -> int:
        """Octets taken from the key derivation: key and salt."""
        return self.key_size + self.salt_size

    @property
    def key_length(self) -> int | None:
        """Value of the Key Length attribute, None where none may be sent."""
        return self.key_bits if self.key_attribute else None

    def __str__(self) -> str:
        return f"{self.id.name}-{self.key_bits}" if self.key_attribute else self.id.name


@dataclass(frozen=True, slots=True)
class Integrity:
    """Transform type 3: an HMAC, truncated to `icv_size` octets."""

    id: Integ
    word: str
    key_size: int
    icv_size: int
    hash_name: str  # as `hmac` and `hashlib` call it
    kernel: str
    legacy: bool = False

    def __str__(self) -> str:
        return self.id.name


@dataclass(frozen=True, slots=True)
class Pseudorandom:
    """Transform type 2: an HMAC; `size` is that of its output and of its preferred key, in octets."""

    id: Prf
    word: str
    size: int
    hash_name: str
    legacy: bool = False

    def __str__(self) -> str:
        return f"PRF_{self.id.name}"


@dataclass(frozen=True, slots=True)
class KeyExchangeMethod:
    """Transform type 4: Curve25519, a prime of RFC 2409 or RFC 3526, or a curve of RFC 5903."""

    id: Kex
    word: str
    public_size: int  # octets of the public value in the Key Exchange payload
    prime: int | None = field(default=None, repr=False)
    curve: ec.EllipticCurve | None = field(default=None, repr=False)
    legacy: bool = False

    def __str__(self) -> str:
        return self.id.name


Row = Encryption | Integrity | Pseudorandom | KeyExchangeMethod


def _aes_gcm(key_bits: int) -> Encryption:
    """RFC 4106 for ESP, RFC 5282 for IKE."""
    word = f"aes{key_bits}gcm16"
    return Encryption(Encr.AES_GCM_16, key_bits, word, 4, 8, 1, 16, "rfc4106(gcm(aes))", True, AESGCM)


def _aes_cbc(key_bits: int) -> Encryption:
    """RFC 3602."""
    return Encryption(Encr.AES_CBC, key_bits, f"aes{key_bits}", 0, 16, 16, 0, "cbc(aes)", True)


_CHACHA20_POLY1305 = Encryption(  # RFC 7634
    Encr.CHACHA20_POLY1305,
    256,
    "chacha20poly1305",
    4,
    8,
    1,
    16,
    "rfc7539esp(chacha20,poly1305)",
    False,
    ChaCha20Poly1305,
)

ENCRYPTIONS: tuple[Encryption, ...] = (
    _aes_gcm(256),
    _aes_gcm(192),
    _aes_gcm(128),
    _CHACHA20_POLY1305,
    _aes_cbc(256),
    _aes_cbc(192),
    _aes_cbc(128),
)

INTEGRITIES: tuple[Integrity, ...] = (
    Integrity(Integ.HMAC_SHA2_256_128, "sha256", 32, 16, "sha256", "hmac(sha256)"),
    Integrity(Integ.HMAC_SHA2_384_192, "sha384", 48, 24, "sha384", "hmac(sha384)"),
    Integrity(Integ.HMAC_SHA2_512_256, "sha512", 64, 32, "sha512", "hmac(sha512)"),
    Integrity(Integ.HMAC_SHA1_96, "sha1", 20, 12, "sha1", "hmac(sha1)", legacy=True),
)

PSEUDORANDOMS: tuple[Pseudorandom, ...] = (
    Pseudorandom(Prf.HMAC_SHA2_256, "prfsha256", 32, "sha256"),
    Pseudorandom(Prf.HMAC_SHA2_384, "prfsha384", 48, "sha384"),
    Pseudorandom(Prf.HMAC_SHA2_512, "prfsha512", 64, "sha512"),
    Pseudorandom(Prf.HMAC_SHA1, "prfsha1", 20, "sha1", legacy=True),
)


def _modp(method: Kex, word: str, *, legacy: bool = False) -> KeyExchangeMethod:
    prime = modp.PRIMES[method]
    return KeyExchangeMethod(method, word, prime.bit_length() // 8, prime=prime, legacy=legacy)


KEY_EXCHANGES: tuple[KeyExchangeMethod, ...] = (
    KeyExchangeMethod(Kex.X25519, "x25519", 32),
    KeyExchangeMethod(Kex.ECP_256, "ecp256", 64, curve=ec.SECP256R1()),
    KeyExchangeMethod(Kex.ECP_384, "ecp384", 96, curve=ec.SECP384R1()),
    KeyExchangeMethod(Kex.ECP_521, "ecp521", 132, curve=ec.SECP521R1()),
    _modp(Kex.MODP_2048, "modp2048"),
    _modp(Kex.MODP_3072, "modp3072"),
    _modp(Kex.MODP_4096, "modp4096"),
    # What gateways still have that nobody has configured: RFC 8247 section 2.4 says SHOULD NOT.
    _modp(Kex.MODP_1536, "modp1536", legacy=True),
    _modp(Kex.MODP_1024, "modp1024", legacy=True),
)

WEAK_GROUPS = frozenset(row.id for row in KEY_EXCHANGES if row.legacy)

# Other spellings that strongSwan's proposal strings allow for the same transforms.
ALIASES: dict[str, str] = {
    "aes": "aes128",
    "aes128gcm": "aes128gcm16",
    "aes192gcm": "aes192gcm16",
    "aes256gcm": "aes256gcm16",
    "aes128gcm128": "aes128gcm16",
    "aes192gcm128": "aes192gcm16",
    "aes256gcm128": "aes256gcm16",
    "curve25519": "x25519",
    "sha": "sha1",
    "sha2_256": "sha256",
    "sha2_384": "sha384",
    "sha2_512": "sha512",
}


def encryption(id: int, key_bits: int | None) -> Encryption | None:  # noqa: A002 - the RFC's word
    """The row of an encryption transform; `key_bits` may be None for a cipher of one key size only."""
    for row in ENCRYPTIONS:
        if row.id == id and (key_bits == row.key_bits or (key_bits is None and not row.key_attribute)):
            return row
    return None


def integrity(id: int) -> Integrity | None:  # noqa: A002 - the RFC's word
    """The row of an integrity transform; None also for `Integ.NONE`."""
    return next((row for row in INTEGRITIES if row.id == id), None)


def pseudorandom(id: int) -> Pseudorandom | None:  # noqa: A002 - the RFC's word
    """The row of a pseudorandom function."""
    return next((row for row in PSEUDORANDOMS if row.id == id), None)


def kex_method(id: int) -> KeyExchangeMethod | None:  # noqa: A002 - the RFC's word
    """The row of a key exchange method; None also for `Kex.NONE`."""
    return next((row for row in KEY_EXCHANGES if row.id == id), None)


def _all_rows() -> Iterable[Row]:
    yield from ENCRYPTIONS
    yield from INTEGRITIES
    yield from PSEUDORANDOMS
    yield from KEY_EXCHANGES


_BY_WORD: dict[str, Row] = {row.word: row for row in _all_rows()}
WORDS: tuple[str, ...] = (*_BY_WORD, *ALIASES)


def by_word(word: str) -> Row | None:
    """The row that a word of a profile's proposal names, in any of its spellings."""
    return _BY_WORD.get(ALIASES.get(word, word))


def weak_words(suite: str) -> tuple[str, ...]:
    """The words of what is weak in a suite that is told as `str()` tells it, each once."""
    parts = set(suite.split("/"))
    rows: tuple[Integrity | Pseudorandom | KeyExchangeMethod, ...]
    rows = (*INTEGRITIES, *PSEUDORANDOMS, *KEY_EXCHANGES)
    return tuple(row.word for row in rows if row.legacy and str(row) in parts)


@dataclass(frozen=True, slots=True)
class IkeSuite:
    """The algorithms of one IKE SA; `integrity` is None with an AEAD and only then."""

    encryption: Encryption
    integrity: Integrity | None
    prf: Pseudorandom
    kex: KeyExchangeMethod

    def __str__(self) -> str:
        return _join(self.encryption, self.integrity, self.prf, self.kex)


@dataclass(frozen=True, slots=True)
class EspSuite:
    """The algorithms of one pair of ESP SAs; `kex` is None where the keys come from SK_d alone."""

    encryption: Encryption
    integrity: Integrity | None
    esn: bool
    kex: KeyExchangeMethod | None

    def __str__(self) -> str:
        return _join(self.encryption, self.integrity, self.kex, "ESN" if self.esn else None)


def _join(*parts: Row | str | None) -> str:
    return "/".join(str(part) for part in parts if part is not None)
