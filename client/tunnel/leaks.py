"""Where traffic goes, told from the configuration that stands, for each family and for names.  Pure.

Having an IPv6 address says nothing about a leak; the routes and blackholes that are in force do.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from ..ike.events import Address
from .model import OWN_LINKS, RouteEntry, SystemConfig
from .selection import EVERYTHING

MOST_NAMED = 3


class Goes(StrEnum):
    """Where something goes; `PARTLY`: some of it through a tunnel, or nowhere, and the rest outside."""

    TUNNELLED = "tunnelled"
    PARTLY = "partly"
    BLOCKED = "blocked"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`what` is "IPv4", "IPv6" or "DNS"."""

    what: str
    goes: Goes
    why: str


@dataclass(frozen=True, slots=True)
class Resolving:
    """How names are resolved through one tunnel; without `by`, nobody could be told of the servers."""

    servers: tuple[Address, ...]
    domains: tuple[str, ...] = ()
    by: str = ""


def verdicts(config: SystemConfig, resolving: Collection[Resolving]) -> tuple[Verdict, ...]:
    """IPv4, IPv6, DNS: where they go while `config` stands."""
    families = tuple(_of_family(version, config) for version in (4, 6))
    return (*families, _of_names(families, resolving))


def _of_family(version: int, config: SystemConfig) -> Verdict:
    what = f"IPv{version}"
    routes = [route for route in config.routes if route.destination.version == version]
    through = [route for route in routes if _is_tunnel(route)]
    closed = [route for route in routes if route.link is None and not route.throw]
    for route in through:
        if route.destination in EVERYTHING:
            return Verdict(what, Goes.TUNNELLED, f"everything goes to {route.link}{_beside(routes)}")
    if any(route.destination in EVERYTHING for route in closed):
        some = f" but {_named(through)}, to its tunnel" if through else ""
        return Verdict(what, Goes.BLOCKED, f"nothing leaves{some}{_beside(routes)}")
    if through:
        return Verdict(what, Goes.PARTLY, f"{_named(through)} to {through[0].link}, the rest leaves outside")
    if closed:
        return Verdict(what, Goes.PARTLY, f"{_named(closed)} blocked, the rest leaves outside")
    return Verdict(what, Goes.OUTSIDE, "no tunnel wants it")


def _of_names(families: tuple[Verdict, ...], resolving: Collection[Resolving]) -> Verdict:
    used = [entry for entry in resolving if entry.servers and entry.by]
    for entry in used:
        if not entry.domains:
            servers = ", ".join(map(str, entry.servers[:MOST_NAMED]))
            return Verdict("DNS", Goes.TUNNELLED, f"all names are asked of {servers}, told to {entry.by}")
    if used:
        domains = ", ".join(used[0].domains[:MOST_NAMED])
        return Verdict("DNS", Goes.PARTLY, f"{domains} through the tunnel, other names outside")
    if all(verdict.goes in {Goes.TUNNELLED, Goes.BLOCKED} for verdict in families):
        return Verdict("DNS", Goes.BLOCKED, "the network's own name servers may not be asked")
    return Verdict("DNS", Goes.OUTSIDE, "names are asked of the network's own servers")


def _is_tunnel(route: RouteEntry) -> bool:
    return route.link is not None and route.link.startswith(OWN_LINKS)


def _named(routes: list[RouteEntry]) -> str:
    """Some of the destinations, and how many more there are."""
    prefixes = list(dict.fromkeys(str(route.destination) for route in routes))
    more = len(prefixes) - MOST_NAMED
    return ", ".join(prefixes[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _beside(routes: list[RouteEntry]) -> str:
    """What is left out on purpose."""
    aside = [route for route in routes if route.throw or (route.link is not None and not _is_tunnel(route))]
    return f", beside it: {_named(aside)}" if aside else ""
