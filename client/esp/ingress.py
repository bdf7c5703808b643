"""From the gateway to the TUN interface."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from ..ike.events import Endpoint
from . import ipc
from .outer import OuterSocket, endpoint_of
from .rejected import EspRejected, Reason
from .table import Pair, SaTable

_NO_OFFLOAD = bytes(10)  # an empty virtio-net header
_NON_ESP_MARKER = bytes(4)  # RFC 3948 section 2.2
_MOST_DATAGRAMS = 64  # in one go, before the other direction has its turn


class Ingress:
    """Reads a natt socket: ESP goes to the TUN interface, IKE to the parent, everything else nowhere."""

    def __init__(self, table: SaTable, tell: Callable[[ipc.Report], None]) -> None:
        self._table = table
        self._tell = tell
        self.tun = -1
        self.violations: set[int] = set()  # inbound SPIs with selector violations not told yet
        self.dropped = 0
        self._expected: tuple[str, int] | None = None
        self._seen: tuple[str, int] | None = None

    def expect(self, remote: Endpoint) -> None:
        """Where the peer's packets should come from."""
        self._expected = self._seen = str(remote.address), remote.port

    def drain(self, outer: OuterSocket) -> bool:
        """Pass on what waits on a socket; whether anything authentic came in."""
        alive = False
        for _ in range(_MOST_DATAGRAMS):
            received = outer.receive()
            if received is None:
                break
            data, ecn, source = received
            if data[:4] == _NON_ESP_MARKER:
                self._tell(ipc.IkeReceived(data[4:], endpoint_of(source), outer.local))
            elif len(data) > 1:  # a single octet is a keepalive
                alive |= self._pass_on(data, ecn, source)
        return alive

    def _pass_on(self, data: bytes, ecn: int, source: tuple[str, int]) -> bool:
        pair = self._table.receiver(data[:4])
        if pair is None:
            self.dropped += 1
            return False
        try:
            self._write(pair.inbound.decapsulate(data, ecn))
        except EspRejected as rejected:
            if rejected.reason is Reason.SELECTOR:
                self.violations.add(pair.inbound.spi)
            if not rejected.authentic:
                return False
        self._note_life(pair, source)
        return True

    def _note_life(self, pair: Pair, source: tuple[str, int]) -> None:
        if not pair.told_first:
            pair.told_first = True
            self._tell(ipc.Notice(ipc.Sign.FIRST_INBOUND, pair.inbound.spi))
        if source != self._seen:
            self._seen = source
            self._tell(ipc.PeerSeen(endpoint_of(source)))

    def _write(self, packet: bytes) -> None:
        """The interface may be down or full: then the packet is lost, as on any network."""
        try:
            os.writev(self.tun, (_NO_OFFLOAD, packet))
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EAGAIN, errno.ENOBUFS, errno.EINVAL, errno.EBADF):
                raise
            self.dropped += 1
