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
from tests.tables import Count, aligned, counted

INTEROP, LOGIN, KERNEL = "interop", "login", "kernel"  # names of what a test leaves in its report
LEAKS, CONTROLS, TRAINS, REFUSED, KILLED, RESOLVERS = (
    *("leaks", "controls", "trains", "refused", "killed", "resolvers"),
)

ROWS = {
    INTEROP: "interoperability",
    KERNEL: "in the virtual machine",
    RESOLVERS: "name resolution, by what and by what right",
}
"""Tables of words: their titles.  What a test leaves is a row."""

COUNTS = {
    CONTROLS: ("the guard off", "frames that the ledger saw / probes sent"),
    LEAKS: ("armed", "frames that left in clear / probes sent"),
    TRAINS: (
        "from one state to another",
        "frames that left in clear / packets sent in transitions, so often",
    ),
    REFUSED: ("a step of a change refused", "machines not as before / steps that failed"),
    KILLED: ("killed before a call", "machines with anything left or leaked / kills"),
}
"""Tables of counts: what their rows are, and their titles.  What a test leaves is a `Count`."""

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
        self._logins = Record()
        self._verdict = Verdict([], [])
        self._rows: dict[str, list[tuple[str, ...]]] = {}
        self._counts: dict[str, list[Count]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has passed: what it has noted counts."""
        self._logins.hear(report)
        if report.when != "call" or not report.passed:
            return
        for kind, row in report.user_properties:
            if kind in ROWS:
                self._rows.setdefault(kind, []).append(tuple(cast("list[str]", row)))
            elif kind in COUNTS:
                self._counts.setdefault(kind, []).append(cast("Count", tuple(cast("list[object]", row))))
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
        for kind, title in ROWS.items():
            if rows := self._rows.get(kind):
                terminalreporter.section(title)
                for line in aligned(rows if kind == KERNEL else sorted(rows)):
                    terminalreporter.write_line(line)
        for kind, (what, title) in COUNTS.items():
            if counts := self._counts.get(kind):
                terminalreporter.section(title)
                for line in counted(what, counts):
                    terminalreporter.write_line(line)
