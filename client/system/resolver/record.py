"""What we have done to name resolution, noted before it is done, as the manifest notes the rest.

Everything of ours can be recognised without the note, except what NetworkManager was told by somebody else before
us.  Links and resolvconf's entries end with the boot; /etc/resolv.conf and NetworkManager's file do not.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..manifest import Place, write_durably
from .choice import Kind

_VERSION = 1
_FILE = "resolver.json"
_LASTING = frozenset({Kind.FILE, Kind.NETWORKMANAGER})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """The back-end in use, why it was chosen, the links, and NetworkManager's configuration before ours."""

    kind: Kind | None = None
    reason: str = ""
    links: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)


class Note:
    """The note in `state_dir`; a lost or unreadable one says that nothing was done."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / _FILE

    def load(self, place: Place) -> Record:
        """What is noted, as far as it still exists in `place`."""
        try:
            found = json.loads(self._file.read_text())
            kind = Kind(found["kind"])
            is_here = (found["boot"], found["namespace"]) == (place.boot, place.namespace)
            if found["version"] != _VERSION or not (is_here or kind in _LASTING):
                return Record()
            links = tuple(str(name) for name in found["links"])
            return Record(kind, str(found["reason"]), links, dict(found["before"]))
        except FileNotFoundError:
            return Record()
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s is unreadable (%s): what is recognisable without it is swept", self._file, error)
            return Record()

    def store(self, record: Record, place: Place) -> None:
        """Note it durably; nothing is written where it is noted already."""
        if record == self.load(place):
            return
        document = {
            "version": _VERSION,
            "boot": place.boot,
            "namespace": place.namespace,
            "kind": record.kind,
            "reason": record.reason,
            "links": list(record.links),
            "before": dict(record.before),
        }
        write_durably(self._file, json.dumps(document, indent=1))

    def forget(self) -> None:
        """Nothing of ours is there any more."""
        with suppress(FileNotFoundError):
            self._file.unlink()
