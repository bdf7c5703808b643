"""Somebody else keeps taking away what we put back: how often we still do, and what a person is told.  Pure.

Two programs that both insist would keep the machine busy and neither right.  So the first repairs are made at
once, and the next ones after growing pauses.  The longest is short: between two repairs the guard stands on one
foot (of rules and packet filter, one is usually left alone), and a comparison every few seconds costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .plan import DropRoute, DropRule, PutGuard, PutRoute, PutRule
from .xfrm_policies import DropPolicy, PutPolicy

FREE = 5
"""Repairs within `WITHIN` that are made at once."""
WITHIN = 60.0
"""Seconds; when so long nothing had to be repaired, the fight is over."""
PAUSES = (0.5, 1.0, 2.0, 5.0)
"""Seconds between the repairs after those; the last one repeats."""

NETWORKD = "systemd-network"
"""As the kernel cuts its name."""


@dataclass(frozen=True, slots=True)
class Feud:
    """The repairs of the last minute: when, and what had to be done; and who may have made them necessary.

    Times are in seconds of any one clock, programs are process ids.
    """

    repairs: tuple[tuple[float, tuple[object, ...]], ...] = ()
    culprits: tuple[int, ...] = ()

    def repaired(self, steps: Iterable[object], culprits: Iterable[int], now: float) -> Feud:
        """With one more; without any step there was nothing to repair."""
        made = tuple(steps)
        recent = tuple(entry for entry in self.repairs if now - entry[0] < WITHIN)
        if not made:
            return Feud(recent, self.culprits if recent else ())
        known = self.culprits if recent else ()
        return Feud((*recent, (now, made)), tuple(dict.fromkeys((*known, *culprits))))

    def due_at(self) -> float:
        """When the next repair may be made."""
        if not self.repairs:
            return float("-inf")
        last = self.repairs[-1][0]
        times = max(self._times(last).values())
        return last + (0.0 if times < FREE else PAUSES[min(times - FREE, len(PAUSES) - 1)])

    def is_on(self, now: float) -> bool:
        """Whether it is a fight over one and the same thing, rather than accidents."""
        return max(self._times(now).values(), default=0) >= FREE

    def _times(self, now: float) -> Counter[str]:
        """How often each step had to be done in the last minute."""
        return Counter(str(step) for at, steps in self.repairs if now - at < WITHIN for step in steps)

    def told(self, now: float, name_of: Callable[[int], str]) -> str:
        """Who fights what, and what to do; "" where nobody does.  `name_of` a process may be ""."""
        if not self.is_on(now):
            return ""
        (most, times), *others = self._times(now).most_common()
        more = f" and {len(others)} more" if others else ""
        names = {pid: name_of(pid) for pid in self.culprits}
        who = ", ".join(
            f"{name} (process {pid})" if name else f"process {pid}" for pid, name in names.items()
        )
        return (
            f"{who or 'another program'} keeps undoing '{most}'{more}: repaired {times} times within a minute, "
            f"from now more slowly; what is guarded stays guarded. {self._hint(names.values())}"
        )

    def _hint(self, names: Iterable[str]) -> str:
        if NETWORKD in names:
            return (
                "In /etc/systemd/networkd.conf set ManageForeignRoutingPolicyRules=no and "
                "ManageForeignRoutes=no under [Network]."
            )
        latest = self.repairs[-1][1]
        if any(isinstance(step, PutGuard) for step in latest):
            return (
                "Have it leave the nftables table 'inet roam' alone: its own tables, not the whole ruleset."
            )
        if any(isinstance(step, PutRule | PutRoute | DropRule | DropRoute) for step in latest):
            return "End it, or have it leave the rules 7300 to 7309 and the routes of table 29440 alone."
        if any(isinstance(step, PutPolicy | DropPolicy) for step in latest):
            return (
                "End it, or have it leave the IPsec policies (ip xfrm policy) of our interface numbers alone."
            )
        return "End it, or have it leave links alone whose names begin with 'roam'."
