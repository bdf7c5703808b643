"""What users say of the machine as a whole: lockdown, and passes for captive portals.

Lockdown is kept in the state directory and holds over restarts and reboots, whatever becomes of the tunnels.  A
pass is kept nowhere: whoever starts anew starts closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..control.handlers import Caller
from ..control.messages import HINTS, ControlError, LockdownSet, LockdownStatus, Notice, PortalOpen
from ..ike.events import Address
from ..system.manifest import write_durably
from ..tunnel.events import Applied, ApplyFailed
from ..tunnel.model import Lockdown, PortalPass, Stance
from .applier import Applier
from .clock import Clock

log = logging.getLogger("roam.lockdown")

VERSION = 1
FILE = "lockdown.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """Lockdown is on: who turned it on, and whether the local network may be reached."""

    owner: int
    allow_lan: bool

    @property
    def lockdown(self) -> Lockdown:
        """As the tunnels' layer knows it."""
        return Lockdown(self.allow_lan)


class LockdownFile:
    """The wish for lockdown.  A file that does not read is a wish too, and only root may end it."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / FILE

    def load(self) -> Kept | None:
        """What was wanted when somebody last said so."""
        try:
            found = json.loads(self._file.read_text())
            if found["version"] != VERSION:
                raise ValueError(f"version {found['version']}")
            return Kept(int(found["owner"]), bool(found["allow_lan"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("%s does not read (%s): lockdown is on", self._file, error)
            return Kept(0, allow_lan=False)

    def keep(self, kept: Kept) -> None:
        """Remember it; `OSError` where the disk does not take it."""
        content = {"version": VERSION, "owner": kept.owner, "allow_lan": kept.allow_lan}
        write_durably(self._file, json.dumps(content))

    def forget(self) -> None:
        """It has ended."""
        with suppress(FileNotFoundError):
            self._file.unlink()


class Warden:
    """Getter: `status`.  Commands: `set_lockdown`, `open_portal`; `run` is its task."""

    def __init__(
        self,
        state_dir: Path,
        applier: Applier,
        clock: Clock,
        unix: Callable[[], float],
        resolvers: Callable[[], Awaitable[tuple[Address, ...]]],
        problem: Callable[[], str],
        publish: Callable[[Notice], None],
    ) -> None:
        """`problem` says why the guard is made by routing only; empty where it is not."""
        self._file = LockdownFile(state_dir)
        self._applier = applier
        self._clock = clock
        self._unix = unix
        self._resolvers = resolvers
        self._problem = problem
        self._publish = publish
        self._kept = self._file.load()
        self._portal: PortalPass | None = None
        self._closes_at: float | None = None
        self._stirred = asyncio.Event()
        applier.stance = self._stance()

    @property
    def status(self) -> LockdownStatus:
        """How the machine stands."""
        kept, portal, problem = self._kept, self._portal, self._problem()
        return LockdownStatus(
            kept is not None,
            owner=0 if kept is None else kept.owner,
            allow_lan=kept is None or kept.allow_lan,
            guard="routing" if problem else "nftables",
            guard_reason=problem,
            fight=self._applier.fight,
            portal_owner=None if portal is None else portal.uid,
            portal_until=None if portal is None else float(portal.until),
            time=self._unix(),
        )

    async def set_lockdown(self, caller: Caller, request: LockdownSet) -> LockdownStatus:
        """Turn lockdown on, change it, or end it; returns when the machine is so."""
        if self._kept is not None and not caller.controls(self._kept.owner, shared=False):
            evidence = f"uid {self._kept.owner} has turned lockdown on"
            raise ControlError("permission.denied", evidence, "Root may end it: sudo roam lockdown off")
        self._kept = Kept(caller.uid, request.allow_lan) if request.on else None
        failure = self._remember()
        await self._take()
        self._publish(Notice(f"lockdown is {'on' if request.on else 'off'}"))
        if failure:
            raise ControlError("local.fault", failure)
        return self.status

    def _remember(self) -> str:
        """Write the wish down; why that failed, which keeps nothing from closing now."""
        try:
            if self._kept is not None:
                self._file.keep(self._kept)
            else:
                self._file.forget()
        except OSError as error:
            return f"lockdown is {'on' if self._kept else 'off'} now, but not after a restart: {error}"
        return ""

    async def open_portal(self, caller: Caller, request: PortalOpen) -> LockdownStatus:
        """Let this user's browser out for some seconds, to log in to the network; 0 ends that at once."""
        if self._portal is not None and not caller.controls(self._portal.uid, shared=False):
            raise ControlError("permission.denied", f"the portal is open for uid {self._portal.uid}")
        if request.seconds > 0:
            until = int(self._unix() + request.seconds) + 1
            self._portal = PortalPass(caller.uid, await self._resolvers(), until)
            self._closes_at = self._clock() + request.seconds
        else:
            self._portal = self._closes_at = None
        self._stirred.set()
        await self._take()
        return self.status

    async def run(self) -> None:
        """Close the portal in time, until cancelled."""
        while True:
            self._stirred.clear()
            left = None if self._closes_at is None else max(self._closes_at - self._clock(), 0.0)
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._stirred.wait()
            if self._closes_at is not None and self._closes_at <= self._clock():
                self._portal = self._closes_at = None
                self._applier.take(self._stance())

    def _stance(self) -> Stance:
        lockdown = None if self._kept is None else self._kept.lockdown
        return replace(self._applier.stance, lockdown=lockdown, portal=self._portal)

    async def _take(self) -> None:
        done: asyncio.Future[Applied | ApplyFailed] = asyncio.get_running_loop().create_future()

        def answer(event: Applied | ApplyFailed) -> None:
            if not done.done():  # the caller may have gone away
                done.set_result(event)

        self._applier.take(self._stance(), answer)
        outcome = await done
        if isinstance(outcome, ApplyFailed):
            failure = outcome.failure
            raise ControlError(failure.kind, failure.evidence, failure.hint or HINTS[failure.kind])
