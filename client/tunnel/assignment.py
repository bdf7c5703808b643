"""What the gateway gives us and this machine cannot use, because it is in use here.  Pure.

A gateway may err, or be hostile: an inside address that is our own on the local network, the router's, or the
gateway's own would turn the guard, or the kernel's routing, against the very packets that carry the tunnel.  What
it claims of the local networks stays local (`selection`); both are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..ike.events import Address, Failure, Kind
from .model import NetworkState, TunnelUp, Underlay

HINT = "Ask the gateway's administrator for another pool of addresses, or connect from another network."


def usable(up: TunnelUp, network: NetworkState, underlay: Underlay) -> TunnelUp | Failure:
    """The same without addresses that are in use here, with a remark for each; a failure where none is left.

    What was left out on another network may be of use on this one.
    """
    up = replace(up, assigned=up.offered or up.assigned, remarks=(), offered=None)
    taken = dict(_taken(network, underlay))
    addresses = tuple(each for each in up.assigned.addresses if each.ip not in taken)
    servers = tuple(server for server in up.assigned.dns if server not in _own(network))
    refused = [each.ip for each in up.assigned.addresses if each.ip in taken]
    remarks = [f"the gateway assigns {address}, which is {taken[address]}: not used" for address in refused]
    remarks += [
        f"the gateway names {server} as name server, which is this computer itself: not used"
        for server in up.assigned.dns
        if server not in servers
    ]
    if not remarks:
        return up
    if refused and not addresses:
        evidence = "; ".join(f"the gateway assigned {each}, which is {taken[each]}" for each in refused)
        return Failure(Kind.ADDRESS_NONE, evidence, hint=HINT)
    assigned = replace(up.assigned, addresses=addresses, dns=servers)
    return replace(up, assigned=assigned, remarks=tuple(remarks), offered=up.assigned)


def clashes(up: TunnelUp, network: NetworkState) -> bool:
    """Whether an inside address is in use on this network."""
    taken = dict(_in_use(network))
    return any(each.ip in taken for each in up.assigned.addresses)


def _own(network: NetworkState) -> frozenset[Address]:
    return frozenset(entry.interface.ip for entry in network.addresses)


def _taken(network: NetworkState, underlay: Underlay) -> Iterator[tuple[Address, str]]:
    """Addresses that cannot be inside ones, each with what it is."""
    yield from _in_use(network)
    yield underlay.remote, "the gateway's own outer address"


def _in_use(network: NetworkState) -> Iterator[tuple[Address, str]]:
    names = {link.index: link.name for link in network.links}
    for route in network.routes:
        if route.gateway is not None:
            yield route.gateway, f"the router of {names.get(route.link, 'the network')}"
    for entry in network.addresses:
        yield entry.interface.ip, f"this computer's own on {names.get(entry.link, 'the network')}"
