"""A foreign file on its way to a profile: read with the caller's rights, completed, kept."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from client.control.messages import ControlError
from profiles import containers
from profiles.errors import ProfileError
from profiles.importers.authorities import authorities as authorities
from profiles.importers.bundle import check as check_bundle
from profiles.importers.detect import Format, format_of, load
from profiles.importers.draft import FoundSecret, Imported
from profiles.importers.intake import Intake
from profiles.importers.limits import LARGEST_ARCHIVE, LARGEST_BLOB
from profiles.placing import place
from profiles.placing import replace as write
from profiles.references import FILE_SCHEMES, parse
from profiles.store import ProfileFile, user_directory

from .credentials import KEYRING_SERVICE
from .render import fold, printable

NAMED_USER = "Your user name at the gateway"


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import: its octets, its format, and the folder that it lies in."""

    intake: Intake
    kind: Format
    folder: Path | None
    place: str  # as a person named it


def open_source(place_of: str, *, name: str, server: str, user: str) -> Source:
    """Read the file ("-": stdin) and what belongs to it; `ProfileError` says what is wrong with it."""
    try:
        octets = _read(place_of)
        kind = format_of(octets)
    except ProfileError as error:
        raise error.at(place_of) from None
    folder = None if place_of == "-" else Path(place_of).parent
    beside = {}
    for companion in kind.beside:
        if folder is not None and (folder / companion).is_file():
            beside[companion] = _bounded(folder / companion, LARGEST_BLOB)
    return Source(Intake(octets, name, beside, server, user), kind, folder, place_of)


def _read(place_of: str) -> bytes:
    if place_of == "-":
        return sys.stdin.buffer.read(LARGEST_ARCHIVE + 1)
    return _bounded(Path(place_of), LARGEST_ARCHIVE)


def _bounded(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise ControlError("file.unreadable", f"{path}: {error.strerror}") from None


def profiles_of(source: Source) -> list[Imported]:
    """The profiles in it, with the files that it names and that lie beside it."""
    try:
        found = load(replace(source.intake))  # a copy: it notes the names that are taken
    except ProfileError as error:
        raise error.at(source.place) from None
    return [_completed(entry, source) for entry in found]


def _completed(imported: Imported, source: Source) -> Imported:
    """Certificates and keys that the file names, from its own folder and below; nothing else is looked at."""
    for lacking in imported.lacking:
        octets = _beside(lacking.named, source) if lacking.named else None
        if octets is not None:
            imported = imported.with_file(lacking, octets)
    return imported


def _beside(named: str, source: Source) -> bytes | None:
    if source.folder is None or Path(named).name != named:
        return None
    for folder in (source.folder, *(source.folder / name for name in source.kind.folders)):
        path = folder / named
        if path.is_file():
            octets = _bounded(path, LARGEST_BLOB)
            return octets if len(octets) <= LARGEST_BLOB and _is_material(octets) else None
    return None


def _is_material(octets: bytes) -> bool:
    """Whether it holds a certificate or a key: nothing else belongs beside a profile."""
    try:
        return containers.holds_key(octets) or bool(containers.certificates(octets))
    except containers.UNREADABLE:
        return False


def waiting_for(source: Source) -> Path | None:
    """Where the user's profile of this name wants a bundle; None where this is none, or nobody waits for one."""
    name = source.intake.name
    if source.kind.word != "pkcs12" or source.intake.server or not name or "/" in name:
        return None
    path = user_directory() / f"{name}.toml"
    if not path.is_file():
        return None
    profile = ProfileFile(name, path, is_system=False).load()
    entry = next((entry for entry in profile.auth.local if entry.shows_certificate), None)
    if entry is None or entry.cert is None or entry.key is not None:
        raise ProfileError(
            "auth.local", f"{name} logs in without a bundle", "Choose another --name.", source.place
        )
    return parse(entry.cert, "auth.local[0].cert", FILE_SCHEMES).resolve(path.parent)


def bring(source: Source, path: Path, *, force: bool) -> None:
    """Put the bundle where a profile waits for it."""
    check_bundle(source.intake.octets)
    if path.exists() and not force:
        raise ProfileError("", f"{path} exists already", "--force overwrites it.")
    try:
        write(path, source.intake.octets)
    except OSError as error:
        raise ProfileError("", f"cannot write {path}: {error.strerror}") from None


def is_locked(source: Source) -> bool:
    """Whether it is a bundle that needs a passphrase to be looked into."""
    if source.kind.word != "pkcs12":
        return False
    check_bundle(source.intake.octets)
    return containers.is_locked(source.intake.octets)


def shown(entry: Imported, *, with_text: bool, width: int | None = None) -> str:
    """What becomes of it, for a person: the report's differences, whom it trusts, and the profile itself."""
    profile, report = entry.profile, entry.report
    lines = [f"{profile.id}: {', '.join(profile.gateway.addresses)}, from {entry.kind}: {report.summary}"]
    lines += [
        f"  {row.outcome.value:<14}  {printable(row.source)}: {printable(row.text)}"
        for row in report.differences
    ]
    for authority in authorities(entry):
        lines.append(
            f"  trusts          {printable(authority.subject)}, {authority.not_before} to {authority.not_after}"
        )
        half = len(authority.sha256) // 2 + 1  # behind a colon: two lines, so that it fits on a screen
        lines.append(f"    SHA-256 {authority.sha256[:half]}")
        lines.append(f"            {authority.sha256[half:]}")
    lines += [f"  note            {printable(note)}" for note in entry.notes]
    folded = [fold(line, width, 18 if n else 2) for n, line in enumerate(lines)]
    return "\n".join([*folded, *(["", entry.text.rstrip()] if with_text else [])])


def keep(imported: Imported, *, force: bool) -> list[Path]:
    """Write the profile and its files where the caller's profiles lie."""
    return place(user_directory(), imported.profile.id, imported.text, imported.files, force=force)


def keep_secret(secret: FoundSecret) -> None:
    """Put a secret of the file into the keyring; `ControlError` where that refuses."""
    import keyring
    from keyring.errors import KeyringError

    if secret.value is None:
        raise AssertionError("there is nothing to keep")
    try:
        keyring.set_password(KEYRING_SERVICE, secret.keyring_name, secret.value)
    except KeyringError as error:
        reason = f"the keyring did not take {secret.keyring_name} ({type(error).__name__})"
        raise ControlError("secret.missing", reason, "'roam up' asks for it.") from None
