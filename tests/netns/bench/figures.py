"""What the bench prints: two columns of one run, each a median with its range.

Machines are shared and noisy: compare the columns of one run, never figures of two.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

WIDTHS = (66, 38, 38)  # what, Roam, strongSwan; the ratio follows
HEADINGS = ("median (lowest to highest, number)", "Roam", "strongSwan", "ratio")


class Unit(Enum):
    """How a figure is shown: its word, what to multiply with, and decimals."""

    MILLISECONDS = ("ms", 1e3, 1)
    MEGABITS = ("Mbit/s", 1e-6, 0)
    MEBIBYTES = ("MiB", 1 / (1 << 20), 1)
    TIMES = ("", 1.0, 2)


@dataclass(frozen=True, slots=True)
class Sample:
    """All measurements of one quantity, in seconds, bit/s or octets; None: it did not happen within `patience`."""

    unit: Unit
    values: tuple[float | None, ...]
    patience: float = 0.0

    @property
    def happened(self) -> tuple[float, ...]:
        """The measurements that there are."""
        return tuple(value for value in self.values if value is not None)

    @property
    def median(self) -> float | None:
        """None unless most of them happened."""
        usual = len(self.happened) * 2 > len(self.values)
        return statistics.median(self.happened) if usual else None

    def __str__(self) -> str:
        missed = len(self.values) - len(self.happened)
        late = f"{missed} of {len(self.values)} not within {self.patience:g} s" if missed else ""
        if not self.happened:
            return late
        word, factor, digits = self.unit.value
        low, middle, high = (
            f"{factor * of(self.happened):.{digits}f}" for of in (min, statistics.median, max)
        )
        shown = f"{middle} {word}".rstrip() + f" ({low} to {high}, {len(self.happened)})"
        return f"{shown}; {late}" if late else shown


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity of both clients; an empty column where the other has no such thing."""

    what: str
    ours: Sample | None
    theirs: Sample | None

    def __str__(self) -> str:
        return line(self.what, _text(self.ours), _text(self.theirs), self._ratio())

    def _ratio(self) -> str:
        if self.ours is None or self.theirs is None:
            return ""
        ours, theirs = self.ours.median, self.theirs.median
        return f"{ours / theirs:.2f}" if ours is not None and theirs else ""


def line(*cells: str) -> str:
    """One line of the table."""
    padded = [f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=False)]
    return "".join((*padded, *cells[len(WIDTHS) :])).rstrip()


def milliseconds(seconds: Sequence[float | None], patience: float = 0.0) -> Sample:
    """A sample of times."""
    return Sample(Unit.MILLISECONDS, tuple(seconds), patience)


def _text(sample: Sample | None) -> str:
    return "" if sample is None else str(sample)
