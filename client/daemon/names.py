"""Name resolution for all tunnels together: told what it should be, made so beside everything else.

Resolvers are other programs; they may be slow, refuse, or hang.  A tunnel stands whatever becomes of that: what
could not be done is a remark in its status.  Only the answer to whoever wants to use names waits for them, and
the way down, on which they must be told before the links go; neither waits for long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..ike.events import Address
from ..system.resolver.choice import Choice, Way
from ..system.resolver.model import DnsConfig, Wanted, wanted
from ..system.resolver.outcome import Outcome
from ..tunnel.model import TunnelConfig, TunnelUp
from ..tunnel.selection import reaches

log = logging.getLogger("roam.names")

PATIENCE = 2.0
"""Seconds that anybody waits for a resolver."""
LAST_PATIENCE = 1.0
"""The same at the daemon's end, when the gateways have still to be told."""

_MOST_REPAIRS = 2  # at a time: one that is under way may have looked too early


class ResolverPort(Protocol):
    """The part of `client.system.resolver.resolver.Resolver` that is used here."""

    choice: Choice | None
    problems: tuple[str, ...]

    async def apply(self, configs: Sequence[DnsConfig]) -> Outcome: ...
    async def repair(self) -> Outcome: ...
    async def holds(self) -> bool: ...
    async def restore(self) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Naming:
    """How names are resolved through one tunnel, for its status; `by` is empty where nobody could be told."""

    servers: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()
    by: str = ""
    reason: str = ""
    remarks: tuple[str, ...] = ()


class Names:
    """Commands: `want`, `leave`, `repair`, `restore`, `close`; getters: `configs`, `servers`, `naming`."""

    def __init__(self, resolver: ResolverPort) -> None:
        self._resolver = resolver
        self._configs: tuple[DnsConfig, ...] | None = None
        self._making: set[asyncio.Task[None]] = set()
        self._repairing: set[asyncio.Task[None]] = set()
        self._restoring: set[asyncio.Task[Outcome]] = set()
        self._is_closed = False

    # Getters

    @property
    def configs(self) -> tuple[DnsConfig, ...]:
        """What all tunnels together should have now."""
        return self._configs or ()

    @property
    def servers(self) -> frozenset[Address]:
        """Those that are asked through tunnels now."""
        return frozenset(server for config in self.configs for server in config.servers)

    def naming(self, up: TunnelUp, found: Wanted) -> Naming:
        """What has come of what a tunnel should have."""
        config = found.config
        if config is None:
            return Naming(remarks=found.remarks)
        unreached = tuple(
            f"the gateway lets no traffic to the name server {server} through"
            for server in config.servers
            if not reaches(up, server)
        )
        domains = (*config.search, *config.route_only)
        naming = Naming(
            config.servers,
            () if config.default_route else domains,
            remarks=(*found.remarks, *unreached, *self._resolver.problems),
        )
        choice = self._resolver.choice
        if choice is None or choice.way is Way.NOBODY:
            return naming
        through = f" through {choice.way}" if choice.way is Way.HELPER else ""
        return replace(naming, by=f"{choice.kind}{through}", reason=choice.reason)

    # Commands

    def want(self, configs: Iterable[DnsConfig]) -> bool:
        """From now it should be so; whether that is news."""
        wish = tuple(configs)
        if self._is_closed or wish == self._configs:
            return False
        self._configs = wish
        self._start(self._making, self._make(wish))
        return True

    async def leave(self, configs: Iterable[DnsConfig]) -> None:
        """Take back from links that are about to go what they had, before they do."""
        staying = {config.link for config in configs}
        if self._configs is not None and self.want(
            config for config in self._configs if config.link in staying
        ):
            await self.settle()

    async def settle(self, patience: float = PATIENCE) -> None:
        """Wait until it is as wanted last, or `patience` (seconds) ends."""
        if self._making:
            await asyncio.wait(tuple(self._making), timeout=patience)

    def repair(self) -> None:
        """Something happened over which a resolver may have lost what it was told."""
        if self._configs and len(self._repairing) < _MOST_REPAIRS:
            self._start(self._repairing, self._mend())

    async def holds(self) -> bool:
        """Whether names are resolved as wanted last; a resolver that does not answer in time does not say no."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                return not self._configs or await self._resolver.holds()
        return True

    async def restore(self) -> Outcome:
        """Leave nothing of ours, whoever made it."""
        self._configs = ()
        task = asyncio.create_task(self._restore())
        self._restoring.add(task)
        task.add_done_callback(self._restoring.discard)
        await asyncio.wait((task,), timeout=PATIENCE)
        outcome = task.result() if task.done() else Outcome(problems=("no resolver has answered yet",))
        for problem in outcome.problems:
            log.warning("name resolution is not restored: %s", problem)
        return outcome

    async def close(self) -> None:
        """The daemon ends, and with it all links: names are resolved as before."""
        if self.want(()):
            await self.settle(LAST_PATIENCE)
        self._is_closed = True

    async def _make(self, configs: tuple[DnsConfig, ...]) -> None:
        try:
            await self._resolver.apply(configs)
        except Exception:
            log.exception("name resolution was not changed")

    async def _restore(self) -> Outcome:
        try:
            return await self._resolver.restore()
        except Exception as error:
            log.exception("name resolution was not restored")
            return Outcome(problems=(str(error),))

    async def _mend(self) -> None:
        try:
            await self._resolver.repair()
        except Exception:
            log.exception("name resolution was not looked after")

    def _start(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def wanted_by(config: TunnelConfig, up: TunnelUp) -> Wanted:
    """What name resolution a tunnel that stands should bring."""
    return wanted(
        up.link,
        up.assigned,
        full=config.full,
        servers=config.dns_servers,
        search=config.dns_search,
        route_only=config.dns_route_only,
        over_tls=config.dns_over_tls,
    )
