"""Encryption and integrity of ESP packets.

Two families: combined modes (RFC 4106, RFC 7634), and CBC with an HMAC (RFC 3602, RFC 4868).  Both turn a
plaintext that already carries its trailer into a whole packet and back.  The `…_into` forms write to a buffer
of exactly the right size: that saves the data path an allocation and a copy for each packet.
"""

from __future__ import annotations

import hmac
from typing import Protocol, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from ..ike.events import EspAlgorithms, Rng
from ..ike.keys import Secret
from ..ike.transforms import ENCRYPTIONS, Encryption, Integrity, encryption, integrity
from .rejected import EspRejected, Reason

HEADER_SIZE = 8  # SPI and sequence number
Octets = bytes | bytearray | memoryview


class Protection(Protocol):
    """One direction of one SA's cryptography; `sequence` is the whole number, 64 bits wide with ESN."""

    alignment: int  # plaintext, padding and trailer are a multiple of this (RFC 4303 section 2.4)
    prefix: int  # octets before the ciphertext: header and IV
    icv_size: int

    def protect(self, sequence: int, plaintext: Octets) -> bytes:
        """The packet from its SPI to its ICV."""

    def protect_into(self, sequence: int, plaintext: Octets, packet: memoryview) -> None:
        """The same, written to `packet`, which has `prefix + len(plaintext) + icv_size` octets."""

    def open(self, sequence: int, packet: Octets) -> bytes:
        """The plaintext with its trailer; `EspRejected` where the packet is not authentic."""

    def open_into(self, sequence: int, packet: Octets, plaintext: memoryview) -> None:
        """The same, written to `plaintext`, which has `len(packet) - prefix - icv_size` octets."""


class _Aead(Protocol):
    """What `cryptography` gives for both combined modes; the registry needs less of it."""

    def encrypt(self, nonce: bytes, data: Octets, associated_data: Octets) -> bytes: ...

    def encrypt_into(self, nonce: bytes, data: Octets, associated_data: Octets, buf: memoryview) -> int: ...

    def decrypt(self, nonce: bytes, data: Octets, associated_data: Octets) -> bytes: ...

    def decrypt_into(self, nonce: bytes, data: Octets, associated_data: Octets, buf: memoryview) -> int: ...


class CombinedMode:
    """AES-GCM (RFC 4106) and ChaCha20-Poly1305 (RFC 7634).

    The IV is the whole sequence number: it cannot repeat as long as the sequence number does not, which is
    what the security of both ciphers hangs on.
    """

    alignment = 4
    prefix = HEADER_SIZE + 8

    def __init__(self, spi: int, row: Encryption, key: Secret, *, esn: bool) -> None:
        if row.make_aead is None:
            raise ValueError(f"{row} is no combined mode")
        _check_size(key, row.keymat_size)
        octets = key.reveal()
        self.icv_size = row.icv_size
        self._aead = cast("_Aead", row.make_aead(octets[: row.key_size]))
        self._salt = octets[row.key_size :]
        self._spi = spi.to_bytes(4)
        self._esn = esn

    def protect(self, sequence: int, plaintext: Octets) -> bytes:
        iv = sequence.to_bytes(8)
        associated = self._spi + (iv if self._esn else iv[4:])  # RFC 4106 section 5
        return self._spi + iv[4:] + iv + self._aead.encrypt(self._salt + iv, plaintext, associated)

    def protect_into(self, sequence: int, plaintext: Octets, packet: memoryview) -> None:
        iv = sequence.to_bytes(8)
        associated = self._spi + (iv if self._esn else iv[4:])
        packet[:16] = self._spi + iv[4:] + iv
        self._aead.encrypt_into(self._salt + iv, plaintext, associated, packet[16:])

    def open(self, sequence: int, packet: Octets) -> bytes:
        try:
            return self._aead.decrypt(
                self._salt + packet[8:16], packet[16:], self._associated(sequence, packet)
            )
        except InvalidTag:
            raise EspRejected(Reason.FORGED) from None

    def open_into(self, sequence: int, packet: Octets, plaintext: memoryview) -> None:
        try:
            self._aead.decrypt_into(
                self._salt + packet[8:16], packet[16:], self._associated(sequence, packet), plaintext
            )
        except InvalidTag:
            raise EspRejected(Reason.FORGED) from None

    def _associated(self, sequence: int, packet: Octets) -> Octets:
        return bytes(packet[:4]) + sequence.to_bytes(8) if self._esn else packet[:8]


class CbcWithHmac:
    """AES-CBC with an unpredictable IV, then a truncated HMAC over everything (RFC 4303 section 3.3.2.1)."""

    alignment = 16

    def __init__(
        self,
        spi: int,
        rows: tuple[Encryption, Integrity],
        keys: tuple[Secret, Secret],
        *,
        esn: bool,
        rng: Rng,
    ) -> None:
        encr, integ = rows
        _check_size(keys[0], encr.keymat_size)
        _check_size(keys[1], integ.key_size)
        self.prefix = HEADER_SIZE + encr.iv_size
        self.icv_size = integ.icv_size
        self._spi = spi.to_bytes(4)
        self._algorithm = AES(keys[0].reveal())
        self._mac_key = keys[1].reveal()
        self._hash_name = integ.hash_name
        self._esn = esn
        self._rng = rng

    def protect(self, sequence: int, plaintext: Octets) -> bytes:
        iv = self._rng(16)
        encryptor = Cipher(self._algorithm, CBC(iv)).encryptor()
        low = (sequence & 0xFFFFFFFF).to_bytes(4)
        body = self._spi + low + iv + encryptor.update(plaintext) + encryptor.finalize()
        return body + self._mac(sequence, body)

    def protect_into(self, sequence: int, plaintext: Octets, packet: memoryview) -> None:
        packet[:] = self.protect(sequence, plaintext)

    def open(self, sequence: int, packet: Octets) -> bytes:
        body, icv = bytes(packet[: -self.icv_size]), bytes(packet[-self.icv_size :])
        if not hmac.compare_digest(icv, self._mac(sequence, body)):
            raise EspRejected(Reason.FORGED)
        if len(body) % self.alignment != HEADER_SIZE:
            raise EspRejected(Reason.PADDING)  # authentic, and yet no whole number of blocks
        decryptor = Cipher(self._algorithm, CBC(body[8:24])).decryptor()
        return decryptor.update(body[24:]) + decryptor.finalize()

    def open_into(self, sequence: int, packet: Octets, plaintext: memoryview) -> None:
        plaintext[:] = self.open(sequence, packet)

    def _mac(self, sequence: int, body: bytes) -> bytes:
        """With ESN the high half counts into the ICV although it is not sent (section 2.2.1)."""
        covered = body + (sequence >> 32).to_bytes(4) if self._esn else body
        return hmac.digest(self._mac_key, covered, self._hash_name)[: self.icv_size]


def make_protection(spi: int, algorithms: EspAlgorithms, encr: Secret, integ: Secret, rng: Rng) -> Protection:
    """The cryptography of one direction; `ValueError` for algorithms or key sizes that the registry lacks."""
    row = encryption(algorithms.encr, algorithms.encr_key_bits)
    if row is None:
        raise ValueError(f"encryption transform {algorithms.encr}-{algorithms.encr_key_bits} is unknown")
    if row.aead:
        return CombinedMode(spi, row, encr, esn=algorithms.esn)
    mac = integrity(algorithms.integ)
    if mac is None:
        raise ValueError(f"integrity transform {algorithms.integ} is unknown")
    return CbcWithHmac(spi, (row, mac), (encr, integ), esn=algorithms.esn, rng=rng)


def set_up() -> None:
    """Have the library do what it does once, at its first use: milliseconds that no packet should wait for."""
    for row in ENCRYPTIONS:
        if row.make_aead is not None:
            row.make_aead(bytes(row.key_size)).encrypt(bytes(12), b"", b"")


def _check_size(key: Secret, size: int) -> None:
    if len(key) != size:
        raise ValueError(f"key of {size} octets wanted, {len(key)} given")
