"""What has happened since the terminal UI was opened."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text
from textual.widgets import RichLog

KEPT = 500
"""Lines that can be scrolled back to."""


class TunnelStory(RichLog):
    """One line for each event, the latest at the bottom."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - as every widget calls it
        super().__init__(id=id, max_lines=KEPT, wrap=True, markup=False, min_width=20)
        self.border_title = "What happened"

    def tell(self, line: str, at: float) -> None:
        """Add a line with the local time of `at` (Unix seconds)."""
        clock = datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")
        self.write(Text.assemble((f"{clock}  ", "dim"), line))
