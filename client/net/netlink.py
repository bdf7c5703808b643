"""What the kernel says about the network: snapshots of it, and hints that something has changed.

The only module of `client.net` that knows pyroute2.  A hint is never believed, only followed by a new
snapshot: so a lost one costs nothing but the note that some were lost.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink import rtnl
from pyroute2.netlink.exceptions import NetlinkError

from ..ike.events import Address
from ..tunnel.model import MAIN_TABLE, OWN_LINKS, Link, LinkAddress, NetworkState, Route

_IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING = 0x1, 0x8, 0x40
_IFA_F_OPTIMISTIC, _IFA_F_DADFAILED, _IFA_F_DEPRECATED, _IFA_F_TENTATIVE = 0x04, 0x08, 0x20, 0x40
_RTM_F_CLONED = 0x200  # an exception that the kernel made for itself
_RTN_UNICAST = 1
_DEFAULT = {socket.AF_INET: "0.0.0.0/0", socket.AF_INET6: "::/0"}
_KINDS_BY_HARDWARE = {1: "ethernet", 512: "ppp", 519: "wwan"}  # ARPHRD_ETHER, ARPHRD_PPP, ARPHRD_RAWIP
_KINDS_BY_DEVTYPE = {"wlan": "wifi", "wwan": "wwan"}

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, sender
_LARGEST_DATAGRAM = 1 << 16


class Topic(Enum):
    """What a hint is about."""

    LINK = "link"
    ADDRESS = "address"
    ROUTE = "route"
    RULE = "rule"
    LOST = "lost"  # the kernel had more to say than our socket could hold


@dataclass(frozen=True, slots=True)
class Hint:
    """Something of this topic was changed, or taken away."""

    topic: Topic
    removed: bool = False


_HINTS = {
    rtnl.RTM_NEWLINK: Hint(Topic.LINK),
    rtnl.RTM_DELLINK: Hint(Topic.LINK, removed=True),
    rtnl.RTM_NEWADDR: Hint(Topic.ADDRESS),
    rtnl.RTM_DELADDR: Hint(Topic.ADDRESS, removed=True),
    rtnl.RTM_NEWROUTE: Hint(Topic.ROUTE),
    rtnl.RTM_DELROUTE: Hint(Topic.ROUTE, removed=True),
    rtnl.RTM_NEWRULE: Hint(Topic.RULE),
    rtnl.RTM_DELRULE: Hint(Topic.RULE, removed=True),
}
_GROUPS = (
    rtnl.RTMGRP_LINK
    | rtnl.RTMGRP_IPV4_IFADDR
    | rtnl.RTMGRP_IPV4_ROUTE
    | rtnl.RTMGRP_IPV4_RULE
    | rtnl.RTMGRP_IPV6_IFADDR
    | rtnl.RTMGRP_IPV6_ROUTE
    | rtnl.RTMGRP_IPV6_RULE
)


# --- hints


class Notifications:
    """A socket to which the kernel tells its changes from now on."""

    def __init__(self, receive_buffer: int = 1 << 20) -> None:
        """Octets of room for what is not taken yet.  `OSError` where notifications are not available."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self._socket.bind((0, _GROUPS))
        except OSError:
            self._socket.close()
            raise

    async def wait(self) -> None:
        """Until there is something to take; may be cancelled without loss."""
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        loop.add_reader(self._socket, told.set)
        try:
            await told.wait()
        finally:
            loop.remove_reader(self._socket)

    def take(self) -> frozenset[Hint]:
        """All that has been told since the last call, each thing once."""
        hints: set[Hint] = set()
        while True:
            try:
                hints.update(_hints(self._socket.recv(_LARGEST_DATAGRAM)))
            except BlockingIOError:
                return frozenset(hints)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                hints.add(Hint(Topic.LOST))

    def close(self) -> None:
        """Hear nothing more."""
        self._socket.close()


def _hints(datagram: bytes) -> Iterator[Hint]:
    while len(datagram) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(datagram)
        if length < _HEADER.size:
            return
        if kind in _HINTS:
            yield _HINTS[kind]
        datagram = datagram[(length + 3) & ~3 :]


# --- snapshots


def snapshot(own_links: str = OWN_LINKS) -> NetworkState:
    """Links, usable addresses and the unicast routes of `main`, without links whose name begins `own_links`.

    Takes a few milliseconds and must not be called where an event loop runs: use `asyncio.to_thread`.
    `OSError` where the kernel does not answer.
    """
    try:
        return _snapshot(own_links)
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from error


def _snapshot(own_links: str) -> NetworkState:
    with IPRoute() as netlink:
        links = tuple(
            _link(message)
            for message in netlink.get_links()
            if not message.get_attr("IFLA_IFNAME").startswith(own_links)
        )
        addresses = [_address(message) for message in netlink.get_addr() if _is_usable(message)]
        routes = [
            route
            for family in _DEFAULT
            for message in netlink.get_routes(family=family, table=MAIN_TABLE)
            for route in _routes(message)
        ]
    known = {link.index for link in links}
    return NetworkState(
        links,
        tuple(entry for entry in addresses if entry.link in known),
        tuple(route for route in routes if route.link in known),
    )


def _link(message: Any) -> Link:  # noqa: ANN401 - pyroute2's messages have no types
    flags = message["flags"]
    name = message.get_attr("IFLA_IFNAME")
    is_up = bool(flags & _IFF_UP and flags & _IFF_RUNNING)
    return Link(message["index"], name, is_up, message.get_attr("IFLA_MTU") or 0, _kind(message, name))


def _kind(message: Any, name: str) -> str:  # noqa: ANN401
    if message["flags"] & _IFF_LOOPBACK:
        return "loopback"
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info is not None else None
    return kind or _kind_by_devtype(name) or _KINDS_BY_HARDWARE.get(message["ifi_type"], "")


def _kind_by_devtype(name: str) -> str | None:
    """As sysfs tells it, which shows the links of the namespace in which it was mounted."""
    with suppress(OSError):
        for line in Path("/sys/class/net", name, "uevent").read_text().splitlines():
            key, _, value = line.partition("=")
            if key == "DEVTYPE":
                return _KINDS_BY_DEVTYPE.get(value)
    return None


def _is_usable(message: Any) -> bool:  # noqa: ANN401
    flags = message.get_attr("IFA_FLAGS") or message["flags"]
    if flags & (_IFA_F_DEPRECATED | _IFA_F_DADFAILED):
        return False
    return not flags & _IFA_F_TENTATIVE or bool(flags & _IFA_F_OPTIMISTIC)


def _address(message: Any) -> LinkAddress:  # noqa: ANN401
    address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")  # the second is the peer's
    return LinkAddress(message["index"], ip_interface(f"{address}/{message['prefixlen']}"))


def _routes(message: Any) -> Iterator[Route]:  # noqa: ANN401
    """One for each next hop."""
    if message["type"] != _RTN_UNICAST or message["flags"] & _RTM_F_CLONED:
        return
    target = message.get_attr("RTA_DST")
    destination = f"{target}/{message['dst_len']}" if target else _DEFAULT[message["family"]]
    source = message.get_attr("RTA_PREFSRC")
    hops = message.get_attr("RTA_MULTIPATH")
    for hop in hops or [message]:
        yield Route(
            destination=ip_network(destination),
            link=hop["oif"] if hops else message.get_attr("RTA_OIF") or 0,
            gateway=_gateway(hop),
            metric=message.get_attr("RTA_PRIORITY") or 0,
            source=ip_address(source) if source else None,
            protocol=message["proto"],
        )


def _gateway(hop: Any) -> Address | None:  # noqa: ANN401
    via = hop.get_attr("RTA_VIA")  # an IPv6 router for an IPv4 destination
    gateway = via["addr"] if via else hop.get_attr("RTA_GATEWAY")
    return ip_address(gateway) if gateway else None
