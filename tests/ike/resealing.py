"""Taking protected messages apart and sealing them again, as whoever holds the keys can."""

from __future__ import annotations

from client.ike.message import Header
from client.ike.options import SessionConfig
from client.ike.registry import ExchangeType, PayloadType
from client.ike.sa import IkeSa
from client.lab.responder import GatewayConfig
from tests.ike.mutation import HEADER_SIZE, Chain, pull_chain, push_chain
from tests.pair import Flight, Pair

SK_SIZE = 4  # the generic header of the Encrypted payload


class ResealingPair(Pair):
    """A pair that knows the IKE SAs of both ends, also those that are gone."""

    def __init__(self, config: SessionConfig, gateway: GatewayConfig) -> None:
        super().__init__(config, gateway)
        self._sas: dict[tuple[bool, bytes, bytes], IkeSa] = {}  # by end and SPIs

    def note_sas(self) -> None:
        for sa in self.client._core.sas.values():
            self._sas[True, sa.spi_i, sa.spi_r] = sa
        for acceptance in self.responder._half_open.values():
            self._sas[False, acceptance.opened.sa.spi_i, acceptance.opened.sa.spi_r] = acceptance.opened.sa
        for session in self.responder.sessions.values():
            for sa in session._core.sas.values():
                self._sas[False, sa.spi_i, sa.spi_r] = sa

    def sa_of(self, flight: Flight, *, sender: bool) -> IkeSa:
        """The IKE SA of a protected datagram at one of its ends."""
        header = Header.pull(flight.data)
        return self._sas[flight.to_gateway is sender, header.spi_i, header.spi_r]

    def chain_of(self, flight: Flight) -> Chain:
        data = flight.data
        if data[18] == ExchangeType.IKE_SA_INIT:
            return pull_chain(data[16], data[HEADER_SIZE:])
        assert data[16] == PayloadType.SK
        body = HEADER_SIZE + SK_SIZE
        opener = self.sa_of(flight, sender=False).opener
        return pull_chain(data[HEADER_SIZE], opener.open(data[:body], data[body:]))

    def sealed(self, flight: Flight, chain: Chain) -> bytes:
        first, octets = push_chain(chain)
        header = flight.data[:HEADER_SIZE]
        if header[18] == ExchangeType.IKE_SA_INIT:
            return (
                header[:16]
                + bytes([first])
                + header[17:24]
                + (HEADER_SIZE + len(octets)).to_bytes(4)
                + octets
            )
        sealer = self.sa_of(flight, sender=True).sealer
        size = SK_SIZE + sealer.sealed_size(len(octets))
        associated = header[:24] + (HEADER_SIZE + size).to_bytes(4) + bytes([first, 0]) + size.to_bytes(2)
        return associated + sealer.seal(associated, octets)
