"""Change name resolution by our own hand: what a root daemon does in its process, and `roam-dns` for another one.

The facts are read anew each time.  Whoever has come to be in charge since is told, and who is not any more gets
back what he had; where nothing has changed, nothing is done.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..manifest import Place
from . import networkmanager, resolved
from .bus import Bus
from .choice import Choice, Environment, Flavour, Kind, Way, choose, is_away
from .detect import Places, detect, flavour_of
from .file import File
from .model import DnsConfig
from .networkmanager import NetworkManager
from .outcome import Outcome, Refused, Unable, Unsuitable
from .record import Note, Record
from .resolvconf import Resolvconf
from .resolved import Resolved, own_links

PAUSES = (0.1, 0.2, 0.4, 0.8, 1.5)
"""Seconds between looks for a systemd-resolved that restarts.  To replace resolv.conf meanwhile would be worse than
to wait: it reads that when it starts, takes our servers for its own, and keeps them."""

_Result = TypeVar("_Result")


class Direct:
    """Commands: `apply`, `restore`, `try_again`; a question: `holds`.  All may be repeated; one at a time."""

    def __init__(
        self,
        state_dir: Path,
        places: Places | None = None,
        asked_for: Kind | None = None,
        open_bus: Callable[[str | None], Bus] = Bus,
    ) -> None:
        self._places = places if places is not None else Places()
        self._note = Note(state_dir)
        self._asked_for = asked_for
        self._open_bus = open_bus
        self._unable: frozenset[Kind] = frozenset()
        self._refused: frozenset[Kind] = frozenset()
        self._is_away = False  # systemd-resolved was waited for, and did not come

    async def apply(self, configs: Sequence[DnsConfig]) -> Outcome:
        """Make it so.  Where the outcome's choice has another way than `DIRECT`, nothing has been done."""
        if not configs:
            return await self.restore()
        self._unable = self._refused = frozenset()
        waiting = iter(() if self._is_away else PAUSES)
        while True:
            facts = await self._facts()
            if is_away(facts) and (pause := next(waiting, None)) is not None:
                await asyncio.sleep(pause)
                continue
            self._is_away = is_away(facts)
            choice = self._as_noted(choose(facts))
            if choice.way is not Way.DIRECT:
                return Outcome(choice)
            try:
                return Outcome(choice, await self._change(choice, configs))
            except Refused as error:
                if choice.kind in self._refused or os.geteuid() == 0:
                    return Outcome(choice, (f"{choice.kind}: {error}",))
                self._refused |= {choice.kind}
            except Unsuitable as error:
                if choice.kind is Kind.RESOLVED and (pause := next(waiting, None)) is not None:
                    await asyncio.sleep(pause)
                    continue
                if choice.kind in self._unable or self._asked_for is not None:
                    return Outcome(choice, (f"{choice.kind}: {error}",))
                self._unable |= {choice.kind}
            except (Unable, OSError) as error:
                return Outcome(choice, (f"{choice.kind}: {_text(error)}",))

    async def restore(self) -> Outcome:
        """Leave nothing of ours, whoever made it, with or without a note."""
        record = self._note.load(Place.here())
        outcome = await self._take_back(record, frozenset(Kind))
        if outcome.problems or outcome.refused:
            return outcome
        self._note.forget()
        return outcome

    def try_again(self) -> None:
        """Somebody has come to the bus: what refused or could not may be another one now."""
        self._unable = self._refused = frozenset()
        self._is_away = False

    async def holds(self, configs: Sequence[DnsConfig]) -> bool:
        """Whether it is so, as far as can be seen; nothing is changed."""
        if not configs:
            return True
        choice = choose(await self._facts())
        if choice.kind is not Kind.FILE and self._file().is_touched():
            return False  # who was away has come back, and remembers everything: the file is still to be put back
        try:
            return await self._holds(choice.kind, configs)
        except (Unable, OSError):
            return False

    # --- one back-end

    async def _facts(self) -> Environment:
        facts = await detect(self._places)
        return replace(facts, unable=self._unable, refused=self._refused, asked_for=self._asked_for)

    def _as_noted(self, choice: Choice) -> Choice:
        """With the reason of the first time: that resolv.conf is ours by now explains nothing."""
        record = self._note.load(Place.here())
        is_same = choice.kind is record.kind and choice.way is Way.DIRECT
        return replace(choice, reason=record.reason) if is_same else choice

    async def _change(self, choice: Choice, configs: Sequence[DnsConfig]) -> tuple[str, ...]:
        """Note it, make it, and take back what another back-end had; what of that could not be done."""
        place = Place.here()
        old = self._note.load(place)
        before = old.before if old.kind is choice.kind else await self._found(choice.kind)
        links = tuple(sorted(config.link for config in configs))
        self._note.store(Record(choice.kind, choice.reason, links, before), place)
        await self._apply(choice.kind, configs)
        if old.kind in (None, choice.kind):
            return ()
        return (await self._take_back(old, frozenset({old.kind}))).problems

    async def _found(self, kind: Kind) -> networkmanager.Global:
        if kind is not Kind.NETWORKMANAGER:
            return {}
        async with self._open_bus(self._places.bus) as bus:
            return await NetworkManager(bus).found()

    async def _apply(self, kind: Kind, configs: Sequence[DnsConfig]) -> None:
        match kind:
            case Kind.RESOLVED:
                await self._over_the_bus(lambda bus: Resolved(bus).apply(configs))
            case Kind.NETWORKMANAGER:
                await self._over_the_bus(lambda bus: NetworkManager(bus).apply(configs))
            case Kind.RESOLVCONF:
                await asyncio.to_thread(self._resolvconf().apply, configs)
            case Kind.FILE:
                await asyncio.to_thread(self._file().apply, configs)

    async def _holds(self, kind: Kind, configs: Sequence[DnsConfig]) -> bool:
        match kind:
            case Kind.RESOLVED:
                return await self._over_the_bus(lambda bus: Resolved(bus).holds(configs))
            case Kind.NETWORKMANAGER:
                return await self._over_the_bus(lambda bus: NetworkManager(bus).holds(configs))
            case Kind.RESOLVCONF:
                return await asyncio.to_thread(self._resolvconf().holds, configs)
            case Kind.FILE:
                return await asyncio.to_thread(self._file().holds, configs)

    async def _take_back(self, record: Record, kinds: frozenset[Kind]) -> Outcome:
        """Undo these back-ends; where only root may, that is said apart from what went wrong."""
        problems: list[str] = []
        refused: set[Kind] = set()
        steps: list[str] = []
        for kind in Kind:
            if kind not in kinds:
                continue
            try:
                if await self._undo(kind, record) or kind is record.kind:
                    steps.append(f"name resolution by {kind}")
            except Refused:
                refused.add(kind)
            except (Unable, OSError) as error:
                problems.append(f"{kind}: {_text(error)}")
        return Outcome(None, tuple(problems), frozenset(refused), tuple(steps))

    async def _undo(self, kind: Kind, record: Record) -> bool:
        """Whether anything of ours was there."""
        match kind:
            case Kind.RESOLVED if own_links():
                return bool(await self._if_there(resolved.SERVICE, lambda bus: Resolved(bus).restore()))
            case Kind.NETWORKMANAGER:
                return await self._undo_networkmanager(record)
            case Kind.RESOLVCONF if (entries := self._resolvconf()).is_touched():
                await asyncio.to_thread(_as_root(entries.restore))
                return True
            case Kind.FILE if (file := self._file()).is_touched():
                await asyncio.to_thread(_as_root(file.restore))
                return True
            case _:
                return False

    async def _undo_networkmanager(self, record: Record) -> bool:
        """What it was told is in a file of its own: while it does not run, that cannot be taken back."""
        is_ours = record.kind is Kind.NETWORKMANAGER
        before = record.before if is_ours else {}
        undone = await self._if_there(networkmanager.SERVICE, lambda bus: NetworkManager(bus).restore(before))
        if is_ours and undone is None:
            raise Unable("it does not run, and will have the tunnel's servers when it is started")
        return bool(undone)

    async def _if_there(self, service: str, action: Callable[[Bus], Awaitable[bool]]) -> bool | None:
        """Act where this name has an owner; nobody is started to be told that nothing is wanted.  None: nobody."""
        try:
            async with self._open_bus(self._places.bus) as bus:
                if service in await bus.names():
                    return await action(bus)
        except Unsuitable:  # no bus
            pass
        return None

    async def _over_the_bus(self, action: Callable[[Bus], Awaitable[_Result]]) -> _Result:
        async with self._open_bus(self._places.bus) as bus:
            return await action(bus)

    def _resolvconf(self) -> Resolvconf:
        program = self._places.resolvconf or Path("/sbin/resolvconf")
        return Resolvconf(program, flavour_of(program) or Flavour.DEBIAN, self._places.run)

    def _file(self) -> File:
        return File(self._places.etc)


def _as_root(action: Callable[[], None]) -> Callable[[], None]:
    def checked() -> None:
        if os.geteuid() != 0:
            raise Refused("only root may")
        action()

    return checked


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    return str(error)
