"""What became of each thing that a foreign file says: kept, kept with a difference, left out, still to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What became of one field."""

    HONOURED = "honoured"
    APPROXIMATED = "approximated"
    IGNORED = "ignored"
    MISSING = "missing secret"


@dataclass(frozen=True, slots=True)
class Row:
    """One field of the foreign file (`source`), the profile key it became (or ""), and a sentence about it."""

    outcome: Outcome
    source: str
    target: str
    text: str


@dataclass(frozen=True, slots=True)
class FidelityReport:
    """All of them, in the order of the file."""

    rows: tuple[Row, ...]

    def count(self, outcome: Outcome) -> int:
        """How many fields ended so."""
        return sum(row.outcome is outcome for row in self.rows)

    @property
    def summary(self) -> str:
        """Such as "12 honoured, 1 ignored"."""
        counted = Counter(row.outcome for row in self.rows)
        return (
            ", ".join(f"{counted[kind]} {kind.value}" for kind in Outcome if counted[kind]) or "nothing read"
        )

    @property
    def differences(self) -> tuple[Row, ...]:
        """What a person should know before relying on it."""
        return tuple(row for row in self.rows if row.outcome is not Outcome.HONOURED)


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table for documents."""
    lines = ["| in the file | | in the profile | |", "|---|---|---|---|"]
    lines += (
        f"| `{_cell(row.source)}` | {row.outcome.value} | {f'`{row.target}`' if row.target else '–'} | "
        f"{_cell(row.text)} |"
        for row in rows
    )
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
