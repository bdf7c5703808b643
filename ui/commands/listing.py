"""`roam profiles`: what there is, whether it can be used, where its values come from; and changes to it."""

from __future__ import annotations

import argparse
import sys
import tomllib
from dataclasses import asdict

from client.control.kinds import DONE, USAGE
from client.control.messages import ControlError, ProfileEntry
from profiles.errors import ProfileError
from profiles.store import ProfileFile, Store, default_store

from .. import output
from ..preparation import as_control_error
from ..render import fold, printable


def profiles(options: argparse.Namespace) -> int:
    """List the profiles that the caller can bring up; one that cannot be read is listed with the reason."""
    store = default_store()
    try:
        if options.check:
            return _check(store, options)
        if options.show or options.set:
            if options.name is None:
                raise ControlError("usage", "which profile?", "Name one: 'roam profiles --show NAME'.")
            return (_show if options.show else _set)(store.find(options.name), options)
        files = store.files() if options.name is None else (store.find(options.name),)
    except ProfileError as error:
        raise as_control_error(error) from None
    entries = tuple(_entry(file) for file in files)
    if options.json:
        output.say(output.envelope("profiles", entries))
    else:
        output.say(_table(entries) if entries else _empty(store))
    return DONE


def _check(store: Store, options: argparse.Namespace) -> int:
    """Each profile with what is wrong with it; exit code 2 where something is."""
    files = store.files() if options.name is None else (store.find(options.name),)
    problems = {file.name: _problem(file) for file in files}
    weak = {file.name: _weak(file) for file in files if problems[file.name] is None}
    if options.json:
        rows = [
            {"name": name, "path": error.path, "reason": error.reason, "hint": error.hint}
            if error
            else {"name": name} | ({"remarks": weak[name]} if weak[name] else {})
            for name, error in problems.items()
        ]
        output.say(output.envelope("profiles.check", rows))
    else:
        for name, error in problems.items():
            right = "; ".join(("right", *weak.get(name, ())))
            words = right if error is None else f"{printable(str(error.at('')))}. {error.hint}".rstrip()
            output.say(f"{printable(name)}: {words}")
        if not files:
            output.say(_empty(store))
    return USAGE if any(problems.values()) else DONE


def _weak(file: ProfileFile) -> tuple[str, ...]:
    """What a profile without a fault has to be warned about all the same."""
    from profiles.weakness import of_crypto

    return of_crypto(file.load().crypto)


def _problem(file: ProfileFile) -> ProfileError | None:
    """What `roam up` would refuse: the text, or a file that it refers to."""
    from profiles.references import files_of, read_file

    try:
        profile = file.load()
        for reference in files_of(profile):
            if reference.scheme == "file":
                read_file(reference, file.path.parent)
    except ProfileError as error:
        return error
    return None


def _show(file: ProfileFile, options: argparse.Namespace) -> int:
    from profiles.provenance import origins

    found = origins(file.read_text())
    if options.json:
        output.say(output.envelope("profiles.show", [asdict(entry) for entry in found]))
        return DONE
    width = max(len(entry.path) for entry in found)
    for entry in found:
        words = f" — {entry.fact}" if entry.fact else ""
        line = f"{entry.path:<{width}}  {printable(entry.value)}  ({entry.source}{words})"
        output.say(fold(line, output.columns(sys.stdout), width + 2))
    return DONE


def _set(file: ProfileFile, options: argparse.Namespace) -> int:
    """Change keys of a profile of the caller's; the rest stays as it was written."""
    from profiles.placing import replace
    from profiles.writing import edited

    if file.is_system:
        raise ControlError(
            "permission.denied", f"{file.name} is the system's", "Copy it to your own profiles first."
        )
    changes = dict(_change(text) for text in options.set)
    text = edited(file.read_text(), changes)
    try:
        replace(file.path, text.encode())
    except OSError as error:
        raise ProfileError("", f"cannot be written: {error.strerror}", source=str(file.path)) from None
    if options.json:
        output.say(output.envelope("profiles.set", {"name": file.name, "changed": list(changes)}))
    else:
        output.say(f"{file.name}: {', '.join(changes)} changed")
    return DONE


def _change(text: str) -> tuple[str, object]:
    """KEY=VALUE; a value that is no TOML is a text, an empty one takes the key away."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ControlError("usage", f"{text!r} is not KEY=VALUE", "For example: --set routing.mtu=1400.")
    if not value.strip():
        return key.strip(), None
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


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
    return (
        f"no profile in {store.user} or {store.system}\n"
        "'roam new' makes one of a server and a user, 'roam import FILE' of an administrator's file"
    )
