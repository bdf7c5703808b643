"""The difference between the machine as it is and as it should be, as steps in a safe order.  Pure.

Make before break: what is wanted comes first (the packet filter, rules, then the blackholes and exceptions, then
the link, its routes, its addresses), what is stale goes afterwards in the opposite order, the filter last.  So
there is no instant in which a packet that is selected before and after finds a way around the tunnel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..ike.events import Interface
from ..tunnel.model import LinkEntry, RouteEntry, RuleEntry, SystemConfig
from ..tunnel.ruleset import RuleSet


@dataclass(frozen=True, slots=True)
class Actual:
    """What of ours is on the machine: links by their names, our table, our rules, and settings asked for."""

    links: tuple[LinkEntry, ...] = ()
    down: frozenset[str] = frozenset()  # which of these links are not up
    rules: tuple[RuleEntry, ...] = ()
    routes: tuple[RouteEntry, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    guard: RuleSet | None = None


@dataclass(frozen=True, slots=True)
class PutGuard:
    """Replace our packet filter."""

    rules: RuleSet

    def __str__(self) -> str:
        return f"filter set, {len(self.rules.rules)} rules"


@dataclass(frozen=True, slots=True)
class DropGuard:
    """Remove our packet filter."""

    def __str__(self) -> str:
        return "filter del"


@dataclass(frozen=True, slots=True)
class PutRule:
    """Add a rule."""

    rule: RuleEntry

    def __str__(self) -> str:
        return f"rule add {self.rule}"


@dataclass(frozen=True, slots=True)
class DropRule:
    """Delete a rule."""

    rule: RuleEntry

    def __str__(self) -> str:
        return f"rule del {self.rule}"


@dataclass(frozen=True, slots=True)
class PutRoute:
    """Add a route to our table, in place of one with the same destination and metric."""

    route: RouteEntry

    def __str__(self) -> str:
        return f"route replace {self.route}"


@dataclass(frozen=True, slots=True)
class DropRoute:
    """Delete a route from our table."""

    route: RouteEntry

    def __str__(self) -> str:
        return f"route del {self.route}"


@dataclass(frozen=True, slots=True)
class SetLink:
    """Give a link of ours its MTU and set it up, or down."""

    name: str
    mtu: int
    up: bool = True

    def __str__(self) -> str:
        return f"link set {self.name} mtu {self.mtu} {'up' if self.up else 'down'}"


@dataclass(frozen=True, slots=True)
class DropLink:
    """Delete a link of ours."""

    name: str

    def __str__(self) -> str:
        return f"link del {self.name}"


@dataclass(frozen=True, slots=True)
class PutAddress:
    """Put an address on a link of ours."""

    link: str
    interface: Interface

    def __str__(self) -> str:
        return f"address add {self.interface} dev {self.link}"


@dataclass(frozen=True, slots=True)
class DropAddress:
    """Take an address off a link of ours."""

    link: str
    interface: Interface

    def __str__(self) -> str:
        return f"address del {self.interface} dev {self.link}"


@dataclass(frozen=True, slots=True)
class PutSysctl:
    """Write a setting; `key` with slashes, as below /proc/sys."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"sysctl {self.key} = {self.value}"


Step = (
    PutGuard
    | DropGuard
    | PutRule
    | DropRule
    | PutRoute
    | DropRoute
    | SetLink
    | DropLink
    | PutAddress
    | DropAddress
    | PutSysctl
)

_NOTHING = SystemConfig()


def plan(actual: Actual, desired: SystemConfig, originals: Mapping[str, str] | None = None) -> list[Step]:
    """The steps from `actual` to `desired`; none where they agree.

    A desired link that does not exist gets nothing: the blackholes behind its routes stand alone.
    `originals` are the values of settings that we have changed, to be restored when not wanted any more.
    """
    return [*_additions(actual, desired), *_removals(actual, desired, originals or {})]


def plan_sweep(actual: Actual, originals: Mapping[str, str], keep: SystemConfig = _NOTHING) -> list[Step]:
    """The steps that leave nothing of ours but `keep`; no link is kept."""
    steps: list[Step] = plan(actual, keep, originals)
    last = [step for step in steps if isinstance(step, DropGuard)]
    links = [DropLink(link.name) for link in actual.links]
    return [*(step for step in steps if step not in last), *links, *last]


def adds_anything(steps: Iterable[Step]) -> bool:
    """Whether they make something new, rather than only take away (with a smaller filter in place of a larger)."""
    return any(isinstance(step, PutRule | PutRoute | PutAddress | SetLink) for step in steps)


_EVERY_LINK = "net/ipv4/conf/all/rp_filter"
_STRICT, _LOOSE = 1, 2


def loosened(
    links: Iterable[str], sysctls: Mapping[str, str], originals: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """The settings of these uplinks' reverse path filters: loose (RFC 3704 section 2.4) where they were strict.

    The strict filter (RFC 3704 section 2.2) drops what comes in over another link than the best route to its
    source: the gateway's answers, while we use or try a path that is not the network's first.  A filter that is
    off stays off.  The larger value of the link's own and of "all" counts.
    """
    everywhere = _number(sysctls.get(_EVERY_LINK))
    keys = dict.fromkeys(map(filter_of, links))
    before = {key: _number(originals.get(key, sysctls.get(key))) for key in keys if key in sysctls}
    return tuple((key, str(_LOOSE)) for key, own in before.items() if max(own, everywhere) == _STRICT)


def filter_settings(links: Iterable[str]) -> frozenset[str]:
    """The settings that `loosened` looks at."""
    keys = frozenset(map(filter_of, links))
    return keys | {_EVERY_LINK} if keys else keys


def filter_of(link: str) -> str:
    """The setting of a link's own reverse path filter."""
    return f"net/ipv4/conf/{link}/rp_filter"


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def missing_links(actual: Actual, desired: SystemConfig) -> tuple[str, ...]:
    """Links that should be configured and do not exist."""
    present = {link.name for link in actual.links}
    return tuple(link.name for link in desired.links if link.name not in present)


def _additions(actual: Actual, desired: SystemConfig) -> Iterator[Step]:
    ours = {link.name for link in desired.links}
    absent = set(missing_links(actual, desired))
    new_routes = [route for route in desired.routes if route not in actual.routes]
    if desired.guard is not None and desired.guard != actual.guard:
        yield PutGuard(desired.guard)
    yield from (PutSysctl(*entry) for entry in desired.sysctls if actual.sysctls.get(entry[0]) != entry[1])
    yield from (PutRule(rule) for rule in desired.rules if rule not in actual.rules)
    yield from (PutRoute(route) for route in new_routes if route.link not in ours)
    yield from (SetLink(link.name, link.mtu) for link in desired.links if _is_unset(link, actual))
    yield from (PutRoute(route) for route in new_routes if route.link in ours - absent)
    for link in desired.links:
        if link.name not in absent:
            present = _addresses(actual, link.name)
            yield from (PutAddress(link.name, new) for new in link.addresses if new not in present)


def _is_unset(link: LinkEntry, actual: Actual) -> bool:
    found = next((other for other in actual.links if other.name == link.name), None)
    return found is not None and (found.mtu != link.mtu or link.name in actual.down)


def _addresses(actual: Actual, name: str) -> tuple[Interface, ...]:
    return next((link.addresses for link in actual.links if link.name == name), ())


def _removals(actual: Actual, desired: SystemConfig, originals: Mapping[str, str]) -> Iterator[Step]:
    wanted = {link.name: link.addresses for link in desired.links}
    for link in actual.links:
        kept = wanted.get(link.name, ())
        yield from (DropAddress(link.name, old) for old in link.addresses if old not in kept)
    replaced = {(route.destination, route.metric) for route in desired.routes}
    stale = (route for route in actual.routes if (route.destination, route.metric) not in replaced)
    yield from (DropRoute(route) for route in sorted(stale, key=lambda route: route.link is None))
    yield from (DropRule(rule) for rule in reversed(actual.rules) if rule not in desired.rules)
    kept_settings = {key for key, _ in desired.sysctls}
    yield from (
        PutSysctl(key, value)
        for key, value in originals.items()
        if key not in kept_settings
        and actual.sysctls.get(key, value) != value  # it may have gone with its link
    )
    if desired.guard is None and actual.guard is not None:
        yield DropGuard()
