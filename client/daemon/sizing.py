"""Finds out how large a packet the path of a tunnel carries, by asking its session; the decision is `path_mtu`'s.

Each path is asked once, when it is new.  After that the machine's own TCP tells: where it has to send something
again because nothing comes back, the path may have begun to swallow what is large, and is asked again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..esp.room import Wrapping
from ..ike.events import Address, SizeProbed
from ..ike.quirks import Quirk, QuirkSwitches
from ..tunnel.model import NetworkState, Underlay
from ..tunnel.path_mtu import SAFE, Checks, PathMtu, settled
from ..tunnel.sizes import LARGEST_MTU, SMALLEST_MTU
from .leg import Leg

log = logging.getLogger("roam.tunnel")

_IP_AND_UDP = {4: 28, 6: 48}
_MARKER = 4  # in front of IKE, so that it is not taken for ESP (RFC 3948 section 2.2)
_ETHERNET = 1500
MOST_STRIKES = 2
"""Paths without any answer, or sessions that ended over a question, before the gateway is asked no more."""


@dataclass(frozen=True, slots=True)
class Route:
    """What a finding is true for."""

    underlay: Underlay
    wrapping: Wrapping
    link_mtu: int


class Sizing:
    """Commands: `look`, `hear`, `note_traffic`, `forget`; getters: `mtu`, `reason`."""

    def __init__(self, count_stalls: Callable[[], int | None]) -> None:
        """`count_stalls` tells how often TCP had to send again for lack of an answer; None where nobody knows."""
        self._count_stalls = count_stalls
        self._route: Route | None = None
        self._found = PathMtu(LARGEST_MTU)
        self._checks: Checks | None = None
        self._asked: tuple[int, int] | None = None  # leg, and size of an inner packet
        self._wanted: int | None = None  # beside the search: a size that is looked at again
        self._stalls: int | None = None
        self._unanswered: tuple[int, int] | None = (
            None  # leg whose question has vanished; its answers until then
        )
        self._strikes = 0
        self._gateway: Address | None = None  # whose strikes they are

    @property
    def mtu(self) -> int | None:
        """The largest inner packet; None where there is no path to speak of."""
        if self._route is None:
            return None
        return min(SAFE, self._found.ceiling) if self.is_unanswered else self._found.mtu

    @property
    def reason(self) -> str:
        """Why it is that, in words."""
        if self._route is None:
            return ""
        if self.is_unanswered or self._found.is_unheard:
            return "the gateway does not answer when it is asked for more, and nearly every path carries this"
        if self._found.is_reduced:
            return "larger packets vanish on the way to the gateway"
        return "the path carries it" if self._found.passed else "what the links allow"

    @property
    def is_unanswered(self) -> bool:
        """Whether paths or sessions have been lost to questions often enough: the gateway seems to answer none."""
        return self._strikes >= MOST_STRIKES

    def look(
        self, leg: Leg | None, network: NetworkState, now: float, most_strikes: float = MOST_STRIKES
    ) -> None:
        """Begin anew where the path is another one; ask what is to be asked, up to `most_strikes`."""
        route = None if leg is None else _route(leg, network)
        if route is None or leg is None:
            self.forget()
            return
        self._follow_up(leg)
        if route != self._route:
            self._begin(route)
        size = self._found.next_size if self._wanted is None else self._wanted
        if size is None:
            self._checks = self._checks or settled(self._found, now)
        elif self._asked != (leg.id, size) and self._strikes < most_strikes:
            self._ask(leg, route, size, now)

    def _follow_up(self, leg: Leg) -> None:
        """What has vanished is asked for once more without its filling: has that been answered?"""
        if self._unanswered is None:
            return
        number, answers = self._unanswered
        if number != leg.id:
            self._unanswered = self._route = None  # what seemed to vanish may only not have been answered
            self._strike()
        elif leg.session.answered > answers:
            self._unanswered = None

    def _ask(self, leg: Leg, route: Route, size: int, now: float) -> None:
        if leg.session.probe_size(_message_size(route, size), now):
            self._asked = leg.id, size
            self._unanswered = None

    def _begin(self, route: Route) -> None:
        self._route = route
        ceiling = max(SMALLEST_MTU, min(LARGEST_MTU, route.wrapping.inner(route.link_mtu)))
        self._found, self._checks = PathMtu(ceiling), None
        self._asked = self._wanted = None
        if route.underlay.remote != self._gateway:
            self._gateway, self._strikes = route.underlay.remote, 0

    def hear(self, leg: Leg, told: SizeProbed) -> int | None:
        """What became of a question: octets of the inner packet that it was about, if it was one of ours."""
        if self._asked is None or self._route is None or self._asked[0] != leg.id:
            return None
        size = self._asked[1]
        if told.size != _message_size(self._route, size):
            return None
        before = self._found.mtu
        self._found = self._found.note(size, carried=told.carried)
        self._asked = self._wanted = None
        if told.carried:
            self._unanswered, self._strikes = None, 0
        else:
            self._unanswered = leg.id, leg.session.answered
        if not told.carried or self._found.mtu != before:
            self._checks = None
        if self._found.mtu != before:
            log.info("packets inside the tunnel may have %d octets: %s", self._found.mtu, self.reason)
        if self._found.is_unheard:
            self._strike()
        return size

    def note_traffic(self, now: float) -> None:
        """Traffic flows, or should: is it time to look again?"""
        checks, stalls = self._checks, self._count_stalls()
        has_stalled = stalls is not None and self._stalls is not None and stalls > self._stalls
        self._stalls = stalls
        if checks is None or self._wanted is not None:
            return
        if now >= checks.raise_at:
            self._wanted, self._checks = self._found.ceiling, None
        elif has_stalled and now >= checks.due:
            self._wanted, self._checks = self._found.mtu, checks.after_stall(now)

    def _strike(self) -> None:
        """No answer, whatever the size; or a session has gone with a question that nothing was the matter with."""
        self._strikes += 1
        if self._strikes == MOST_STRIKES:
            log.warning("the gateway does not answer large questions about what the path carries")

    def forget(self) -> None:
        """There is no path any more."""
        self._route = self._checks = self._asked = self._wanted = None


def _route(leg: Leg, network: NetworkState) -> Route | None:
    children = leg.session.children
    if not leg.stands or not children:
        return None
    mtus = {link.name: link.mtu for link in network.links}
    underlay = leg.underlay
    wrapping = Wrapping(children[-1].algorithms, underlay.local.version, leg.session.encapsulate)
    return Route(underlay, wrapping, mtus.get(underlay.interface) or _ETHERNET)


def _message_size(route: Route, inner: int) -> int:
    """Octets of an IKE message whose IP packet is as large as the one around an inner packet."""
    return route.wrapping.outer(inner) - _IP_AND_UDP[route.wrapping.version] - _MARKER


def strikes(switches: QuirkSwitches) -> float:
    """How many sessions with unanswered questions make one stop asking, as the user has it."""
    if Quirk.SIZE_QUESTIONS in switches.on:
        return 0
    return float("inf") if Quirk.SIZE_QUESTIONS in switches.off else MOST_STRIKES
