"""`roam import`: a file of an administrator's or provider's becomes a profile, with a report of every field."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from client.control.kinds import DONE
from client.control.messages import ControlError
from profiles.errors import ProfileError
from profiles.importers.draft import Imported
from profiles.importers.report import Outcome

from .. import importing, output
from ..credentials import Prompter, Terminal
from ..preparation import as_control_error


def import_(options: argparse.Namespace) -> int:
    """Read the file, show what becomes of it, and keep it unless --dry-run."""
    try:
        return _import(options, Terminal(), is_terminal=sys.stdin.isatty() and options.file != "-")
    except ProfileError as error:
        raise as_control_error(error) from None


def _import(options: argparse.Namespace, prompter: Prompter, *, is_terminal: bool) -> int:
    source = _source(options, prompter, is_terminal=is_terminal)
    if (path := importing.waiting_for(source)) is not None and not options.dry_run:
        importing.bring(source, path, force=options.force)
        return _brought(options, path)
    found = importing.profiles_of(source)
    if is_terminal and not options.user and any(entry.lacks_user for entry in found):
        source = replace(
            source, intake=replace(source.intake, user=prompter.line(f"{importing.NAMED_USER}:"))
        )
        found = importing.profiles_of(source)
    answers = []
    for entry in found:
        if not options.json:
            width = output.columns(sys.stdout)
            output.say(importing.shown(entry, with_text=options.dry_run, width=width))
        paths: list[Path] = []
        if not options.dry_run:
            paths = importing.keep(entry, force=options.force)
            entry = _with_secrets(entry, options, prompter, is_terminal=is_terminal)
        answers.append(_answer(entry, paths))
        if paths and not options.json:
            output.say(_placed(entry, paths))
    if options.json:
        output.say(output.envelope("import", {"written": not options.dry_run, "profiles": answers}))
    return DONE


def _source(options: argparse.Namespace, prompter: Prompter, *, is_terminal: bool) -> importing.Source:
    source = importing.open_source(
        options.file, name=options.name or "", server=options.server or "", user=options.user or ""
    )
    intake = source.intake
    if source.kind.word == "pkcs12" and is_terminal and importing.waiting_for(source) is None:
        if not intake.server:
            intake = replace(intake, server=prompter.line("The gateway's name or address:"))
        if importing.is_locked(source):
            intake = replace(
                intake, passphrase=prompter.secret("Passphrase of the bundle (empty: leave it closed)")
            )
    return replace(source, intake=intake)


def _with_secrets(
    entry: Imported, options: argparse.Namespace, prompter: Prompter, *, is_terminal: bool
) -> Imported:
    """Passwords of the file into the keyring, if the person agrees."""
    found = [secret for secret in entry.secrets if secret.value]
    if not found or not (options.keep_secrets or (is_terminal and _agrees(entry, prompter))):
        return entry
    for secret in found:
        try:
            importing.keep_secret(secret)
        except ControlError as error:
            output.note(f"{error.evidence}. {error.hint}")
        else:
            entry = entry.with_stored(secret)
    return entry


def _agrees(entry: Imported, prompter: Prompter) -> bool:
    names = ", ".join(secret.keyring_name for secret in entry.secrets if secret.value)
    return prompter.line(f"Keep the secrets of the file in the keyring ({names})? [y/N]").lower() in {
        "y",
        "yes",
    }


def _placed(entry: Imported, paths: list[Path]) -> str:
    lines = [f"written: {path}" for path in paths]
    for lacking in entry.lacking:
        how = f" ('roam import FILE --name {entry.profile.id}')" if lacking.name.endswith(".p12") else ""
        lines.append(f"to bring: {paths[0].parent / lacking.name}{how}")
    then = "then " if entry.lacking else ""
    return "\n".join([*lines, f"{then}'roam up {entry.profile.id}' connects"])


def _brought(options: argparse.Namespace, path: Path) -> int:
    """A bundle that a profile has been waiting for."""
    if options.json:
        output.say(output.envelope("import", {"written": True, "profiles": [], "paths": [str(path)]}))
    else:
        output.say(f"written: {path}\n'roam up {options.name}' connects")
    return DONE


def _answer(entry: Imported, paths: list[Path]) -> dict[str, object]:
    rows = [
        {"outcome": row.outcome.value, "source": row.source, "target": row.target, "text": row.text}
        for row in entry.report.rows
    ]
    trusted = [
        {
            "subject": item.subject,
            "sha256": item.sha256,
            "not_before": item.not_before,
            "not_after": item.not_after,
        }
        for item in importing.authorities(entry)
    ]
    return {
        "name": entry.profile.id,
        "gateway": ", ".join(entry.profile.gateway.addresses),
        "profile": entry.text,
        "paths": [str(path) for path in paths],
        "lacking": [lacking.name for lacking in entry.lacking],
        "rows": rows,
        "counts": {outcome.value: entry.report.count(outcome) for outcome in Outcome},
        "trusts": trusted,
        "notes": list(entry.notes),
    }
