"""From the TUN interface to the gateway."""

from __future__ import annotations

import os

from .inner import ip_size, traffic_class
from .outer import OuterSocket
from .rejected import EspRejected, Reason
from .table import SaTable

VNET_HEADER_SIZE = 10
_LARGEST_PACKET = 1 << 16
_MOST_PACKETS = 64  # in one go, before the other direction has its turn


class Egress:
    """Reads inner packets, protects them and sends them on the current path."""

    def __init__(self, table: SaTable) -> None:
        self._table = table
        self.tun = -1
        self.outer: OuterSocket | None = None
        self.dropped = 0

    def drain(self) -> bool:
        """Send what waits on the TUN interface; whether anything went out."""
        sent = False
        for _ in range(_MOST_PACKETS):
            try:
                packet = os.read(self.tun, VNET_HEADER_SIZE + _LARGEST_PACKET)[VNET_HEADER_SIZE:]
            except BlockingIOError:
                break
            sent |= self._send(packet)
        return sent

    def _send(self, packet: bytes) -> bool:
        try:
            if self.outer is None or ip_size(packet) != len(packet):
                raise EspRejected(Reason.INNER)
            sealed = self._table.sender(packet).outbound.encapsulate(packet)
        except EspRejected:
            self.dropped += 1
            return False
        self.outer.send(sealed, traffic_class(packet))
        return True
