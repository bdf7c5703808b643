"""How large a packet a path carries: a search by probes, as a pure decision.

Sizes are those of inner packets.  What the links and the algorithms allow is the `ceiling`, and is believed until a
probe of that size vanishes.  A hop that drops large packets and says nothing (a black hole) is known by that alone:
then everything is made small at once, and larger sizes are tried while traffic flows again.  Packetization-layer
path MTU discovery for datagrams (RFC 8899) searches the same way; what is different is that it starts at the top,
because nearly all paths carry that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SAFE = 1280
"""What IPv6 demands of every link (RFC 8200 section 5), and nearly every tunnel's path carries around ESP."""
LEAST = 512
"""The smallest worth having: every path carries 576 octets of IPv4 (RFC 791 section 3.2), less what ESP adds."""
_STEP = 8  # octets; closer it need not be known

RAISE_AFTER = 600.0
"""Seconds after which a larger size is tried again (RFC 8899 section 5.1.1)."""
CHECK_FIRST, CHECK_LAST = 1.5, 60.0
"""Seconds between two checks because TCP stalls: twice as many each time that the path was not the reason."""


@dataclass(frozen=True, slots=True)
class PathMtu:
    """What is known of one path: the largest size that is proven, and the smallest that vanished."""

    ceiling: int
    passed: int = 0
    failed: int | None = None

    @property
    def mtu(self) -> int:
        """The size to use meanwhile."""
        if self.failed is None:
            return self.ceiling
        return self.passed or (self._safe if self.failed > self._safe or self.is_unheard else LEAST)

    @property
    def is_unheard(self) -> bool:
        """Whether even the least has vanished, which every path carries: the size is not why no answer comes."""
        return self.failed is not None and self.failed <= LEAST

    @property
    def is_reduced(self) -> bool:
        """Whether the path carries less than its links promise."""
        return self.failed is not None

    @property
    def next_size(self) -> int | None:
        """What to probe; None where all is known."""
        if self.failed is None:
            return self.ceiling if self.passed < self.ceiling else None
        if not self.passed:
            size = self._safe if self.failed > self._safe else LEAST
            return size if size < self.failed else None
        return (self.passed + self.failed) // 2 if self.failed - self.passed > _STEP else None

    def note(self, size: int, *, carried: bool) -> PathMtu:
        """A probe has told; what it tells is newer than what was known."""
        if carried:
            failed = self.failed if self.failed is not None and size < self.failed else None
            return replace(self, passed=max(self.passed, min(size, self.ceiling)), failed=failed)
        passed = self.passed if self.passed < size else 0
        failed = size if self.failed is None or passed != self.passed else min(self.failed, size)
        return replace(self, passed=passed, failed=failed)

    @property
    def _safe(self) -> int:
        return min(SAFE, self.ceiling)


@dataclass(frozen=True, slots=True)
class Checks:
    """When what was found is looked at again."""

    due: float
    pause: float = CHECK_FIRST
    raise_at: float = float("inf")

    def after_stall(self, now: float) -> Checks:
        """A check is under way because TCP stalls; if it is for nothing, the next one waits longer."""
        return replace(self, due=now + self.pause, pause=min(2 * self.pause, CHECK_LAST))


def settled(found: PathMtu, now: float) -> Checks:
    """The search is over.  Where nothing was answered TCP's stalls are no reason to ask again."""
    due = float("inf") if found.is_unheard else now + CHECK_FIRST
    return Checks(due, raise_at=now + RAISE_AFTER if found.is_reduced else float("inf"))
