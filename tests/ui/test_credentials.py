"""Secrets in the user's session: where they come from, who is asked, and what is kept."""

from __future__ import annotations

import sys
from pathlib import Path

import keyring
import keyring.backends.fail
import pytest

from client.control.messages import ControlError
from profiles.references import Reference, parse
from tests.ui.conftest import MemoryKeyring
from ui.credentials import Secrets, Terminal, collect, offer_to_keep

KEYRING = parse("keyring:office/eap", "auth.local[0].secret")
ASK = parse("ask:", "auth.local[0].secret")
OTP = parse("ask:Code of the day", "auth.local[1].secret")


class Person:
    """Somebody with ready answers."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.prompts: list[str] = []

    def secret(self, prompt: str) -> str:
        self.prompts.append(prompt)
        return self.answers.pop(0)

    def line(self, prompt: str) -> str:
        return self.secret(prompt)


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)


def prompt_of(reference: Reference) -> str:
    return (reference.scheme == "ask" and reference.target) or "Password of alice"


def fetch(person: Person, *references: Reference, ask: bool = False) -> Secrets:
    return collect(references, Path("/"), person, owner=prompt_of, ask=ask)


def test_what_is_stored_is_not_asked_for(ring: MemoryKeyring) -> None:
    ring.entries["roam", "office/eap"] = "hunter2"
    person = Person()
    secrets = fetch(person, KEYRING)
    assert secrets.values["keyring:office/eap"].reveal() == "hunter2"
    assert (secrets.new, person.prompts) == ((), [])


def test_asking_anew_passes_the_store_over(ring: MemoryKeyring) -> None:
    ring.entries["roam", "office/eap"] = "old"
    secrets = fetch(Person("new"), KEYRING, ask=True)
    assert secrets.values["keyring:office/eap"].reveal() == "new"
    assert secrets.new == (KEYRING,)


@pytest.mark.usefixtures("at_a_terminal")
def test_a_person_is_asked_for_what_the_keyring_lacks(ring: MemoryKeyring) -> None:
    person = Person("typed")
    assert fetch(person, KEYRING).new == (KEYRING,)
    assert person.prompts == ["Password of alice"]
    assert ring.entries == {}


@pytest.mark.usefixtures("at_a_terminal")
def test_with_a_locked_keyring_a_person_is_asked(ring: MemoryKeyring) -> None:
    ring.locked = True
    assert fetch(Person("typed"), KEYRING).values["keyring:office/eap"].reveal() == "typed"


def test_without_a_keyring_and_a_terminal_the_reference_is_named(
    ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring.locked = True
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    with pytest.raises(ControlError, match=r"auth\.local\[0\]\.secret: the keyring cannot be read") as caught:
        fetch(Person(), KEYRING)
    assert caught.value.kind == "secret.missing"


def test_where_there_is_no_keyring_the_way_without_one_is_named(
    ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    with pytest.raises(ControlError, match="this session has no keyring") as caught:
        fetch(Person(), KEYRING)
    assert "Change auth.local[0].secret to ask: or to a file:" in caught.value.hint


def test_prompts_are_the_references_own_or_say_whose_secret_it_is() -> None:
    person = Person("one", "two")
    secrets = fetch(person, ASK, OTP)
    assert person.prompts == ["Password of alice", "Code of the day"]
    assert secrets.values["ask:Code of the day"].reveal() == "two"
    assert secrets.new == ()


@pytest.mark.parametrize(("answer", "kept"), [("y", "hunter2"), ("Yes", "hunter2"), ("", None), ("n", None)])
def test_a_secret_that_has_proven_right_is_kept_if_wanted(
    ring: MemoryKeyring, answer: str, kept: str | None
) -> None:
    offer_to_keep(fetch(Person("hunter2"), KEYRING, ask=True), Person(answer))
    assert ring.entries.get(("roam", "office/eap")) == kept


def test_a_keyring_that_refuses_to_keep_is_only_remarked(
    ring: MemoryKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = fetch(Person("hunter2"), KEYRING, ask=True)
    ring.locked = True
    offer_to_keep(secrets, Person("y"))
    words = capsys.readouterr().err
    assert "not kept" in words
    assert "hunter2" not in words


def test_nobody_is_bothered_where_nothing_is_new() -> None:
    person = Person()
    offer_to_keep(Secrets(), person)
    assert person.prompts == []


def test_without_a_terminal_a_prompt_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    for ask in (Terminal().secret, Terminal().line):
        with pytest.raises(ControlError, match="Code of the day") as caught:
            ask("Code of the day")
        assert caught.value.kind == "secret.no_terminal"
