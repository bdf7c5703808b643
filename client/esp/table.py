"""The Child SAs of one tunnel: which to receive on, which to send on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..ike.events import ChildSa, Rng
from .packet import InboundSa, OutboundSa, make_pair
from .protection import Octets
from .rejected import EspRejected, Reason


@dataclass(slots=True)
class Pair:
    """Both directions of a Child SA, and what was already said about it."""

    inbound: InboundSa
    outbound: OutboundSa
    told_first: bool = False
    told_low: bool = False


class SaTable:
    """All Child SAs by inbound SPI, and the order in which they are tried for what we send.

    The one made outbound last comes first; an older one still carries what only its selectors cover.
    """

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._pairs: dict[int, Pair] = {}
        self._outbound: list[Pair] = []
        self._used_keys: set[bytes] = set()
        self.generation = 0  # another number after every change: what was found before may be wrong

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every Child SA, oldest first."""
        return tuple(self._pairs.values())

    @property
    def by_address(self) -> bool:
        """Whether addresses alone decide which Child SA sends a packet."""
        return all(pair.outbound.policy.by_address for pair in self._outbound)

    def install(self, child: ChildSa, *, outbound: bool) -> None:
        """Add a Child SA; `ValueError` for what must not be installed.

        A key is taken once only: a second SA under it would count from 1 again and repeat nonces.
        """
        fingerprint = hashlib.sha256(child.keys.encr_out.reveal()).digest()
        if fingerprint in self._used_keys:
            raise ValueError("these keys were in use before")
        if child.spi_in in self._pairs:
            raise ValueError(f"inbound SPI {child.spi_in:08x} is taken")
        pair = Pair(*make_pair(child, self._rng))
        self._used_keys.add(fingerprint)
        self._pairs[child.spi_in] = pair
        if outbound:
            self._outbound.insert(0, pair)
        self.generation += 1

    def use_outbound(self, spi_in: int) -> None:
        """Send on this Child SA from now; `ValueError` where it does not exist."""
        pair = self._pairs.get(spi_in)
        if pair is None:
            raise ValueError(f"inbound SPI {spi_in:08x} is unknown")
        self._outbound = [pair, *(other for other in self._outbound if other is not pair)]
        self.generation += 1

    def remove(self, spi_in: int) -> None:
        """Forget a Child SA; unknown ones are ignored."""
        pair = self._pairs.pop(spi_in, None)
        if pair is not None:
            self._outbound = [other for other in self._outbound if other is not pair]
            self.generation += 1

    def receiver(self, spi: bytes) -> Pair | None:
        """The Child SA of an ESP packet that starts with these four octets."""
        return self._pairs.get(int.from_bytes(spi))

    def pair(self, spi_in: int) -> Pair | None:
        """The Child SA with this inbound SPI."""
        return self._pairs.get(spi_in)

    def sender(self, packet: Octets) -> Pair:
        """The Child SA for a whole inner packet; `EspRejected` where no selector permits it."""
        for pair in self._outbound:
            if pair.outbound.policy.permits_outbound(packet):
                return pair
        raise EspRejected(Reason.SELECTOR)
