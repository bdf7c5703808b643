"""What passing tests have shown, gathered from their reports: these may come from several processes.

docs/authentication.md has to say the same about ways to log in.  Every run compares: what it has shown must stand
there, and what stands there must not be denied by a test that passes without showing it, or fails.  A run of all
tests also finds rows whose test is gone.  Rows whose test was skipped are named, with the reason, and not judged.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from tests.netns.logins import Record, Row, Verdict, name_of_test, script

INTEROP, LOGIN, KERNEL = "interop", "login", "kernel"  # names of what a test leaves in its report
PEERS = Path(__file__).parent / "netns"


def is_whole(config: pytest.Config) -> bool:
    """Whether the run was to have every test against a peer in it, as far as the command line says."""
    options = (
        "keyword",
        "markexpr",
        "deselect",
        "ignore",
        "ignore_glob",
        "peer",
        "lf",
        "stepwise",
        "collectonly",
    )
    if any(config.getoption(name, None) for name in options):
        return False
    asked = [Path(config.invocation_params.dir, words) for words in config.args if "::" not in words]
    return any(path == PEERS or path in PEERS.parents for path in asked)


class Evidence:
    """A plugin of pytest: the tables that a run prints, and whether docs/authentication.md says the same."""

    def __init__(self) -> None:
        self._interop: list[tuple[str, ...]] = []
        self._logins = Record()
        self._kernel: list[tuple[str, ...]] = []
        self._verdict = Verdict([], [])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has passed: what it has noted counts."""
        self._logins.hear(report)
        if report.when != "call" or not report.passed:
            return
        for kind, row in report.user_properties:
            if kind == INTEROP:
                self._interop.append(tuple(cast("list[str]", row)))
            elif kind == KERNEL:
                self._kernel.append(tuple(cast("list[str]", row)))
            elif kind == LOGIN:
                method, peer = cast("list[str]", row)
                self._logins.rows.add(Row(method, peer, name_of_test(report.nodeid)))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the logins down, or fail the run where the page says something else.

        The page is not written from a run in which tests of its rows failed or were skipped.
        """
        file = session.config.getoption("--record-logins")
        finished = not (
            session.shouldstop or session.shouldfail or session.exitstatus == pytest.ExitCode.INTERRUPTED
        )
        whole = file is None and finished and is_whole(session.config)
        self._verdict = self._logins.compare(script().written(), whole=whole)
        if file is not None and session.exitstatus == pytest.ExitCode.OK:
            if self._verdict.unjudged:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            else:
                self._logins.write(Path(file))
        elif self._verdict.differences:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the tables."""
        is_recording = terminalreporter.config.getoption("--record-logins") is not None
        differs = "docs/authentication.md differs from what was shown: make docs-tables"
        unjudged = "rows of docs/authentication.md that this run could not judge"
        for title, lines in (
            (differs, [] if is_recording else self._verdict.differences),
            (unjudged, self._verdict.unjudged),
        ):
            if lines:
                terminalreporter.section(title)
            for line in lines:
                terminalreporter.write_line(line)
        for title, rows in (
            ("interoperability", sorted(self._interop)),
            ("in the virtual machine", self._kernel),
        ):
            if rows:
                terminalreporter.section(title)
            for peer, what, result in rows:
                terminalreporter.write_line(f"{peer:18} {what:64} {result}")
