"""The two UDP sockets of a path, marked so that their packets never enter a tunnel (DESIGN 2).

`init` talks to the gateway's port 500 and never carries a marker; `natt` talks to 4500, or to the profile's
own port, and always does: four zero octets before an IKE message tell it from ESP (RFC 3948 section 2.2).
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from ipaddress import ip_address

from ..ike.events import Address, Channel, Endpoint, Path
from ..tunnel.model import MARK, SOURCE_PORTS, Underlay
from .icmp import ErrorQueue, IcmpReport

IKE_PORT = 500
NATT_PORT = 4500

Receive = Callable[[bytes, Channel, Endpoint], None]
"""Takes an IKE message without marker, the channel it came in on and where from; must not raise."""

_MARKER = bytes(4)
_KEEPALIVE = b"\xff"
_LARGEST = 65535
_AT_A_TIME = 64  # datagrams taken before the loop gets its turn
_TRIES = 32
_REPORTED = (
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EACCES,
    errno.EMSGSIZE,
    errno.EPROTO,
)

_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER = 10, 23  # of Linux; not among Python's constants
_PMTUDISC_DONT, _PMTUDISC_PROBE = 0, 3  # let it be cut; forbid that, whatever is known of the path


class PathSockets:
    """The sockets of one path; `init` is missing where the gateway has a port of its own.

    Getters: `path`, `natt_fd`, `send_errors`.  Commands: `send`, `keep_alive`, `leave_natt`, `close`.
    """

    def __init__(self, path: Path, natt: socket.socket, init: socket.socket | None, receive: Receive) -> None:
        """For `open_path` alone; the sockets become ours."""
        self.path = path
        self.send_errors: Counter[str] = Counter()
        self._natt = natt
        self._init = init
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._errors = {natt: ErrorQueue(natt, Channel.NATT.value)}
        if init is not None:
            self._errors[init] = ErrorQueue(init, Channel.INIT.value)
        if init is not None:
            self._loop.add_reader(init, self._read, init, Channel.INIT)
        self._loop.add_reader(natt, self._read, natt, Channel.NATT)

    @property
    def icmp(self) -> tuple[IcmpReport, ...]:
        """What routers have reported about our datagrams."""
        return tuple(report for queue in self._errors.values() for report in queue.reports)

    @property
    def natt_fd(self) -> int:
        """The descriptor that a data path duplicates to send and receive ESP."""
        return self._natt.fileno()

    def send(self, data: bytes, channel: Channel, *, whole: bool = False) -> None:
        """Send an IKE message.  What the system refuses counts as lost, and is counted by its cause.

        `whole`: no router may cut it into fragments, nor we ourselves.
        """
        if channel is Channel.NATT:
            self._send(self._natt, _MARKER + data, self.path.remote_natt, whole=whole)
        elif self._init is not None and self.path.remote_init is not None:
            self._send(self._init, data, self.path.remote_init, whole=whole)
        else:
            raise AssertionError("this path has no init channel")

    def keep_alive(self) -> None:
        """Send the one octet that keeps a NAT's mapping (RFC 3948 section 2.3)."""
        self._send(self._natt, _KEEPALIVE, self.path.remote_natt)

    def leave_natt(self) -> None:
        """From now the data path reads natt; we go on to send on it."""
        self._loop.remove_reader(self._natt)
        self._errors[self._natt].close()

    def close(self) -> None:
        """Close both; a duplicate at the data path lives on."""
        for endpoint in (self._natt, self._init):
            if endpoint is not None and endpoint.fileno() >= 0:
                self._loop.remove_reader(endpoint)
                endpoint.close()

    def _send(
        self,
        endpoint: socket.socket,
        datagram: bytes,
        remote: Endpoint,
        *,
        whole: bool = False,
        retry: bool = True,
    ) -> None:
        try:
            with _uncut(endpoint) if whole else nullcontext():
                endpoint.sendto(datagram, _sockaddr(remote, self.path.interface))
        except OSError as error:
            self._errors[endpoint].drain()
            if retry and error.errno in _REPORTED:  # about an earlier datagram, in place of sending this one
                self._send(endpoint, datagram, remote, whole=whole, retry=False)
            else:
                self.send_errors[errno.errorcode.get(error.errno or 0, "unknown")] += 1

    def _read(self, endpoint: socket.socket, channel: Channel) -> None:
        for _ in range(_AT_A_TIME):
            try:
                datagram, sender = endpoint.recvfrom(_LARGEST)
            except OSError:  # nothing left, or an ICMP error that somebody sent: no message either way
                self._errors[endpoint].drain()
                return
            message = _unmarked(datagram) if channel is Channel.NATT else datagram
            if message:
                self._receive(message, channel, _endpoint(sender))


def open_path(underlay: Underlay, port: int, receive: Receive) -> PathSockets:
    """Open the sockets that lead over `underlay` to the gateway's `port`, and read them from now on.

    500 means 500 and 4500; any other port is used with the marker from the start.  `OSError` where the
    address or the interface is gone, or marks are not permitted.
    """
    natt = _open(underlay)
    try:
        init = _open(underlay) if port == IKE_PORT else None
    except OSError:
        natt.close()
        raise
    remote = underlay.remote
    path = Path(
        interface=underlay.interface,
        local_natt=_endpoint(natt.getsockname()),
        remote_natt=Endpoint(remote, NATT_PORT if port == IKE_PORT else port),
        local_init=None if init is None else _endpoint(init.getsockname()),
        remote_init=None if init is None else Endpoint(remote, port),
    )
    return PathSockets(path, natt, init, receive)


def _open(underlay: Underlay) -> socket.socket:
    family = socket.AF_INET if underlay.local.version == 4 else socket.AF_INET6
    endpoint = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        _configure(endpoint, underlay)
        bind_marked(endpoint, underlay.local, underlay.interface)
    except OSError:
        endpoint.close()
        raise
    return endpoint


def _configure(endpoint: socket.socket, underlay: Underlay) -> None:
    """Keep it on the interface where that is permitted, and let IP fragment what is too large for the path."""
    with suppress(PermissionError):
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, underlay.interface.encode() + b"\0")
    if underlay.local.version == 6:
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    _discover(endpoint, _PMTUDISC_DONT)


@contextmanager
def _uncut(endpoint: socket.socket) -> Iterator[None]:
    """Meanwhile nothing that it sends may be fragmented: also what a data path sends in the same moment."""
    _discover(endpoint, _PMTUDISC_PROBE)
    try:
        yield
    finally:
        _discover(endpoint, _PMTUDISC_DONT)


def _discover(endpoint: socket.socket, how: int) -> None:
    if endpoint.family == socket.AF_INET:
        endpoint.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, how)
    else:
        endpoint.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, how)


def bind_marked(endpoint: socket.socket, local: Address, interface: str = "") -> None:
    """Mark a socket as ours and bind it to a random one of our source ports, else to any.

    From our ports answers come in also where `rp_filter` is on and the guard is closed.
    """
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
    first, last = SOURCE_PORTS
    for _ in range(_TRIES):
        port = first + secrets.randbelow(last - first + 1)
        try:
            endpoint.bind(_sockaddr(Endpoint(local, port), interface))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return
    endpoint.bind(_sockaddr(Endpoint(local, 0), interface))


def _unmarked(datagram: bytes) -> bytes:
    """The IKE message in it, or nothing: ESP before the data path has the socket, or a keepalive."""
    return datagram[len(_MARKER) :] if datagram.startswith(_MARKER) else b""


def _endpoint(sender: tuple[str, int] | tuple[str, int, int, int]) -> Endpoint:
    return Endpoint(ip_address(sender[0].partition("%")[0]), sender[1])


def _sockaddr(endpoint: Endpoint, interface: str) -> tuple[str, int] | tuple[str, int, int, int]:
    if endpoint.address.version == 4:
        return str(endpoint.address), endpoint.port
    scope = socket.if_nametoindex(interface) if endpoint.address.is_link_local else 0
    return str(endpoint.address), endpoint.port, 0, scope
