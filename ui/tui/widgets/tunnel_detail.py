"""Everything about the tunnel under the cursor."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.widgets import Static

from client.control.messages import TunnelStatus

from ... import render
from ..colors import ROWS, color, shade


class TunnelDetail(Static):
    """The same rows as `roam status NAME`, what is wrong first."""

    def show(self, entry: TunnelStatus | None, now: float) -> None:
        """Draw one tunnel, or how to get one."""
        if entry is None:
            self.update(Text("no tunnel is wanted: 'u' or 'roam up' starts one"))
            return
        rows = Table.grid(padding=(0, 2))
        rows.add_column(no_wrap=True)
        rows.add_column(ratio=1)
        for name, value in [*render.trouble(entry, now), *render.facts(entry, now)]:
            style = color(self.app.theme_variables, ROWS.get(name, ""))
            rows.add_row(Text(name, "bold" if name in ROWS else "dim"), Text(value, style))
        title = Text(render.headline(entry, now), f"bold {color(self.app.theme_variables, shade(entry))}")
        if entry.title:
            title.append(f"  ({render.printable(entry.title)})", "not bold dim")
        whole = Table.grid()
        whole.add_row(title)
        whole.add_row(rows)
        self.update(whole)
