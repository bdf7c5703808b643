"""What is wanted, kept over a restart of the daemon: profile text, public files and confirmed keys, never a secret.

One file per tunnel in the state directory, 0600, written whole and synced before it takes its place.  A file that
does not read is reported and left where it is: it never stands for another wish.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .order import Key

log = logging.getLogger("roam.intent")

VERSION = 1


@dataclass(frozen=True, slots=True)
class Intent:
    """A tunnel that is wanted: whose, and by which profile."""

    owner: int
    shared: bool
    id: str
    text: str = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False, default_factory=dict)
    pins: frozenset[str] = frozenset()  # fingerprints of the gateway's key that the owner has confirmed
    refused: bool = False  # its password was: one that is stored is not tried again before somebody's `up`

    @property
    def key(self) -> Key:
        """What its tunnel is known by."""
        return Key(None if self.shared else self.owner, self.id)


class Intents:
    """The directory of wishes.  A disk that cannot be written costs the memory over a restart, nothing else."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / "wanted"

    def keep(self, intent: Intent) -> None:
        """Remember a wish."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self._file(intent.key), json.dumps(_to_json(intent)).encode())
        except OSError as error:
            log.warning("%s will not be remembered over a restart: %s", intent.key, error)

    def forget(self, key: Key) -> None:
        """The wish has ended."""
        try:
            self._file(key).unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s will be wanted again after a restart: %s", key, error)

    def forget_all(self) -> None:
        """Nothing is wanted any more."""
        for path in self._paths():
            with suppress(OSError):
                path.unlink()

    def load(self) -> list[Intent]:
        """What was wanted when the daemon ended, in the order in which it was asked for."""
        found: list[Intent] = []
        for path in self._paths():
            try:
                found.append(_from_json(json.loads(path.read_text())))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("%s does not read, what it wanted is lost: %s", path, error)
        return found

    def _paths(self) -> list[Path]:
        try:
            return sorted(self._directory.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        except OSError:
            return []

    def _file(self, key: Key) -> Path:
        digest = hashlib.sha256(str(key).encode()).hexdigest()[:16]  # an id may hold what a file name may not
        return self._directory / f"{digest}.json"


def _write(path: Path, octets: bytes) -> None:
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _to_json(intent: Intent) -> dict[str, object]:
    return {
        "version": VERSION,
        "owner": intent.owner,
        "shared": intent.shared,
        "id": intent.id,
        "text": intent.text,
        "pins": sorted(intent.pins),
        "refused": intent.refused,
        "files": {name: base64.b64encode(octets).decode() for name, octets in intent.files.items()},
    }


def _from_json(found: dict[str, Any]) -> Intent:
    if found["version"] != VERSION:
        raise ValueError(f"version {found['version']}")
    files = {str(name): base64.b64decode(text, validate=True) for name, text in found["files"].items()}
    pins = frozenset(map(str, found.get("pins", ())))
    text, name = str(found["text"]), str(found["id"])
    refused = bool(found.get("refused", False))
    return Intent(int(found["owner"]), bool(found["shared"]), name, text, files, pins, refused)
