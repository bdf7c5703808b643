"""Where the words of a command go: results to stdout, everything else to stderr, JSON in one envelope."""

from __future__ import annotations

import json
import sys

from client.control.messages import ControlError, summary
from client.control.wire import plain

from . import render

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
    print(text, file=sys.stderr, flush=True)


def report(error: ControlError, *, as_json: bool) -> None:
    """A failure: for people on stderr, and for programs as an envelope on stdout."""
    note(render.problem(error, summary(error.kind)))
    if as_json:
        say(envelope("error", {"kind": error.kind, "evidence": error.evidence, "hint": error.hint}))
