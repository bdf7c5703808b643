"""Key exchange methods: MODP (RFC 2409, RFC 3526), ECP (RFC 5903) and Curve25519 (RFC 8031).

A key pair is made for one exchange and forgotten with it.  Whatever the peer sends as its public value ends
in a shared secret or in `InvalidSyntax` (RFC 6989 and the RFCs above say what must be refused).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric import dh, ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from . import modp
from .errors import InvalidSyntax
from .events import Rng
from .keys import Secret
from .registry import Kex
from .transforms import KeyExchangeMethod, kex_method


class KeyPair(Protocol):
    """Our half of a key exchange."""

    @property
    def method(self) -> Kex:
        """The method of the Key Exchange payload that carries `public`."""

    @property
    def public(self) -> bytes:
        """Our public value as it stands in the payload."""

    def agree(self, peer_public: bytes) -> Secret:
        """g^ir in the size that the key derivation wants; `InvalidSyntax` for an impossible public value."""


def generate(method: int, rng: Rng) -> KeyPair:
    """A fresh key pair with a private value from `rng`; ValueError for a method without a row."""
    row = kex_method(method)
    if row is None:
        raise ValueError(f"key exchange method {method} is not implemented")
    if row.prime is not None:
        return _ModpKeyPair(row, row.prime, rng)
    if row.curve is not None:
        return _EcpKeyPair(row, row.curve, rng)
    return _X25519KeyPair(row, rng)


class _X25519KeyPair:
    """RFC 8031 with RFC 7748: both values are 32 octets, little-endian inside, opaque to us."""

    def __init__(self, row: KeyExchangeMethod, rng: Rng) -> None:
        self.method = row.id
        self._private = X25519PrivateKey.from_private_bytes(rng(32))
        self.public = self._private.public_key().public_bytes_raw()

    def agree(self, peer_public: bytes) -> Secret:
        _check_length(peer_public, len(self.public))
        try:
            return Secret(self._private.exchange(X25519PublicKey.from_public_bytes(peer_public)))
        except ValueError:
            # The library refuses an all-zero secret, the check that RFC 7748 section 6.1 allows.
            raise InvalidSyntax("public value of low order") from None


class _EcpKeyPair:
    """RFC 5903: a public value is x | y without a format octet, the shared secret is x alone."""

    def __init__(self, row: KeyExchangeMethod, curve: ec.EllipticCurve, rng: Rng) -> None:
        self.method = row.id
        self._curve = curve
        # 64 bits more than the order has make the remainder uniform (FIPS 186-5 appendix A.2.1).
        excess = int.from_bytes(rng(row.public_size // 2 + 8))
        self._private = ec.derive_private_key(excess % (curve.group_order - 1) + 1, curve)
        point = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public = point[1:]

    def agree(self, peer_public: bytes) -> Secret:
        _check_length(peer_public, len(self.public))
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(self._curve, b"\x04" + peer_public)
            return Secret(self._private.exchange(ec.ECDH(), point))
        except ValueError:
            raise InvalidSyntax("public value is no point of the curve") from None


_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def _accepting_deprecation(
    function: Callable[_Arguments, _Result],
) -> Callable[_Arguments, _Result]:
    """Silence the library's notice that MODP groups will leave it.

    Group 14 is the one that every gateway has (RFC 8247 section 2.4): whoever connects to one can do nothing
    about it.
    """

    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return function(*args, **kwargs)

    return wrapped


class _ModpKeyPair:
    """RFC 2409 and RFC 3526: public value and shared secret are as long as the modulus, with zeros in front."""

    @_accepting_deprecation
    def __init__(self, row: KeyExchangeMethod, prime: int, rng: Rng) -> None:
        self.method = row.id
        self._parameters = dh.DHParameterNumbers(prime, modp.GENERATOR)
        exponent = int.from_bytes(rng(modp.EXPONENT_SIZE)) | 1 << (modp.EXPONENT_SIZE * 8 - 1)
        # The library makes no public value out of a private one, but an agreement with the generator itself
        # is just that: g^x.  The public value handed in here is a placeholder that nothing reads.
        generator = dh.DHPublicNumbers(modp.GENERATOR, self._parameters)
        self._private = dh.DHPrivateNumbers(exponent, generator).private_key()
        self.public = self._private.exchange(generator.public_key())

    @_accepting_deprecation
    def agree(self, peer_public: bytes) -> Secret:
        _check_length(peer_public, len(self.public))
        value = int.from_bytes(peer_public)
        if not 1 < value < self._parameters.p - 1:
            raise InvalidSyntax("public value is not between 1 and p - 1")
        return Secret(self._private.exchange(dh.DHPublicNumbers(value, self._parameters).public_key()))


def _check_length(public: bytes, size: int) -> None:
    if len(public) != size:
        raise InvalidSyntax(f"public value has {len(public)} octets instead of {size}")
