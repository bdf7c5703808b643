"""A file from an administrator becomes a profile, in the terminal UI: what `roam import` does, in questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from profiles.errors import ProfileError
from profiles.importers.draft import Imported

from .. import importing
from ..credentials import Prompter
from ..preparation import as_control_error

Show = Callable[[str, str, str], bool]
"""Shows a title, a text and a question; whether the answer was yes.  Waits."""


def import_file(name: str, prompter: Prompter, show: Show) -> list[str]:
    """Names of the profiles that were written; for a thread, because it waits for the person.

    Raises `ControlError` for a file that cannot be read, and where a profile of that name is there already.
    """
    try:
        return [entry.profile.id for entry in _found(name, prompter) if _keep(entry, prompter, show)]
    except ProfileError as error:
        raise as_control_error(error) from None


def _found(name: str, prompter: Prompter) -> list[Imported]:
    source = importing.open_source(str(Path(name).expanduser()), name="", server="", user="")
    if source.kind.word == "pkcs12":
        server = prompter.line("The gateway's name or address:")
        locked = importing.is_locked(source)
        passphrase = prompter.secret("Passphrase of the bundle (empty: leave it closed)") if locked else ""
        source = replace(source, intake=replace(source.intake, server=server, passphrase=passphrase))
    found = importing.profiles_of(source)
    if any(entry.lacks_user for entry in found):
        user = prompter.line(f"{importing.NAMED_USER}:")
        found = importing.profiles_of(replace(source, intake=replace(source.intake, user=user)))
    return found


def _keep(entry: Imported, prompter: Prompter, show: Show) -> bool:
    if not show(f"Import {entry.profile.id}", importing.shown(entry, with_text=True), "Write this profile?"):
        return False
    importing.keep(entry, force=False)
    secrets = [secret for secret in entry.secrets if secret.value]
    names = ", ".join(secret.keyring_name for secret in secrets)
    if secrets and show("Secrets of the file", names, "Keep them in the keyring?"):
        for secret in secrets:
            importing.keep_secret(secret)
    return True
