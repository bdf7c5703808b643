"""Secrets of a profile, fetched in the user's own session: keyring, private files, systemd credentials, prompts.

They go into a `SecretText` at once and from there to the daemon; never into arguments, environment or a log.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from getpass import GetPassWarning, getpass
from pathlib import Path
from typing import Protocol

from client.control.messages import ControlError, SecretText
from profiles.references import Reference, read_secret

from .render import printable

KEYRING_SERVICE = "roam"


class Prompter(Protocol):
    """Somebody who can be asked."""

    def secret(self, prompt: str) -> str:
        """What a person types without an echo; `ControlError("secret.no_terminal")` where there is nobody."""

    def line(self, prompt: str) -> str:
        """What a person types visibly."""


class Terminal:
    """The person at the terminal on stdin."""

    def secret(self, prompt: str) -> str:
        self._require(prompt)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", GetPassWarning)  # it would echo the password otherwise
                return getpass(f"{printable(prompt)}: ", stream=sys.stderr)
        except GetPassWarning:
            raise _nobody(prompt) from None
        except EOFError:
            raise _no_answer(prompt) from None
        except KeyboardInterrupt:
            _end_line()
            raise

    def line(self, prompt: str) -> str:
        self._require(prompt)
        print(f"{printable(prompt)} ", end="", file=sys.stderr, flush=True)
        try:
            answer = sys.stdin.readline()
        except KeyboardInterrupt:
            _end_line()
            raise
        if not answer:
            raise _no_answer(prompt)
        return answer.strip()

    def _require(self, prompt: str) -> None:
        if not sys.stdin.isatty():
            raise _nobody(prompt)


def _end_line() -> None:
    """What follows an unanswered prompt starts on a line of its own."""
    print(file=sys.stderr)


def _no_answer(prompt: str) -> ControlError:
    _end_line()
    return ControlError("interrupted", f'"{printable(prompt)}" was not answered')


def _nobody(prompt: str) -> ControlError:
    return ControlError("secret.no_terminal", f'nobody can answer "{printable(prompt)}" here')


TYPED_TWICE_AT_MOST = 3
"""Times that a person may type a new password twice, until both are the same."""


def new_password(prompter: Prompter, prompt: str) -> str:
    """A password that replaces another one: typed twice, since a mistake would lock its owner out."""
    for _ in range(TYPED_TWICE_AT_MOST):
        first = prompter.secret(prompt)
        if first == prompter.secret("The same once more"):
            return first
        print("the two were not the same", file=sys.stderr)
    raise ControlError("interrupted", "the new password was never typed twice in the same way")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets by their reference, and those that the person may want to keep once they have proven right.

    `typed`: a person has typed some of them just now, and may have mistyped.
    """

    values: dict[str, SecretText] = field(default_factory=dict)
    new: tuple[Reference, ...] = ()
    typed: bool = False

    def joined(self, other: Secrets) -> Secrets:
        """These and others."""
        return Secrets({**self.values, **other.values}, self.new + other.new, self.typed or other.typed)


def collect(
    references: Iterable[Reference],
    directory: Path,
    prompter: Prompter,
    *,
    owner: Callable[[Reference], str],
    ask: bool = False,
) -> Secrets:
    """Fetch every secret; `owner` words the question for one, `ask` prompts for stored ones too.

    Raises `ControlError`, or `ProfileError` for a file that cannot be used.
    """
    values: dict[str, SecretText] = {}
    new: list[Reference] = []
    typed = False
    for reference in references:
        stored, can_keep = (None, reference.scheme == "keyring") if ask else _stored(reference, directory)
        if stored is None:
            typed = True
            stored = prompter.secret(owner(reference))
            if can_keep:
                new.append(reference)
        values[reference.text] = SecretText(stored)
    return Secrets(values, tuple(new), typed)


def _stored(reference: Reference, directory: Path) -> tuple[str | None, bool]:
    """The secret where it is kept, None where a person must be asked; and whether the answer can be kept."""
    if reference.scheme == "ask":
        return None, False
    if reference.scheme == "keyring":
        return _from_keyring(reference)
    return read_secret(reference, directory, {os.geteuid()}), False


def _from_keyring(reference: Reference) -> tuple[str | None, bool]:
    import keyring
    from keyring.errors import KeyringError, NoKeyringError

    hint, can_keep = "", True
    try:
        value = keyring.get_password(KEYRING_SERVICE, reference.target)
    except NoKeyringError:
        reason, can_keep = "this session has no keyring", False
        hint = f"Change {reference.path} to ask: or to a file: that only you can read."
    except KeyringError as error:
        reason, can_keep = f"the keyring cannot be read ({type(error).__name__})", False
        hint = "Unlock the keyring, or run it in a terminal to be asked."
    else:
        if value is not None:
            return value, True
        reason = f'the keyring has no entry "{KEYRING_SERVICE}" for "{reference.target}"'
    if not sys.stdin.isatty():
        raise ControlError("secret.missing", f"{reference.path}: {reason}", hint)
    if not can_keep:
        print(f"note: {reference.path}: {reason}", file=sys.stderr)
    return None, can_keep


def offer_to_keep(secrets: Secrets, prompter: Prompter) -> None:
    """Store what was typed for a keyring: reference and has proven right, if the person says so."""
    if not secrets.new:
        return
    import keyring
    from keyring.errors import KeyringError

    for reference in secrets.new:
        answer = prompter.line(f'Keep the password in the keyring as "{reference.target}"? [y/N]')
        if answer.lower() not in {"y", "yes"}:
            continue
        try:
            keyring.set_password(KEYRING_SERVICE, reference.target, secrets.values[reference.text].reveal())
        except KeyringError as error:
            print(f"not kept: the keyring refused ({type(error).__name__})", file=sys.stderr)
