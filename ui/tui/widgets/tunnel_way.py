"""The way to the gateway and what goes over it."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from client.control.messages import TunnelStatus

from ... import render
from ..colors import color
from ..plots import Plot, plots
from ..sight import Sight
from ..way import in_words, picture

LABEL = 10
ROOM_FOR_WORDS = 40
SECONDS = 60  # that the words are about where nothing is drawn
SHADES = {"in": "text-success", "out": "text-primary", "round trip": "text-warning"}


class TunnelWay(Static):
    """A picture of the path, and plots of the last minutes; in plain sight the same in words."""

    def show(self, entry: TunnelStatus | None, sight: Sight) -> None:
        """Draw one tunnel."""
        self.display = entry is not None and entry.state in render.CONNECTED
        if entry is None or not self.display:
            return
        width = max((self.size.width or self.app.size.width) - 2, 20)
        drawn = None if sight.plain else picture(entry, width)
        lines = [Text(in_words(entry))] if drawn is None else [Text(line) for line in drawn]
        columns = width - LABEL - ROOM_FOR_WORDS - 4
        samples = sight.history.of(entry)
        is_drawn = not sight.plain and columns >= LABEL
        lines += [
            self._line(plot, sight, drawn=is_drawn)
            for plot in plots(samples, columns if is_drawn else SECONDS)
        ]
        self.update(Text("\n").join(lines))

    def _line(self, plot: Plot, sight: Sight, *, drawn: bool) -> Text:
        line = Text(f"{plot.name:{LABEL}}  ", "" if sight.plain else "dim")
        if drawn and plot.bars:
            line.append(f"{plot.bars}  ", color(self.app.theme_variables, SHADES[plot.name]) or "not dim")
        return line.append(plot.words, "" if sight.plain else "not dim")
