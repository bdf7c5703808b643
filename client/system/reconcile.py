"""The machine's applier: desired state in, idempotent, one change at a time in a thread of its own.

Netlink requests block while another program holds the kernel's lock, and a note must reach the disk before
the change: neither may delay an IKE message, so the event loop only waits here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from ..tunnel.model import SystemConfig
from .drift import Deviation, deviations
from .manifest import Manifest, Owned, Place
from .nft import Nftables
from .nft_watch import FilterWatch
from .plan import Actual, Step, adds_anything, filter_settings, loosened, missing_links, plan, plan_sweep
from .routes import Kernel
from .undo import advice, may_be_done, number_of, undo

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")
Perform = Callable[["Machine", Sequence[Step], SystemConfig, Actual], "_Work"]  # how steps are carried out
_NOTHING = SystemConfig()


class Machine(Protocol):
    """What is changed: the kernel, or a stand-in for it."""

    def read(self, table: int, sysctls: frozenset[str], links: frozenset[str]) -> Actual:
        """What of ours is there."""

    def perform(self, step: Step, table: int) -> bool:
        """Carry one step out; whether there was anything to do.  `OSError` where that fails."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be done, why, and what a person can do about it ("": nothing is known)."""

    what: str
    reason: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an `apply` of this generation did, and what it could not do.

    `undone`: a step failed, and what had been done before it was taken back; the machine is as it was.
    `changed`: the steps that were not found done already.
    """

    generation: int
    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()
    undone: bool = False
    changed: tuple[Step, ...] = ()


class System:
    """Commands: `apply`, `repair`, `sweep`, `expect`, `close`; they may overlap and are carried out in turn.

    `apply` is done as a whole or not at all: where a step fails, exactly what was done before is taken back, and
    the machine stands as it stood, with the guard of what it carried.  Where nothing new is wanted, as on the way
    down, in a repair and in a sweep, a step that fails does not keep the following ones from being tried; nor
    under lockdown, where a half-made configuration is better than a leak.  Repeating `apply` is always right.
    """

    def __init__(
        self, state_dir: Path, open_machine: Callable[[], AbstractContextManager[Machine]] | None = None
    ) -> None:
        self._manifest = Manifest(state_dir)
        self._filter = Nftables()
        self._open = open_machine or partial(Kernel, self._filter)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="applier")
        self._stands: tuple[SystemConfig, int] | None = None  # what was applied last, and its generation

    @property
    def filter_problem(self) -> str:
        """Why the guard is made by routing only; empty where the packet filter holds it too."""
        return self._filter.problem

    def watch(self) -> FilterWatch:
        """What hears when another program changes our packet filter; `OSError` where the kernel does not tell."""
        return FilterWatch(lambda: self._filter.ports)

    async def apply(self, desired: SystemConfig, generation: int) -> Outcome:
        """Make the machine so, or leave it as it is."""
        return await self._in_turn(lambda: self._apply(desired, generation))

    async def repair(self) -> Outcome:
        """Put back what somebody else changed since the last `apply`; without one, nothing is done."""
        return await self._in_turn(self._repair)

    async def deviations(self) -> tuple[Deviation, ...]:
        """In what the machine differs from what was applied last; changes nothing.  `OSError` without an answer."""
        return await self._in_turn(self._deviations)

    async def sweep(self, keep: SystemConfig = _NOTHING) -> Outcome:
        """Leave nothing of ours but `keep`, whoever made it, with or without a manifest; no link is kept."""
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
        outcome = self._change(desired, generation, _as_a_whole)
        if desired.fail_closed or not outcome.undone:
            self._stands = desired, generation
        return outcome

    def _repair(self) -> Outcome:
        if self._stands is None:
            return Outcome(0)
        return self._change(*self._stands, _as_far_as_possible)

    def _deviations(self) -> tuple[Deviation, ...]:
        if self._stands is None:
            return ()
        owned = self._manifest.load(Place.here())
        with self._open() as machine:
            actual, desired = _look(machine, self._stands[0], owned)
        return deviations(actual, desired, owned.sysctls)

    def _change(self, desired: SystemConfig, generation: int, perform: Perform) -> Outcome:
        try:
            place = Place.here()
            owned = self._manifest.load(place)
            with self._open() as machine:
                actual, desired = _look(machine, desired, owned)
                steps = tuple(plan(actual, desired, owned.sysctls))
                problems = self._note(_owned_while(owned, desired, actual), place)
                problems += [
                    Problem(f"link {link}", "is not there") for link in missing_links(actual, desired)
                ]
                work = perform(machine, steps, desired, actual)
            after = owned if work.undone else _owned_after(owned, desired, actual)
            problems += work.problems + self._note(after, place)
        except OSError as error:
            return Outcome(generation, problems=(_unreachable(error),), undone=True)
        return Outcome(generation, steps, tuple(problems), work.undone, tuple(work.changed))

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
                    problems += _perform(machine, ahead, table).problems
                    steps += ahead
            if not problems:
                self._manifest.forget()
        except OSError as error:
            problems.append(_unreachable(error))
        generation = 0 if self._stands is None else self._stands[1]
        self._stands = None if keep == _NOTHING else (keep, generation)
        return Outcome(generation, tuple(steps), tuple(problems))


def _look(machine: Machine, desired: SystemConfig, owned: Owned) -> tuple[Actual, SystemConfig]:
    """What is there, and what is wanted in view of the settings that are there."""
    wanted = frozenset(link.name for link in desired.links)
    keys = frozenset(key for key, _ in desired.sysctls) | filter_settings(desired.loose)
    actual = machine.read(desired.table, keys | owned.sysctls.keys(), wanted)
    settings = loosened(desired.loose, actual.sysctls, owned.sysctls)
    return actual, replace(desired, sysctls=(*desired.sysctls, *settings))


@dataclass(slots=True)
class _Work:
    """What has come of a row of steps."""

    changed: list[Step] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    undone: bool = False


def _as_a_whole(machine: Machine, steps: Sequence[Step], desired: SystemConfig, actual: Actual) -> _Work:
    """All steps, or none."""
    if desired.fail_closed or not adds_anything(steps):
        return _as_far_as_possible(machine, steps, desired, actual)
    work = _Work()
    for step in steps:
        _try(machine, step, desired.table, work)
        if work.problems:
            back = _perform(machine, undo(work.changed, actual), desired.table)
            left = [replace(problem, what=f"to undo: {problem.what}") for problem in back.problems]
            return _Work([], work.problems + left, undone=True)
    return work


def _as_far_as_possible(
    machine: Machine, steps: Sequence[Step], desired: SystemConfig, _actual: Actual
) -> _Work:
    """Every step that can be done."""
    return _perform(machine, steps, desired.table)


def _perform(machine: Machine, steps: Iterable[Step], table: int) -> _Work:
    work = _Work()
    for step in steps:
        _try(machine, step, table, work)
    return work


def _try(machine: Machine, step: Step, table: int, work: _Work) -> None:
    """Carry it out, and note whether that has changed anything, or failed."""
    _log.debug("%s", step)
    try:
        is_changed = machine.perform(step, table)
    except OSError as error:
        is_changed = may_be_done(error)
        reason = error.strerror or str(error)
        work.problems.append(Problem(str(step), reason, advice(step, number_of(error))))
    if is_changed:
        work.changed.append(step)


def _unreachable(error: OSError) -> Problem:
    return Problem("the kernel's routing", error.strerror or str(error))


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
