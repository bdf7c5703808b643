"""What came of a change to name resolution."""

from __future__ import annotations

from dataclasses import dataclass

from .choice import Choice, Kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """The back-end that was used, if any was needed, and a sentence for each thing that could not be done.

    `refused` are back-ends in which something of ours is left that only root may take back; `steps` says what was
    taken back.
    """

    choice: Choice | None = None
    problems: tuple[str, ...] = ()
    refused: frozenset[Kind] = frozenset()
    steps: tuple[str, ...] = ()


class Unable(Exception):
    """A back-end could not do what it was asked for; `name` is the D-Bus error, if it was one."""

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name


class Refused(Unable):
    """We lack the permission."""


class Unsuitable(Unable):
    """This back-end will never take our configuration here: another one must be used."""
