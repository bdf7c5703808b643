"""What a rule is: a cause, the clues that must all be there, what to do about it, and what looks alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .sources import Source
from .view import View

Find = Callable[[View], str]
"""The line of evidence, in words; empty where the record does not show it."""


@dataclass(frozen=True, slots=True)
class Clue:
    """One thing that a cause shows; `expects` says what, for causes that are ruled out by its absence."""

    source: Source
    expects: str
    find: Find


@dataclass(frozen=True, slots=True)
class Rule:
    """A cause.  Of several rules whose clues are all there, the one with most clues counts, then the first.

    `likely` where other causes can look the same; `unlike` are the causes that look alike.  `strength` counts as so
    many clues more, where one clue says all.
    """

    cause: str
    title: str
    fix: tuple[str, ...]
    clues: tuple[Clue, ...]
    likely: bool = False
    strength: int = 0
    unlike: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        """What it counts beside others whose clues are all there."""
        return len(self.clues) + self.strength

    def lines(self, view: View) -> tuple[str, ...]:
        """The evidence, or nothing unless all clues are there."""
        found = tuple(clue.find(view) for clue in self.clues)
        return found if all(found) else ()
