"""The UDP socket that ESP and IKE share with the gateway (RFC 3948)."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address

from ..ike.events import Endpoint

LARGEST_DATAGRAM = 1 << 16

# What ICMP and a vanishing link make of a socket: the packet is lost, the socket is not.
_PASSING = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EMSGSIZE,
        errno.ENOBUFS,
        errno.EADDRNOTAVAIL,
        errno.EINVAL,
        errno.EPERM,
        errno.ENODEV,
        errno.EPROTO,
    }
)


class OuterSocket:
    """A natt socket: where we send from, and where the peer is."""

    def __init__(self, sock: socket.socket, local: Endpoint, remote: Endpoint) -> None:
        sock.setblocking(False)
        self._socket = sock
        self.local = local
        self.remote = str(remote.address), remote.port
        self.lost = 0
        self._receive_traffic_class()

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, packet: bytes, traffic_class: int) -> None:
        """One datagram to the peer; lost where the network will not take it."""
        del traffic_class
        try:
            self._socket.sendto(packet, self.remote)
        except OSError as error:
            if error.errno not in _PASSING and not isinstance(error, BlockingIOError):
                raise
            self.lost += 1

    def receive(self) -> tuple[bytes, int, tuple[str, int]] | None:
        """The next datagram with its ECN field and its sender; None where none waits."""
        while True:
            try:
                data, ancillary, _, source = self._socket.recvmsg(LARGEST_DATAGRAM, 64)
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno not in _PASSING:
                    raise
                continue
            return data, _ecn_of(ancillary), (source[0], source[1])

    def _receive_traffic_class(self) -> None:
        if self._socket.family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)


def endpoint_of(source: tuple[str, int]) -> Endpoint:
    """The sender of a datagram."""
    return Endpoint(ip_address(source[0]), source[1])


def _ecn_of(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Two bits of the outer TOS or Traffic Class, one octet or a native int."""
    for level, kind, data in ancillary:
        if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)):
            return int.from_bytes(data, "little") & 3
    return 0
