"""What tunnels select, what they carry of it, and what lies beside them on purpose.  Pure.

Routes (`merge`) and packet filter (`guard`) are both made from this, so that they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_network,
    summarize_address_range,
)

from ..ike.events import Address, Network, Selector
from .model import Forward, NetworkState, PortalPass, Route, Stance, TunnelConfig, TunnelUp

MOST_GATEWAY_PREFIXES = 512
MOST_TOLD = 4

EVERYTHING: tuple[Network, Network] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_LAN_RANGES: tuple[Network, ...] = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("169.254.0.0/16"),
    IPv6Network("fc00::/7"),
    IPv6Network("fe80::/10"),
)

Tunnels = Mapping[str, tuple[TunnelConfig, TunnelUp | None]]
"""By name, the oldest first; a tunnel that does not stand yet, or not any more, has no `TunnelUp`."""

Owners = Mapping[Network, TunnelConfig]
"""Whose each selected prefix is."""

_LOCKDOWN = "lockdown"


def in_force(tunnels: Tunnels, stance: Stance) -> Tunnels:
    """The tunnels as they count under `stance`: lockdown is one more that wants everything and never stands.

    Beside it no tunnel goes unguarded, lets a family out, or more of the local network than lockdown does; and
    nothing is forwarded outside.
    """
    lockdown = stance.lockdown
    if lockdown is None:
        return tunnels
    strict: dict[str, tuple[TunnelConfig, TunnelUp | None]] = {
        name: (
            replace(
                config,
                guard=True,
                block_other_families=True,
                allow_lan=config.allow_lan and lockdown.allow_lan,
            ),
            up,
        )
        for name, (config, up) in tunnels.items()
    }
    return {**strict, "": (TunnelConfig(_LOCKDOWN, (), allow_lan=lockdown.allow_lan), None)}


def sparing(tunnels: Tunnels, network: NetworkState) -> Tunnels:
    """The tunnels, told which local networks their gateways cannot claim: those that are to stay reachable."""
    local = tuple(dict.fromkeys(route.destination for route in _on_link(network)))
    return {
        name: (config, replace(up, spared=local) if up is not None and config.allow_lan else up)
        for name, (config, up) in tunnels.items()
    }


def claims(config: TunnelConfig, up: TunnelUp, network: NetworkState) -> Iterator[str]:
    """What of the gateway's networks is not carried, and why, a sentence for each."""
    ((_, told),) = sparing({"": (config, up)}, network).values()
    if told is None or not config.use_ts_from_gateway:
        return
    claimed = [prefix for prefix in dict.fromkeys(_told(told)) if _is_spared(prefix, config, told)]
    for prefix in claimed[:MOST_TOLD]:
        yield f"the gateway claims {prefix}, which is a local network here: it stays local, unless `include` has it"
    if len(claimed) > MOST_TOLD:
        yield f"and {len(claimed) - MOST_TOLD} more like these"
    if not config.full:
        for version in sorted(_boundless(up.assigned.subnets)):  # selectors may just not be narrowed
            yield f"the gateway claims everything of IPv{version}, and the profile says `split`: not used"


def overlaps(config: TunnelConfig, up: TunnelUp, network: NetworkState) -> Iterator[str]:
    """What a local network and the networks behind the gateway have in common, a sentence for each.

    Where everything goes into the tunnel, that a local network does not needs no word.
    """
    tunnels = sparing({"": (config, up)}, network)
    owners = owners_of(tunnels)
    for local in dict.fromkeys(route.destination for route in _on_link(network)):
        asked = [prefix for prefix in config.include if _within(prefix, local)]
        around = _closest(local, owners)
        if not config.full and asked:
            yield (
                f"`include` has {asked[0]}, which is a local network here too: it goes into the tunnel, and "
                "nothing here that has such an address can be reached, be it the network's own name server"
            )
        elif not config.full and around is not None and config.allow_lan:
            yield (
                f"{local} is a local network here, and lies within {around} behind the gateway: it stays local, "
                "unless `include` has it or `allow_lan` is off"
            )


def _told(up: TunnelUp) -> tuple[Network, ...]:
    """What the gateway says of the networks behind it."""
    return (*_prefixes(up.remote_selectors), *up.assigned.subnets)


def _is_spared(prefix: Network, config: TunnelConfig, up: TunnelUp) -> bool:
    """Whether it is of a local network, and none that the user has asked for."""
    return any(_within(prefix, local) for local in up.spared) and not any(
        _within(prefix, asked) for asked in config.include
    )


def _boundless(prefixes: Iterable[Network]) -> frozenset[int]:
    """The families of which these together are everything, in whatever pieces."""
    pieces = tuple(prefixes)
    v4 = collapse_addresses(prefix for prefix in pieces if isinstance(prefix, IPv4Network))
    v6 = collapse_addresses(prefix for prefix in pieces if isinstance(prefix, IPv6Network))
    together: tuple[Network, ...] = (*v4, *v6)
    return frozenset(prefix.version for prefix in together if prefix.prefixlen == 0)


def owners_of(tunnels: Tunnels) -> Owners:
    """Whose each selected prefix is: the older tunnel's where two select the same.

    Overlapping ones need no care: the longer prefix wins in the table.
    """
    owners: dict[Network, TunnelConfig] = {}
    for config, up in tunnels.values():
        for prefix in (*_selected(config, up), *carried(config, up)):
            owners.setdefault(prefix, config)
    return owners


def _selected(config: TunnelConfig, up: TunnelUp | None) -> tuple[Network, ...]:
    asked = () if up is None else _asked(up)
    if not config.full:
        return config.include if up is None else (*config.include, *_given_by_gateway(config, up), *asked)
    if up is None or config.block_other_families:
        return (*EVERYTHING, *asked)
    return (*(prefix for prefix in EVERYTHING if prefix.version in families(up)), *asked)


def carried(config: TunnelConfig, up: TunnelUp | None) -> tuple[Network, ...]:
    """What goes into the tunnel's link now."""
    if up is None:
        return ()
    if not config.full:
        wanted = _selected(config, up)
    elif config.use_ts_from_gateway and up.remote_selectors:
        told = (prefix for prefix in _prefixes(up.remote_selectors) if not _is_spared(prefix, config, up))
        wanted = (*told, *_asked(up))
    else:
        wanted = (*EVERYTHING, *_asked(up))
    return tuple(prefix for prefix in wanted if prefix.version in families(up))


def _given_by_gateway(config: TunnelConfig, up: TunnelUp) -> tuple[Network, ...]:
    """Selectors and subnets; the resolvers too, as far as the gateway lets traffic to them through."""
    if not config.use_ts_from_gateway:
        return ()
    boundless = _boundless(_told(up))
    given = [
        prefix
        for prefix in _told(up)
        if prefix.version not in boundless and not _is_spared(prefix, config, up)
    ]
    given += _let_through(up, up.assigned.dns)
    return tuple(prefix for prefix in dict.fromkeys(given) if not _is_local(prefix.network_address))


def _asked(up: TunnelUp) -> tuple[Network, ...]:
    """The name servers in use, each by itself: a local network around one is no way to it, the tunnel is."""
    return tuple(host for host in _let_through(up, up.resolvers) if host.version in families(up))


def _let_through(up: TunnelUp, hosts: Iterable[Address]) -> Iterator[Network]:
    """Those that the gateway's selectors have room for."""
    allowed = _prefixes(up.remote_selectors)
    for host in map(ip_network, hosts):
        if not allowed or any(_within(host, prefix) for prefix in allowed):
            yield host


def reaches(up: TunnelUp, host: Address) -> bool:
    """Whether packets to this address can go through the tunnel."""
    return host.version in families(up) and any(_let_through(up, (host,)))


def families(up: TunnelUp) -> frozenset[int]:
    """The families that the tunnel carries: of its inside addresses, or of the selectors without any."""
    inside = frozenset(interface.version for interface in up.assigned.addresses)
    return inside or frozenset(selector.first.version for selector in up.remote_selectors)


@lru_cache
def _prefixes(selectors: tuple[Selector, ...]) -> tuple[Network, ...]:
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


def blocked(tunnels: Tunnels, owners: Owners) -> Iterator[Network]:
    """What leaves through its tunnel or not at all: what is guarded, and a family that a full tunnel has not."""
    for config, up in tunnels.values():
        present = families(up) if up is not None else frozenset()
        for prefix in (prefix for prefix, owner in owners.items() if owner is config):
            if config.guard or (config.full and up is not None and prefix.version not in present):
                yield prefix


def excluded(tunnels: Tunnels, owners: Owners) -> tuple[Network, ...]:
    """What stays outside by the user's wish; what another tunnel selects to the letter is not."""
    prefixes = dict.fromkeys(prefix for config, _ in tunnels.values() for prefix in config.exclude)
    return tuple(prefix for prefix in prefixes if prefix not in owners)


def forwarding(tunnels: Tunnels) -> Forward:
    """What becomes of what this machine forwards: the strictest wish of the tunnels with a guard."""
    wishes = {config.forward for config, _ in tunnels.values() if config.guard}
    if "blocked" in wishes:
        return "blocked"
    return "allowed" if wishes == {"allowed"} else "tunnelled"


def open_portal(tunnels: Tunnels, stance: Stance) -> PortalPass | None:
    """The pass for a captive portal: there is nothing to log in to where a tunnel for everything stands."""
    is_through = any(config.full and up is not None for config, up in tunnels.values())
    return None if is_through else stance.portal


# --- the local networks


def local_networks(network: NetworkState, owners: Owners) -> Iterator[tuple[str, Route]]:
    """Links with routes to the local networks, where they lie inside what a tunnel with `allow_lan` selects.

    A prefix that is selected itself is the tunnel's, and so is what is asked for more precisely.
    """
    for route in sorted(_on_link(network), key=lambda route: (route.metric, route.link)):
        link = network.link(route.link)
        around = _closest(route.destination, owners)
        if link is None or around is None or around == route.destination or not owners[around].allow_lan:
            continue
        yield link.name, route


def _on_link(network: NetworkState) -> Iterator[Route]:
    """Routes to the networks of our own addresses, in private ranges.

    The address must be there: a DHCP server can hand out a route without a gateway too (RFC 3442).
    """
    ours = {(entry.link, entry.interface.network) for entry in network.addresses}
    for route in network.routes:
        link = network.link(route.link)
        if route.gateway is not None or link is None or not link.up or link.kind == "loopback":
            continue
        is_ours = (route.link, route.destination) in ours
        if is_ours and any(_within(route.destination, known) for known in _LAN_RANGES):
            yield route


def _closest(prefix: Network, owners: Owners) -> Network | None:
    around = (other for other in owners if _within(prefix, other))
    return max(around, key=lambda other: other.prefixlen, default=None)


def _within(prefix: Network, other: Network) -> bool:
    return prefix.version == other.version and prefix.subnet_of(other)  # type: ignore[arg-type]
