"""What is not as it should be, object by object: what a repair would do, as a report.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from ..tunnel.model import SystemConfig
from .plan import (
    Actual,
    DropAddress,
    DropGuard,
    DropLink,
    DropRoute,
    DropRule,
    PutAddress,
    PutGuard,
    PutRoute,
    PutRule,
    PutSysctl,
    SetLink,
    Step,
    missing_links,
    plan,
)

PRESENT, ABSENT, MISSING = "present", "absent", "missing"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One object, how it should be, and how it is."""

    what: str
    wanted: str
    actual: str

    def __str__(self) -> str:
        return f"{self.what}: {self.actual}, should be {self.wanted}"


def deviations(actual: Actual, desired: SystemConfig, originals: Mapping[str, str]) -> tuple[Deviation, ...]:
    """Everything in which `actual` differs from `desired`; `originals` as for `plan`."""
    links = (Deviation(f"link {name}", PRESENT, MISSING) for name in missing_links(actual, desired))
    return (*links, *(_deviation(step, actual) for step in plan(actual, desired, originals)))


def _deviation(step: Step, actual: Actual) -> Deviation:
    match step:
        case PutGuard(rules):
            found = MISSING if actual.guard is None else "other rules"
            return Deviation("packet filter", f"{len(rules.rules)} rules of ours", found)
        case DropGuard():
            return Deviation("packet filter", ABSENT, PRESENT)
        case PutRule(rule):
            return Deviation(f"rule {rule}", PRESENT, MISSING)
        case DropRule(rule):
            return Deviation(f"rule {rule}", ABSENT, PRESENT)
        case PutRoute(route):
            same_place = (route.destination, route.metric)
            others = [str(old) for old in actual.routes if (old.destination, old.metric) == same_place]
            return Deviation(f"route {route}", PRESENT, ", ".join(others) or MISSING)
        case DropRoute(route):
            return Deviation(f"route {route}", ABSENT, PRESENT)
        case SetLink(name, mtu):
            return Deviation(f"link {name}", f"mtu {mtu}, up", ", ".join(_link(name, actual)))
        case DropLink(name):
            return Deviation(f"link {name}", ABSENT, PRESENT)
        case PutAddress(link, interface):
            return Deviation(f"address {interface} on {link}", PRESENT, MISSING)
        case DropAddress(link, interface):
            return Deviation(f"address {interface} on {link}", ABSENT, PRESENT)
        case PutSysctl(key, value):
            return Deviation(f"setting {key}", value, actual.sysctls.get(key, "unreadable"))
        case _:
            assert_never(step)


def _link(name: str, actual: Actual) -> Iterator[str]:
    yield from (f"mtu {link.mtu}" for link in actual.links if link.name == name)
    yield "down" if name in actual.down else "up"
