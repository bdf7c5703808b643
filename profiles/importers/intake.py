"""What an importer is given: the octets of a file, and what the person said beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .draft import Draft


@dataclass(slots=True)
class Intake:
    """One file to import.

    `name`: the id that the profile shall have.  `beside`: other files that belong to this one, by their names.
    `server`, `user`: for formats that do not name one.  `passphrase`: of a bundle.
    """

    octets: bytes
    name: str = ""
    beside: Mapping[str, bytes] = field(default_factory=dict)
    server: str = ""
    user: str = ""
    passphrase: str = field(default="", repr=False)
    _taken: set[str] = field(default_factory=set, init=False)

    def draft(self, kind: str, title: str) -> Draft:
        """A new profile; of several in one file each gets a name of its own."""
        draft = Draft(kind, title or "imported")
        wanted = self.name or draft.id
        draft.id, number = wanted, 1
        while draft.id in self._taken:
            number += 1
            draft.id = f"{wanted}-{number}"
        draft.put("id", draft.id)
        self._taken.add(draft.id)
        return draft
