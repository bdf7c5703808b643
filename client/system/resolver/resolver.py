"""What the daemon uses: the desired name resolution in, applied, watched, repaired and taken back.

Others write /etc/resolv.conf too, and a resolver that restarts may have forgotten us.  `watch` notices and puts
ours back, but not for ever: two programs that both insist would keep the machine busy and neither right.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from . import networkmanager, remote, resolved
from .bus import Bus
from .choice import Choice, Kind, Way
from .detect import Places
from .direct import Direct
from .inotify import DirectoryWatch
from .model import DnsConfig
from .outcome import Outcome, Unable

SETTLE = 0.2
"""Seconds after a hint: a resolver that restarts, or an editor, makes several."""
POLL = 60.0
"""Seconds between looks without any hint."""
MOST_REPAIRS = 5
REPAIRS_WITHIN = 60.0
"""Seconds; more repairs than that are a fight."""
_RECONNECT = 5.0  # seconds before the bus is tried again

_WATCHED = (resolved.SERVICE, networkmanager.SERVICE)
_log = logging.getLogger("roam.resolver")


class Fights:
    """Counts repairs; with too many in a while, the next one has to wait.  Times are of any one clock."""

    def __init__(self, most: int = MOST_REPAIRS, within: float = REPAIRS_WITHIN) -> None:
        self._times: deque[float] = deque(maxlen=most)
        self._within = within

    def delay(self, now: float) -> float:
        """Seconds until another repair may be made; 0 where it may be now."""
        if len(self._times) < (self._times.maxlen or 0):
            return 0.0
        return max(0.0, self._times[0] + self._within - now)

    def repaired(self, now: float) -> None:
        """One was made."""
        self._times.append(now)


class Resolver:
    """Commands: `apply`, `repair`, `restore`, `sweep`; `watch` is its task.  Getters: `choice`, `problems`."""

    def __init__(
        self,
        state_dir: Path,
        places: Places | None = None,
        asked_for: Kind | None = None,
        open_bus: Callable[[str | None], Bus] = Bus,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed` is told when another back-end is in use, or something else cannot be done than before."""
        self._changed = changed
        self._places = places if places is not None else Places()
        self._direct = Direct(state_dir, self._places, asked_for, open_bus)
        self._open_bus = open_bus
        self._wanted: tuple[DnsConfig, ...] = ()
        self._turn = asyncio.Lock()
        self._hint = asyncio.Event()
        self._fights = Fights()
        self.choice: Choice | None = None
        """The back-end in use and why; None while nothing is applied."""
        self.problems: tuple[str, ...] = ()
        """What could not be done the last time."""

    async def apply(self, configs: Sequence[DnsConfig]) -> Outcome:
        """Make it so for all tunnels together; without any, everything is as before us."""
        self._wanted = tuple(configs)
        async with self._turn:
            return await self._make()

    async def repair(self) -> Outcome:
        """Put back what was lost since the last `apply`, after a sleep for example."""
        async with self._turn:
            if self._wanted and not await self._direct.holds(self._wanted):
                return await self._make()
            return Outcome(self.choice, self.problems)

    async def holds(self) -> bool:
        """Whether names are resolved as wanted last."""
        async with self._turn:
            return not self._wanted or await self._direct.holds(self._wanted)

    async def restore(self) -> Outcome:
        """Leave nothing of ours, whoever made it: on the way down, after a crash, and for `cleanup`."""
        return await self.apply(())

    async def sweep(self) -> Outcome:
        """`restore` where no daemon runs: by `roam-dns`, which has noted what was there before it, then by us.

        What it cannot do, we do or say.
        """
        helper = self._places.helper
        asked = await remote.ask(helper, None) if helper.is_socket() else Outcome()
        ours = await self.restore()
        return replace(ours, steps=(*asked.steps, *ours.steps))

    async def watch(self) -> None:
        """Repair until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_bus())
            tasks.create_task(self._watch_file())
            tasks.create_task(self._mend())

    # --- changes

    async def _make(self) -> Outcome:
        outcome = await (self._restored() if not self._wanted else self._applied(self._wanted))
        choice = outcome.choice
        if choice is not None and choice.way is not Way.NOBODY and str(choice) != str(self.choice):
            _log.info("names are resolved by %s", choice)
        for problem in outcome.problems:
            if problem not in self.problems:
                _log.warning("%s", problem)
        before = (self.choice, self.problems)
        self.choice, self.problems = outcome.choice, outcome.problems
        if before != (self.choice, self.problems):
            self._changed()
        return outcome

    async def _applied(self, configs: tuple[DnsConfig, ...]) -> Outcome:
        outcome = await self._direct.apply(configs)
        match outcome.choice:
            case Choice(way=Way.HELPER):
                answer = await remote.ask(self._places.helper, configs)
                return Outcome(answer.choice or outcome.choice, answer.problems)
            case Choice(way=Way.NOBODY) as choice:
                return Outcome(choice, (choice.hindrance,))
            case _:
                return outcome

    async def _restored(self) -> Outcome:
        outcome = await self._direct.restore()
        if not outcome.refused:
            return outcome
        if self._places.helper.is_socket():
            answer = await remote.ask(self._places.helper, None)
            return Outcome(None, (*outcome.problems, *answer.problems), steps=(*outcome.steps, *answer.steps))
        left = ", ".join(sorted(outcome.refused))
        return Outcome(None, (*outcome.problems, f"only root may take back what is left in: {left}"))

    # --- watching

    async def _watch_bus(self) -> None:
        while True:
            with suppress(Unable):
                async with self._open_bus(self._places.bus) as bus:
                    await bus.watch(_WATCHED, self._owner_changed)
            await asyncio.sleep(_RECONNECT)

    def _owner_changed(self, _name: str, is_there: bool) -> None:
        if is_there:
            self._direct.try_again()
            self._hint.set()

    async def _watch_file(self) -> None:
        try:
            watch = DirectoryWatch(self._places.etc)
        except OSError as error:
            _log.warning("%s cannot be watched (%s)", self._places.etc, error.strerror)
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(watch, _when_touched(watch, self._hint))
        self._hint.set()  # for what happened before
        try:
            await asyncio.Event().wait()
        finally:
            loop.remove_reader(watch)
            watch.close()

    async def _mend(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._hint.wait()
            await asyncio.sleep(SETTLE)
            self._hint.clear()
            if not self._wanted and self.problems:
                await self.restore()  # whoever was not there may have come
            if await self.holds():
                continue
            if delay := self._fights.delay(loop.time()):
                await self._give_way(delay)
            await self.repair()
            self._fights.repaired(loop.time())

    async def _give_way(self, delay: float) -> None:
        """Whoever looks meanwhile is told."""
        told = (
            f"another program keeps changing name resolution: left to it for {delay:.0f} s; names may not be "
            "asked through the tunnel"
        )
        _log.warning("%s", told)
        self.problems = (*self.problems, told)
        self._changed()
        await asyncio.sleep(delay)
        self.problems = tuple(problem for problem in self.problems if problem != told)
        self._changed()


def _when_touched(watch: DirectoryWatch, hint: asyncio.Event) -> Callable[[], None]:
    def readable() -> None:
        if watch.touched("resolv.conf"):
            hint.set()

    return readable
