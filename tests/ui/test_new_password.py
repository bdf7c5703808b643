"""Another password in the course of `roam up`: typed twice, and kept where the old one was if its owner wants."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.control.messages import ControlError, Fault, SecretAnswer, SecretNeeded, TunnelStatus
from tests.control.fake import FakeDaemon
from tests.secrecy.scanner import kept_secret
from tests.ui.conftest import EAP, MemoryKeyring
from ui.cli import main
from ui.credentials import Terminal, new_password

OLD, NEW = kept_secret("hunter2-hunter2"), kept_secret("looking-glass")
UP = TunnelStatus("office", "up", serial=1)
REFERENCE = "keyring:office/eap"
EXPIRED = SecretNeeded("7", "office", "new-password", "A new password", 0.0, reference=REFERENCE)
REFUSED = TunnelStatus("office", "blocked", serial=1, failure=Fault("auth.rejected", "password is wrong"))


class Person:
    """At the terminal: what is typed, and what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *typed: str) -> None:
        self.typed: Iterator[str] = iter(typed)
        self.prompts: list[str] = []
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr(Terminal, "secret", lambda _self, prompt: self.answer(prompt))
        monkeypatch.setattr(Terminal, "line", lambda _self, prompt: self.answer(prompt))

    def answer(self, prompt: str) -> str:
        self.prompts.append(prompt)
        return next(self.typed)


@pytest.fixture(autouse=True)
def stored(directory: Path, ring: MemoryKeyring) -> MemoryKeyring:
    ring.entries["roam", "office/eap"] = OLD
    return ring


def test_a_new_password_is_typed_twice_and_replaces_the_stored_one(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, stored: MemoryKeyring
) -> None:
    person = Person(monkeypatch, NEW, NEW, "y")
    daemon.script = [EXPIRED, UP]
    assert main(["up"]) == 0
    (_, answer) = daemon.calls[1]
    assert isinstance(answer, SecretAnswer)
    assert answer.value.reveal() == NEW
    assert person.prompts[:2] == ["A new password", "The same once more"]
    assert "in the keyring" in person.prompts[2]
    assert stored.entries["roam", "office/eap"] == NEW


def test_what_its_owner_does_not_want_kept_is_not_kept(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, stored: MemoryKeyring
) -> None:
    Person(monkeypatch, NEW, NEW, "n")
    daemon.script = [EXPIRED, UP]
    assert main(["up"]) == 0
    assert stored.entries["roam", "office/eap"] == OLD


def test_a_file_with_the_old_password_is_named(
    daemon: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
    directory: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (directory / "office.toml").write_text(EAP.replace(REFERENCE, "file:password"))
    secret = directory / "password"
    secret.touch(0o600)
    secret.write_text(OLD)
    Person(monkeypatch, NEW, NEW)
    daemon.script = [EXPIRED.replace(reference="file:password"), UP]
    assert main(["up"]) == 0
    assert "file:password still holds the old password" in capsys.readouterr().err
    secret.unlink()


def test_two_that_differ_are_typed_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    person = Person(monkeypatch, "a", "b", NEW, NEW)
    assert new_password(Terminal(), "A new password") == NEW
    assert len(person.prompts) == 4
    assert "not the same" in capsys.readouterr().err
    Person(monkeypatch, *"abcdef")
    with pytest.raises(ControlError, match="never typed twice"):
        new_password(Terminal(), "A new password")


def test_without_a_terminal_a_refused_password_stays_a_refusal(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway would hear another one: nobody can type it, and the exit code says what the gateway said."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    cancel = daemon.cancel

    async def refused(caller: object, request: object) -> object:
        done = await cancel(caller, request)  # type: ignore[arg-type]
        daemon.change(REFUSED)
        return done

    daemon.actions["secret.cancel"] = refused  # type: ignore[assignment]
    daemon.script = [SecretNeeded("7", "office", "password", "Another", 0.0, reference=REFERENCE)]
    assert main(["up"]) == 5
    assert daemon.calls[1] == ("cancel", "7")
