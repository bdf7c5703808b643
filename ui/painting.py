"""Colours for people at a terminal.  What they say stands in the words too: without them nothing is lost.

Heeds https://no-color.org: NO_COLOR, set and not empty, turns them off; so does a terminal that has none.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
STATES = {
    "up": "green",
    "moving": "yellow",
    "connecting": "yellow",
    "waiting": "yellow",
    "closing": "yellow",
    "blocked": "red",
    "off": "dim",
}
_LOUD = {"problem": "red", "next": "bold", "note": "yellow", "retry": "yellow", "now": "yellow"}
_ROW = 2
"""Columns before the name of a row."""
_NAME = 9
"""Columns of the name itself, which may be more than one word ("data path")."""


def wants_colour(stream: TextIO) -> bool:
    """Whether what is written to `stream` may have colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def paint(text: str, style: str, stream: TextIO) -> str:
    """`text` in one of `CODES`, where `stream` wants colours."""
    return f"\x1b[{CODES[style]}m{text}\x1b[0m" if text and wants_colour(stream) else text


def painted_status(text: str, stream: TextIO) -> str:
    """A status as `render.status` makes it, with its states and names of rows in colours."""
    if not wants_colour(stream):
        return text
    return "\n".join(_line(line, stream) for line in text.split("\n"))


def _line(line: str, stream: TextIO) -> str:
    if line.startswith(" " * _ROW) and line[_ROW : _ROW + 1].strip():
        name, rest = line[_ROW : _ROW + _NAME], line[_ROW + _NAME :]
        style = _LOUD.get(name.rstrip(), "dim")
        return (
            f"{' ' * _ROW}{paint(name.rstrip(), style, stream)}{' ' * (len(name) - len(name.rstrip()))}{rest}"
        )
    name, colon, rest = line.partition(": ")
    state = next(
        (state for state in STATES if rest == state or rest.startswith((f"{state} ", f"{state},"))), None
    )
    if line.startswith(" ") or not colon or state is None:
        return line
    return f"{paint(name, 'bold', stream)}: {paint(state, STATES[state], stream)}{rest[len(state) :]}"


def painted_problem(text: str, stream: TextIO) -> str:
    """A failure as `render.problem` makes it: the first line counts most."""
    first, newline, rest = text.partition("\n")
    return f"{paint(first, 'red', stream)}{newline}{rest}"
