"""The list of tunnels."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widgets import DataTable

from client.control.messages import TunnelStatus

from ... import render
from ..colors import color, shade
from ..sight import Sight

COLUMNS = ("Tunnel", "State", "For", "Path", "In", "Out")


class TunnelTable(DataTable[Text]):
    """One row a tunnel; the cursor stays on its tunnel while rows come and go."""

    def on_mount(self) -> None:
        self.cursor_type = "row"
        self.add_columns(*COLUMNS)

    def show(self, sight: Sight) -> None:
        """Draw the rows anew."""
        chosen = self.chosen
        self.clear()
        for entry in sight.picture.tunnels:
            style = "" if sight.plain else color(self.app.theme_variables, shade(entry))
            self.add_row(*_cells(entry, sight, style), key=_key(entry))
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


def _cells(entry: TunnelStatus, sight: Sight, style: str) -> Iterable[Text]:
    # Text and not str: a name from outside must not be read as markup
    mark = "" if sight.plain else "● "
    yield Text(render.printable(entry.name), "" if sight.plain else "bold")
    yield Text(f"{mark}{render.printable(entry.state)}", style)
    yield Text(render.span(sight.now - entry.since) if entry.since else "")
    yield Text(_way(entry))
    for rate in sight.history.rates.of(entry) or (None, None):
        yield Text("" if rate is None else f"{render.octets(round(rate))}/s", justify="right")


def _way(entry: TunnelStatus) -> str:
    """The path in use, or why there is none."""
    if entry.path is None or entry.state in {"waiting", "blocked"}:
        return render.printable(entry.detail, 28)
    return f"{render.printable(entry.path.interface)} → {render.printable(entry.path.remote)}"
