"""Links, addresses and routes of the calling thread's namespace, through netlink."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_address
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from pyroute2 import IPRoute

from .namespaces import Namespace

_IFA_F_NODAD = 0x02  # nobody else is on the wire: an address is usable at once
_SETTLE_PATIENCE = 5.0  # seconds
_PROTOCOL_DHCP = 16  # RTPROT_DHCP: what a laptop's default routes usually carry


class Hop(NamedTuple):
    """A static route."""

    destination: str
    gateway: str
    metric: int = 0


def sysctl(name: str, value: str | int) -> None:
    """Write one of the namespace's own settings, dots as in sysctl(8)."""
    Path("/proc/sys", *name.split(".")).write_text(f"{value}\n")


def connect(left: Namespace, left_link: str, right: Namespace, right_link: str) -> None:
    """A virtual cable between two namespaces: a pair of links, both down."""

    def inside() -> None:
        with IPRoute() as netlink:
            peer = {"ifname": right_link, "net_ns_fd": right.fileno()}
            netlink.link("add", ifname=left_link, kind="veth", peer=peer)

    left.run(inside)


def set_link(name: str, *, up: bool) -> None:
    """Set a link administratively up or down."""
    with IPRoute() as netlink:
        netlink.link("set", index=_index(netlink, name), state="up" if up else "down")


def add_addresses(name: str, interfaces: Iterable[IPv4Interface | IPv6Interface]) -> None:
    """Put addresses on a link; those that are there stay."""
    with IPRoute() as netlink:
        index = _index(netlink, name)
        for interface in interfaces:
            flags = _IFA_F_NODAD if interface.version == 6 else 0
            netlink.addr(
                "replace",
                index=index,
                address=str(interface.ip),
                prefixlen=interface.network.prefixlen,
                flags=flags,
            )


def replace_addresses(name: str, interfaces: Sequence[IPv4Interface | IPv6Interface]) -> None:
    """Put these addresses on a link and take all others off it, except link-local ones."""
    add_addresses(name, interfaces)
    keep = {str(interface.ip) for interface in interfaces}
    with IPRoute() as netlink:
        index = _index(netlink, name)
        for message in netlink.get_addr(index=index):
            address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            if address not in keep and not ip_address(address).is_link_local:
                netlink.addr("del", index=index, address=address, prefixlen=message["prefixlen"])


def add_routes(name: str, hops: Iterable[Hop]) -> None:
    """Add routes over a link; those that are there stay."""
    with IPRoute() as netlink:
        index = _index(netlink, name)
        for hop in hops:
            netlink.route(
                "replace",
                dst=hop.destination,
                gateway=hop.gateway,
                oif=index,
                priority=hop.metric or None,
                family=_family(hop.gateway),
                proto=_PROTOCOL_DHCP,
            )


def _family(address: str) -> int:
    return 2 if ip_address(address).version == 4 else 10


def _index(netlink: IPRoute, name: str) -> int:
    found = netlink.link_lookup(ifname=name)
    if not found:
        raise LookupError(f"no link {name} in this namespace")
    return int(found[0])


def settle(name: str) -> None:
    """Wait until the kernel has given a link its link-local route: a moment after its carrier comes.

    Without that, two snapshots of an untouched namespace could differ.
    """
    deadline = monotonic() + _SETTLE_PATIENCE
    with IPRoute() as netlink:
        index = _index(netlink, name)
        while not _has_link_local_route(netlink, index):
            if monotonic() > deadline:
                raise TimeoutError(f"{name} has no link-local route")
            sleep(0.002)


def _has_link_local_route(netlink: IPRoute, index: int) -> bool:
    routes = netlink.get_routes(family=10, oif=index, table=254)
    return any(route.get_attr("RTA_DST") == "fe80::" for route in routes)
