"""A profile in the making: each value with the place that it came from, and a sentence where it is not the same.

`Draft.finish` reads and checks the result as if it had been written by hand, so that an importer cannot produce
what `roam up` would refuse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from ..check import UNAVAILABLE, check
from ..model import SCHEMA, Profile
from ..store import read_table
from ..writing import compose
from .errors import ImportRefused
from .limits import blob, bounded, identifier
from .report import FidelityReport, Outcome, Row

_STEP = re.compile(r"([a-z_]+)(?:\[(\d+)\])?")
_SHOWN = 60  # characters of a value in a sentence


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """A secret that the profile refers to: from the file, or (`value` None) one that a person must bring."""

    reference: str
    source: str
    value: str | None = field(repr=False)

    @property
    def keyring_name(self) -> str:
        """Its user name in the keyring."""
        return self.reference.removeprefix("keyring:")


@dataclass(frozen=True, slots=True)
class LackingFile:
    """A file that the profile refers to and the foreign file only names: `name` beside the profile."""

    name: str
    named: str  # as the foreign file calls it; "" where it does not
    key: str  # of the profile


@dataclass(frozen=True, slots=True)
class Imported:
    """A profile, what goes beside it (files 0600, secrets into a keyring), and what became of every field."""

    kind: str
    profile: Profile
    text: str  # the profile as TOML
    files: dict[str, bytes] = field(repr=False)
    secrets: tuple[FoundSecret, ...]
    lacking: tuple[LackingFile, ...]
    report: FidelityReport
    notes: tuple[str, ...] = ()
    lacks_user: bool = False  # nobody has said who we are: the profile cannot be used before

    def with_stored(self, secret: FoundSecret) -> Imported:
        """The same once a secret is in the keyring."""
        sentence = f"Kept in the keyring as {secret.keyring_name}."
        return self._changed(secret.source, secret.reference, sentence)

    def with_file(self, lacking: LackingFile, octets: bytes) -> Imported:
        """The same once a file that was only named has been found."""
        found = self._changed(lacking.named, "file:" + lacking.name, "Found beside the file.")
        rest = tuple(entry for entry in self.lacking if entry != lacking)
        return replace(found, files={**self.files, lacking.name: octets}, lacking=rest)

    def _changed(self, source: str, reference: str, sentence: str) -> Imported:
        rows = tuple(
            replace(row, outcome=Outcome.HONOURED, text=sentence)
            if row.outcome is Outcome.MISSING and (row.source == source or reference in row.text)
            else row
            for row in self.report.rows
        )
        return replace(self, report=FidelityReport(rows))


class Draft:
    """What an importer fills in; paths are those of messages, such as "auth.local[0].method"."""

    def __init__(self, kind: str, name: str) -> None:
        self.id = identifier(name)
        self._kind = kind
        self._rows: list[Row] = []
        self._files: dict[str, bytes] = {}
        self._secrets: list[FoundSecret] = []
        self._lacking: list[LackingFile] = []
        self._notes: list[str] = []
        self._nameless = ""  # the key that should say who we are
        self._table: dict[str, Any] = {"schema": SCHEMA, "id": self.id}
        if name.strip() and name != self.id:
            self._table["name"] = bounded(name.strip(), "name")[:200]

    # --- values

    def put(self, path: str, value: object) -> None:
        """A value that no field of the file stands for."""
        *steps, last = path.split(".")
        table = self._table
        for step in steps:
            table = _below(table, step)
        table[last] = value

    def value(self, path: str) -> object:
        """What stands there by now; None without."""
        node: object = self._table
        for step in path.split("."):
            match = _STEP.fullmatch(step)
            name, index = (match[1], match[2]) if match else (step, None)
            node = node.get(name) if isinstance(node, dict) else None
            if index is not None:
                node = node[int(index)] if isinstance(node, list) and int(index) < len(node) else None
        return node

    def keep(self, source: str, path: str, value: object, text: str = "") -> None:
        """A field of the file that means the same here."""
        self.put(path, value)
        self._row(Outcome.HONOURED, source, path, text or f"Kept: {_shown(value)}.")

    def bend(self, source: str, path: str, value: object, text: str) -> None:
        """A field that means nearly the same here; `text` says what differs."""
        self.put(path, value)
        self._row(Outcome.APPROXIMATED, source, path, text)

    def honoured(self, source: str, text: str, path: str = "") -> None:
        """A field that Roam does as it says without a key for it, or that stands in another's value."""
        self._row(Outcome.HONOURED, source, path, text)

    def differs(self, source: str, text: str, path: str = "") -> None:
        """A field that is followed in part."""
        self._row(Outcome.APPROXIMATED, source, path, text)

    def ignore(self, source: str, text: str) -> None:
        """A field that has no effect here."""
        self._row(Outcome.IGNORED, source, "", text)

    def note(self, text: str) -> None:
        """What a person should do or know, beyond single fields."""
        self._notes.append(text)

    def user(self, source: str, path: str, name: str) -> None:
        """Who we are at `path`; without a name the profile waits for one."""
        if name:
            self.keep(source, path, name)
        elif self.value("identity.local") is None or path == "identity.local":
            self._nameless = path
            text = f"Not in the file: say it with --user, or write it at {path}."
            self._row(Outcome.MISSING, source, path, text)

    # --- what stands beside the profile

    def secret(self, source: str, path: str, kind: str, value: str | None = None) -> None:
        """A reference to a secret into the keyring; `kind` is "password", "passphrase" or "psk"."""
        name = self.id if kind == "password" else f"{self.id}/{kind}"
        reference = f"keyring:{name}"
        self.put(path, reference)
        self._secrets.append(FoundSecret(reference, source, value))
        text = (
            "Not in the file: 'roam up' asks for it, and offers to keep it."
            if value is None
            else "In the file: it goes into your keyring if you agree, and never into the profile."
        )
        self._row(Outcome.MISSING, source, path, text)

    def file(self, source: str, path: str, suffix: str, octets: bytes, text: str = "") -> str:
        """A file beside the profile, and the reference to it at `path` (at its end, where that is a list)."""
        name = self._free_name(suffix)
        self._files[name] = blob(octets, source)
        self._refer(path, f"file:{name}")
        self._row(Outcome.HONOURED, source, path, text or f"Kept beside the profile as {name}.")
        return name

    def has_file(self, octets: bytes) -> bool:
        """Whether these octets stand beside the profile already."""
        return octets in self._files.values()

    def lack(self, source: str, path: str, suffix: str, named: str, what: str) -> str:
        """A reference to a file that is not at hand; `what` says what belongs there."""
        name = self._free_name(suffix)
        self._lacking.append(LackingFile(name, named, path))
        self._refer(path, f"file:{name}")
        self._row(Outcome.MISSING, source, path, f"Not in the file: put {what} beside the profile as {name}.")
        return name

    def refer(self, source: str, path: str, place: str, suffix: str, what: str) -> None:
        """A file that the foreign file names by its path: kept where it is absolute, else to be brought."""
        if place.startswith("/") and ".." not in place.split("/"):
            self._refer(path, f"file:{place}")
            self._row(Outcome.HONOURED, source, path, f"Kept: the file stays at {place}.")
        else:
            self.lack(source, path, suffix, place, what)

    def _refer(self, path: str, reference: str) -> None:
        if path in {"trust.ca", "auth.remote.aaa_ca"}:
            known = self.value(path)
            self.put(path, [*(known if isinstance(known, list) else []), reference])
        else:
            self.put(path, reference)

    def _free_name(self, suffix: str) -> str:
        stem, dot, ending = suffix.partition(".")
        taken = {*self._files, *(entry.name for entry in self._lacking)}
        names = (f"{self.id}-{stem}{'' if n == 1 else f'-{n}'}{dot}{ending}" for n in range(1, 1000))
        return next(name for name in names if name not in taken)

    def _row(self, outcome: Outcome, source: str, path: str, text: str) -> None:
        if len(self._rows) >= 1000:
            raise ImportRefused("", "says more than a thousand things about one connection")
        self._rows.append(Row(outcome, source[:120], path, text))

    # --- the result

    def finish(self) -> Imported:
        """The profile, read and checked; `ProfileError` where the file cannot be one."""
        asked_for = read_table(self._table)
        for path, what, _asked in [row for row in UNAVAILABLE if row[2](asked_for)]:
            self._withdraw(path, what)
        self._check()
        heading = [f"Imported from {self._kind}.", "docs/profile.md lists every key."]
        return Imported(
            self._kind,
            read_table(self._table),
            compose(self._table, dict(self._sources()), heading),
            dict(self._files),
            tuple(self._secrets),
            tuple(self._lacking),
            FidelityReport(tuple(self._rows)),
            tuple(self._notes),
            lacks_user=bool(self._nameless),
        )

    def _check(self) -> None:
        """As if it had been written by hand; a name that is still to come counts as said."""
        table = self._table
        try:
            if self._nameless:
                self._table = deepcopy(table)
                self.put(self._nameless, "somebody")
            check(read_table(self._table))
        finally:
            self._table = table

    def _withdraw(self, path: str, what: str) -> None:
        """Take back what this version would refuse, and say so."""
        section, _, key = path.rpartition(".")
        table = self.value(section)
        if isinstance(table, dict):
            table.pop(key, None)
        text = f"Left out: {what} is not available in this version."
        self._rows = [
            replace(row, outcome=Outcome.IGNORED, target="", text=text) if row.target == path else row
            for row in self._rows
        ]
        self._secrets = [entry for entry in self._secrets if entry.reference != f"keyring:{self.id}/ppk"]

    def _sources(self) -> Iterator[tuple[str, str]]:
        for row in self._rows:
            if row.target and row.outcome is Outcome.APPROXIMATED:
                yield row.target, f"from {row.source}; not quite the same"


def _below(table: dict[str, Any], step: str) -> dict[str, Any]:
    """The table that one step of a path names, made where it is not there."""
    match = _STEP.fullmatch(step)
    if match is None:
        raise AssertionError(f"no path: {step}")
    if match[2] is None:
        found: dict[str, Any] = table.setdefault(match[1], {})
        return found
    entries: list[dict[str, Any]] = table.setdefault(match[1], [])
    while len(entries) <= int(match[2]):
        entries.append({})
    return entries[int(match[2])]


def _shown(value: object) -> str:
    """A value about as TOML has it, cut to what fits a table."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
