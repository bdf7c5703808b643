"""From the gateway to the TUN interface.

Datagrams are read many at once, trains of them at best (UDP_GRO), and segments of one TCP flow are written
many at once (`offload`).  Each datagram is checked alone: integrity, replay, selectors.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable

from ..ike.events import Endpoint
from . import ipc
from .inner import CE, ECT_1, NOT_ECT, mark_congestion
from .mmsg import LARGEST_DATAGRAM, DatagramReader, Origin
from .offload import TcpRun
from .outer import OuterSocket
from .packet import InboundSa
from .rejected import EspRejected, Reason
from .table import Pair, SaTable

_NON_ESP_MARKER = 0  # RFC 3948 section 2.2: where ESP has its SPI
_MARKER_SIZE = 4
_SHORTEST = 8  # SPI and sequence number; anything shorter is a keepalive or nonsense

_spi_of = struct.Struct(">I").unpack_from

# The interface is down or the machine short of memory: the packet is lost, as on any network.
_PASSING = frozenset({errno.EIO, errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINVAL, errno.ENETDOWN})


class Ingress:
    """Reads a natt socket: ESP goes to the TUN interface, IKE to the parent, everything else nowhere."""

    def __init__(self, table: SaTable, tell: Callable[[ipc.Report], None]) -> None:
        self._table = table
        self._tell = tell
        self.tun = -1
        self.joins = True  # the interface takes many segments at once
        self.violations: set[int] = set()  # inbound SPIs with selector violations not told yet
        self.dropped = 0
        self._seen: Endpoint | None = None
        self._reader = DatagramReader()
        self._plain = memoryview(bytearray(2 * LARGEST_DATAGRAM))
        self._end = 0  # of the plaintexts that the run still needs
        self._run = TcpRun()
        self._run_of: InboundSa | None = None

    def expect(self, remote: Endpoint) -> None:
        """Where the peer's packets should come from."""
        self._seen = remote

    def drain(self, outer: OuterSocket) -> bool:
        """Pass on what waits on a socket; whether anything authentic came in."""
        try:
            trains = self._reader.read(outer.fileno())
        except OSError as error:
            if not outer.passes(error):
                raise
            return False
        alive = False
        for start, end, origin in trains:  # IKE first: liveness does not wait for the packets before it
            if _spi_of(self._reader.buffer, start)[0] == _NON_ESP_MARKER:
                alive |= self._take_train(start, end, origin, outer)
        for start, end, origin in trains:
            if _spi_of(self._reader.buffer, start)[0] != _NON_ESP_MARKER:
                alive |= self._take_train(start, end, origin, outer)
        self._write_run()
        self._end = 0
        return alive

    def _take_train(self, start: int, end: int, origin: Origin, outer: OuterSocket) -> bool:
        """Datagrams of one sender in one stretch of the buffer; whether one of them was authentic."""
        alive = False
        size = origin.part or end - start
        for at in range(start, end, size or 1):
            stop = min(at + size, end)
            spi = _spi_of(self._reader.buffer, at)[0]
            pair = self._table.pair(spi)
            if pair is None or stop - at < _SHORTEST:
                self._take_other(spi, at, stop, origin, outer)
            elif self._take(pair, self._reader.view[at:stop], origin.ecn):
                alive = True
                if not pair.told_first or origin.remote is not self._seen:
                    self._note_life(pair, origin.remote)
        return alive

    def _take_other(self, spi: int, start: int, end: int, origin: Origin, outer: OuterSocket) -> None:
        """IKE, a keepalive, or nonsense."""
        if spi == _NON_ESP_MARKER and end - start > _MARKER_SIZE:
            data = bytes(self._reader.view[start + _MARKER_SIZE : end])
            self._tell(ipc.IkeReceived(data, origin.remote, outer.local))
        else:
            self.dropped += 1

    def _take(self, pair: Pair, packet: memoryview, ecn: int) -> bool:
        """Pass on what is in an ESP packet; whether the peer has made it."""
        sa = pair.inbound
        size = max(len(packet) - sa.overhead, 0)
        if self._end + size > len(self._plain):
            self._write_run()
            self._end = 0
        plaintext = self._plain[self._end : self._end + size]
        marked = ecn in (ECT_1, CE)  # the other two never change an inner packet
        try:
            sa.open_into(packet, plaintext)
            if sa is self._run_of and not marked and self._run.follows(plaintext):
                sa.octets += self._run.first_size
            else:
                self._examine(sa, plaintext, ecn if marked else NOT_ECT)
        except EspRejected as rejected:
            sa.dropped += 1
            if rejected.reason is Reason.SELECTOR:
                self.violations.add(sa.spi)
            return rejected.authentic
        self._end += size
        return True

    def _examine(self, sa: InboundSa, plaintext: memoryview, ecn: int) -> None:
        """A packet that is no next segment of the run as it stands."""
        inner = plaintext[: sa.payload_size(plaintext)]
        sa.admit(inner)
        if ecn:
            mark_congestion(inner, ecn)
        if sa is not self._run_of or not self._run.ends_with(plaintext, len(inner)):
            self._write_run()
            self._run.begin(plaintext, len(inner))
            self._run_of = sa if self.joins else None

    def _note_life(self, pair: Pair, remote: Endpoint) -> None:
        if not pair.told_first:
            pair.told_first = True
            self._tell(ipc.Notice(ipc.Sign.FIRST_INBOUND, pair.inbound.spi))
        if remote != self._seen:
            self._tell(ipc.PeerSeen(remote))
        self._seen = remote  # the object itself, which the next datagram will most likely carry too

    def _write_run(self) -> None:
        if not self._run:
            return
        parts = self._run.finish()
        try:
            os.writev(self.tun, parts)
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            self.dropped += 1
            if error.errno == errno.EINVAL and len(parts) > 2:
                self.joins = False  # these are lost; TCP sends them again
