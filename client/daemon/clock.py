"""The clock of all deadlines: CLOCK_BOOTTIME counts on while the machine sleeps, and no one can set it.

Lifetimes of keys and NAT mappings age in suspend; asyncio's own clock does not, so delays are computed anew at
each turn and a resume wakes the drivers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]


def boottime() -> float:
    """Seconds since boot, time asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall() -> datetime:
    """The date, for certificates."""
    return datetime.now(UTC)


class Epoch:
    """What to add to boottime for Unix seconds.

    It stays as it is while the wall clock is only being disciplined, so that a time that is shown twice is the
    same twice; a clock that is set takes it along.
    """

    STEP = 1.0

    def __init__(self) -> None:
        self._value = time.time() - boottime()

    def __call__(self) -> float:
        present = time.time() - boottime()
        if abs(present - self._value) >= self.STEP:
            self._value = present
        return self._value
