"""Why a tunnel does not work."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from client.control.evidence import Explanation
from client.control.messages import ControlError, summary

from ... import render
from ...explanation import explained


class TunnelWhy(Static):
    """What `roam explain` says: what happened, what speaks for it, what to do, and what it is not."""

    def show(self, found: Explanation | ControlError | None) -> None:
        """Draw it."""
        match found:
            case None:
                self.update(Text("nothing is known of it yet"))
            case ControlError():
                words = f"{summary(found.kind)}: {render.printable(found.evidence)}. {found.hint}"
                self.update(Text(words))
            case _:
                width = (self.size.width or self.app.size.width) - 2
                self.update(Text("\n".join(explained(found, width))))
