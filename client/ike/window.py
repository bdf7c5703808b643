"""Message IDs, the one outstanding request, its retransmission, and the last response (RFC 7296 section 2).

The window is 1 in both directions.  A request is retransmitted bit for bit until it is answered or given up; a
response is kept until the peer's next request and sent again when its request comes again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .registry import ExchangeType

if TYPE_CHECKING:
    from .exchanges.base import Exchange
    from .message import Header

LONGEST_PATIENCE = 300.0  # seconds for one request while the peer shows by other signs that it is there


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a request is sent again: seconds, as in DESIGN 8."""

    first: float
    factor: float
    cap: float
    give_up: float


@dataclass(slots=True)
class Request:
    """A request of ours that waits for its response."""

    message_id: int
    exchange_type: ExchangeType
    packets: tuple[bytes, ...] = field(repr=False)
    schedule: Schedule
    sent_at: float
    attempts: int = 1
    interval: float = field(init=False)
    retransmit_at: float = field(init=False)
    give_up_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._begin(self.sent_at)

    @property
    def deadline(self) -> float:
        """When to look at this request again."""
        return min(self.retransmit_at, self.give_up_at)

    def is_answered_by(self, header: Header) -> bool:
        """Whether a response is the one to this request."""
        return header.message_id == self.message_id and header.exchange == self.exchange_type

    def advance(self, now: float) -> None:
        """Note a retransmission and set the next one."""
        self.attempts += 1
        self.interval = min(self.interval * self.schedule.factor, self.schedule.cap)
        self.retransmit_at = now + self.interval

    def restart(self, now: float) -> None:
        """Sent once more, over a new path: be as quick and as patient as at the beginning."""
        self.attempts += 1
        self._begin(now)

    def extend(self, alive_at: float) -> None:
        """The peer was there at `alive_at`: be patient from then on, but not for ever."""
        latest = self.sent_at + LONGEST_PATIENCE
        self.give_up_at = max(self.give_up_at, min(alive_at + self.schedule.give_up, latest))

    def _begin(self, now: float) -> None:
        self.interval = self.schedule.first
        self.retransmit_at = now + self.interval
        self.give_up_at = now + self.schedule.give_up


@dataclass(slots=True)
class Window:
    """Both message ID counters of one IKE SA."""

    next_request_id: int = 0
    expected_request_id: int = 0
    outstanding: tuple[Request, Exchange] | None = None
    last_response: tuple[bytes, ...] = field(default=(), repr=False)

    def take_request_id(self) -> int:
        """The message ID of a new request of ours."""
        message_id = self.next_request_id
        self.next_request_id += 1
        return message_id

    def expects(self, header: Header) -> bool:
        """Whether this is the message that moves the window on: what is older may be replayed by anybody."""
        if header.is_response:
            return self.outstanding is not None and self.outstanding[0].is_answered_by(header)
        return header.message_id == self.expected_request_id

    def is_repeated(self, message_id: int) -> bool:
        """Whether the peer's request is the one answered last."""
        return message_id == self.expected_request_id - 1 and bool(self.last_response)

    def keep_response(self, packets: tuple[bytes, ...]) -> None:
        """Remember the response to the expected request and expect the next one."""
        self.last_response = packets
        self.expected_request_id += 1


@dataclass(slots=True)
class RoundTrip:
    """Smoothed round-trip time of the exchanges, in seconds (RFC 6298 section 2, the mean alone)."""

    smoothed: float | None = None
    answered: int = 0
    """How many requests were."""

    def measure(self, request: Request, now: float) -> None:
        """Learn from a request that was answered: of the time, if at its first transmission (Karn's rule)."""
        self.answered += 1
        if request.attempts == 1:
            sample = now - request.sent_at
            self.smoothed = sample if self.smoothed is None else 0.875 * self.smoothed + 0.125 * sample

    def first_interval(self, most: float, least: float = 0.3) -> float:
        """Four round trips, within bounds: the wait before the first retransmission."""
        return most if self.smoothed is None else max(least, min(most, 4 * self.smoothed))
