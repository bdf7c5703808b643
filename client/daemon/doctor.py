"""`roam doctor`: look at this machine and say what keeps Roam from working well here.

The daemon does it with its own rights.  Without one, `roamd --doctor` does what its caller may, and says what it
could not see.  What is read stands in `checkup` and below `client.system` and `client.net`; what it means, in
`findings`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..control.diagnosis import Diagnosis, Examine, Finding
from ..control.handlers import Caller
from ..net.interfaces import snapshot_by_netifaces
from ..net.netlink import snapshot
from ..system.choice import Choice as DataPath
from ..system.others import read_others
from ..system.resolver.choice import OVER_THE_BUS, Choice, Way, choose
from ..system.resolver.detect import Places, detect
from ..system.resolver.model import DnsConfig
from ..system.resolver.polkit import permits
from . import checkup, dns_trial, findings

SECRETS = Path("/etc/roam/secrets")


class ResolverPort(Protocol):
    """The part of `client.system.resolver.resolver.Resolver` that is used here."""

    choice: Choice | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Doctor:
    """What it needs of the daemon; without one there are neither tunnels nor a resolver that was told of any.

    `data_path` says what carries packets here, None where that cannot be found out.
    """

    state: Path
    places: Places
    data_path: Callable[[], DataPath | None]
    configs: Callable[[], Sequence[DnsConfig]] = tuple
    resolver: ResolverPort | None = None

    async def examine(self, _caller: Caller | None, request: Examine) -> Diagnosis:
        """Look; with the topic "dns" at name resolution alone, but by asking."""
        found = await (self._names() if request.topic == "dns" else self._machine())
        return Diagnosis(tuple(found), os.geteuid())

    async def _names(self) -> list[Finding]:
        choice, by_whom = await self._resolver()
        return [*by_whom, *await dns_trial.examine(tuple(self.configs()), choice.kind)]

    async def _machine(self) -> list[Finding]:
        _, by_whom = await self._resolver()
        return [*await asyncio.to_thread(self._look), *by_whom]

    async def _resolver(self) -> tuple[Choice, list[Finding]]:
        """While tunnels stand, what has come of telling somebody; before, who would be told."""
        told = self.resolver.choice if self.resolver is not None else None
        choice = told if told is not None else await self._would_be_told()
        problems = self.resolver.problems if self.resolver is not None else ()
        return choice, list(findings.judge_resolver(choice, () if choice.way is Way.NOBODY else problems))

    async def _would_be_told(self) -> Choice:
        """With what polkit says; when it matters, a resolver that refuses is noticed by trying."""
        facts = await detect(self.places)
        choice = choose(facts)
        if choice.way is not Way.DIRECT or facts.root or choice.kind not in OVER_THE_BUS:
            return choice
        if await permits(self.places.bus, choice.kind):
            return choice
        return choose(replace(facts, refused=frozenset({choice.kind})))

    def _look(self) -> list[Finding]:
        rights = checkup.read_rights(self.state, SECRETS, standalone=self.resolver is None)
        others = read_others()
        return [
            *findings.judge_kernel(checkup.read_kernel(self.data_path())),
            *findings.judge_interfaces(snapshot(), snapshot_by_netifaces()),
            *findings.judge_forwarding(checkup.read_forwarding()),
            *findings.judge_filters(others),
            *findings.judge_vpns(others),
            *findings.judge_clock(checkup.read_clock()),
            *findings.judge_rights(rights),
        ]
