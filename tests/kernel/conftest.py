"""What the virtual machine has shown, for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest

from .guest import Verdict


@dataclass(frozen=True)
class Report:
    """The verdicts on a kernel, and the last words on its console."""

    KEY: ClassVar[pytest.StashKey[Report]] = pytest.StashKey()

    version: str
    verdicts: Mapping[str, Verdict]
    console: str


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    report = config.stash.get(Report.KEY, None)
    if report is not None:
        terminalreporter.section(f"on Linux {report.version}")
        for verdict in report.verdicts.values():
            said = "FAILED" if verdict.trouble else verdict.evidence
            terminalreporter.write_line(f"{verdict.name:64} {verdict.seconds:5.1f} s  {said}")
