"""Messages about profiles themselves: what the system's say, whether a text is one, and what presets there are.

The daemon opens no file for them but those in its own directory of profiles.
"""

from __future__ import annotations

from .wire import Message

LONGEST_PROFILE = 256 * 1024
"""Characters of a profile's text; a file that is larger is not read either."""


class ProfileNamed(Message):
    """`profile.get`: a system profile by its name, with "system/" or without."""

    name: str


class ProfileCheck(Message):
    """`profile.check`: a profile's text, which is looked at, and neither kept nor wanted."""

    profile: str

    def objection(self) -> str:
        return "profile is too long to be one" if len(self.profile) > LONGEST_PROFILE else ""


class ProfileValue(Message):
    """One key of a profile, and where its value comes from."""

    path: str
    value: str  # as TOML writes it
    source: str  # "profile", "default" or "preset NAME"
    fact: str = ""  # why the preset says so


class ProfileReference(Message):
    """What a profile refers to: the key, and the reference as `files` and `secrets` of `tunnel.up` name it."""

    path: str
    reference: str


class ProfileText(Message):
    """Answer to `profile.get`.

    `secrets` are those that the caller of `tunnel.up` hands over or is asked for; the daemon reads the others, and
    the files, itself.  A secret is never in it, since none is in a profile.
    """

    name: str
    text: str  # TOML without comments: they may say more than those need to know who use it
    title: str = ""
    gateway: str = ""
    values: tuple[ProfileValue, ...] = ()
    secrets: tuple[ProfileReference, ...] = ()
    remarks: tuple[str, ...] = ()  # what it is to be warned about


class ProfileProblem(Message):
    """Why a text is no profile that can be used; an empty `path` is about all of it."""

    path: str
    reason: str
    hint: str = ""


class ProfileChecked(Message):
    """Answer to `profile.check`.  Without a problem it can be brought up, with these `files` and `secrets`.

    A problem that keeps the rest from being understood stands alone.  Whether a key has a passphrase cannot be
    told from here.
    """

    problems: tuple[ProfileProblem, ...] = ()
    name: str = ""
    title: str = ""
    gateway: str = ""
    values: tuple[ProfileValue, ...] = ()
    files: tuple[ProfileReference, ...] = ()
    secrets: tuple[ProfileReference, ...] = ()
    remarks: tuple[str, ...] = ()


class PresetValue(Message):
    """A key that a preset writes into a profile, and the fact behind it: from where and when it is known."""

    path: str
    value: str  # as TOML writes it
    fact: str
    known: str
    date: str


class PresetNeed(Message):
    """A key that a profile must give besides its preset."""

    path: str
    why: str


class PresetEntry(Message):
    """What is known of one kind of gateway; `legacy` stands instead where a profile has `allow_legacy`."""

    name: str
    title: str
    values: tuple[PresetValue, ...] = ()
    legacy: tuple[PresetValue, ...] = ()
    needs: tuple[PresetNeed, ...] = ()
    notes: tuple[str, ...] = ()


class PresetList(Message):
    """Answer to `profile.presets`."""

    presets: tuple[PresetEntry, ...] = ()
