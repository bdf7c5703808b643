"""What a run has shown of each way to log in: the rows of docs/authentication.md, and whether it says the same."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import pytest

SCRIPT = Path(__file__).parents[2] / "packaging" / "dev" / "login_table.py"
PASSED, FAILED = "passed", "failed"  # what became of a test; anything else is why it was skipped

TableRow = tuple[str, str, str, str]


class TableScript(Protocol):
    """`packaging/dev/login_table.py`, which is no package."""

    PAGE: Path
    RESULT: str
    NOT_SHOWN: str

    def rows_of(self, results: list[dict[str, str]]) -> list[TableRow]: ...
    def table(self, rows: list[TableRow]) -> str: ...
    def written(self) -> list[TableRow]: ...


def script() -> TableScript:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("login_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("TableScript", module)


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One method against one peer; the test refused wrong credentials there, and let the right ones in."""

    method: str
    peer: str
    test: str


class Verdict(NamedTuple):
    """How a run and the page compare: what fails the run, and the rows that the run could not judge."""

    differences: list[str]
    unjudged: list[str]


def name_of_test(nodeid: str) -> str:
    """Below tests/netns, and without the group that xdist has put behind it."""
    return re.sub(r"@\w+$", "", nodeid.removeprefix("tests/netns/"))


@dataclass(slots=True)
class Record:
    """All rows of a run, and what became of its tests."""

    rows: set[Row] = field(default_factory=set)
    outcomes: dict[str, str] = field(default_factory=dict)

    def hear(self, report: pytest.TestReport) -> None:
        """One of the up to three reports of a test: the worst counts."""
        test, before = name_of_test(report.nodeid), self.outcomes.get(name_of_test(report.nodeid), PASSED)
        if report.failed or before == FAILED:
            self.outcomes[test] = FAILED
        elif report.skipped:
            self.outcomes[test] = _reason(report)
        else:
            self.outcomes[test] = before

    def compare(self, written: list[TableRow], *, whole: bool) -> Verdict:
        """The page and this run; `whole`: it was to run every test there is, so that no test may be missing."""
        shown = script().rows_of([asdict(row) for row in sorted(self.rows)])
        ran = {row for row in shown if row[2] == script().RESULT}
        differences = [f"shown, and not on the page: {_name(row)}" for row in sorted(ran - {*written})]
        unjudged = []
        for row in written:
            if row[2] != script().RESULT or row in ran:
                continue
            match self.outcomes.get(row[3].strip("`")):
                case None if whole:
                    differences.append(f"on the page, and there is no such test: {_name(row)}, {row[3]}")
                case None:
                    pass  # not asked for
                case outcome if outcome == PASSED:
                    differences.append(f"on the page, and its test has not shown it: {_name(row)}")
                case outcome if outcome == FAILED:
                    differences.append(f"on the page, and its test has failed: {_name(row)}")
                case reason:
                    unjudged.append(f"{_name(row)}: {reason}")
        if whole and not differences and not unjudged and shown != written:
            differences.append("rows of the page that say what is not shown, or their order")
        return Verdict(differences, unjudged)

    def write(self, file: Path) -> None:
        """Keep it for the page."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([asdict(row) for row in sorted(self.rows)], indent=1) + "\n")


def _name(row: TableRow) -> str:
    return f"{row[0]}, {row[1]}"


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped, in a line."""
    words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return f"skipped: {words.removeprefix('Skipped: ').partition(chr(10))[0]}"
