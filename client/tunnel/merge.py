"""From all tunnels and the network to the one configuration that the machine should have.  Pure.

Our table holds three layers for the traffic that a tunnel selects: the way through the tunnel while it
stands; behind it, with a worse metric, a blackhole that stays when the link and its routes vanish (guard);
and exceptions, more specific, that leave the tunnel on purpose (the local network, `exclude`).  A rule that
stands before `main` sends every packet without our mark to that table.  `main` is never asked first, not by
a split tunnel either: a rogue network could offer a more specific route there (TunnelVision).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_network,
    summarize_address_range,
)

from ..ike.events import Address, Assigned, Failure, Interface, Kind, Network, Selector
from .model import (
    MAIN_TABLE,
    MARK,
    MARK_MASK,
    RULE_PRIORITY,
    SOURCE_PORTS,
    TABLE,
    LinkEntry,
    NetworkState,
    Route,
    RouteEntry,
    RuleEntry,
    SystemConfig,
    TunnelConfig,
    TunnelUp,
    Underlay,
)

HOLE_METRIC = 50
TUNNEL_METRIC = 100
LAN_METRIC = 500
BLACKHOLE_METRIC = 2000

REPLY_PRIORITY = RULE_PRIORITY
SELECTION_PRIORITY = RULE_PRIORITY + 1

LARGEST_MTU = 1400  # what most clients and gateways converge on
SMALLEST_MTU = 1280  # of IPv6, RFC 8200 section 5
MOST_GATEWAY_PREFIXES = 512

_DEFAULTS: tuple[Network, Network] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_LAN_RANGES: tuple[Network, ...] = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("169.254.0.0/16"),
    IPv6Network("fc00::/7"),
    IPv6Network("fe80::/10"),
)
_TCP, _UDP = 6, 17

Tunnels = Mapping[str, tuple[TunnelConfig, TunnelUp | None]]
"""By name, the oldest first; a tunnel that does not stand yet, or not any more, has no `TunnelUp`."""

_Owners = Mapping[Network, TunnelConfig]


class FullTunnelConflict(Exception):
    """Two tunnels want all traffic."""

    def __init__(self, first: str, second: str) -> None:
        self.failure = Failure(
            Kind.CONFLICT_FULL_TUNNEL, f"{first} already carries all traffic, which {second} wants too"
        )
        super().__init__(self.failure.evidence)


def system_config(
    tunnels: Tunnels, network: NetworkState, underlays: Collection[Underlay] = ()
) -> SystemConfig:
    """What the machine should look like for these tunnels in this network.

    `underlays` are the outer paths in use or being tried, of all tunnels.  Raises `FullTunnelConflict`.
    """
    _refuse_second_full_tunnel(tunnels)
    owners = _owners(tunnels)
    routes = (
        *_tunnel_routes(tunnels, owners),
        *_lan_routes(network, owners),
        *_holes(tunnels, owners),
        *_blackholes(tunnels, owners),
    )
    return SystemConfig(
        links=tuple(_links(tunnels, network, underlays)),
        rules=(*_reply_rules(underlays), *_selection_rules()) if routes else (),
        routes=routes,
    )


def _refuse_second_full_tunnel(tunnels: Tunnels) -> None:
    full = [name for name, (config, _) in tunnels.items() if config.full]
    if len(full) > 1:
        raise FullTunnelConflict(full[0], full[1])


# --- what a tunnel selects, and what it carries of that


def _owners(tunnels: Tunnels) -> _Owners:
    """Whose each selected prefix is: the older tunnel's where two select the same.

    Overlapping ones need no care: the longer prefix wins in the table.
    """
    owners: dict[Network, TunnelConfig] = {}
    for config, up in tunnels.values():
        for prefix in (*_selected(config, up), *_carried(config, up)):
            owners.setdefault(prefix, config)
    return owners


def _selected(config: TunnelConfig, up: TunnelUp | None) -> tuple[Network, ...]:
    if not config.full:
        return config.include if up is None else (*config.include, *_given_by_gateway(config, up))
    if up is None or config.block_other_families:
        return _DEFAULTS
    return tuple(prefix for prefix in _DEFAULTS if prefix.version in _families(up))


def _carried(config: TunnelConfig, up: TunnelUp | None) -> tuple[Network, ...]:
    """What goes into the tunnel's link now."""
    if up is None:
        return ()
    if not config.full:
        wanted = _selected(config, up)
    elif config.use_ts_from_gateway and up.remote_selectors:
        wanted = _prefixes(up.remote_selectors)
    else:
        wanted = _DEFAULTS
    return tuple(prefix for prefix in wanted if prefix.version in _families(up))


def _given_by_gateway(config: TunnelConfig, up: TunnelUp) -> tuple[Network, ...]:
    """Selectors and subnets; the resolvers too, as far as the gateway lets traffic to them through."""
    if not config.use_ts_from_gateway:
        return ()
    allowed = _prefixes(up.remote_selectors)
    resolvers = (ip_network(server) for server in up.assigned.dns)
    given = [prefix for prefix in (*allowed, *up.assigned.subnets) if prefix.prefixlen > 0]
    given += [host for host in resolvers if not allowed or any(_within(host, prefix) for prefix in allowed)]
    return tuple(prefix for prefix in dict.fromkeys(given) if not _is_local(prefix.network_address))


def _families(up: TunnelUp) -> frozenset[int]:
    """The families that the tunnel carries: of its inside addresses, or of the selectors without any."""
    inside = frozenset(interface.version for interface in up.assigned.addresses)
    return inside or frozenset(selector.first.version for selector in up.remote_selectors)


def _prefixes(selectors: Iterable[Selector]) -> tuple[Network, ...]:
    """The prefixes that `selectors` cover together; ports and protocols are the data path's business.

    A gateway may send ranges that fall into very many prefixes: no more than `MOST_GATEWAY_PREFIXES` of them
    become routes, the largest.
    """
    v4: list[IPv4Network] = []
    v6: list[IPv6Network] = []
    for selector in selectors:
        match selector.first, selector.last:
            case IPv4Address() as first, IPv4Address() as last if first <= last:
                v4 += summarize_address_range(first, last)
            case IPv6Address() as first, IPv6Address() as last if first <= last:
                v6 += summarize_address_range(first, last)
            case _:
                pass
    together: list[Network] = [*collapse_addresses(v4), *collapse_addresses(v6)]
    return tuple(sorted(together, key=lambda prefix: prefix.prefixlen)[:MOST_GATEWAY_PREFIXES])


def _is_local(address: Address) -> bool:
    return address.is_loopback or address.is_link_local or address.is_multicast


# --- routes


def _tunnel_routes(tunnels: Tunnels, owners: _Owners) -> Iterator[RouteEntry]:
    for config, up in tunnels.values():
        if up is not None:
            mine = (prefix for prefix in _carried(config, up) if owners[prefix] is config)
            yield from (RouteEntry(prefix, up.link, TUNNEL_METRIC) for prefix in dict.fromkeys(mine))


def _blackholes(tunnels: Tunnels, owners: _Owners) -> Iterator[RouteEntry]:
    """The guard, and what a full tunnel must not let out beside itself whether it is guarded or not."""
    for config, up in tunnels.values():
        carried = frozenset(_families(up)) if up is not None else frozenset()
        for prefix in (prefix for prefix, owner in owners.items() if owner is config):
            blocks_family = config.full and up is not None and prefix.version not in carried
            if config.guard or blocks_family:
                yield RouteEntry(prefix, None, BLACKHOLE_METRIC)


def _holes(tunnels: Tunnels, owners: _Owners) -> Iterator[RouteEntry]:
    excluded = dict.fromkeys(prefix for config, _ in tunnels.values() for prefix in config.exclude)
    yield from (
        RouteEntry(prefix, None, HOLE_METRIC, throw=True) for prefix in excluded if prefix not in owners
    )


def _lan_routes(network: NetworkState, owners: _Owners) -> Iterator[RouteEntry]:
    """Ways to the local networks, where they lie inside what a tunnel with `allow_lan` selects.

    A prefix that is selected itself is the tunnel's, and so is what is asked for more precisely.  Each route
    has a metric of its own, because the same prefix may be on two links.
    """
    metrics: dict[Network, int] = {}
    for route in sorted(_on_link(network), key=lambda route: (route.metric, route.link)):
        link = network.link(route.link)
        around = _closest(route.destination, owners)
        if link is None or around is None or around == route.destination or not owners[around].allow_lan:
            continue
        metric = metrics.get(route.destination, LAN_METRIC)
        metrics[route.destination] = metric + 1
        yield RouteEntry(route.destination, link.name, metric, source=route.source)


def _on_link(network: NetworkState) -> Iterator[Route]:
    """Routes to the networks of our own addresses, in private ranges.

    The address must be there: a DHCP server can hand out a route without a gateway too (RFC 3442).
    """
    ours = {(entry.link, entry.interface.network) for entry in network.addresses}
    for route in network.routes:
        link = network.link(route.link)
        if route.gateway is None and link is not None and link.up and link.kind != "loopback":
            is_private = any(_within(route.destination, known) for known in _LAN_RANGES)
            if is_private and (route.link, route.destination) in ours:
                yield route


def _closest(prefix: Network, owners: _Owners) -> Network | None:
    around = (other for other in owners if _within(prefix, other))
    return max(around, key=lambda other: other.prefixlen, default=None)


def _within(prefix: Network, other: Network) -> bool:
    return prefix.version == other.version and prefix.subnet_of(other)  # type: ignore[arg-type]


# --- rules


def _selection_rules() -> Iterator[RuleEntry]:
    for version in (4, 6):
        yield RuleEntry(version, SELECTION_PRIORITY, TABLE, MARK, MARK_MASK, unmarked=True)


def _reply_rules(underlays: Collection[Underlay]) -> Iterator[RuleEntry]:
    """What lets answers to our own datagrams in where `rp_filter` is on (IPv4 only).

    The kernel looks the way back of each incoming packet up with mark 0 and, of all users, as root.  In our
    table it finds the blackhole or the tunnel, and drops the packet even under the loose filter.  The mark
    cannot say that the packet is ours, its ports can; those of an IP fragment are not seen, so the paths
    in use stand here with their addresses too.  Other users' packets never match, and root's only if sent
    from one of our ports, or to the gateway from an address that the program chose itself.
    """
    for protocol in (_UDP, _TCP):
        yield RuleEntry(4, REPLY_PRIORITY, MAIN_TABLE, protocol=protocol, source_ports=SOURCE_PORTS, uid=0)
    for local, remote in dict.fromkeys((path.local, path.remote) for path in underlays):
        if local.version == 4:
            yield RuleEntry(
                4,
                REPLY_PRIORITY,
                MAIN_TABLE,
                source=ip_network(local),
                destination=ip_network(remote),
                protocol=_UDP,
                uid=0,
            )


# --- links


def _links(tunnels: Tunnels, network: NetworkState, underlays: Collection[Underlay]) -> Iterator[LinkEntry]:
    for config, up in tunnels.values():
        if up is not None:
            mtu = config.mtu if config.mtu is not None else inner_mtu(network, underlays)
            yield LinkEntry(up.link, mtu, tuple(dict.fromkeys(_hosts(up.assigned))))


def _hosts(assigned: Assigned) -> Iterator[Interface]:
    """The inside addresses alone: with a shorter prefix the kernel would add routes to `main`."""
    for interface in assigned.addresses:
        yield type(interface)(interface.ip)


def inner_mtu(network: NetworkState, underlays: Collection[Underlay]) -> int:
    """The largest packet that fits into ESP in UDP on all `underlays`, whatever the algorithms.

    Outer header 20 or 40, UDP 8, ESP 8, IV at most 16, ICV at most 32; what remains is a multiple of 16, two
    octets of which are the ESP trailer's (RFC 4303 section 2).
    """
    sizes = {link.name: link.mtu for link in network.links}
    room = [
        sizes.get(path.interface, LARGEST_MTU + 100) - (20 if path.local.version == 4 else 40) - 64
        for path in underlays
    ]
    return max(SMALLEST_MTU, min((LARGEST_MTU, *(size // 16 * 16 - 2 for size in room))))
