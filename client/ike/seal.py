"""Protection of the Encrypted payload (RFC 7296 section 3.14) and of its fragments (RFC 7383).

One interface of two methods for both families of ciphers.  What goes through it is `IV | ciphertext | ICV`;
padding and the Pad Length octet are made and removed in here, because only the cipher knows its block
size.  The octets from the IKE header up to and including the generic header of the SK payload, with their
final lengths, are `associated`.
"""

from __future__ import annotations

import hmac
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from .errors import InvalidSyntax
from .events import Rng
from .keys import Secret
from .transforms import Aead, Encryption, IkeSuite, Integrity


class IntegrityError(Exception):
    """The octets were not protected with our keys, or were changed since: believe nothing of them."""


class Sealer(Protocol):
    """Protects what we send."""

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        """IV, ciphertext and ICV of `plaintext`; every call uses a fresh IV."""

    def sealed_size(self, plaintext_size: int) -> int:
        """How many octets `seal` makes of so many: needed for the lengths inside `associated`."""


class Opener(Protocol):
    """Checks and decrypts what the peer sends."""

    def open(self, associated: bytes, sealed: bytes) -> bytes:
        """The plaintext without padding.

        `IntegrityError` where it is not authentic; `InvalidSyntax` where it is, and its padding is nonsense.
        """


def make_sealer(suite: IkeSuite, sk_e: Secret, sk_a: Secret, rng: Rng) -> Sealer:
    """The protection of our direction; `rng` makes the IVs of CBC, an AEAD counts."""
    row = suite.encryption
    if row.make_aead is not None:
        key, salt = _split_salt(row, sk_e)
        return _AeadSealer(row, row.make_aead(key), salt)
    return _CbcSealer(row, _mac_of(suite, sk_a), sk_e, rng)


def make_opener(suite: IkeSuite, sk_e: Secret, sk_a: Secret) -> Opener:
    """The protection of the peer's direction."""
    row = suite.encryption
    if row.make_aead is not None:
        key, salt = _split_salt(row, sk_e)
        return _AeadOpener(row, row.make_aead(key), salt)
    return _CbcOpener(row, _mac_of(suite, sk_a), sk_e)


class _AeadSealer:
    """RFC 5282 and RFC 7634: nonce = salt | IV, the IV a counter that never repeats under one key."""

    def __init__(self, row: Encryption, aead: Aead, salt: bytes) -> None:
        self._row = row
        self._aead = aead
        self._salt = salt
        self._count = 0

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        self._count += 1  # OverflowError long before the counter could repeat
        iv = self._count.to_bytes(self._row.iv_size)
        return iv + self._aead.encrypt(self._salt + iv, _pad(plaintext, self._row.block_size), associated)

    def sealed_size(self, plaintext_size: int) -> int:
        return self._row.iv_size + _padded_size(plaintext_size, self._row.block_size) + self._row.icv_size


class _AeadOpener:
    def __init__(self, row: Encryption, aead: Aead, salt: bytes) -> None:
        self._row = row
        self._aead = aead
        self._salt = salt

    def open(self, associated: bytes, sealed: bytes) -> bytes:
        if len(sealed) < self._row.iv_size + self._row.icv_size:
            raise IntegrityError("too short for an IV and an ICV")
        iv, ciphertext = sealed[: self._row.iv_size], sealed[self._row.iv_size :]
        try:
            padded = self._aead.decrypt(self._salt + iv, ciphertext, associated)
        except InvalidTag:
            raise IntegrityError("ICV is wrong") from None
        return _unpad(padded)


class _Mac:
    """A truncated HMAC over everything before it (RFC 4868, RFC 2404)."""

    def __init__(self, row: Integrity, key: Secret) -> None:
        _check_size(key, row.key_size)
        self._row = row
        self._key = key

    @property
    def size(self) -> int:
        return self._row.icv_size

    def compute(self, data: bytes) -> bytes:
        return hmac.digest(self._key.reveal(), data, self._row.hash_name)[: self.size]


class _CbcSealer:
    """Encrypt-then-MAC; the IV of every message is unpredictable (RFC 7296 section 3.14)."""

    def __init__(self, row: Encryption, mac: _Mac, key: Secret, rng: Rng) -> None:
        _check_size(key, row.keymat_size)
        self._row = row
        self._mac = mac
        self._algorithm = AES(key.reveal())
        self._rng = rng

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        iv = self._rng(self._row.iv_size)
        encryptor = Cipher(self._algorithm, CBC(iv)).encryptor()
        padded = _pad(plaintext, self._row.block_size)
        sealed = iv + encryptor.update(padded) + encryptor.finalize()
        return sealed + self._mac.compute(associated + sealed)

    def sealed_size(self, plaintext_size: int) -> int:
        return self._row.iv_size + _padded_size(plaintext_size, self._row.block_size) + self._mac.size


class _CbcOpener:
    """The ICV is verified, in constant time, before anything is decrypted: no padding oracle."""

    def __init__(self, row: Encryption, mac: _Mac, key: Secret) -> None:
        _check_size(key, row.keymat_size)
        self._row = row
        self._mac = mac
        self._algorithm = AES(key.reveal())

    def open(self, associated: bytes, sealed: bytes) -> bytes:
        if len(sealed) < self._row.iv_size + self._mac.size:
            raise IntegrityError("too short for an IV and an ICV")
        body, icv = sealed[: -self._mac.size], sealed[-self._mac.size :]
        if not hmac.compare_digest(icv, self._mac.compute(associated + body)):
            raise IntegrityError("ICV is wrong")
        iv, ciphertext = body[: self._row.iv_size], body[self._row.iv_size :]
        if len(ciphertext) % self._row.block_size:
            raise InvalidSyntax(f"{len(ciphertext)} octets of ciphertext are no whole blocks")
        decryptor = Cipher(self._algorithm, CBC(iv)).decryptor()
        return _unpad(decryptor.update(ciphertext) + decryptor.finalize())


def _padded_size(size: int, block_size: int) -> int:
    """Plaintext, padding and the Pad Length octet together fill whole blocks."""
    return -(-(size + 1) // block_size) * block_size


def _pad(plaintext: bytes, block_size: int) -> bytes:
    """The content of the padding is free, unlike ESP's; zeros say nothing about us."""
    pad_length = _padded_size(len(plaintext), block_size) - len(plaintext) - 1
    return plaintext + bytes(pad_length) + bytes([pad_length])


def _unpad(padded: bytes) -> bytes:
    """Any Pad Length is accepted that the octets can hold (RFC 7296 section 3.14)."""
    if not padded or padded[-1] >= len(padded):
        raise InvalidSyntax("Pad Length exceeds the decrypted octets")
    return padded[: len(padded) - 1 - padded[-1]]


def _mac_of(suite: IkeSuite, key: Secret) -> _Mac:
    if suite.integrity is None:
        raise ValueError(f"{suite.encryption} protects nothing without an integrity algorithm")
    return _Mac(suite.integrity, key)


def _split_salt(row: Encryption, sk_e: Secret) -> tuple[bytes, bytes]:
    _check_size(sk_e, row.keymat_size)
    octets = sk_e.reveal()
    return octets[: row.key_size], octets[row.key_size :]


def _check_size(key: Secret, size: int) -> None:
    if len(key) != size:
        raise ValueError(f"key of {size} octets wanted, {len(key)} given")
