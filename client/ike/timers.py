"""Timers as data: one enumeration, one table, one next deadline; expiry is an input like a packet."""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum


class Timer(Enum):
    """What can fall due in a session."""

    RETRANSMIT = "retransmit"
    REKEY_CHILD = "rekey child"
    REKEY_IKE = "rekey ike"
    DROP_CHILD = "drop child"
    DROP_IKE = "drop ike"
    IDLE = "idle"
    UNANSWERED = "unanswered"
    KEEPALIVE = "keepalive"
    CLOSE = "close"
    ANSWER = "answer"
    INQUIRY = "inquiry"


class Timers:
    """Deadlines by timer and by what they are about (`of`: an SPI, or nothing)."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: dict[tuple[Timer, Hashable], float] = {}

    def set(self, timer: Timer, at: float, of: Hashable = None) -> None:
        """Let `timer` fall due at `at`, replacing an earlier setting."""
        self._at[timer, of] = at

    def stop(self, timer: Timer, of: Hashable = None) -> None:
        """Forget a timer; one that is not set is no mistake."""
        self._at.pop((timer, of), None)

    def at(self, timer: Timer, of: Hashable = None) -> float | None:
        """When `timer` falls due."""
        return self._at.get((timer, of))

    def clear(self) -> None:
        """Forget all timers."""
        self._at.clear()

    def next_deadline(self) -> float | None:
        """The earliest deadline, or None."""
        return min(self._at.values(), default=None)

    def expired(self, now: float) -> list[tuple[Timer, Hashable]]:
        """Remove and return what is due, earliest first."""
        due = sorted(((at, key) for key, at in self._at.items() if at <= now), key=lambda entry: entry[0])
        for _, key in due:
            del self._at[key]
        return [key for _, key in due]
