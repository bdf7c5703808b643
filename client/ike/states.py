"""The states of a session, and which may follow which.

A session is born IDLE and lives once: `initiate` makes it CONNECTING, both AUTH payloads verified make it
ESTABLISHED, the user's wish makes it CLOSING while its Delete is on the way, and whatever ends it makes it
CLOSED.  Rekeying and moving change no state of the session: they are states of its SAs and of its path, and
traffic flows all the time.  Reconnecting is not here at all: it is a new session, made by the tunnel controller.
"""

from __future__ import annotations

from enum import Enum


class SessionState(Enum):
    """Where a session stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    ESTABLISHED = "established"
    CLOSING = "closing"
    CLOSED = "closed"


TRANSITIONS: dict[SessionState, frozenset[SessionState]] = {
    SessionState.IDLE: frozenset({SessionState.CONNECTING, SessionState.ESTABLISHED, SessionState.CLOSED}),
    SessionState.CONNECTING: frozenset({SessionState.ESTABLISHED, SessionState.CLOSING, SessionState.CLOSED}),
    SessionState.ESTABLISHED: frozenset({SessionState.CLOSING, SessionState.CLOSED}),
    SessionState.CLOSING: frozenset({SessionState.CLOSED}),
    SessionState.CLOSED: frozenset(),
}
