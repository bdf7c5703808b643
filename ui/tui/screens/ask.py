"""A question that is answered with words: a password, a code."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label


class AskScreen(ModalScreen[str | None]):
    """Dismissed with what was typed; None: the person does not want to answer."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "Cancel")]

    def __init__(self, prompt: str, *, hidden: bool = True) -> None:
        super().__init__()
        self._prompt = prompt
        self._hidden = hidden

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Label(Text(self._prompt))
            yield Input(password=self._hidden)
            yield Label("enter: answer   esc: cancel", classes="keys")

    def on_input_submitted(self, message: Input.Submitted) -> None:
        self.dismiss(message.value)
