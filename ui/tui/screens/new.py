"""A form: what a new profile needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Select

from profiles.wizard import Login

LOGINS: tuple[tuple[str, Login], ...] = (
    ("user name and password", "password"),
    ("certificate", "cert"),
    ("pre-shared key", "psk"),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person has filled in; `trust` is empty, "ask" or the name of a file, `certificate` a file's."""

    server: str
    user: str
    login: Login
    certificate: str
    trust: str


class NewScreen(ModalScreen[Wanted | None]):
    """Dismissed with what was filled in; None: the person does not want a profile."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss(None)", "Cancel"),
        ("ctrl+s", "go_on", "Go on"),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="box form"):
            yield Label("A new profile")
            yield _field("server", "Server", "vpn.example.com, or its address")
            yield Select[Login](LOGINS, value="password", allow_blank=False, id="login")
            yield _field("user", "User name", "you, as the gateway knows you")
            yield _field("certificate", "Your certificate with its key", "its file: .p12 or PEM")
            yield _field("trust", "Who vouches for it", "its CA's file; empty: public; ask: compare its key")
            yield Label("tab: next   enter or ctrl-s: go on   esc: cancel", classes="keys")

    def on_mount(self) -> None:
        self._arrange("password")

    def on_select_changed(self, message: Select.Changed) -> None:
        self._arrange(str(message.value))

    def _arrange(self, login: str) -> None:
        """Only what this way to log in needs."""
        self.query_one("#certificate").display = login == "cert"
        self.query_one("#user").display = login != "cert"
        self.query_one("#trust").display = login != "psk"

    def on_input_submitted(self) -> None:
        self.action_go_on()

    def action_go_on(self) -> None:
        """Close with what was filled in, once there is a server."""
        server = self._text("server")
        if not server:
            self.query_one("#server", Input).focus()
            return
        chosen = self.query_one("#login", Select).value
        login = next(word for _, word in LOGINS if word == chosen)
        self.dismiss(
            Wanted(server, self._text("user"), login, self._text("certificate"), self._text("trust"))
        )

    def _text(self, name: str) -> str:
        field = self.query_one(f"#{name}", Input)
        return field.value.strip() if field.display else ""


def _field(name: str, title: str, example: str) -> Input:
    """An input whose title stays when the example has gone."""
    field = Input(placeholder=example, id=name)
    field.border_title = title
    return field
