"""From hints to settled changes of the network.

Undocking or joining a Wi-Fi network makes dozens of hints within half a second.  They are followed by one
snapshot when they have been over for a while, and by one report if that differs from the last.  Two things
do not wait: an outer address in use that is gone, and a policy rule that somebody took away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from ..ike.events import Address
from ..tunnel.model import NetworkChange, NetworkState
from .interfaces import snapshot_by_netifaces
from .netlink import Hint, Notifications, Topic, snapshot

QUIET = 0.3
LONGEST = 0.8
"""Seconds without a hint after which the network has settled, and after the first hint at the latest."""

BUNCH = 0.005
"""Seconds in which hints gather that are not urgent.  Where a link goes, the first hint is."""

POLL = 2.0
"""Seconds between looks at the network where netlink notifications are not available."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RoutingTouched:
    """Somebody changed something, perhaps of ours: time to compare (and to find that it was ourselves).

    `by` are processes that took something away, as far as that is known.
    """

    by: frozenset[int] = frozenset()


Report = NetworkChange | RoutingTouched


@dataclass(frozen=True, slots=True)
class Settle:
    """Decides when a burst of hints is over; times in seconds of any one clock."""

    first: float | None = None
    last: float | None = None

    def hinted(self, now: float) -> Settle:
        """With one hint more."""
        return Settle(now if self.first is None else self.first, now)

    def due_at(self) -> float | None:
        """When to look; None where nothing is pending."""
        if self.first is None or self.last is None:
            return None
        return min(self.last + QUIET, self.first + LONGEST)


class Watcher:
    """Watches the network of the namespace in which it is started.

    Getter: `state`.  Commands: `start`, `run`, `refresh`, `use`, `close`.
    """

    def __init__(
        self,
        report: Callable[[Report], None],
        listen: Callable[[], Notifications] = Notifications,
        read: Callable[[], NetworkState] = snapshot,
    ) -> None:
        self._report = report
        self._listen = listen
        self._read = read
        self._notifications: Notifications | None = None
        self._state = NetworkState()
        self._in_use: frozenset[Address] = frozenset()
        self._settle = Settle()
        self._heard: set[Topic] = set()
        self._looking = asyncio.Lock()  # an older look must not be adopted after a newer one

    @property
    def state(self) -> NetworkState:
        """The network as it was last seen."""
        return self._state

    def use(self, addresses: Iterable[Address]) -> None:
        """From now these outer addresses are in use: their loss is reported at once."""
        self._in_use = frozenset(addresses)

    async def start(self) -> NetworkState:
        """Listen, then look: nothing that happens from here on is missed.  Returns the network as it is."""
        try:
            self._notifications = self._listen()
        except OSError as error:
            _log.warning("no netlink notifications (%s): looking every %g seconds", error, POLL)
            self._read = snapshot_by_netifaces
        self._state = await asyncio.to_thread(self._read)
        return self._state

    async def run(self) -> None:
        """Report changes until cancelled; `start` comes first."""
        while True:
            if self._notifications is None:
                await asyncio.sleep(POLL)
                self._heard.add(Topic.LOST)
                await self.refresh()
            else:
                await self._hear(self._notifications)

    async def refresh(self) -> None:
        """Look now, and report what has changed."""
        async with self._looking:
            heard, self._heard = self._heard, set()
            self._settle = Settle()
            state = await self._look()
            if state is not None:
                self._adopt(state)
        if heard:
            self._report(self._touched())

    def _touched(self) -> RoutingTouched:
        notifications = self._notifications
        return RoutingTouched() if notifications is None else RoutingTouched(notifications.take_removers())

    def close(self) -> None:
        """Stop to listen."""
        if self._notifications is not None:
            self._notifications.close()
            self._notifications = None

    async def _hear(self, notifications: Notifications) -> None:
        """One turn: until the next hint or the settle time's end."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._settle.due_at()):
                await notifications.wait()
        hints = notifications.take()
        now = asyncio.get_running_loop().time()
        if hints:
            self._settle = self._settle.hinted(now)
            self._heard.update(hint.topic for hint in hints)
            if not await self._hurry(hints):
                await asyncio.sleep(BUNCH)  # a burst is taken in bunches, not one by one
        due_at = self._settle.due_at()
        if due_at is not None and due_at <= now:
            await self.refresh()

    async def _hurry(self, hints: frozenset[Hint]) -> bool:
        """What cannot wait until the network has settled; whether that needed a look."""
        if Hint(Topic.RULE, removed=True) in hints:
            self._report(self._touched())
        in_use = self._links_in_use()
        if not any(_may_cost_a_path(hint, in_use) for hint in hints):
            return False
        async with self._looking:
            state = await self._look()
            if state is not None and self._lost_in_use(state):
                self._adopt(state)
        return True

    def _links_in_use(self) -> frozenset[int]:
        entries = self._state.addresses
        return frozenset(entry.link for entry in entries if entry.interface.ip in self._in_use)

    def _lost_in_use(self, state: NetworkState) -> bool:
        return any(self._state.has_address(used) and not state.has_address(used) for used in self._in_use)

    async def _look(self) -> NetworkState | None:
        try:
            return await asyncio.to_thread(self._read)
        except OSError as error:
            _log.warning("the network cannot be read: %s", error)
            self._settle = self._settle.hinted(asyncio.get_running_loop().time())  # again when it is quiet
            return None

    def _adopt(self, state: NetworkState) -> None:
        if state != self._state:
            change = NetworkChange(self._state, state)
            self._state = state
            self._report(change)


def _may_cost_a_path(hint: Hint, in_use: frozenset[int]) -> bool:
    """Whether an address on one of these links may be lost; what happens to other links is not in a hurry."""
    if hint.topic is Topic.ADDRESS and not hint.removed:
        return False
    return hint.topic is Topic.LOST or hint.link in in_use
