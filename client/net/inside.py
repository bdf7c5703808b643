"""Asks somebody behind a tunnel, so that an answer comes back through it.

No program inside is known to us but name servers; so others are asked on a port where nobody listens: whoever has
the address says so (ICMP port unreachable, RFC 792), and that is an answer too.  Where everything goes through the
tunnel and nobody inside is known, a packet may travel one hop: the first router behind the gateway, nearly always
itself, has to throw it away, and says so (time exceeded, RFC 792 and RFC 4443 section 3.3).  Nobody else sees it.
An answer may be forged by whoever is on the way inside; what it proves is that packets pass, not who sent them.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from ..ike.events import Address

DNS_PORT = 53
UNUSED_PORT = 33434  # where traceroute begins
AGAIN = 0.5
"""Seconds after which it is asked again."""
MOST = 8
"""Hosts that are asked at the same time."""
QUESTION = b"Rm" + bytes.fromhex("0100 0001 0000 0000 0000  00 0002 0001")
"""The name servers of the root: every name server answers that, or refuses to (RFC 1035 section 4.1)."""

FIRST_ROUTER = {4: ip_address("203.0.113.1"), 6: ip_address("2001:db8:ffff::1")}
"""Where a packet that travels one hop is on its way to: addresses that nobody has (RFC 5737, RFC 3849)."""

_LARGEST = 4096
_IP_RECVERR = 11  # linux/in.h; the socket module does not name it
_IPV6_RECVERR = 25  # linux/in6.h
_SO_EE_ORIGIN_ICMP, _SO_EE_ORIGIN_ICMP6 = 2, 3
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
"""sock_extended_err (linux/errqueue.h); the address of who sent the error follows it."""


@dataclass(frozen=True, slots=True)
class Host:
    """Whom to ask, on which UDP port; `hops`: how far the question may travel (None: as far as it has to)."""

    address: Address
    port: int = UNUSED_PORT
    hops: int | None = None

    def __str__(self) -> str:
        return str(self.address) if self.hops is None else f"the first router (IPv{self.address.version})"


def first_router(version: int) -> Host:
    """Whoever forwards what comes out of a tunnel for everything."""
    return Host(FIRST_ROUTER[version], hops=1)


@dataclass(frozen=True, slots=True)
class Reply:
    """Who answered, and how."""

    address: Address
    how: str


async def ask(hosts: Sequence[Host], sources: Iterable[Address], link: str, seconds: float) -> Reply | None:
    """The first answer of any of them, from our inside addresses over `link`; None where nobody answers in time.

    A host is not asked where we have no address of its family, or its packets would not go over the link.
    """
    source_of = {address.version: address for address in sources}
    asking = [
        asyncio.create_task(_ask(host, source_of[host.address.version], link))
        for host in hosts[:MOST]
        if host.address.version in source_of
    ]
    try:
        async with asyncio.timeout(seconds):
            for first in asyncio.as_completed(asking):
                if (reply := await first) is not None:
                    return reply
            await asyncio.Event().wait()  # ESP may still come in: whoever looks at counters has the time
    except TimeoutError:
        pass
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    return None


async def _ask(host: Host, source: Address, link: str) -> Reply | None:
    """Until it answers; None where it cannot be asked."""
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as endpoint:
        with suppress(OSError):  # an old kernel lets root alone: then the source address must do
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        try:
            if host.hops is not None:
                _limit(endpoint, host.hops)
            endpoint.bind((str(source), 0))
            endpoint.connect((str(host.address), host.port))
            return await _converse(endpoint, host)
        except OSError:
            return None


async def _converse(endpoint: socket.socket, host: Host) -> Reply:
    loop = asyncio.get_running_loop()
    while True:
        try:
            endpoint.send(QUESTION)
            async with asyncio.timeout(AGAIN):
                await loop.sock_recv(endpoint, _LARGEST)
        except TimeoutError:
            continue
        except ConnectionRefusedError:
            return Reply(host.address, "says that nobody listens on the port")
        except OSError as error:
            if error.errno == errno.EHOSTUNREACH and (router := _who_objects(endpoint)) is not None:
                return Reply(router, "is the first router there, and says so")
            raise
        return Reply(host.address, "answers a question")


def _limit(endpoint: socket.socket, hops: int) -> None:
    """Let packets travel so far, and have the error that ends them told (ip(7), ipv6(7))."""
    if endpoint.family == socket.AF_INET:
        endpoint.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
        endpoint.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    else:
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
        endpoint.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)


def _who_objects(endpoint: socket.socket) -> Address | None:
    """Who sent the ICMP error that is at hand; None where it is of our own machine."""
    try:
        _data, notes, _flags, _to = endpoint.recvmsg(_LARGEST, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for _level, _type, octets in notes:
        if len(octets) > _EXTENDED_ERROR.size:
            _errno, origin, *_rest = _EXTENDED_ERROR.unpack_from(octets)
            sender = octets[_EXTENDED_ERROR.size :]
            if origin == _SO_EE_ORIGIN_ICMP:
                return ip_address(sender[4:8])
            if origin == _SO_EE_ORIGIN_ICMP6:
                return ip_address(sender[8:24])
    return None
