"""Everything about the tunnel under the cursor."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.widgets import Static

from client.control.messages import TunnelStatus

from ... import render
from ..colors import ROWS, color, shade
from ..sight import Sight


class TunnelDetail(Static):
    """The same rows as `roam status NAME`, what is wrong first."""

    def show(self, entry: TunnelStatus | None, sight: Sight) -> None:
        """Draw one tunnel, or how to get one."""
        if entry is None:
            self.update(Text("no tunnel is wanted: 'u' brings one up, 'n' makes a profile, 'i' imports one"))
            return
        now, variables = sight.now, {} if sight.plain else self.app.theme_variables
        rows = Table.grid(padding=(0, 2))
        rows.add_column(no_wrap=True)
        rows.add_column(ratio=1)
        for name, value in [*render.trouble(entry, now), *render.facts(entry, now)]:
            style = color(variables, ROWS.get(name, ""))
            weight = "" if sight.plain else "bold" if name in ROWS else "dim"
            rows.add_row(Text(name, weight), Text(value, style))
        headline = "" if sight.plain else f"bold {color(variables, shade(entry))}"
        title = Text(render.headline(entry, now), headline)
        if entry.title not in ("", entry.name):
            title.append(f"  ({render.printable(entry.title)})", "not bold dim")
        whole = Table.grid()
        whole.add_row(title)
        whole.add_row(rows)
        self.update(whole)
