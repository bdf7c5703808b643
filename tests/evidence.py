"""What passing tests have shown, gathered from their reports: these may come from several processes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest

from tests.netns.logins import Record, Row

INTEROP, LOGIN, KERNEL = "interop", "login", "kernel"  # names of what a test leaves in its report


def _test(nodeid: str) -> str:
    """Below tests/netns, and without the group that xdist has put behind it."""
    return re.sub(r"@\w+$", "", nodeid.removeprefix("tests/netns/"))


class Evidence:
    """A plugin of pytest: the tables that a run prints, and whether docs/authentication.md says the same."""

    def __init__(self) -> None:
        self._interop: list[tuple[str, ...]] = []
        self._logins = Record()
        self._kernel: list[tuple[str, ...]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has passed: what it has noted counts."""
        if report.when != "call" or not report.passed:
            return
        for kind, row in report.user_properties:
            if kind == INTEROP:
                self._interop.append(tuple(cast("list[str]", row)))
            elif kind == KERNEL:
                self._kernel.append(tuple(cast("list[str]", row)))
            elif kind == LOGIN:
                method, peer = cast("list[str]", row)
                self._logins.rows.add(Row(method, peer, _test(report.nodeid)))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the logins down, or fail the run where the page lacks one."""
        file = session.config.getoption("--record-logins")
        if file is not None:
            self._logins.write(Path(file))
        elif self._logins.unsaid():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the tables."""
        if terminalreporter.config.getoption("--record-logins") is None and (unsaid := self._logins.unsaid()):
            terminalreporter.section("docs/authentication.md does not say what was shown: make docs-tables")
            for line in unsaid:
                terminalreporter.write_line(line)
        for title, rows in (
            ("interoperability", sorted(self._interop)),
            ("in the virtual machine", self._kernel),
        ):
            if rows:
                terminalreporter.section(title)
            for peer, what, result in rows:
                terminalreporter.write_line(f"{peer:18} {what:64} {result}")
