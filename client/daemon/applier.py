"""The one place that changes the machine: what all tunnels contribute, merged, applied one change at a time.

A driver says what its tunnel contributes now and goes on; when a configuration that contains it stands, or could
not be made, the answer comes to its inbox.  What changes while one is being applied is applied next, together.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from ..control.messages import ControlError
from ..ike.events import Address, Failure, Kind
from ..system.datapath import PoliciesMended
from ..system.drift import Deviation
from ..system.feud import Feud
from ..system.plan import PutGuard, PutRoute, PutRule
from ..system.reconcile import Outcome
from ..system.resolver.model import Wanted
from ..tunnel.events import Applied, ApplyFailed
from ..tunnel.merge import FullTunnelConflict, refuse_second_full_tunnel, system_config
from ..tunnel.model import NetworkState, Stance, SystemConfig, TunnelConfig, TunnelUp, Underlay
from .mending import Mending
from .names import Names, Naming, wanted_by

Answer = Callable[[Applied | ApplyFailed], None]

log = logging.getLogger("roam.applier")

_NO_STANCE = Stance()
_OTHER_NAMES = Deviation("name resolution", "as the tunnels want it", "changed by another program")


class SystemPort(Protocol):
    """The part of `client.system.reconcile.System` that is used here."""

    async def apply(self, desired: SystemConfig, generation: int) -> Outcome: ...
    async def repair(self) -> Outcome: ...
    async def deviations(self) -> tuple[Deviation, ...]: ...
    async def sweep(self, keep: SystemConfig) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Share:
    """What one tunnel contributes: its guard, what it carries while it stands, its outer paths, and its link.

    `mtu` is what its path is known to carry, as `TunnelUp` has it.
    """

    config: TunnelConfig
    up: TunnelUp | None = None
    underlays: frozenset[Underlay] = frozenset()
    link: str = ""
    mtu: int | None = None


class Applier:
    """Commands: `share`, `withdraw`, `take`, `adapt`, `repair`, `sweep`; `run` is its one task."""

    def __init__(
        self,
        system: SystemPort,
        use: Callable[[Iterable[Address]], None],
        names: Names,
        stance: Stance = _NO_STANCE,
        warn: Callable[[str], None] = log.warning,
        name_of: Callable[[int], str] = lambda _process: "",
    ) -> None:
        """`use` hears of the outer addresses whose loss must be reported at once.

        `warn` hears of a fight with another program; `name_of` tells how a process is called, if it can.
        """
        self._warn = warn
        self._name_of = name_of
        self.stance = stance
        """How the machine stands apart from its tunnels; `take` changes it."""
        self._system = system
        self._names = names
        self._use = use
        self._shares: dict[str, Share] = {}
        self._standing: Mapping[str, Share] = {}  # as of the last change that was made
        self._open: set[str] = set()
        self._network = NetworkState()
        self._wanted: dict[str, Wanted] = {}
        self._waiting: list[Answer] = []
        self._answering: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._repair = False
        self._suspects: set[int] = set()
        self._feud = Feud()
        self._mending = Mending(warn, name_of)
        self._generation = 0
        self.config = SystemConfig()
        """What was applied last."""

    def conflict(self, name: str, config: TunnelConfig) -> Failure | None:
        """Why another tunnel cannot be wanted beside the present ones."""
        others = {other: (share.config, share.up) for other, share in self._shares.items() if other != name}
        try:
            refuse_second_full_tunnel({**others, name: (config, None)})
        except FullTunnelConflict as conflict:
            return conflict.failure
        return None

    def naming(self, name: str) -> Naming:
        """How names are resolved through this tunnel."""
        share, found = self._shares.get(name), self._wanted.get(name)
        if share is None or share.up is None or found is None:
            return Naming()
        return self._names.naming(share.up, found)

    @property
    def is_guarded(self) -> bool:
        """Whether the packet filter keeps anything in: a tunnel's guard, or lockdown."""
        return self.stance.lockdown is not None or any(share.config.guard for share in self._shares.values())

    def leaves_open(self, name: str) -> bool:
        """Whether nothing of this tunnel stands, its guard included, since that could not be made."""
        return name in self._open

    def share(self, name: str, share: Share, answer: Answer | None = None) -> None:
        """From now the tunnel contributes this."""
        self._shares[name] = share
        self._ask(answer)

    def withdraw(self, name: str, answer: Answer | None = None) -> None:
        """From now the tunnel contributes nothing."""
        self._shares.pop(name, None)
        self._open.discard(name)
        self._ask(answer)

    def take(self, stance: Stance, answer: Answer | None = None) -> None:
        """From now the machine stands so."""
        self.stance = stance
        self._ask(answer)

    def adapt(self, network: NetworkState) -> None:
        """The network is another one: the ways to the local networks may differ."""
        self._network = network
        self._names.repair()
        if self._shares or self.stance.lockdown is not None:
            self._ask(None)

    def repair(self, by: Iterable[int] = ()) -> None:
        """Somebody (`by`: these processes, perhaps) touched what may be ours: compare, and put ours back."""
        self._repair = True
        self._suspects.update(by)
        self._changed.set()

    @property
    def fight(self) -> str:
        """Who keeps undoing what we put back, and what to do about it; "" where nobody does."""
        return self._feud.told(_now(), self._name_of) or self._mending.fight(_now())

    def hear_mended(self, event: PoliciesMended) -> None:
        """A tunnel's data path has put back what another program had changed."""
        self._mending.hear(event, _now())

    async def deviations(self) -> tuple[Deviation, ...]:
        """In what the machine, and its resolver, differ from what was applied last; `ControlError` unanswered."""
        try:
            found = await self._system.deviations()
        except OSError as error:
            raise ControlError("local.fault", f"the machine cannot be read: {error}") from None
        return found if await self._names.holds() else (*found, _OTHER_NAMES)

    async def sweep(self) -> tuple[str, ...]:
        """Leave nothing of ours but lockdown; one line for each thing that was removed."""
        names = await self._names.restore()
        outcome = await self._system.sweep(system_config({}, self._network, (), self.stance))
        for problem in outcome.problems:
            log.warning("not removed: %s", problem)
        removed = (step for step in outcome.steps if not isinstance(step, PutGuard | PutRule | PutRoute))
        return (*names.steps, *map(str, removed))

    async def run(self) -> None:
        """Apply until cancelled."""
        while True:
            await self._until_due()
            waiting, self._waiting = self._waiting, []
            self._repair = False
            try:
                await (self._apply(waiting) if waiting else self._mend())
            except Exception as error:
                log.exception("a fault in our own program: the machine may not be as wanted")
                self._tell(waiting, ApplyFailed(_fault(error)))

    async def _until_due(self) -> None:
        """Until somebody wants something else, or a repair is asked for and may be made."""
        while not self._waiting:
            due = self._feud.due_at() if self._repair else None
            if due is not None and due <= _now():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._changed.wait()
            self._changed.clear()

    async def _mend(self) -> None:
        suspects, self._suspects = self._suspects, set()
        before = self._feud.is_on(_now())
        outcome = await self._system.repair()
        self._log(outcome)
        self._feud = self._feud.repaired(outcome.changed, suspects, _now())
        for step in outcome.changed:
            log.info("somebody had changed it, put back: %s", step)
        if not before and (told := self.fight):
            self._warn(told)

    def _ask(self, answer: Answer | None) -> None:
        self._waiting.append(answer or _nobody)
        self._changed.set()

    async def _apply(self, waiting: list[Answer]) -> None:
        """Names come last and go first: a resolver must not be told of a link that is not there."""
        shares = dict(self._shares)
        self._wanted = {
            name: wanted_by(share.config, share.up) for name, share in shares.items() if share.up is not None
        }
        configs = [found.config for found in self._wanted.values() if found.config is not None]
        await self._names.leave(configs)
        failure = await self._try_system(shares)
        if failure is not None:
            self._tell(waiting, ApplyFailed(failure))
        elif self._names.want(configs) and configs:
            task = asyncio.create_task(self._tell_when_resolved(waiting))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        else:
            self._tell(waiting, Applied())

    async def _tell_when_resolved(self, waiting: list[Answer]) -> None:
        """Whoever is told that his tunnel stands will use names at once."""
        await self._names.settle()
        self._tell(waiting, Applied())

    async def _try_system(self, shares: Mapping[str, Share]) -> Failure | None:
        """As `_apply_system`; a fault of our own there is a failure like others, and other tunnels go on."""
        try:
            return await self._apply_system(shares)
        except Exception as error:
            log.exception("a fault in our own program: the machine is not changed")
            self._take_back(shares)
            return _fault(error)

    def _take_back(self, shares: Mapping[str, Share]) -> None:
        """What could not be made is not wanted of the machine any more: it would keep others from theirs."""
        for name, share in shares.items():
            before = self._standing.get(name)
            if share is before or self._shares.get(name) is not share:  # or it is another one already
                continue
            if before is None:
                del self._shares[name]
                self._open.add(name)
            else:
                self._shares[name] = before

    async def _apply_system(self, shares: Mapping[str, Share]) -> Failure | None:
        self._generation += 1
        underlays = frozenset(path for share in shares.values() for path in share.underlays)
        self._use({path.local for path in underlays})
        try:
            config = system_config(
                {name: (share.config, self._completed(name, share)) for name, share in shares.items()},
                self._network,
                underlays,
                self.stance,
            )
        except FullTunnelConflict as conflict:
            self._take_back(shares)
            return conflict.failure
        config = replace(config, coming=frozenset(share.link for share in shares.values() if share.link))
        outcome = await self._system.apply(config, self._generation)
        self._log(outcome)
        if outcome.undone:
            self._take_back(shares)
        else:
            self.config, self._standing = config, shares
            self._open.difference_update(shares)
        return _failure(outcome)

    def _completed(self, name: str, share: Share) -> TunnelUp | None:
        """With what the controller knows nothing of."""
        if share.up is None:
            return None
        found = self._wanted.get(name)
        config = None if found is None else found.config
        resolvers = share.up.resolvers if config is None else config.servers
        return replace(share.up, resolvers=resolvers, mtu=share.mtu)

    def _log(self, outcome: Outcome) -> None:
        for problem in outcome.problems:
            log.warning("not changed: %s", problem)

    def _tell(self, waiting: list[Answer], event: Applied | ApplyFailed) -> None:
        for answer in waiting:
            answer(event)


def _fault(error: Exception) -> Failure:
    return Failure(Kind.LOCAL_FAULT, f"a fault in Roam itself ({type(error).__name__}); see the log")


def _failure(outcome: Outcome) -> Failure | None:
    """What could not be done, and what to do about the first of it."""
    if not outcome.problems:
        return None
    told = "; ".join(str(problem) for problem in outcome.problems[:3])
    return Failure(Kind.LOCAL_FAULT, told, hint=outcome.problems[0].advice)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _nobody(event: Applied | ApplyFailed) -> None:
    """The answer of a change that nobody waits for."""
