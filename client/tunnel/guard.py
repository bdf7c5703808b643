"""What may pass in each state of the machine, as one packet filter.  Pure; docs/leaks.md is its table for people.

Theory of operation.  Routing alone closes the guard: our table is asked before `main`, and behind the tunnel's
routes stand blackholes.  This filter holds where routing cannot: when another program takes our rules away, for
sockets that are bound to an uplink, for what comes in, and for what the local network may not see of allowed ones.

What is guarded is the same in both: the prefixes that get a blackhole, without those that the user excludes.
Packets from or to them pass over the tunnels' own links, over loopback, and by the exceptions here, each with its
reason.  They are dropped on all other links, in every state the same: while a tunnel is being set up, moves, or
waits, it has no link, and nothing is exempt for its sake but the packets of our own marked sockets.

Inside addresses are defended even where nothing is guarded (CVE-2019-14899): no packet for one comes in, and none
from one goes out, by another link than its tunnel's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from ..ike.events import Address, Network
from .model import MARK, MARK_MASK, SOURCE_PORTS, Forward, NetworkState, PortalPass, Stance, Underlay
from .ruleset import (
    AsksFor,
    Came,
    Chain,
    Control,
    End,
    Family,
    Forwarded,
    Guarded,
    In,
    Leaves,
    Marked,
    Match,
    OfUser,
    Ports,
    Protected,
    Protocol,
    Rule,
    RuleSet,
    Span,
    Syn,
    Unrouted,
    Until,
)
from .selection import (
    EVERYTHING,
    Owners,
    Tunnels,
    blocked,
    excluded,
    forwarding,
    local_networks,
    open_portal,
)
from .sizes import carried_size, largest_segment
from .spans import guarded_spans

LOOPBACK = "lo"
DNS = 53
WEB = (80, 443)

_TCP, _UDP, _ESP = 6, 17, 50
_DNS_OVER_TLS = 853
_DHCP_SERVER, _DHCP_CLIENT = 67, 68
_DHCP6_SERVER, _DHCP6_CLIENT = 547, 546

_NEIGHBOURS_IN = (
    133,
    137,
)  # solicitations, advertisements and redirects of routers and neighbours (RFC 4861)
_NEIGHBOURS_OUT = ((133, 133), (135, 136))
_ROUTER_ADVERTISEMENT = (134, 134)
_LISTENERS = ((130, 132), (143, 143))  # multicast listener discovery (RFC 2710, RFC 3810)
_ERRORS = ((4, 3, 3), (4, 11, 12), (6, 1, 4))  # unreachable, time exceeded, too big: about what we have sent

_LINK_MULTICAST: tuple[Network, ...] = (IPv4Network("224.0.0.0/24"), IPv6Network("ff02::/16"))
"""Never passed on by a router (RFC 5771 section 4, RFC 4291 section 2.7)."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the rules are made from."""

    links: tuple[str, ...]  # of tunnels that stand
    sizes: tuple[tuple[str, int], ...]  # each link with the largest packet that its tunnel carries
    inside: tuple[tuple[str, Network], ...]  # each link with an address on it
    gateways: tuple[Address, ...]
    local: tuple[tuple[str, Network], ...]  # each link with a local network that may be reached
    guarded: tuple[Span, ...]
    is_full: bool
    forward: Forward
    uid: int
    portal: PortalPass | None

    @property
    def whole_families(self) -> frozenset[int]:
        """Those of which every address is guarded."""
        everything = {Span(prefix.network_address, prefix.broadcast_address) for prefix in EVERYTHING}
        return frozenset(span.first.version for span in self.guarded if span in everything)


def rule_set(
    tunnels: Tunnels, owners: Owners, network: NetworkState, underlays: Collection[Underlay], stance: Stance
) -> RuleSet | None:
    """The filter for these tunnels, as they are in force under `stance`; None where there is nothing to keep."""
    facts = _facts(tunnels, owners, network, underlays, stance)
    rules: list[Rule] = []
    if facts.guarded:
        rules += [*_input(facts), *_forwarded(facts), *_postrouting(facts)]
    elif facts.inside:
        rules += _inside_stays_inside(facts)
    if facts.inside:
        rules += _nothing_for_inside(facts)
    rules += _small_enough(facts)
    looked_up = {match.version for rule in rules for match in rule.matches if isinstance(match, Guarded)}
    spans = tuple(span for span in facts.guarded if span.first.version in looked_up)
    return RuleSet(tuple(rules), spans) if rules else None


def _facts(
    tunnels: Tunnels, owners: Owners, network: NetworkState, underlays: Collection[Underlay], stance: Stance
) -> _Facts:
    standing = [up for _, up in tunnels.values() if up is not None]
    verdicts = {
        **dict.fromkeys(excluded(tunnels, owners), False),
        **dict.fromkeys(blocked(tunnels, owners), True),
    }
    return _Facts(
        links=tuple(dict.fromkeys(up.link for up in standing)),
        sizes=tuple(
            (up.link, carried_size(config, up, network, underlays))
            for config, up in tunnels.values()
            if up is not None
        ),
        inside=tuple(
            (up.link, ip_network(interface.ip)) for up in standing for interface in up.assigned.addresses
        ),
        gateways=tuple(dict.fromkeys(path.remote for path in _in_order(underlays))) if standing else (),
        local=tuple((link, route.destination) for link, route in local_networks(network, owners)),
        guarded=tuple(span for version in (4, 6) for span in guarded_spans(version, verdicts)),
        is_full=any(config.full and config.guard for config, _ in tunnels.values()),
        forward=forwarding(tunnels),
        uid=stance.uid,
        portal=open_portal(tunnels, stance),
    )


def _in_order(underlays: Collection[Underlay]) -> list[Underlay]:
    """A set has none, and equal configurations must have equal rules."""
    return sorted(underlays, key=lambda path: (path.remote.version, path.remote.packed))


# --- the rules, chain by chain


def _input(facts: _Facts) -> Iterator[Rule]:
    """What comes in for this machine."""
    chain = Chain.INPUT
    yield _pass(chain, "loopback", Came(LOOPBACK))
    yield from (_pass(chain, "out of a tunnel", Came(link)) for link in facts.links)
    for protocol in (_UDP, _TCP):
        ours = Ports(End.DESTINATION, *SOURCE_PORTS)
        yield _pass(chain, "answers to our own sockets", Protocol(protocol), ours)
    for gateway in facts.gateways:
        for protocol in (_ESP, _UDP):
            yield _pass(chain, "the gateway", In(End.SOURCE, ip_network(gateway)), Protocol(protocol))
    yield _pass(chain, "DHCP", Family(4), *_udp(_DHCP_SERVER, _DHCP_CLIENT))
    yield _pass(chain, "DHCPv6", Family(6), *_udp(_DHCP6_SERVER, _DHCP6_CLIENT))
    yield _pass(chain, "neighbours and routers", Unrouted(), Control(6, *_NEIGHBOURS_IN))
    for types in _LISTENERS:
        yield _pass(chain, "multicast listeners", In(End.SOURCE, _LINK_LOCAL), Control(6, *types))
    for errors in _ERRORS:
        yield _pass(chain, "errors about what we have sent", Control(*errors))
    if facts.portal is not None:
        yield from _portal_answers(facts.portal)
    yield from _from_local(facts, chain)
    if facts.local:
        yield _pass(chain, "DHCP from our guests", Family(4), *_udp(_DHCP_CLIENT, _DHCP_SERVER))
    yield from _drop_guarded(facts, chain, End.SOURCE, "not by the tunnel")


def _postrouting(facts: _Facts) -> Iterator[Rule]:
    """What goes out, our own and what is forwarded."""
    chain = Chain.POSTROUTING
    yield _pass(chain, "loopback", Leaves(LOOPBACK))
    yield from _inside_stays_inside(facts)
    yield from (_pass(chain, "into a tunnel", Leaves(link)) for link in facts.links)
    if facts.forward == "allowed":
        yield _pass(chain, "forwarded", Forwarded())
    mark = Marked(MARK, MARK_MASK)
    yield _pass(chain, "our own sockets: IKE, ESP in UDP, the gateway's name", mark, OfUser(facts.uid))
    for gateway in facts.gateways:
        for protocol in (_ESP, _UDP):
            towards = In(End.DESTINATION, ip_network(gateway))
            yield _pass(chain, "ESP of the kernel", mark, towards, Protocol(protocol))
    yield _pass(chain, "DHCP", Family(4), *_udp(_DHCP_CLIENT, _DHCP_SERVER))
    yield _pass(chain, "DHCPv6", Family(6), *_udp(_DHCP6_CLIENT, _DHCP6_SERVER))
    yield from _neighbours_out(chain)
    if facts.portal is not None:
        yield from _portal_requests(facts.portal)
    yield from _no_questions(facts, chain)
    yield from _to_local(facts, chain)
    yield from _to_all_local(facts, chain)
    yield from _drop_guarded(facts, chain, End.DESTINATION, "not by the tunnel")


def _forwarded(facts: _Facts) -> Iterator[Rule]:
    """What this machine forwards for others: containers, virtual machines, a hotspot's guests.

    Two chains, because both ends must be good, and to pass one is no more than to go on to the next.
    """
    if facts.forward == "allowed":
        return
    for link in facts.links:
        if facts.forward == "blocked":
            yield _drop(Chain.FORWARD_FROM, "forwarding is blocked", Came(link))
            yield _drop(Chain.FORWARD_TO, "forwarding is blocked", Leaves(link))
        else:
            yield _pass(Chain.FORWARD_FROM, "out of a tunnel", Came(link))
            yield _pass(Chain.FORWARD_TO, "into a tunnel", Leaves(link))
    yield from _from_local(facts, Chain.FORWARD_FROM)
    yield from _drop_guarded(facts, Chain.FORWARD_FROM, End.SOURCE, "forwarded, not by the tunnel")
    yield from _no_questions(facts, Chain.FORWARD_TO)
    yield from _to_local(facts, Chain.FORWARD_TO)
    yield from _drop_guarded(facts, Chain.FORWARD_TO, End.DESTINATION, "forwarded, not by the tunnel")


def _nothing_for_inside(facts: _Facts) -> Iterator[Rule]:
    """IPv6 needs no word about neighbours: Linux answers for a link's own addresses alone; with ARP, for all."""
    for link, address in facts.inside:
        others = (Came(LOOPBACK, other=True), Came(link, other=True))
        yield _drop(Chain.PREROUTING, "for an inside address", *others, In(End.DESTINATION, address))
    for link, address in facts.inside:
        if isinstance(address, IPv4Network):
            asking = (Came(link, other=True), AsksFor(address.network_address))
            yield Rule(Chain.ASKED, asking, False, "who has an inside address?", optional=True)


def _inside_stays_inside(facts: _Facts) -> Iterator[Rule]:
    """What the kernel's IPsec takes comes by here twice: as it is, with the uplink named already, and as ESP."""
    chain = Chain.POSTROUTING
    yield Rule(chain, (Protected(),), True, "becomes ESP, which is judged itself", optional=True)
    for link, address in facts.inside:
        others = (Leaves(LOOPBACK, other=True), Leaves(link, other=True))
        yield _drop(chain, "from an inside address", *others, In(End.SOURCE, address))


def _small_enough(facts: _Facts) -> Iterator[Rule]:
    """Both ends of a TCP connection learn how large its segments may be, whoever of those behind us opens it.

    Our own TCP knows the link's MTU; containers, virtual machines and guests do not, and IPv6 allows no link as
    small as some paths are.
    """
    for link, size in facts.sizes:
        for chain, over in ((Chain.SIZE_IN, Came(link)), (Chain.SIZE_OUT, Leaves(link))):
            for version in (4, 6):
                matches = (over, Family(version), Protocol(_TCP), Syn())
                mss = largest_segment(size, version)
                yield Rule(chain, matches, True, "TCP fits into the tunnel", optional=True, mss=mss)


# --- groups of rules


_LINK_LOCAL = IPv6Network("fe80::/10")


def _neighbours_out(chain: Chain) -> Iterator[Rule]:
    for types in _NEIGHBOURS_OUT:
        yield _pass(chain, "neighbours and routers", Unrouted(), Control(6, *types))
    for types in _LISTENERS:
        yield _pass(chain, "multicast listeners", In(End.DESTINATION, _LINK_MULTICAST[1]), Control(6, *types))


def _from_local(facts: _Facts, chain: Chain) -> Iterator[Rule]:
    for link, prefix in facts.local:
        yield _pass(chain, "the local network", Came(link), In(End.SOURCE, prefix))


def _to_local(facts: _Facts, chain: Chain) -> Iterator[Rule]:
    for link, prefix in facts.local:
        yield _pass(chain, "the local network", Leaves(link), In(End.DESTINATION, prefix))


def _to_all_local(facts: _Facts, chain: Chain) -> Iterator[Rule]:
    """What is for all of a local network, and what guests of ours need."""
    for link in dict.fromkeys(link for link, _ in facts.local):
        for group in _LINK_MULTICAST:
            yield _pass(chain, "to all on the local network", Leaves(link), In(End.DESTINATION, group))
        advertisement = Control(6, *_ROUTER_ADVERTISEMENT)
        yield _pass(chain, "we are our guests' router", Leaves(link), Unrouted(), advertisement)
    if facts.local:
        yield _pass(chain, "DHCP for our guests", Family(4), *_udp(_DHCP_SERVER, _DHCP_CLIENT))


def _no_questions(facts: _Facts, chain: Chain) -> Iterator[Rule]:
    """The local network's resolver would learn every name, though it may be reached."""
    if facts.is_full:
        for protocol in (_UDP, _TCP):
            for port in (DNS, _DNS_OVER_TLS):
                matches = (Protocol(protocol), Ports(End.DESTINATION, port, port))
                yield from _drop_guarded(facts, chain, End.DESTINATION, "DNS outside the tunnel", *matches)


def _portal_requests(portal: PortalPass) -> Iterator[Rule]:
    for port in WEB:
        browser = (OfUser(portal.uid), Protocol(_TCP), Ports(End.DESTINATION, port, port))
        yield _while_open(portal, Chain.POSTROUTING, "a browser, to log in to this network", *browser)
    for matches in _with_resolvers(portal, End.DESTINATION):
        yield _while_open(portal, Chain.POSTROUTING, "DNS, to log in to this network", *matches)


def _portal_answers(portal: PortalPass) -> Iterator[Rule]:
    for port in WEB:
        web = (Protocol(_TCP), Ports(End.SOURCE, port, port))
        yield _while_open(portal, Chain.INPUT, "the portal's answers", *web)
    for matches in _with_resolvers(portal, End.SOURCE):
        yield _while_open(portal, Chain.INPUT, "the resolver's answers", *matches)


def _with_resolvers(portal: PortalPass, end: End) -> Iterator[tuple[Match, ...]]:
    for resolver in portal.resolvers:
        for protocol in (_UDP, _TCP):
            yield In(end, ip_network(resolver)), Protocol(protocol), Ports(end, DNS, DNS)


def _while_open(portal: PortalPass, chain: Chain, why: str, *matches: Match) -> Rule:
    """The kernel closes it by itself, should the daemon be dead by then."""
    return Rule(chain, (*matches, Until(portal.until)), True, why, optional=True)


def _drop_guarded(facts: _Facts, chain: Chain, end: End, why: str, *matches: Match) -> Iterator[Rule]:
    """Drop what is guarded; where that is a whole family, its addresses need not be looked at."""
    whole = facts.whole_families
    if whole == {4, 6}:
        yield _drop(chain, why, *matches)
        return
    for version in sorted({span.first.version for span in facts.guarded}):
        yield _drop(chain, why, *matches, Family(version) if version in whole else Guarded(end, version))


def _udp(source: int, destination: int) -> tuple[Match, ...]:
    return (
        Protocol(_UDP),
        Ports(End.SOURCE, source, source),
        Ports(End.DESTINATION, destination, destination),
    )


def _pass(chain: Chain, why: str, *matches: Match) -> Rule:
    return Rule(chain, tuple(matches), True, why)


def _drop(chain: Chain, why: str, *matches: Match) -> Rule:
    return Rule(chain, tuple(matches), False, why)
