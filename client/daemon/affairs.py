"""What the daemon answers about itself: `daemon.info`, `daemon.log`, `daemon.set_log_level`, `daemon.report`."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping

from profiles.redaction import redacted_profile

from ..control.access import GROUP, group_id
from ..control.affairs import (
    DaemonInfo,
    LogLevel,
    LogLine,
    LogQuery,
    LogReport,
    ReportData,
    ReportedProfile,
)
from ..control.handlers import Action, Caller
from ..control.messages import PROTOCOL, Empty, StatusReport
from ..control.views import view_of_report
from .journal import LEVELS, Journal, level_of
from .tunnels import Tunnels

REPORTED_LINES = 1000

log = logging.getLogger("roam")


class Affairs:
    """`actions` are this part's rows of the method table."""

    def __init__(
        self,
        journal: Journal,
        tunnels: Tunnels,
        report: Callable[[], StatusReport],
        unix: Callable[[], float],
        *,
        version: str,
        boot: str,
    ) -> None:
        self._journal = journal
        self._tunnels = tunnels
        self._report = report
        self._unix = unix
        self._version = version
        self._boot = boot
        self._started = unix()
        self.actions: Mapping[str, Action] = {
            "daemon.info": self.info,
            "daemon.log": self.log,
            "daemon.set_log_level": self.set_log_level,
            "daemon.report": self.report,
        }

    async def info(self, _caller: Caller, _request: Empty) -> DaemonInfo:
        """Which daemon this is."""
        return self._info()

    def _info(self) -> DaemonInfo:
        return DaemonInfo(
            self._version,
            PROTOCOL,
            self._boot,
            os.getpid(),
            os.getuid(),
            self._started,
            self._unix(),
            log_level=level_of(log),
            group="" if group_id() is None else GROUP,
            python=platform.python_version(),
            kernel=platform.release(),
        )

    async def log(self, caller: Caller, request: LogQuery) -> LogReport:
        """What was logged: the last lines, or what came after those that the caller has."""
        is_ours = request.after is not None and request.boot == self._boot
        after = min(request.after or 0, self._journal.last) if is_ours else 0
        lines = self._lines(caller, request, after)
        if not lines and request.wait:
            lines = await self._await_lines(caller, request, after)
        return LogReport(self._journal.last, self._boot, lines[-request.lines :] if request.lines else ())

    async def _await_lines(self, caller: Caller, request: LogQuery, after: int) -> tuple[LogLine, ...]:
        try:
            async with asyncio.timeout(request.wait):
                while not (lines := self._lines(caller, request, after)):
                    await self._journal.grown(self._journal.last)
                return lines
        except TimeoutError:
            return ()

    def _lines(self, caller: Caller, request: LogQuery, after: int) -> tuple[LogLine, ...]:
        return self._journal.lines(caller, after, request.level, request.tunnel)

    async def set_log_level(self, caller: Caller, request: LogLevel) -> DaemonInfo:
        """Log more, or less, until the daemon ends."""
        log.setLevel(LEVELS[request.level])
        log.warning("uid %d has set the level of the log to %s", caller.uid, request.level)
        return self._info()

    async def report(self, caller: Caller, _request: Empty) -> ReportData:
        """Everything that helps to understand a fault, and nothing that logs anybody in."""
        status = view_of_report(self._report(), caller).replace(boot=self._boot, version=self._version)
        lines = self._journal.lines(caller, 0, "debug")[-REPORTED_LINES:]
        return ReportData(self._info(), status, lines, tuple(self._profiles(caller)))

    def _profiles(self, caller: Caller) -> Iterator[ReportedProfile]:
        for entry in self._tunnels:
            if caller.controls(entry.order.owner, shared=entry.order.shared):
                yield ReportedProfile(entry.key.id, redacted_profile(entry.order.text))
