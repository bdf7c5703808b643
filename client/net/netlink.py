"""What the kernel says about the network: snapshots of it, and hints that something has changed.

The only module of `client.net` that knows netlink.  A hint is never believed, only followed by a new
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
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

from pyroute2.netlink import rtnl
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from ..ike.events import Address
from ..rtnetlink import Rtnetlink, message
from ..tunnel.model import MAIN_TABLE, OWN_LINKS, Link, LinkAddress, NetworkState, Route
from .processes import process_of

_IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING = 0x1, 0x8, 0x40
_IFA_F_OPTIMISTIC, _IFA_F_DADFAILED, _IFA_F_DEPRECATED, _IFA_F_TENTATIVE = 0x04, 0x08, 0x20, 0x40
_RTM_F_CLONED = 0x200  # an exception that the kernel made for itself
_RTN_UNICAST = 1
_DEFAULT = {socket.AF_INET: "0.0.0.0/0", socket.AF_INET6: "::/0"}
_KINDS_BY_HARDWARE = {1: "ethernet", 512: "ppp", 519: "wwan"}  # ARPHRD_ETHER, ARPHRD_PPP, ARPHRD_RAWIP
_KINDS_BY_DEVTYPE = {"wlan": "wifi", "wwan": "wwan"}

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, sender
_INDEX = struct.Struct("=I")
_INDEX_AT = _HEADER.size + 4  # in ifinfomsg and in ifaddrmsg
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
    """Something of this topic was changed, or taken away; links and addresses are told with the link's index."""

    topic: Topic
    removed: bool = False
    link: int = 0


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
_OF_A_LINK = frozenset({Topic.LINK, Topic.ADDRESS})
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
        self._removers: set[int] = set()
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
                datagram = self._socket.recv(_LARGEST_DATAGRAM)
                hints.update(_hints(datagram))
                self._removers |= _removers(datagram)
            except BlockingIOError:
                return frozenset(hints)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                hints.add(Hint(Topic.LOST))

    def take_removers(self) -> frozenset[int]:
        """Processes, not this one, that have taken something away since the last call, as far as that is known."""
        removers, self._removers = frozenset(self._removers), set()
        return removers

    def close(self) -> None:
        """Hear nothing more."""
        self._socket.close()


def _removers(datagram: bytes) -> frozenset[int]:
    """The kernel names the port of whoever asked for what it tells."""
    found: set[int] = set()
    while len(datagram) >= _HEADER.size:
        length, kind, _, _, port = _HEADER.unpack_from(datagram)
        hint = _HINTS.get(kind)
        if hint is not None and hint.removed:
            found.add(process_of(port))
        datagram = datagram[max((length + 3) & ~3, _HEADER.size) :]
    return frozenset(found - {0, os.getpid()})


def _hints(datagram: bytes) -> Iterator[Hint]:
    while len(datagram) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(datagram)
        if length < _HEADER.size:
            return
        if (hint := _HINTS.get(kind)) is not None:
            yield _about_link(hint, datagram)
        datagram = datagram[(length + 3) & ~3 :]


def _about_link(hint: Hint, datagram: bytes) -> Hint:
    if hint.topic not in _OF_A_LINK or len(datagram) < _INDEX_AT + _INDEX.size:
        return hint
    return replace(hint, link=_INDEX.unpack_from(datagram, _INDEX_AT)[0])


# --- snapshots


def snapshot(own_links: str = OWN_LINKS) -> NetworkState:
    """Links, usable addresses and the unicast routes of `main`, without links whose name begins `own_links`.

    Takes about a millisecond and must not be called where an event loop runs: use `asyncio.to_thread`.
    `OSError` where the kernel does not answer.
    """
    with Rtnetlink() as netlink:
        links = tuple(
            _link(found)
            for found in netlink.dump(rtnl.RTM_GETLINK, message(ifinfmsg))
            if not found.get_attr("IFLA_IFNAME").startswith(own_links)
        )
        addresses = [
            _address(found)
            for found in netlink.dump(rtnl.RTM_GETADDR, message(ifaddrmsg))
            if _is_usable(found)
        ]
        routes = [
            route
            for family in _DEFAULT
            for found in netlink.dump(rtnl.RTM_GETROUTE, message(rtmsg, table=MAIN_TABLE, family=family))
            for route in _routes(found)
        ]
    known = {link.index for link in links}
    return NetworkState(
        links,
        tuple(entry for entry in addresses if entry.link in known),
        tuple(route for route in routes if route.link in known),
    )


def _link(found: Any) -> Link:  # noqa: ANN401 - pyroute2's messages have no types
    flags = found["flags"]
    name = found.get_attr("IFLA_IFNAME")
    is_up = bool(flags & _IFF_UP and flags & _IFF_RUNNING)
    return Link(found["index"], name, is_up, found.get_attr("IFLA_MTU") or 0, _kind(found, name))


def _kind(found: Any, name: str) -> str:  # noqa: ANN401
    if found["flags"] & _IFF_LOOPBACK:
        return "loopback"
    info = found.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info is not None else None
    return kind or _kind_by_devtype(name) or _KINDS_BY_HARDWARE.get(found["ifi_type"], "")


def _kind_by_devtype(name: str) -> str | None:
    """As sysfs tells it, which shows the links of the namespace in which it was mounted."""
    with suppress(OSError):
        for line in Path("/sys/class/net", name, "uevent").read_text().splitlines():
            key, _, value = line.partition("=")
            if key == "DEVTYPE":
                return _KINDS_BY_DEVTYPE.get(value)
    return None


def _is_usable(found: Any) -> bool:  # noqa: ANN401
    flags = found.get_attr("IFA_FLAGS") or found["flags"]
    if flags & (_IFA_F_DEPRECATED | _IFA_F_DADFAILED):
        return False
    return not flags & _IFA_F_TENTATIVE or bool(flags & _IFA_F_OPTIMISTIC)


def _address(found: Any) -> LinkAddress:  # noqa: ANN401
    address = found.get_attr("IFA_LOCAL") or found.get_attr("IFA_ADDRESS")  # the second is the peer's
    return LinkAddress(found["index"], ip_interface(f"{address}/{found['prefixlen']}"))


def _routes(found: Any) -> Iterator[Route]:  # noqa: ANN401
    """One for each next hop."""
    if (found.get_attr("RTA_TABLE") or found["table"]) != MAIN_TABLE:
        return
    if found["type"] != _RTN_UNICAST or found["flags"] & _RTM_F_CLONED:
        return
    target = found.get_attr("RTA_DST")
    destination = f"{target}/{found['dst_len']}" if target else _DEFAULT[found["family"]]
    source = found.get_attr("RTA_PREFSRC")
    hops = found.get_attr("RTA_MULTIPATH")
    for hop in hops or [found]:
        yield Route(
            destination=ip_network(destination),
            link=hop["oif"] if hops else found.get_attr("RTA_OIF") or 0,
            gateway=_gateway(hop),
            metric=found.get_attr("RTA_PRIORITY") or 0,
            source=ip_address(source) if source else None,
            protocol=found["proto"],
        )


def _gateway(hop: Any) -> Address | None:  # noqa: ANN401
    via = hop.get_attr("RTA_VIA")  # an IPv6 router for an IPv4 destination
    gateway = via["addr"] if via else hop.get_attr("RTA_GATEWAY")
    return ip_address(gateway) if gateway else None
