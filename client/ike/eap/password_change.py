"""Change-Password of MS-CHAPv2 (RFC 2759 sections 7 and 8.9 to 8.13): what travels, for both ends.

    Encrypted-Password 516   the new one, under the hash of the old one
    Encrypted-Hash      16   the hash of the old one, under that of the new one
    then as in a Response: Peer-Challenge, 8 zeroes, NT-Response (both of the new password), 2 octets of flags

Attributes of RADIUS carry the same, the first part cut into three (RFC 2548 sections 2.1.7 and 2.3.4).

RC4 and DES are what the protocol prescribes; a tunnel with a proven gateway is around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from ..buffer import Reader
from ..errors import InvalidSyntax
from ..events import Rng
from ..keys import Secret
from .nt_hash import des, des_decrypt

BLOCK = 512  # octets that the password is put at the end of
MOST_CHARACTERS = 256
_SIZE = BLOCK + 4
_PART = 243  # octets of it that an attribute of RADIUS has room for, beside its header
_PART_CODE, _CHANGE_CODE = 6, 7


@dataclass(frozen=True, slots=True)
class Change:
    """Body of a Change-Password packet."""

    password: bytes = field(repr=False)  # encrypted
    old_hash: bytes = field(repr=False)  # encrypted
    challenge: bytes = field(repr=False)
    proof: bytes = field(repr=False)

    @classmethod
    def pull(cls, body: bytes) -> Self:
        """Parse a packet's body; the reserved octets and the flags are ignored."""
        reader = Reader(body)
        password, old_hash, challenge = reader.take(_SIZE), reader.take(16), reader.take(16)
        reader.take(8)
        proof = reader.take(24)
        reader.take(2)
        if reader.rest():
            raise InvalidSyntax("octets after a Change-Password packet")
        return cls(password, old_hash, challenge, proof)

    def push(self) -> bytes:
        """The body's octets."""
        return self.password + self._rest

    @classmethod
    def pull_attributes(cls, parts: Sequence[bytes], change: bytes) -> Self:
        """Parse the values of MS-CHAP-NT-Enc-PW, in any order, and of MS-CHAP2-CPW, which starts with a 7."""
        numbered = sorted(part[2:] for part in parts)  # by sequence number
        return cls.pull(b"".join(part[2:] for part in numbered) + change[2:])

    def push_attributes(self, identifier: int) -> tuple[tuple[bytes, ...], bytes]:
        """The values of several MS-CHAP-NT-Enc-PW, and of one MS-CHAP2-CPW."""
        cuts = range(0, len(self.password), _PART)
        parts = tuple(
            bytes([_PART_CODE, identifier]) + number.to_bytes(2) + self.password[cut : cut + _PART]
            for number, cut in enumerate(cuts, 1)
        )
        return parts, bytes([_CHANGE_CODE, identifier]) + self._rest

    @property
    def _rest(self) -> bytes:
        return self.old_hash + self.challenge + bytes(8) + self.proof + bytes(2)


def encrypt_password(new: Secret, old_hash: Secret, rng: Rng) -> bytes:
    """NewPasswordEncryptedWithOldNtPasswordHash (section 8.9); ValueError for one that is too long, or no text."""
    text = new.reveal().decode().encode("utf-16-le")
    if len(text) > 2 * MOST_CHARACTERS:
        raise ValueError(f"it has more than {MOST_CHARACTERS} characters")
    block = rng(BLOCK - len(text)) + text + len(text).to_bytes(4, "little")
    return _rc4(old_hash, block)


def decrypt_password(encrypted: bytes, old_hash: Secret) -> Secret:
    """The new password; `InvalidSyntax` where the block is none."""
    block = _rc4(old_hash, encrypted)
    size = int.from_bytes(block[BLOCK:], "little")
    if size > BLOCK or size % 2:
        raise InvalidSyntax("the new password's size makes no sense")
    try:
        return Secret(block[BLOCK - size : BLOCK].decode("utf-16-le").encode())
    except UnicodeError:
        raise InvalidSyntax("the new password is no text") from None


def encrypt_hash(old_hash: Secret, new_hash: Secret) -> bytes:
    """OldNtPasswordHashEncryptedWithNewNtPasswordHash (section 8.12)."""
    old, new = old_hash.reveal(), new_hash.reveal()
    return des(new[:7], old[:8]) + des(new[7:14], old[8:])


def decrypt_hash(encrypted: bytes, new_hash: Secret) -> Secret:
    """The inverse."""
    new = new_hash.reveal()
    return Secret(des_decrypt(new[:7], encrypted[:8]) + des_decrypt(new[7:14], encrypted[8:]))


def _rc4(key: Secret, octets: bytes) -> bytes:
    encryptor = Cipher(ARC4(key.reveal()), mode=None).encryptor()
    return encryptor.update(octets) + encryptor.finalize()
