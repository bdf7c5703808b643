"""Faults of our own program, by tunnel: one may be a rare accident, several in a row are a pattern.

An accident is followed by another attempt, later each time (`client.tunnel.backoff`).  A pattern ends that: the
next attempt would fail as the others did, and whoever is to mend it needs one report rather than a thousand.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from ..ike.events import Failure, Kind

log = logging.getLogger("roam.tunnel")

MOST = 5
WITHIN = 600.0
"""So many faults within so many seconds are a pattern."""


class Crashes:
    """When faults happened; times in seconds of any one clock."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MOST)

    def failure(self, now: float, incident: str, what: str) -> Failure:
        """Count one more, with the name under which the log has it; `final` where it makes a pattern."""
        self._times.append(now)
        is_pattern = len(self._times) == MOST and now - self._times[0] <= WITHIN
        again = f"for the {MOST}th time in a short while, " if is_pattern else ""
        evidence = f"{again}a fault in Roam itself ({what}); the log has it as fault {incident}"
        return Failure(Kind.LOCAL_FAULT, evidence, final=is_pattern)


@contextmanager
def logged(what: str) -> Iterator[None]:
    """One fault must not keep the rest from being given up."""
    try:
        yield
    except Exception:
        log.exception("%s", what)
