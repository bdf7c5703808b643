"""The moves of a tunnel from path to path, each a record of why, when and how long nothing came through."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass

from ..system.datapath import PathCarries
from ..tunnel.model import Underlay

log = logging.getLogger("roam.tunnel")

MOST_PASSAGES = 50
"""Moves that are remembered."""


@dataclass(slots=True)
class Passage:
    """A move to another path, until traffic has shown how long it took; times in boottime."""

    trigger: str
    old: Underlay
    new: Underlay
    at: float
    gap: float | None = None
    confirmed: float | None = None

    def confirm(self, now: float) -> None:
        """The gateway has confirmed the new path."""
        if self.confirmed is None:
            self.confirmed = now

    def carried(self, event: PathCarries) -> None:
        """Traffic has come in over the new path.

        Where nothing was sent since the last packet over the old one, nobody has missed anything: no gap.
        """
        if self.gap is None and event.before > 0.0 and event.outbound >= event.before:
            self.gap = max(event.first - event.before, 0.0)


class Passages:
    """The last moves, oldest first."""

    def __init__(self) -> None:
        self.all: deque[Passage] = deque(maxlen=MOST_PASSAGES)

    @property
    def last(self) -> Passage | None:
        """The last move."""
        return self.all[-1] if self.all else None

    def note(self, trigger: str, old: Underlay, new: Underlay, now: float) -> None:
        """The tunnel moves, now."""
        log.info("moves from %s %s to %s %s: %s", old.interface, old.local, new.interface, new.local, trigger)
        self.all.append(Passage(trigger, old, new, now))

    def confirm(self, underlay: Underlay, now: float) -> None:
        """The gateway has confirmed `underlay`."""
        if self.last is not None and self.last.new == underlay:
            self.last.confirm(now)

    def carried(self, event: PathCarries) -> None:
        """Traffic has come in over the last path."""
        if self.last is not None:
            self.last.carried(event)
