"""Where traffic goes: a verdict for each family and for names, and how the machine is guarded."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from client.control.messages import LeakVerdict, LockdownStatus

from ... import render
from ..colors import color
from ..sight import Sight

MARKS = {"tunnelled": "✓", "blocked": "✓", "partly": "◐", "outside": "✗"}
SHADES = {
    "tunnelled": "text-success",
    "blocked": "text-success",
    "partly": "text-warning",
    "outside": "text-error",
}


class MachineLeaks(Static):
    """One line a verdict, with its reason; in plain sight without marks and colors."""

    def show(self, sight: Sight) -> None:
        """Draw what stands."""
        picture = sight.picture
        whole = [self._line(verdict, sight) for verdict in picture.leaks]
        whole += [Text(line) for line in _standing(picture.machine)]
        self.update(Text("\n").join(whole) if whole else Text("the daemon has not told yet"))

    def _line(self, verdict: LeakVerdict, sight: Sight) -> Text:
        goes = render.printable(verdict.goes)
        style = "" if sight.plain else color(self.app.theme_variables, SHADES.get(goes, ""))
        mark = "" if sight.plain else f"{MARKS.get(goes, '?')} "
        return Text.assemble(
            f"{render.printable(verdict.what):5}", (f"{mark}{goes:10}", style), render.printable(verdict.why)
        )


def _standing(machine: LockdownStatus | None) -> tuple[str, ...]:
    return () if machine is None else ("", *render.standing(machine))
