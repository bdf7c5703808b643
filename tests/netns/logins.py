"""What a run has shown of each way to log in: the rows of docs/authentication.md."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


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

    def write(self, file: Path) -> None:
        """Keep it for the page."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([asdict(row) for row in sorted(self.rows)], indent=1) + "\n")
