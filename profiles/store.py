"""Profiles as TOML files: reading one, and finding one by its name.

A user's profiles lie in ~/.config/roam/profiles, the system's in /etc/roam/profiles; NAME is the file's name
without ".toml".  A user's profile shadows the system's of the same name; "system/NAME" says it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .check import check
from .errors import ProfileError, ProfileNotFound, nearest
from .expansion import expand, lacking
from .model import SCHEMA, Profile
from .schema import read
from .toml_text import SIZE_LIMIT, parse

SYSTEM_DIRECTORY = Path("/etc/roam/profiles")
SYSTEM_PREFIX = "system/"


def user_directory() -> Path:
    """Where the profiles of the caller lie (XDG base directories)."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "roam" / "profiles"


def load_text(text: str, source: str = "") -> Profile:
    """The profile in a TOML text; `ProfileError` names the key, or line and column, and `source`."""
    try:
        profile = parse_text(text)
        check(profile)
    except ProfileError as error:
        raise error.at(source) from None
    return profile


def parse_text(text: str) -> Profile:
    """The same without `check`: every key is one, and has a value of its type."""
    try:
        return read_table(parse(text))
    except RecursionError:
        raise ProfileError("", "is nested too deeply") from None


def read_table(table: Mapping[str, object]) -> Profile:
    """The profile in a TOML table, the values of its preset put in; unlike `load_text` without `check`."""
    version = table.get("schema")
    if type(version) is int and version > SCHEMA:
        raise ProfileError("schema", f"version {version} is newer than this program", "Update Roam.")
    expanded = expand(table)
    profile: Profile = read(Profile, expanded.table)
    if expanded.preset is not None and (needed := lacking(table, expanded.preset)) is not None:
        raise ProfileError(needed[0], f'is needed with preset = "{expanded.preset.name}"', needed[1])
    return profile


def default_store() -> Store:
    """The directories of this user on this machine."""
    return Store(user_directory(), SYSTEM_DIRECTORY)


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A profile on disk: its text is read by whoever may read the file, never on somebody's behalf."""

    name: str  # as typed: "office", "system/office"
    path: Path
    is_system: bool  # the daemon reads it itself

    def read_text(self) -> str:
        """The file's text; `ProfileError` where it cannot be read."""
        try:
            with self.path.open("rb") as file:
                octets = file.read(SIZE_LIMIT + 1)
            if len(octets) > SIZE_LIMIT:
                raise ProfileError("", f"is larger than {SIZE_LIMIT} octets", source=str(self.path))
            return octets.decode()
        except OSError as error:
            raise ProfileError("", f"cannot be read: {error.strerror}", source=str(self.path)) from None
        except UnicodeDecodeError:
            raise ProfileError("", "is no UTF-8 text", source=str(self.path)) from None

    def load(self) -> Profile:
        """The profile itself."""
        return self.check_name(load_text(self.read_text(), str(self.path)))

    def check_name(self, profile: Profile) -> Profile:
        """The same profile: its id must be the file's name, so that one name means one tunnel."""
        if profile.id != self.path.stem:
            hint = f'Write id = "{self.path.stem}", or rename the file to {profile.id}.toml.'
            raise ProfileError("id", f'"{profile.id}" is not the file\'s name', hint, str(self.path))
        return profile


@dataclass(frozen=True, slots=True)
class Store:
    """The two directories of profiles."""

    user: Path
    system: Path

    def files(self) -> tuple[ProfileFile, ...]:
        """All profiles, the user's first, each by the shortest name that means it."""
        own = [ProfileFile(path.stem, path, is_system=False) for path in _scan(self.user)]
        names = {file.name for file in own}
        shared = [
            ProfileFile(SYSTEM_PREFIX + path.stem if path.stem in names else path.stem, path, is_system=True)
            for path in _scan(self.system)
        ]
        return tuple(own + shared)

    def find(self, name: str) -> ProfileFile:
        """The profile that `name` means; `ProfileNotFound` with the nearest name.

        A path that ends in ".toml" means that file, but not behind "system/": the daemon opens no caller's path.
        """
        stem = name.removeprefix(SYSTEM_PREFIX)
        if name.endswith(".toml") and stem == name:
            path = Path(name)
            return ProfileFile(path.stem, path.absolute(), is_system=False)
        directories = [(self.system, True)] if stem != name else [(self.user, False), (self.system, True)]
        for directory, is_system in directories:
            path = directory / f"{stem}.toml"
            if "/" not in stem and _exists(path):
                return ProfileFile(name, path, is_system)
        raise ProfileNotFound("", f'no profile is called "{name}"', nearest(name, self.names()))

    def names(self) -> tuple[str, ...]:
        """The names of all profiles."""
        return tuple(file.name for file in self.files())


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:  # a system directory closed to us: the daemon knows better
        return True


def _scan(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == ".toml" and path.is_file())
    except OSError:
        return []
