"""The UDP socket that ESP and IKE share with the gateway (RFC 3948)."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct

from ..ike.events import Endpoint
from .mmsg import UDP_GRO

LARGEST_TRAIN = 65507  # what one UDP datagram can hold over IPv4
LONGEST_TRAIN = 64  # datagrams; UDP_MAX_SEGMENTS of kernels before 6.9

_UDP_SEGMENT = 103  # linux/udp.h

# What ICMP and a vanishing link make of a socket: the packet is lost, the socket is not.
_PASSING = frozenset(
    {
        errno.EACCES,
        errno.EADDRNOTAVAIL,
        errno.ECONNREFUSED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINVAL,
        errno.EIO,
        errno.EMSGSIZE,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOBUFS,
        errno.ENODEV,
        errno.ENOMEM,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EPROTO,
    }
)


class OuterSocket:
    """A natt socket: where we send from, and where the peer is."""

    def __init__(self, sock: socket.socket, local: Endpoint, remote: Endpoint) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._descriptor = sock.fileno()
        self.local = local
        self.remote = remote
        self._target = str(remote.address), remote.port
        self.lost = 0  # datagrams that the network did not take
        self._trainable = LARGEST_TRAIN  # larger datagrams do not go in trains
        self.receives_trains = False
        self._receive_traffic_class()
        with contextlib.suppress(OSError):  # a kernel before 5.0: single datagrams
            sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
            self.receives_trains = True

    @property
    def sends_trains(self) -> bool:
        """Whether the kernel takes many datagrams in one call."""
        return self._trainable > 0

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        self._socket.close()

    def passes(self, error: OSError) -> bool:
        """Whether the socket is as good as before after this error."""
        return error.errno in _PASSING

    def send(self, datagrams: memoryview, size: int, traffic_class: int) -> int:
        """Send datagrams of `size` octets that stand one behind the other, the last one perhaps shorter.

        How many octets the network has taken or lost; the rest must wait until the socket is writable again.
        """
        if size < len(datagrams) and size <= self._trainable:
            try:
                self._send(datagrams, self._ancillary(traffic_class, size))
            except BlockingIOError:
                return 0
            except OSError as error:
                self._untrain(error, size)
            else:
                return len(datagrams)
        return self._send_singly(datagrams, size, self._ancillary(traffic_class, 0))

    def _send_singly(self, datagrams: memoryview, size: int, ancillary: list[tuple[int, int, bytes]]) -> int:
        for start in range(0, len(datagrams), size):
            try:
                self._send(datagrams[start : start + size], ancillary)
            except BlockingIOError:
                return start
            except OSError as error:
                if not self.passes(error):
                    raise
                self.lost += 1
        return len(datagrams)

    def _send(self, data: memoryview, ancillary: list[tuple[int, int, bytes]]) -> None:
        self._socket.sendmsg((data,), ancillary, 0, self._target)

    def _untrain(self, error: OSError, size: int) -> None:
        """Datagrams larger than the path are fragmented one by one; a kernel that knows no trains gets none."""
        if error.errno == errno.EMSGSIZE:
            self._trainable = size - 1
        elif error.errno in (errno.EINVAL, errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT):
            self._trainable = 0
        elif not self.passes(error):
            raise error

    def _ancillary(self, traffic_class: int, size: int) -> list[tuple[int, int, bytes]]:
        """DSCP and ECN are copied from the inner packet (RFC 4301 section 5.1.2.1, RFC 6040 section 4.1)."""
        ancillary = [(socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("@H", size))] if size else []
        if traffic_class:
            value = struct.pack("@i", traffic_class)
            if self._socket.family == socket.AF_INET6:
                ancillary.append((socket.IPPROTO_IPV6, socket.IPV6_TCLASS, value))
            else:
                ancillary.append((socket.IPPROTO_IP, socket.IP_TOS, value))
        return ancillary

    def _receive_traffic_class(self) -> None:
        if self._socket.family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
