"""Containers of keys, opened in the user's own session: the daemon gets plain PEM, and never a passphrase."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from client.control.messages import ControlError
from profiles.errors import ProfileError
from profiles.model import LocalRound, Profile
from profiles.prompts import prompt_for
from profiles.references import Reference, parse

from .credentials import Prompter, Secrets, collect

MOST_TRIES = 3
"""Passphrases that a person may type for one container."""


def unlock(
    profile: Profile, files: Mapping[str, bytes], directory: Path, prompter: Prompter, *, ask: bool
) -> tuple[dict[str, bytes], Secrets]:
    """The files with every encrypted key opened, and the passphrases that may be kept for later."""
    unlocked, used = dict(files), Secrets()
    for n, entry in enumerate(profile.auth.local):
        name = entry.key_file
        if name is not None and name in unlocked:
            path = f"auth.local[{n}].{'cert' if entry.key is None else 'key'}"
            try:
                unlocked[name], secrets = _open(
                    profile, entry, path, unlocked[name], directory, prompter, ask=ask
                )
            except ProfileError:
                raise
            except ValueError as error:  # of a file that is none, or holds too much
                raise ProfileError(path, str(error)) from None
            used = used.joined(secrets)
    return unlocked, replace(used, typed=False)  # they have proven right already


def _open(
    profile: Profile,
    entry: LocalRound,
    path: str,
    octets: bytes,
    directory: Path,
    prompter: Prompter,
    *,
    ask: bool,
) -> tuple[bytes, Secrets]:
    from profiles import containers  # takes its time to load, which profiles with a password need not wait

    if not containers.holds_key(octets):
        return octets, Secrets()  # whoever needs a key will say so
    if not containers.is_locked(octets):
        return containers.opened(octets, None), Secrets()
    reference = parse(entry.secret, f"{path.rpartition('.')[0]}.secret")
    prompt = prompt_for(profile, entry.secret, "passphrase")
    for tries_left in reversed(range(MOST_TRIES)):
        secrets = collect([reference], directory, prompter, owner=_saying(prompt), ask=ask)
        try:
            return containers.opened(octets, secrets.values[reference.text].reveal().encode()), secrets
        except containers.Locked as locked:
            if not secrets.typed or not tries_left:
                raise ControlError("secret.wrong", f"{path}: {locked}") from None
            ask, prompt = True, f"{prompt_for(profile, entry.secret, 'passphrase')} ({locked})"
    raise AssertionError("the last try ends in one way or the other")


def _saying(words: str) -> Callable[[Reference], str]:
    return lambda _reference: words
