"""`profile.*`: the system's profiles, and profiles and presets as such.

Of the file system nothing is read but the directory of system profiles, by names and never by paths.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from profiles.check import problems
from profiles.errors import ProfileError
from profiles.model import Profile
from profiles.presets import PRESETS, Preset, Value
from profiles.provenance import origins, shown
from profiles.references import Reference, files_of, secrets_of
from profiles.store import SYSTEM_PREFIX, Store, parse_text
from profiles.toml_text import parse
from profiles.weakness import of_crypto

from ..control.catalog import (
    PresetEntry,
    PresetList,
    PresetNeed,
    PresetValue,
    ProfileCheck,
    ProfileChecked,
    ProfileNamed,
    ProfileProblem,
    ProfileReference,
    ProfileText,
    ProfileValue,
)
from ..control.handlers import Action, Caller
from ..control.messages import Empty, ProfileEntry, ProfileList
from .order import OWN_SECRETS, refuse_profile


class Catalog:
    """`actions` are its rows of the method table."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.actions: Mapping[str, Action] = {
            "profile.list": self.profiles,
            "profile.get": self.profile,
            "profile.check": self.check,
            "profile.presets": self.presets,
        }

    async def profiles(self, _caller: Caller, _request: Empty) -> ProfileList:
        """The system's profiles, also those that do not read."""
        return ProfileList(await asyncio.to_thread(self._entries))

    async def profile(self, _caller: Caller, request: ProfileNamed) -> ProfileText:
        """A system profile; `profile.unknown` with the nearest, `profile.invalid` where it cannot be used."""
        try:
            return await asyncio.to_thread(self._read, request.name.removeprefix(SYSTEM_PREFIX))
        except ProfileError as error:
            refuse_profile(error)

    async def check(self, _caller: Caller, request: ProfileCheck) -> ProfileChecked:
        """What is wrong with a text, and what belongs to it."""
        return await asyncio.to_thread(checked, request.profile)

    async def presets(self, _caller: Caller, _request: Empty) -> PresetList:
        """What is known of gateways."""
        return PresetList(tuple(map(_preset, PRESETS.values())))

    def _entries(self) -> tuple[ProfileEntry, ...]:
        return tuple(self._entry(file.path.stem) for file in self._store.files() if file.is_system)

    def _entry(self, name: str) -> ProfileEntry:
        try:
            profile = self._store.find(f"{SYSTEM_PREFIX}{name}").load()
        except ProfileError as error:
            return ProfileEntry(name, problem=str(error))
        return ProfileEntry(name, profile.title, _gateway(profile))

    def _read(self, name: str) -> ProfileText:
        from profiles.writing import compose

        file = self._store.find(f"{SYSTEM_PREFIX}{name}")
        profile, text = file.load(), file.read_text()
        wanted = (each for each in secrets_of(profile, {}) if each.scheme not in OWN_SECRETS)
        return ProfileText(
            name,
            compose(parse(text), {}, ()),
            profile.title,
            _gateway(profile),
            _values(text),
            _references(wanted),
            of_crypto(profile.crypto),
        )


def checked(text: str) -> ProfileChecked:
    """What is to be said of a profile's text."""
    try:
        profile = parse_text(text)
    except ProfileError as error:
        return ProfileChecked((_problem(error),))
    if found := problems(profile):
        return ProfileChecked(tuple(map(_problem, found)), profile.id, profile.title, _gateway(profile))
    return ProfileChecked(
        (),
        profile.id,
        profile.title,
        _gateway(profile),
        _values(text),
        _references(files_of(profile)),
        _references(secrets_of(profile, {})),
        of_crypto(profile.crypto),
    )


def _problem(error: ProfileError) -> ProfileProblem:
    return ProfileProblem(error.path, error.reason, error.hint)


def _gateway(profile: Profile) -> str:
    return ", ".join(profile.gateway.addresses)


def _values(text: str) -> tuple[ProfileValue, ...]:
    return tuple(ProfileValue(each.path, each.value, each.source, each.fact) for each in origins(text))


def _references(found: Iterable[Reference]) -> tuple[ProfileReference, ...]:
    return tuple(ProfileReference(each.path, each.text) for each in found)


def _preset(preset: Preset) -> PresetEntry:
    needs = tuple(PresetNeed(path, why) for path, why in preset.needs)
    values, legacy = _facts(preset.values), _facts(preset.legacy)
    return PresetEntry(preset.name, preset.title, values, legacy, needs, preset.notes)


def _facts(values: Iterable[Value]) -> tuple[PresetValue, ...]:
    return tuple(
        PresetValue(each.path, shown(each.value), each.fact, each.known, each.date) for each in values
    )
