"""The list of tunnels."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widgets import DataTable

from client.control.messages import TunnelStatus

from ... import render

COLUMNS = ("Tunnel", "State", "Since", "Path", "Inside address")


class TunnelTable(DataTable[Text]):
    """One row a tunnel; the cursor stays on its tunnel while rows come and go."""

    def on_mount(self) -> None:
        self.cursor_type = "row"
        self.add_columns(*COLUMNS)

    def show(self, tunnels: Iterable[TunnelStatus], now: float) -> None:
        """Draw the rows anew."""
        chosen = self.chosen
        self.clear()
        for entry in tunnels:
            self.add_row(*_cells(entry, now), key=_key(entry))
        if chosen is not None and chosen in self.rows:
            self.move_cursor(row=self.get_row_index(chosen))

    @property
    def chosen(self) -> str | None:
        """Key of the row under the cursor."""
        if not self.row_count:
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def is_chosen(self, entry: TunnelStatus) -> bool:
        """Whether the cursor is on this tunnel."""
        return self.chosen == _key(entry)


def _key(entry: TunnelStatus) -> str:
    return f"{entry.owner}/{entry.name}"


def _cells(entry: TunnelStatus, now: float) -> Iterable[Text]:
    path = f"{entry.path.interface} → {entry.path.remote}" if entry.path else entry.detail
    since = render.span(now - entry.since) if entry.since else ""
    # Text and not str: a name from outside must not be read as markup
    for value in (entry.name, entry.state, since, path, render.some(entry.addresses)):
        yield Text(render.printable(value))
