"""Secrets and the key derivations of RFC 7296 sections 2.13, 2.14, 2.17 and 2.18."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import NoReturn

from .transforms import EspSuite, IkeSuite, Pseudorandom


class Secret:
    """Octets that must not be shown: redacted repr, constant-time comparison, no pickling."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """The octets themselves: call it only where a primitive or the wire needs them."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> NoReturn:
        raise TypeError("a secret is no dictionary key")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


class OneTimeCode:
    """A code that serves once: who takes it has it, and nobody after.

    It is the one value in a login's configuration that changes: attempts that come after share it, and find it
    spent.  All codes are equal, because another code is no other login.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Secret | None = None) -> None:
        self._value = value

    @property
    def is_spent(self) -> bool:
        """Whether there is none (any more)."""
        return self._value is None

    def take(self) -> Secret | None:
        """The code, for the first who asks."""
        value, self._value = self._value, None
        return value

    def __repr__(self) -> str:
        return "OneTimeCode(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OneTimeCode)

    def __hash__(self) -> NoReturn:
        raise TypeError("a code is no dictionary key")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a code is not pickled")


@dataclass(frozen=True, slots=True)
class ChildKeys:
    """KEYMAT of one Child SA, already by direction; the salt stands at the end of the AEAD keys."""

    encr_out: Secret
    integ_out: Secret
    encr_in: Secret
    integ_in: Secret


@dataclass(frozen=True, slots=True)
class IkeKeys:
    """The seven keys of an IKE SA (RFC 7296 section 2.14).

    `d` derives, `a*` authenticate messages (empty with an AEAD), `e*` encrypt (salt at the end), `p*` go into
    AUTH; `*i` belongs to the original initiator of this IKE SA, `*r` to its responder.
    """

    d: Secret
    ai: Secret
    ar: Secret
    ei: Secret
    er: Secret
    pi: Secret
    pr: Secret


def prf(row: Pseudorandom, key: bytes | Secret, data: bytes) -> bytes:
    """The negotiated pseudorandom function; its output has `row.size` octets."""
    return hmac.digest(_octets(key), data, row.hash_name)


def prf_plus(row: Pseudorandom, key: bytes | Secret, seed: bytes, size: int) -> bytes:
    """`size` octets of prf+ (RFC 7296 section 2.13); ValueError beyond the 255 blocks that it can give."""
    if size > 255 * row.size:
        raise ValueError(f"prf+ gives at most {255 * row.size} octets, {size} wanted")
    octets = _octets(key)
    stream, block, count = bytearray(), b"", 0
    while len(stream) < size:
        count += 1
        block = prf(row, octets, block + seed + bytes([count]))
        stream += block
    return bytes(stream[:size])


def derive_ike_keys(
    suite: IkeSuite, nonce_i: bytes, nonce_r: bytes, shared: Secret, spi_i: bytes, spi_r: bytes
) -> IkeKeys:
    """Keys of a first IKE SA: SKEYSEED = prf(Ni | Nr, g^ir) (RFC 7296 section 2.14)."""
    skeyseed = prf(suite.prf, nonce_i + nonce_r, shared.reveal())
    return _expand(suite, skeyseed, nonce_i + nonce_r + spi_i + spi_r)


def derive_rekeyed_ike_keys(
    old_prf: Pseudorandom,
    old_sk_d: Secret,
    suite: IkeSuite,
    shared: Secret,
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: bytes,
    spi_r: bytes,
) -> IkeKeys:
    """Keys of a successor: SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr) (RFC 7296 section 2.18).

    SKEYSEED comes from the old SA's prf, everything after it from the new one's.  Nonces and SPIs are those
    of the CREATE_CHILD_SA exchange, the initiator of which is the original initiator of the new IKE SA.
    """
    skeyseed = prf(old_prf, old_sk_d, shared.reveal() + nonce_i + nonce_r)
    return _expand(suite, skeyseed, nonce_i + nonce_r + spi_i + spi_r)


def derive_child_keymat(
    prf_row: Pseudorandom,
    sk_d: Secret,
    suite: EspSuite,
    shared: Secret | None,
    nonce_i: bytes,
    nonce_r: bytes,
    *,
    initiator: bool,
) -> ChildKeys:
    """KEYMAT = prf+(SK_d, [g^ir (new) |] Ni | Nr) of a Child SA (RFC 7296 section 2.17).

    `initiator` tells whether we started the exchange that makes this Child SA, whoever started the IKE SA;
    the keys of its initiator's direction come first.  For the first Child SA the nonces are those of
    IKE_SA_INIT.
    """
    seed = (shared.reveal() if shared is not None else b"") + nonce_i + nonce_r
    integ_size = suite.integrity.key_size if suite.integrity is not None else 0
    sizes = (suite.encryption.keymat_size, integ_size) * 2
    encr_i, integ_i, encr_r, integ_r = _split(prf_plus(prf_row, sk_d, seed, sum(sizes)), sizes)
    if initiator:
        return ChildKeys(encr_out=encr_i, integ_out=integ_i, encr_in=encr_r, integ_in=integ_r)
    return ChildKeys(encr_out=encr_r, integ_out=integ_r, encr_in=encr_i, integ_in=integ_i)


def _expand(suite: IkeSuite, skeyseed: bytes, seed: bytes) -> IkeKeys:
    integ_size = suite.integrity.key_size if suite.integrity is not None else 0
    encr_size = suite.encryption.keymat_size
    prf_size = suite.prf.size
    sizes = (prf_size, integ_size, integ_size, encr_size, encr_size, prf_size, prf_size)
    return IkeKeys(*_split(prf_plus(suite.prf, skeyseed, seed, sum(sizes)), sizes))


def _split(octets: bytes, sizes: tuple[int, ...]) -> list[Secret]:
    parts, position = [], 0
    for size in sizes:
        parts.append(Secret(octets[position : position + size]))
        position += size
    return parts


def _octets(value: bytes | Secret) -> bytes:
    return value.reveal() if isinstance(value, Secret) else value
