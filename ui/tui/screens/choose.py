"""One of several names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList

from ...render import printable


class ChooseScreen(ModalScreen[str | None]):
    """Dismissed with the name chosen; None: none of them."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "Cancel")]

    def __init__(self, title: str, names: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._names = names

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Label(Text(self._title))
            yield OptionList(*(Text(printable(name)) for name in self._names))
            yield Label("enter: choose   esc: cancel", classes="keys")

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        self.dismiss(self._names[message.option_index])
