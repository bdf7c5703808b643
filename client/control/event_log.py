"""The daemon's recent events: numbered, and kept for clients that were away for a moment."""

from __future__ import annotations

from collections import deque

from .messages import RING_SIZE, Event, EventData, Notice, SecretNeeded


class EventLog:
    """A ring of events with one sequence for the whole daemon, starting at 1."""

    def __init__(self, size: int = RING_SIZE) -> None:
        self._events: deque[Event] = deque(maxlen=size)
        self._seq = 0

    @property
    def seq(self) -> int:
        """Number of the latest event; 0 before the first."""
        return self._seq

    def add(self, data: EventData, time: float) -> Event:
        """Number an event and keep it."""
        self._seq += 1
        event = Event(self._seq, time, topic_of(data), data)
        self._events.append(event)
        return event

    def after(self, seq: int) -> tuple[Event, ...] | None:
        """The events that followed `seq`; None where some of them are gone, or `seq` never was."""
        first_kept = self._seq - len(self._events) + 1
        if not first_kept - 1 <= seq <= self._seq:
            return None
        return tuple(event for event in self._events if event.seq > seq)


def topic_of(data: EventData) -> str:
    """The topic under which an event's data goes out."""
    if isinstance(data, SecretNeeded):
        return "secret"
    return "daemon" if isinstance(data, Notice) else "tunnel"
