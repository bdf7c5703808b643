"""Where the words of a command go: results to stdout, everything else to stderr, JSON in one envelope."""

from __future__ import annotations

import json
import os
import sys

from client.control.messages import ControlError, summary
from client.control.wire import plain

from . import render
from .painting import painted_problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

ENVELOPE = 1
"""Version of {"version", "kind", "data"}; it changes only when a reader would break."""


def envelope(kind: str, data: object) -> str:
    """One line of JSON for programs."""
    return json.dumps({"version": ENVELOPE, "kind": kind, "data": plain(data)})


def say(text: str) -> None:
    """A result."""
    print(text, flush=True)


def note(text: str) -> None:
    """Progress and remarks: not part of the result."""
    folded = text if "\n" in text else render.fold(text, columns(sys.stderr), 2)
    print(folded, file=sys.stderr, flush=True)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sees what goes there, and lines can be written over."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def columns(stream: TextIO) -> int | None:
    """Width of the terminal that `stream` goes to; None where it goes elsewhere, and lines stay whole."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # no terminal, or no file at all
        return None


def report(error: ControlError, *, as_json: bool) -> None:
    """A failure: for people on stderr, and for programs as an envelope on stdout."""
    note(painted_problem(render.problem(error, summary(error.kind), columns(sys.stderr)), sys.stderr))
    if as_json:
        say(envelope("error", {"kind": error.kind, "evidence": error.evidence, "hint": error.hint}))
