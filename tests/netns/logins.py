"""What a run has shown of each way to log in: the rows of docs/authentication.md."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol, cast

SCRIPT = Path(__file__).parents[2] / "packaging" / "dev" / "login_table.py"


class TableScript(Protocol):
    """`packaging/dev/login_table.py`, which is no package."""

    RESULT: str
    NOT_SHOWN: str

    def rows_of(self, results: list[dict[str, str]]) -> list[tuple[str, str, str, str]]: ...
    def table(self, rows: list[tuple[str, str, str, str]]) -> str: ...
    def written(self) -> list[tuple[str, str, str, str]]: ...
    def differences(self, results: list[dict[str, str]]) -> list[str]: ...


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


@dataclass(slots=True)
class Record:
    """All rows of a run."""

    rows: set[Row] = field(default_factory=set)

    def unsaid(self) -> list[str]:
        """What was shown, and stands not so in docs/authentication.md."""
        return script().differences([asdict(row) for row in sorted(self.rows)])

    def write(self, file: Path) -> None:
        """Keep it for the page."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([asdict(row) for row in sorted(self.rows)], indent=1) + "\n")
