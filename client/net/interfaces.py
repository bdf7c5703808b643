"""The network as netifaces reads it: for systems where netlink notifications are not available.

It knows neither metrics nor carriers: a link with an address counts as up, and the default routes stand in
the order that it gives, the preferred one first.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import netifaces

from ..ike.events import Interface
from ..tunnel.model import OWN_LINKS, Link, LinkAddress, NetworkState, Route

_DEFAULT = {socket.AF_INET: "0.0.0.0/0", socket.AF_INET6: "::/0"}


def snapshot_by_netifaces(own_links: str = OWN_LINKS) -> NetworkState:
    """Links with an address, their addresses, on-link prefixes and default routes."""
    names = [name for name in netifaces.interfaces() if not name.startswith(own_links)]
    indices: dict[str, int] = {}
    for name in names:
        with suppress(OSError):  # gone since it was listed
            indices[name] = socket.if_nametoindex(name)
    addresses = [
        LinkAddress(index, interface) for name, index in indices.items() for interface in _interfaces(name)
    ]
    used = {entry.link for entry in addresses}
    links = tuple(Link(index, name, up=index in used, kind=_kind(name)) for name, index in indices.items())
    on_link = [Route(entry.interface.network, entry.link) for entry in addresses if _is_shared(entry)]
    return NetworkState(links, tuple(addresses), (*_default_routes(indices), *on_link))


def _interfaces(name: str) -> Iterator[Interface]:
    entries: dict[int, list[dict[str, str]]] = netifaces.ifaddresses(name)
    for family in _DEFAULT:
        for entry in entries.get(family, ()):
            address = entry["addr"].partition("%")[0]
            mask = entry.get("netmask", "").rpartition("/")[2]
            with suppress(ValueError):
                yield ip_interface(f"{address}/{mask}" if mask else address)


def _default_routes(indices: dict[str, int]) -> Iterator[Route]:
    gateways: Any = netifaces.gateways()
    for family, destination in _DEFAULT.items():
        entries = sorted(gateways.get(family, ()), key=lambda entry: not entry[2])  # the preferred one first
        for position, (gateway, name, _) in enumerate(entries):
            if name in indices:
                router = ip_address(gateway.partition("%")[0])
                yield Route(ip_network(destination), indices[name], router, metric=position)


def _is_shared(entry: LinkAddress) -> bool:
    return entry.interface.network.num_addresses > 1 and not entry.interface.is_loopback


def _kind(name: str) -> str:
    return "loopback" if name == "lo" else ""
