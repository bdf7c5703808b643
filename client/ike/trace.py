"""The trace of a session: what came, what went, what was refused and why, without octets or secrets.

The pure core only names events; where they are written is the caller's choice.  Tests use a list as sink and
assert on it; the daemon writes JSON lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from .facts import MessageFacts


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One thing that happened at `at` (seconds): a name and what is to be said about it.

    `message` has the facts where a message went by.
    """

    at: float
    name: str
    detail: str = ""
    message: MessageFacts | None = None

    def as_dict(self) -> dict[str, object]:
        """For a JSON line."""
        return asdict(self)


Sink = Callable[[TraceEvent], None]


def ignore(event: TraceEvent) -> None:
    """The sink of whoever does not listen."""
