"""The hash that MS-CHAPv2 keeps of a password, and DES with keys of 7 octets (RFC 2759 sections 8.3 and 8.6)."""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from ..keys import Secret
from .md4 import md4


def nt_hash(password: Secret) -> Secret:
    """NtPasswordHash: MD4 of the password in UTF-16LE (section 8.3).

    Octets that are no UTF-8 pass as lone surrogates: the server refuses such a password, not we.
    """
    text = password.reveal().decode(errors="surrogateescape")
    return Secret(md4(text.encode("utf-16-le", errors="surrogatepass")))


def des(key: bytes, block: bytes) -> bytes:
    """One DES encryption, which is triple DES with one key three times."""
    encryptor = _cipher(key).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def des_decrypt(key: bytes, block: bytes) -> bytes:
    """The inverse."""
    decryptor = _cipher(key).decryptor()
    return decryptor.update(block) + decryptor.finalize()


def _cipher(key: bytes) -> Cipher[modes.ECB]:
    """Every 7 bits of the key become an octet whose low bit, the parity, the cipher ignores."""
    bits = int.from_bytes(key)
    octets = bytes((bits >> shift & 0x7F) << 1 for shift in range(49, -1, -7))
    return Cipher(TripleDES(octets * 3), modes.ECB())  # noqa: S305 - one block, as prescribed
