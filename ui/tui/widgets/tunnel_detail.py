"""Everything about the tunnel under the cursor."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from client.control.messages import TunnelStatus

from ... import render


class TunnelDetail(Static):
    """The same text as `roam status NAME`."""

    def show(self, entry: TunnelStatus | None, now: float) -> None:
        """Draw one tunnel, or how to get one."""
        words = "no tunnel is wanted: 'roam up' starts one" if entry is None else render.tunnel(entry, now)
        self.update(Text(words))
