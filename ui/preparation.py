"""From a profile's name to the request that goes to the daemon: the caller reads everything it names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from client.control.messages import ControlError, SecretText, Up
from profiles.errors import ProfileError, ProfileNotFound
from profiles.model import Profile
from profiles.prompts import prompt_for
from profiles.references import Reference, UnsafeFile, files_of, parse, read_file, secrets_of
from profiles.store import ProfileFile, Store, load_text

from .credentials import Prompter, Secrets, collect
from .signers.holder import Holder
from .signers.opening import open_holders
from .unlocking import unlock


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request, the secrets in it that may be kept later, and who signs for it."""

    request: Up
    secrets: Secrets
    holders: Mapping[str, Holder] = field(default_factory=dict)

    def with_replaced(self, values: Mapping[str, SecretText]) -> Prepared:
        """The same after a login by other passwords: the old ones are still where they are kept."""
        references = [parse(text, "auth.local") for text in values]
        kept = tuple(reference for reference in references if reference.scheme == "keyring")
        for reference in references:
            if reference.scheme in {"file", "credential"}:
                print(f"note: {reference.text} still holds the old password", file=sys.stderr)
        return replace(self, secrets=self.secrets.joined(Secrets(dict(values), kept)))


def choose(store: Store, name: str | None) -> ProfileFile:
    """The profile that is meant; without a name the only one there is."""
    if name is not None:
        try:
            return store.find(name)
        except ProfileError as error:
            raise as_control_error(error) from None
    files = store.files()
    if not files:
        raise ControlError(
            "profile.unknown",
            f"there is no profile in {store.user} or {store.system}",
            "'roam new' makes one of a server and a user, 'roam import FILE' of an administrator's file.",
        )
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise ControlError("usage", f"there are several profiles: {names}", "Name one: 'roam up NAME'.")
    return files[0]


def prepare(file: ProfileFile, prompter: Prompter, *, ask: bool = False) -> Prepared:
    """Read a profile with the files and secrets that it refers to; a system profile the daemon reads itself."""
    if file.is_system:
        return _of_system(file, prompter, ask=ask)
    try:
        text = file.read_text()
        profile = file.check_name(load_text(text, str(file.path)))
        return _with_contents(profile, text, file, prompter, ask=ask)
    except ProfileError as error:
        raise as_control_error(error) from None


def _of_system(file: ProfileFile, prompter: Prompter, *, ask: bool) -> Prepared:
    """A system profile by its name, with the secrets that it leaves to whoever brings it up."""
    try:
        profile = file.load()
    except ProfileError:  # closed to us, or broken: the daemon knows, and says so
        return Prepared(Up(name=file.path.stem), Secrets())
    wanted = [entry for entry in secrets_of(profile, {}) if ask or entry.scheme in {"ask", "keyring"}]
    try:
        secrets = collect(wanted, file.path.parent, prompter, owner=_prompts(profile), ask=ask)
        opened = open_holders(profile, _certificates(profile, file), file.path.parent, prompter, ask=ask)
    except ProfileError as error:
        raise as_control_error(error) from None
    request = Up(name=file.path.stem, files=opened.shown, secrets=secrets.values)
    return Prepared(request, secrets, opened.holders)


def _certificates(profile: Profile, file: ProfileFile) -> dict[str, bytes]:
    """Our certificates whose keys are elsewhere, where they are files."""
    wanted = {entry.cert for entry in profile.auth.local if entry.key_is_elsewhere}
    references = [reference for reference in files_of(profile) if reference.text in wanted]
    return {reference.text: read_file(reference, file.path.parent) for reference in references}


def _with_contents(
    profile: Profile, text: str, file: ProfileFile, prompter: Prompter, *, ask: bool
) -> Prepared:
    directory = file.path.parent
    read = {reference.text: read_file(reference, directory) for reference in files_of(profile)}
    files, passphrases = unlock(profile, read, directory, prompter, ask=ask)
    secrets = collect(secrets_of(profile, files), directory, prompter, owner=_prompts(profile), ask=ask)
    opened = open_holders(profile, files, directory, prompter, ask=ask)
    request = Up(profile=text, files={**files, **opened.shown}, secrets=secrets.values)
    return Prepared(request, secrets.joined(passphrases), opened.holders)


def _prompts(profile: Profile) -> Callable[[Reference], str]:
    """What to ask a person for a secret."""
    return lambda reference: prompt_for(profile, reference.text)


def as_control_error(error: ProfileError) -> ControlError:
    """A profile's error as the command line tells it."""
    kind = "profile.invalid"
    if isinstance(error, ProfileNotFound):
        kind = "profile.unknown"
    elif isinstance(error, UnsafeFile):
        kind = "secret.unsafe"
    return ControlError(kind, str(error), error.hint)
