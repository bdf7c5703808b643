"""What a driver has to work on: bounded, and what can be sent again is dropped first.

A flood of datagrams costs datagrams, never a command, an event or memory.  Everything else waits in a queue that
only this process fills, a bounded number at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from ..ike.events import Channel, Endpoint, Reply
from ..ike.keys import Secret
from ..system.datapath import Counters, DataPathEvent
from ..system.drift import Deviation
from ..tunnel.events import Event, SecretMissing, UserDown, UserUp

DATAGRAM_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Datagram:
    """An IKE message, without marker, that came in on a socket of leg `leg`."""

    leg: int
    data: bytes = field(repr=False)
    channel: Channel
    remote: Endpoint
    local: Endpoint | None = None
    """Where it came in, as far as whoever read it knows."""


@dataclass(frozen=True, slots=True)
class PathEvent:
    """The data path has something to say."""

    event: DataPathEvent


@dataclass(frozen=True, slots=True)
class UserAsked:
    """The user wants something; `done` is set when the controller has heard it."""

    event: UserUp | UserDown | SecretMissing
    done: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class AnswerGiven:
    """What the user answers to the login of leg `leg`; None: nothing, and `why` if that is known."""

    leg: int
    value: Secret | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class RevocationFound:
    """What the certificates of leg `leg` were asked about has brought."""

    leg: int
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class RekeyAsked:
    """The user wants fresh keys: of the IKE SA, or of the Child SA."""

    ike: bool


@dataclass(frozen=True, slots=True)
class ProbeAsked:
    """The user wants a sign of life from the gateway."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the data path has carried, what it lacks of our SAs, and how many requests the gateway has answered."""

    counters: Counters
    missing: tuple[int, ...] = ()
    answered: int = 0
    deviations: tuple[Deviation, ...] = ()


@dataclass(frozen=True, slots=True)
class CountAsked:
    """Somebody wants to know what the data path has carried up to now; `compare`: and what is changed of it."""

    done: asyncio.Future[Counted]
    compare: bool = False


@dataclass(frozen=True, slots=True)
class SystemAnswer:
    """What became of `generation` of the machine's configuration."""

    generation: int
    event: Event


@dataclass(frozen=True, slots=True)
class NamesChanged:
    """Names are resolved in another way than before: no more than the status has to tell of it."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The daemon ends: the driver returns."""


Item = (
    Datagram
    | PathEvent
    | UserAsked
    | AnswerGiven
    | RevocationFound
    | RekeyAsked
    | ProbeAsked
    | CountAsked
    | SystemAnswer
    | NamesChanged
    | Stop
    | Event
)


class Inbox:
    """A queue with two lanes; other items overtake datagrams."""

    def __init__(self, datagram_limit: int = DATAGRAM_LIMIT) -> None:
        self._datagrams: deque[Datagram] = deque()
        self._others: deque[Item] = deque()
        self._limit = datagram_limit
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Add an item; a datagram that finds the lane full is dropped and counted."""
        if not isinstance(item, Datagram):
            self._others.append(item)
        elif len(self._datagrams) < self._limit:
            self._datagrams.append(item)
        else:
            self.dropped += 1
            return
        self._filled.set()

    async def next(self, timeout: float | None) -> Item | None:  # noqa: ASYNC109 - the deadline is data
        """The next item, or None when `timeout` seconds pass before there is one."""
        if not self._has_items:
            try:
                async with asyncio.timeout(timeout):
                    await self._filled.wait()  # nothing else in here: another TimeoutError is not ours
            except TimeoutError:
                return None
        return self._take()

    @property
    def _has_items(self) -> bool:
        return bool(self._others or self._datagrams)

    def _take(self) -> Item:
        item = self._others.popleft() if self._others else self._datagrams.popleft()
        if not self._has_items:
            self._filled.clear()
        return item
