"""What we have changed on the machine and could not recognise, or not put back, without a note.

Rules, routes and links are known by their table, priority and name, so a move writes nothing to the disk.
The note is bound to the boot and to the network namespace: after a restart of the machine nothing of it
exists any more.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..tunnel.model import TABLE

_VERSION = 1
_FILE = "manifest.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owned:
    """The table and links in use, and the original values of the settings that we have changed."""

    table: int = TABLE
    links: frozenset[str] = frozenset()
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where kernel objects live: this boot of the machine, this network namespace."""

    boot: str
    namespace: int

    @classmethod
    def here(cls) -> Place:
        """Of the calling thread."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return cls(boot, os.stat("/proc/thread-self/ns/net").st_ino)


class Manifest:
    """The note in `state_dir`; a lost or unreadable one says that nothing is owned."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / _FILE
        self._written: str | None = None

    def load(self, place: Place) -> Owned:
        """What was noted in this very place."""
        try:
            text = self._file.read_text()
            found = json.loads(text)
            if (found["version"], found["boot"], found["namespace"]) != (
                _VERSION,
                place.boot,
                place.namespace,
            ):
                return Owned()
            return _owned(found)
        except FileNotFoundError:
            return Owned()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("%s is unreadable (%s): what is recognisable without it is swept", self._file, error)
            return Owned()

    def store(self, owned: Owned, place: Place) -> None:
        """Note it durably, before the change that makes it true."""
        text = json.dumps(
            {
                "version": _VERSION,
                "boot": place.boot,
                "namespace": place.namespace,
                "table": owned.table,
                "links": sorted(owned.links),
                "sysctls": dict(owned.sysctls),
            },
            indent=1,
        )
        if text != self._written or not self._file.exists():
            write_durably(self._file, text)
            self._written = text

    def forget(self) -> None:
        """Nothing is owned any more."""
        with suppress(FileNotFoundError):
            self._file.unlink()
        self._written = None


def _owned(found: dict[str, Any]) -> Owned:
    links = frozenset(str(name) for name in found["links"])
    sysctls = {str(key): str(value) for key, value in found["sysctls"].items()}
    return Owned(int(found["table"]), links, sysctls)


def write_durably(file: Path, text: str) -> None:
    """Replace a file of ours in one step that survives a power cut: the old text or the new one, never half."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
