"""Something to read, and a yes or no to it."""

from __future__ import annotations

import re
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from ...render import fold


def hang(line: str) -> int:
    """Where what does not fit goes on below: under the text beside a label, else a little further in."""
    label = re.match(r" *\S+( \S+)* {2,}", line)
    return label.end() if label is not None else len(line) - len(line.lstrip()) + 2


class ReportScreen(ModalScreen[bool]):
    """Dismissed with the answer to `question` about `text`; anything but y is no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "answer(True)", "Yes"),
        ("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, title: str, text: str, question: str) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical(classes="box report"):
            yield Label(Text(self._title, "bold"))
            with VerticalScroll():
                yield Static(id="text")
            yield Label(Text(f"{self._question}   y: yes   n: no   ↑↓: scroll"), classes="keys")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.call_after_refresh(self._fold)

    def on_resize(self) -> None:
        self.call_after_refresh(self._fold)

    def _fold(self) -> None:
        """Lines stay in their columns, whatever room there is."""
        text = self.query_one("#text", Static)
        lines = (fold(line, text.size.width or None, hang(line)) for line in self._text.splitlines())
        text.update(Text("\n".join(lines)))

    def action_answer(self, answer: bool) -> None:
        """Close with the answer."""
        self.dismiss(answer)
