"""From the TUN interface to the gateway.

Packets are read one by one, because the kernel segments and checksums faster than Python could, and protected
one behind the other into a buffer that leaves in one system call (UDP_SEGMENT).
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from .inner import ip_size, next_header_of, traffic_class
from .offload import VNET_HEADER_SIZE
from .outer import LARGEST_TRAIN, LONGEST_TRAIN, OuterSocket
from .rejected import EspRejected, Reason
from .table import Pair, SaTable

_LARGEST_PACKET = 1 << 16
_LONGEST_TRAILER = 17  # CBC: 15 octets of padding and two more
_MOST_PACKETS = 128  # in one go, before the other direction has its turn
_MOST_ROUTES = 1024  # remembered; then anew

# What a route hangs on where addresses decide: version, traffic class, length and addresses.
_IPV4_KEY = struct.Struct(">I8xQ").unpack_from
_IPV6_KEY = struct.Struct(">IH2x32s").unpack_from


class _Route(NamedTuple):
    """What becomes of packets that agree in their key."""

    size: int
    pair: Pair
    traffic_class: int
    trailer: bytes


class Train:
    """Datagrams of equal size, the last one perhaps shorter, waiting to be sent together."""

    def __init__(self) -> None:
        self._view = memoryview(bytearray(LARGEST_TRAIN))
        self._start = 0  # before it, everything was sent
        self._end = 0
        self._count = 0
        self.size = 0  # of each datagram
        self.traffic_class = 0
        self.closed = False  # a shorter one was the last

    def fits(self, size: int, traffic_class: int) -> bool:
        """Whether a datagram of this size can be appended."""
        if not self._end:
            return True
        return (
            size <= self.size
            and not self.closed
            and traffic_class == self.traffic_class
            and self._count < LONGEST_TRAIN
            and self._end + size <= LARGEST_TRAIN
        )

    def append(self, size: int, traffic_class: int) -> memoryview:
        """The place for one more datagram, which `fits`."""
        if not self._end:
            self.size, self.traffic_class, self.closed = size, traffic_class, False
        start = self._end
        self._end += size
        self._count += 1
        self.closed = size < self.size
        return self._view[start : self._end]

    def take_back(self, size: int) -> None:
        """Undo the last `append`, which was of this size and could not be filled."""
        self._count -= 1
        self._end -= size
        self.closed = False

    def leave(self, outer: OuterSocket) -> bool:
        """Send what there is; False where some of it must wait."""
        if self._end:
            self._start += outer.send(self._view[self._start : self._end], self.size, self.traffic_class)
            if self._start < self._end:
                return False
            self._start = self._end = self._count = 0
        return True


class Egress:
    """Reads inner packets, protects them and sends them on the current path."""

    def __init__(self, table: SaTable) -> None:
        self._table = table
        self.tun = -1
        self.outer: OuterSocket | None = None
        self.blocked = False  # the socket takes no more for now
        self.dropped = 0
        self._train = Train()
        self._buffer = bytearray(VNET_HEADER_SIZE + _LARGEST_PACKET + _LONGEST_TRAILER)
        self._view = memoryview(self._buffer)
        self._read_into = [self._view[: VNET_HEADER_SIZE + _LARGEST_PACKET]]
        self._routes: dict[tuple[object, ...], _Route] = {}
        self._routes_of = 0  # the table's generation that they belong to

    def drain(self) -> bool:
        """Send what waits on the TUN interface; whether anything went out."""
        if self.outer is None:
            self._discard()
            return False
        self.blocked = not self._train.leave(self.outer)
        sent = False
        for _ in range(_MOST_PACKETS):
            if self.blocked:
                break
            try:
                size = os.readv(self.tun, self._read_into) - VNET_HEADER_SIZE
            except BlockingIOError:
                break
            try:
                sent |= self._send(self.outer, size)
            except EspRejected:
                self.dropped += 1
        if not self.blocked:
            self.blocked = not self._train.leave(self.outer)
        return sent

    def _send(self, outer: OuterSocket, size: int) -> bool:
        _, pair, traffic, trailer = self._route(size)
        start = VNET_HEADER_SIZE
        end = start + size + len(trailer)
        self._view[start + size : end] = trailer
        sealed = end - start + pair.outbound.overhead
        train = self._train
        if not train.fits(sealed, traffic) and not train.leave(outer):
            self.blocked = True
            self.dropped += 1
            return False
        place = train.append(sealed, traffic)
        try:
            pair.outbound.seal_into(size, self._view[start:end], place)
        except EspRejected:
            train.take_back(sealed)
            raise
        return True

    def _route(self, size: int) -> _Route:
        """The way of the packet in the buffer; `EspRejected` where it has none."""
        if self._routes_of != self._table.generation or len(self._routes) >= _MOST_ROUTES:
            self._routes.clear()
            self._routes_of = self._table.generation
        ipv4 = self._buffer[VNET_HEADER_SIZE] >> 4 == 4
        key = (_IPV4_KEY if ipv4 else _IPV6_KEY)(self._buffer, VNET_HEADER_SIZE)
        route = self._routes.get(key)
        if route is None or route.size != size:
            route = self._find_route(size)
            if self._table.by_address:
                self._routes[key] = route
        return route

    def _find_route(self, size: int) -> _Route:
        packet = self._view[VNET_HEADER_SIZE : VNET_HEADER_SIZE + size]
        if ip_size(packet) != size:
            raise EspRejected(Reason.INNER)
        pair = self._table.sender(packet)
        trailer = pair.outbound.trailer(size, next_header_of(packet))
        if size + len(trailer) + pair.outbound.overhead > LARGEST_TRAIN:
            raise EspRejected(Reason.TOO_LARGE)
        return _Route(size, pair, traffic_class(packet), trailer)

    def _discard(self) -> None:
        """Without a path there is nowhere to send: the queue is emptied, so that it holds nothing stale later."""
        for _ in range(_MOST_PACKETS):
            try:
                os.readv(self.tun, self._read_into)
            except BlockingIOError:
                return
            self.dropped += 1
