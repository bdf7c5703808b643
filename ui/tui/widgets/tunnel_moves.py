"""The moves of a tunnel from one path to another."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text
from textual.widgets import DataTable

from client.control.messages import Handover

from ... import render

COLUMNS = ("When", "From", "To", "Confirmed", "Gap", "Why")


class TunnelMoves(DataTable[Text]):
    """One row a move, the latest first."""

    def on_mount(self) -> None:
        self.cursor_type = "row"
        self.add_columns(*COLUMNS)
        self._shown: tuple[Handover, ...] | None = None

    def show(self, moves: tuple[Handover, ...]) -> None:
        """Draw them anew, if there is anything new."""
        if moves == self._shown:
            return
        self._shown = moves
        self.clear()
        for move in reversed(moves):
            self.add_row(*map(Text, cells(move)))


def cells(move: Handover) -> tuple[str, ...]:
    """A move in words, in the order of the columns."""
    when = datetime.fromtimestamp(move.at).astimezone().strftime("%H:%M:%S")
    confirmed = "–" if move.confirmed_ms is None else f"{move.confirmed_ms} ms"
    gap = "no traffic" if move.gap_ms is None else f"{move.gap_ms} ms"
    old, new, trigger = (render.printable(text) for text in (move.old, move.new, move.trigger))
    return when, old, new, confirmed, gap, trigger
