"""`roam profiles`."""

from __future__ import annotations

import argparse

from client.control.kinds import DONE
from client.control.messages import ProfileEntry
from profiles.errors import ProfileError
from profiles.store import ProfileFile, Store, default_store

from .. import output
from ..render import printable


def profiles(options: argparse.Namespace) -> int:
    """List the profiles that the caller can bring up; one that cannot be read is listed with the reason."""
    store = default_store()
    entries = tuple(_entry(file) for file in store.files())
    if options.json:
        output.say(output.envelope("profiles", entries))
    else:
        output.say(_table(entries) if entries else _empty(store))
    return DONE


def _entry(file: ProfileFile) -> ProfileEntry:
    try:
        profile = file.load()
    except ProfileError as error:
        return ProfileEntry(file.name, problem=f"{error.at('')}. {error.hint}".rstrip())
    return ProfileEntry(file.name, profile.title, ", ".join(profile.gateway.addresses))


def _table(entries: tuple[ProfileEntry, ...]) -> str:
    width = max(len(entry.name) for entry in entries)
    return "\n".join(f"{printable(entry.name):<{width}}  {_words(entry)}" for entry in entries)


def _words(entry: ProfileEntry) -> str:
    if entry.problem:
        return f"unusable: {printable(entry.problem)}"
    title = f"{printable(entry.title)}, " if entry.title != entry.name else ""
    return f"{title}{printable(entry.gateway)}"


def _empty(store: Store) -> str:
    return f"no profile in {store.user} or {store.system}"
