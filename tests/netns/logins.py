"""What a run has shown of each way to log in: the rows of docs/authentication.md."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Row:
    """One method against one peer; test ids of what has passed."""

    method: str
    peer: str
    accepted: str = ""
    refused: str = ""


@dataclass(slots=True)
class Record:
    """All rows of a run."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)

    def row(self, method: str, peer: str) -> Row:
        """The row of a method and a peer, made where it is missing."""
        return self.rows.setdefault((method, peer), Row(method, peer))

    def write(self, file: Path) -> None:
        """Keep it for the page."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([asdict(row) for row in self.rows.values()], indent=1) + "\n")
