"""Which outer addresses can be used next: the kernel's own choice made ahead of time, for every uplink.

Pure.  Roam's sockets are bound to an interface and an address, so an uplink with a worse metric is a path
too: the routes of one link decide whether it leads to the gateway, and its rank among the others how good
it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv6Network
from itertools import chain, zip_longest
from typing import NamedTuple

from ..ike.events import Address, Network
from .model import Link, LinkAddress, NetworkState, Route, Underlay

_UNIQUE_LOCAL = IPv6Network("fc00::/7")


class Way(NamedTuple):
    """How a destination is reached: the link, our address on it, the metric of the route that leads there."""

    link: Link
    source: Address
    metric: int


def route_to(state: NetworkState, destination: Address, link: int | None = None) -> Way | None:
    """The route that the kernel would take (longest prefix, then metric), over `link` alone where given.

    Routes of links that are down, and of links where we have no address to send from, lead nowhere.
    """
    return next(iter(_ways(state, destination, link)), None)


def candidates(state: NetworkState, gateways: Sequence[Address]) -> tuple[Underlay, ...]:
    """All paths to any of `gateways`, best first.

    Interfaces stand in the order in which the kernel prefers them for one of the addresses.  Within an
    interface the families alternate, IPv6 first, each in the given order of addresses (RFC 8305 section 4).
    """
    ranks: dict[int, tuple[int, int]] = {}
    paths: dict[int, list[Underlay]] = {}
    for gateway in _interleaved(gateways):
        for position, way in enumerate(_best_of_each_link(state, gateway)):
            index = way.link.index
            ranks[index] = min(ranks.get(index, (position, way.metric)), (position, way.metric))
            paths.setdefault(index, []).append(Underlay(way.link.name, way.source, gateway))
    order = sorted(ranks, key=lambda index: (*ranks[index], index))
    return tuple(chain.from_iterable(paths[index] for index in order))


def _best_of_each_link(state: NetworkState, gateway: Address) -> list[Way]:
    found: dict[int, Way] = {}
    for way in _ways(state, gateway, None):
        found.setdefault(way.link.index, way)
    return list(found.values())


def _ways(state: NetworkState, destination: Address, link: int | None) -> Iterable[Way]:
    """What the usable routes to `destination` lead over, the kernel's choice first."""
    fitting = [
        route
        for route in state.routes
        if _contains(route.destination, destination) and link in (None, route.link)
    ]
    for route in sorted(fitting, key=lambda route: (-route.destination.prefixlen, route.metric)):
        over = state.link(route.link)
        if over is None or not over.up or over.kind == "loopback":
            continue
        source = _source(state, route, destination)
        if source is not None:
            yield Way(over, source, route.metric)


def _source(state: NetworkState, route: Route, destination: Address) -> Address | None:
    """The address to send from: the route's own, else the one on its link that fits best."""
    if route.source is not None and state.has_address(route.source):
        return route.source
    usable = [
        entry
        for entry in state.addresses
        if entry.link == route.link
        and entry.interface.version == destination.version
        and (destination.is_link_local or not entry.interface.ip.is_link_local)
    ]
    next_hop = route.gateway if route.gateway is not None else destination
    best = min(usable, key=lambda entry: _unfitness(entry, next_hop, destination), default=None)
    return None if best is None else best.interface.ip


def _unfitness(entry: LinkAddress, next_hop: Address, destination: Address) -> tuple[bool, int]:
    """Smaller is better.  IPv4: the first address in the next hop's network.

    IPv6: rules 6 and 8 of RFC 6724 as far as they matter here.  A unique local address does not reach a
    global one; of two the one with the longer common prefix is taken.
    """
    address = entry.interface.ip
    if address.version == 4:
        return not _contains(entry.interface.network, next_hop), 0
    common = 128 - (int(address) ^ int(destination)).bit_length()
    return (address in _UNIQUE_LOCAL) != (destination in _UNIQUE_LOCAL), -min(common, 64)


def _contains(network: Network, address: Address) -> bool:
    return network.version == address.version and address in network


def _interleaved(addresses: Iterable[Address]) -> Iterable[Address]:
    unique = tuple(dict.fromkeys(addresses))
    families = ([address for address in unique if address.version == version] for version in (6, 4))
    return (address for pair in zip_longest(*families) for address in pair if address is not None)
