"""The steps of something that takes a while: live on a terminal, a line each elsewhere.

On a terminal the step under way stands in the last line with the seconds that it has taken; when it is over, it
stays there with a mark.  Marks, not colours alone, tell how it went.
"""

from __future__ import annotations

import sys
from time import monotonic

from . import output
from .painting import paint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

TICK = 0.2
"""Seconds between two looks at the clock while a step is shown."""
_CLEAR = "\r\x1b[2K"


class Steps:
    """`begin` a step, `tick` while it lasts, `end` or `pause` before anything else is written to the terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self.live = output.is_terminal(self._stream)
        self._shown = ""
        self._began = 0.0

    def begin(self, text: str) -> None:
        """A step is under way; the one before went well."""
        if not self.live:
            output.note(text)
            return
        self.end()
        self._shown, self._began = text, monotonic()
        self.tick()

    def tick(self) -> None:
        """Some time has passed."""
        if self._shown:
            self._write(f"{_CLEAR}… {self._fitting()}{self._seconds()}")

    def end(self, *, ok: bool = True) -> None:
        """The step is over."""
        if self._shown:
            mark = paint("✓", "green", self._stream) if ok else paint("✗", "red", self._stream)
            self._write(f"{_CLEAR}{mark} {self._fitting()}{self._seconds()}\n")
            self._shown = ""

    def pause(self) -> None:
        """Something else needs the terminal's next line; the step goes on."""
        if self._shown:
            self._write(f"{_CLEAR}… {self._fitting()}\n")
            self._shown = ""

    def _fitting(self) -> str:
        """One line of it: what wraps cannot be written over."""
        width = (output.columns(self._stream) or 80) - 12
        return self._shown if len(self._shown) <= width else self._shown[: width - 1] + "…"

    def _seconds(self) -> str:
        return f"  {monotonic() - self._began:.1f} s"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
