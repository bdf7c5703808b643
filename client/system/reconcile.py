"""The machine's applier: desired state in, idempotent, one change at a time in a thread of its own.

Netlink requests block while another program holds the kernel's lock, and a note must reach the disk before
the change: neither may delay an IKE message, so the event loop only waits here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from ..tunnel.model import SystemConfig
from .manifest import Manifest, Owned, Place
from .nft import Nftables
from .nft_watch import FilterWatch
from .plan import Actual, Step, missing_links, plan, plan_sweep
from .routes import Kernel

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_NOTHING = SystemConfig()


class Machine(Protocol):
    """What is changed: the kernel, or a stand-in for it."""

    def read(self, table: int, sysctls: frozenset[str], links: frozenset[str]) -> Actual:
        """What of ours is there."""

    def perform(self, step: Step, table: int) -> None:
        """Carry one step out; `OSError` where that fails."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be done, and why."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an `apply` of this generation did, and what it could not do."""

    generation: int
    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()


class System:
    """Commands: `apply`, `repair`, `sweep`, `expect`, `close`; they may overlap and are carried out in turn.

    A step that fails does not keep the following ones from being tried: what closes the guard comes first,
    and a half-made configuration is better than a leak.  Repeating `apply` is always right.
    """

    def __init__(
        self, state_dir: Path, open_machine: Callable[[], AbstractContextManager[Machine]] | None = None
    ) -> None:
        self._manifest = Manifest(state_dir)
        self._filter = Nftables()
        self._open = open_machine or partial(Kernel, self._filter)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="applier")
        self._desired: SystemConfig | None = None
        self._generation = 0

    @property
    def filter_problem(self) -> str:
        """Why the guard is made by routing only; empty where the packet filter holds it too."""
        return self._filter.problem

    def watch(self) -> FilterWatch:
        """What hears when another program changes our packet filter; `OSError` where the kernel does not tell."""
        return FilterWatch(lambda: self._filter.ports)

    async def apply(self, desired: SystemConfig, generation: int) -> Outcome:
        """Make the machine so."""
        self._desired, self._generation = desired, generation
        return await self._in_turn(lambda: self._apply(desired, generation))

    async def repair(self) -> Outcome:
        """Put back what somebody else changed since the last `apply`; without one, nothing is done."""
        desired, generation = self._desired, self._generation
        if desired is None:
            return Outcome(generation)
        return await self._in_turn(lambda: self._apply(desired, generation))

    async def sweep(self, keep: SystemConfig = _NOTHING) -> Outcome:
        """Leave nothing of ours but `keep`, whoever made it, with or without a manifest; no link is kept."""
        self._desired = None if keep == _NOTHING else keep
        return await self._in_turn(lambda: self._sweep(keep))

    async def expect(self, links: frozenset[str]) -> None:
        """Note links that may be made some time from now, while nobody waits for the disk."""
        await self._in_turn(lambda: self._expect(links))

    def close(self) -> None:
        """Finish what is under way; the machine stays as it is."""
        self._worker.shutdown()
        self._filter.close()

    async def _in_turn(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _apply(self, desired: SystemConfig, generation: int) -> Outcome:
        steps: list[Step] = []
        problems: list[Problem] = []
        try:
            place = Place.here()
            owned = self._manifest.load(place)
            wanted = frozenset(link.name for link in desired.links)
            keys = frozenset(key for key, _ in desired.sysctls) | owned.sysctls.keys()
            with self._open() as machine:
                actual = machine.read(desired.table, keys, wanted)
                steps += plan(actual, desired, owned.sysctls)
                problems += self._note(_owned_while(owned, desired, actual), place)
                problems += [
                    Problem(f"link {link}", "is not there") for link in missing_links(actual, desired)
                ]
                problems += _perform(machine, steps, desired.table)
            problems += self._note(_owned_after(owned, desired, actual), place)
        except OSError as error:
            problems.append(Problem("the kernel's routing", error.strerror or str(error)))
        return Outcome(generation, tuple(steps), tuple(problems))

    def _expect(self, links: frozenset[str]) -> None:
        place = Place.here()
        owned = self._manifest.load(place)
        for problem in self._note(replace(owned, links=owned.links | links), place):
            _log.warning("%s", problem)

    def _note(self, owned: Owned, place: Place) -> list[Problem]:
        """A note that cannot be written is a problem, but no reason to leave the guard open."""
        try:
            self._manifest.store(owned, place)
        except OSError as error:
            return [Problem("the manifest", error.strerror or str(error))]
        return []

    def _sweep(self, keep: SystemConfig) -> Outcome:
        steps: list[Step] = []
        problems: list[Problem] = []
        try:
            place = Place.here()
            owned = self._manifest.load(place)
            with self._open() as machine:
                for table in dict.fromkeys((owned.table, keep.table)):
                    # Names that were noted are not enough: a person may have made such a link since.
                    actual = machine.read(table, frozenset(owned.sysctls), frozenset())
                    ahead = plan_sweep(
                        actual,
                        owned.sysctls,
                        keep if table == keep.table else replace(_NOTHING, guard=keep.guard),
                    )
                    problems += _perform(machine, ahead, table)
                    steps += ahead
            if not problems:
                self._manifest.forget()
        except OSError as error:
            problems.append(Problem("the kernel's routing", error.strerror or str(error)))
        return Outcome(self._generation, tuple(steps), tuple(problems))


def _perform(machine: Machine, steps: list[Step], table: int) -> list[Problem]:
    problems: list[Problem] = []
    for step in steps:
        _log.debug("%s", step)
        try:
            machine.perform(step, table)
        except OSError as error:
            problems.append(Problem(str(step), error.strerror or str(error)))
    return problems


def _owned_while(owned: Owned, desired: SystemConfig, actual: Actual) -> Owned:
    """What may be ours at any moment of the change, with the links that are still to come."""
    links = owned.links | desired.coming.union(link.name for link in desired.links)
    originals = {key: actual.sysctls[key] for key, _ in desired.sysctls if key in actual.sysctls}
    return Owned(desired.table, links, {**originals, **owned.sysctls})


def _owned_after(owned: Owned, desired: SystemConfig, actual: Actual) -> Owned:
    """The names of links stay: to forget them would cost the next tunnel's way up a wait for the disk."""
    during = _owned_while(owned, desired, actual)
    kept = {key for key, _ in desired.sysctls}
    return replace(
        during,
        sysctls={key: value for key, value in during.sysctls.items() if key in kept},
    )
