"""How large a packet becomes when it is protected, and how large it may be for that.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..ike.events import EspAlgorithms
from ..ike.transforms import Encryption, encryption, integrity

_IP = {4: 20, 6: 40}
_UDP, _ESP, _TRAILER = (
    8,
    8,
    2,
)  # RFC 768; RFC 4303 section 2: SPI and sequence number, pad length and next header
_WORD = 4  # what ESP is a multiple of, whatever the cipher (RFC 4303 section 2.4)


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What is put around an inner packet: ESP with these algorithms, UDP where `encapsulate`, outer IP.

    `ValueError` for algorithms that the registry lacks.
    """

    algorithms: EspAlgorithms
    version: int  # of the outer addresses: 4 or 6
    encapsulate: bool

    def outer(self, inner: int) -> int:
        """Octets of the whole outer IP packet around an inner one of this size."""
        return self._around + self._padded(inner + _TRAILER)

    def inner(self, outer: int) -> int:
        """Octets of the largest inner packet that an outer one of this size can carry."""
        room = outer - self._around
        return room - room % self._block - _TRAILER

    @property
    def _cipher(self) -> Encryption:
        row = encryption(self.algorithms.encr, self.algorithms.encr_key_bits)
        if row is None:
            raise ValueError(f"encryption {self.algorithms.encr} is unknown")
        return row

    @property
    def _block(self) -> int:
        return max(_WORD, self._cipher.block_size)

    @property
    def _around(self) -> int:
        proof = integrity(self.algorithms.integ)
        icv = self._cipher.icv_size if proof is None else proof.icv_size
        return _IP[self.version] + _UDP * self.encapsulate + _ESP + self._cipher.iv_size + icv

    def _padded(self, size: int) -> int:
        return -(-size // self._block) * self._block
