"""The moves of a tunnel from one path to another."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text
from textual.widgets import DataTable

from client.control.messages import Handover

from ... import render

COLUMNS = ("When", "From", "To", "Confirmed", "Gap", "Why")
NARROW = 96
"""Columns of a screen on which addresses would push the reason out of sight."""


class TunnelMoves(DataTable[Text]):
    """One row a move, the latest first; on a narrow screen from link to link, without addresses."""

    def on_mount(self) -> None:
        self.cursor_type = "row"
        self.add_columns(*COLUMNS)
        self._shown: tuple[tuple[str, ...], ...] | None = None

    def show(self, moves: tuple[Handover, ...]) -> None:
        """Draw them anew, if there is anything new."""
        rows = tuple(cells(move, is_narrow=self.app.size.width < NARROW) for move in reversed(moves))
        if rows == self._shown:
            return
        self._shown = rows
        self.clear(columns=True)  # their widths, too, follow what is in them
        self.add_columns(*COLUMNS)
        for row in rows:
            self.add_row(*map(Text, row))


def cells(move: Handover, *, is_narrow: bool = False) -> tuple[str, ...]:
    """A move in words, in the order of the columns."""
    when = datetime.fromtimestamp(move.at).astimezone().strftime("%H:%M:%S")
    confirmed = "–" if move.confirmed_ms is None else f"{move.confirmed_ms} ms"
    gap = "no traffic" if move.gap_ms is None else f"{move.gap_ms} ms"
    old, new, trigger = (render.printable(text) for text in (move.old, move.new, move.trigger))
    if is_narrow and old.partition(" ")[0] != new.partition(" ")[0]:
        old, new = old.partition(" ")[0], new.partition(" ")[0]
    return when, old, new, confirmed, gap, trigger
