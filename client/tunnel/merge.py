"""From all tunnels and the network to the one configuration that the machine should have.  Pure.

Our table holds three layers for the traffic that a tunnel selects: the way through the tunnel while it
stands; behind it, with a worse metric, a blackhole that stays when the link and its routes vanish (guard);
and exceptions, more specific, that leave the tunnel on purpose (the local network, `exclude`).  A rule that
stands before `main` sends every packet without our mark to that table.  `main` is never asked first, not by
a split tunnel either: a rogue network could offer a more specific route there (TunnelVision).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from ipaddress import ip_network

from ..ike.events import Assigned, Failure, Interface, Kind, Network
from .guard import DNS, WEB, rule_set
from .model import (
    MAIN_TABLE,
    MARK,
    MARK_MASK,
    RULE_PRIORITY,
    SOURCE_PORTS,
    TABLE,
    LinkEntry,
    NetworkState,
    PortalPass,
    RouteEntry,
    RuleEntry,
    Stance,
    SystemConfig,
    Underlay,
)
from .selection import (
    Owners,
    Tunnels,
    blocked,
    carried,
    excluded,
    forwarding,
    in_force,
    local_networks,
    open_portal,
    owners_of,
    sparing,
)
from .sizes import carried_size, link_mtu

HOLE_METRIC = 50
TUNNEL_METRIC = 100
LAN_METRIC = 500
BLACKHOLE_METRIC = 2000

REPLY_PRIORITY = RULE_PRIORITY
SELECTION_PRIORITY = RULE_PRIORITY + 1

_TCP, _UDP, _ESP = 6, 17, 50
_NO_STANCE = Stance()


class FullTunnelConflict(Exception):
    """Two tunnels want all traffic."""

    def __init__(self, first: str, second: str) -> None:
        self.failure = Failure(
            Kind.CONFLICT_FULL_TUNNEL, f"{first} already carries all traffic, which {second} wants too"
        )
        super().__init__(self.failure.evidence)


def system_config(
    tunnels: Tunnels,
    network: NetworkState,
    underlays: Collection[Underlay] = (),
    stance: Stance = _NO_STANCE,
) -> SystemConfig:
    """What the machine should look like for these tunnels in this network.

    `underlays` are the outer paths in use or being tried, of all tunnels.  Raises `FullTunnelConflict`.
    """
    refuse_second_full_tunnel(tunnels)
    tunnels = sparing(in_force(tunnels, stance), network)
    owners = owners_of(tunnels)
    routes = (
        *_tunnel_routes(tunnels, owners),
        *_lan_routes(network, owners),
        *(RouteEntry(prefix, None, HOLE_METRIC, throw=True) for prefix in excluded(tunnels, owners)),
        *(RouteEntry(prefix, None, BLACKHOLE_METRIC) for prefix in blocked(tunnels, owners)),
    )
    return SystemConfig(
        links=tuple(_links(tunnels, network, underlays)),
        rules=tuple(_rules(tunnels, underlays, stance)) if routes else (),
        routes=routes,
        guard=rule_set(tunnels, owners, network, underlays, stance),
        loose=tuple(sorted({path.interface for path in underlays if path.local.version == 4})),
        fail_closed=stance.lockdown is not None,
    )


def refuse_second_full_tunnel(tunnels: Tunnels) -> None:
    """Raises `FullTunnelConflict` where two tunnels want all traffic."""
    full = [name for name, (config, _) in tunnels.items() if config.full]
    if len(full) > 1:
        raise FullTunnelConflict(full[0], full[1])


# --- routes


def _tunnel_routes(tunnels: Tunnels, owners: Owners) -> Iterator[RouteEntry]:
    for config, up in tunnels.values():
        if up is not None:
            mine = (prefix for prefix in carried(config, up) if owners[prefix] is config)
            yield from (RouteEntry(prefix, up.link, TUNNEL_METRIC) for prefix in dict.fromkeys(mine))


def _lan_routes(network: NetworkState, owners: Owners) -> Iterator[RouteEntry]:
    """Ways to the local networks; each has a metric of its own, because one prefix may be on two links."""
    metrics: dict[Network, int] = {}
    for link, route in local_networks(network, owners):
        metric = metrics.get(route.destination, LAN_METRIC)
        metrics[route.destination] = metric + 1
        yield RouteEntry(route.destination, link, metric, source=route.source)


# --- rules


def _rules(tunnels: Tunnels, underlays: Collection[Underlay], stance: Stance) -> Iterator[RuleEntry]:
    yield from _reply_rules(underlays)
    if forwarding(tunnels) == "allowed":
        yield from _passing_rules()
    if (portal := open_portal(tunnels, stance)) is not None:
        yield from _portal_rules(portal)
    yield from _selection_rules()


def _passing_rules() -> Iterator[RuleEntry]:
    """What is not our own (that would have come from `lo`) goes its way as if there were no tunnel."""
    for version in (4, 6):
        yield RuleEntry(version, REPLY_PRIORITY, MAIN_TABLE, unmarked=True, came="lo")


def _portal_rules(portal: PortalPass) -> Iterator[RuleEntry]:
    for version in (4, 6):
        for port in WEB:
            yield RuleEntry(
                version,
                REPLY_PRIORITY,
                MAIN_TABLE,
                protocol=_TCP,
                destination_ports=(port, port),
                uid=portal.uid,
            )
    for resolver in portal.resolvers:
        for protocol in (_UDP, _TCP):
            yield RuleEntry(
                resolver.version,
                REPLY_PRIORITY,
                MAIN_TABLE,
                destination=ip_network(resolver),
                protocol=protocol,
                destination_ports=(DNS, DNS),
            )


def _selection_rules() -> Iterator[RuleEntry]:
    for version in (4, 6):
        yield RuleEntry(version, SELECTION_PRIORITY, TABLE, MARK, MARK_MASK, unmarked=True)


def _reply_rules(underlays: Collection[Underlay]) -> Iterator[RuleEntry]:
    """What lets answers to our own datagrams in where `rp_filter` is on (IPv4 only).

    The kernel looks the way back of each incoming packet up with mark 0 and, of all users, as root.  In our
    table it finds the blackhole or the tunnel, and drops the packet even under the loose filter.  The mark
    cannot say that the packet is ours, its ports can; those of an IP fragment are not seen, so the paths
    in use stand here with their addresses too.  Other users' packets never match, and root's only if sent
    from one of our ports, or to the gateway from an address that the program chose itself.  ESP has no ports:
    where no NAT asks for UDP around it, the addresses are all that there is.
    """
    for protocol in (_UDP, _TCP):
        yield RuleEntry(4, REPLY_PRIORITY, MAIN_TABLE, protocol=protocol, source_ports=SOURCE_PORTS, uid=0)
    for local, remote in dict.fromkeys((path.local, path.remote) for path in underlays):
        for protocol in (_UDP, _ESP) if local.version == 4 else ():
            yield RuleEntry(
                4,
                REPLY_PRIORITY,
                MAIN_TABLE,
                source=ip_network(local),
                destination=ip_network(remote),
                protocol=protocol,
                uid=0,
            )


# --- links


def _links(tunnels: Tunnels, network: NetworkState, underlays: Collection[Underlay]) -> Iterator[LinkEntry]:
    for config, up in tunnels.values():
        if up is not None:
            size = carried_size(config, up, network, underlays)
            yield LinkEntry(up.link, link_mtu(up, size), tuple(dict.fromkeys(_hosts(up.assigned))))


def _hosts(assigned: Assigned) -> Iterator[Interface]:
    """The inside addresses alone: with a shorter prefix the kernel would add routes to `main`."""
    for interface in assigned.addresses:
        yield type(interface)(interface.ip)
