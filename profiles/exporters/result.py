"""What an exporter makes, and the keeping of its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import containers
from ..errors import ProfileError
from ..importers.report import FidelityReport, Outcome, Row
from ..model import Profile
from ..writing import table_of


@dataclass(frozen=True, slots=True)
class Exported:
    """A file for another program, those that belong beside it, and what became of every key of the profile."""

    suffix: str
    octets: bytes = field(repr=False)
    files: dict[str, bytes] = field(repr=False)
    report: FidelityReport


class Ledger:
    """The keys of a profile that differ from the defaults: each is told once, and none is forgotten."""

    def __init__(self, profile: Profile, files: Mapping[str, bytes]) -> None:
        self.profile = profile
        self.files = files
        self._rows: list[Row] = []
        self._left = dict(_leaves(table_of(profile), ""))

    def has(self, path: str) -> bool:
        """Whether the profile says something there beyond the default."""
        return path in self._left

    def done(self, *paths: str) -> None:
        """These mean the same there."""
        for path in paths:
            if self._left.pop(path, None) is not None:
                self._rows.append(Row(Outcome.HONOURED, path, "", "Said there too."))

    def differs(self, path: str, text: str) -> None:
        """This means nearly the same there."""
        self._left.pop(path, None)
        self._rows.append(Row(Outcome.APPROXIMATED, path, "", text))

    def missing(self, path: str, text: str) -> None:
        """A secret, which never leaves the keyring."""
        self._left.pop(path, None)
        self._rows.append(Row(Outcome.MISSING, path, "", text))

    def ignored(self, path: str, text: str) -> None:
        """This has no effect there."""
        if self._left.pop(path, None) is not None:
            self._rows.append(Row(Outcome.IGNORED, path, "", text))

    def report(self) -> FidelityReport:
        """All of them; what nobody has told is something that the other program does not have."""
        for path in tuple(self._left):
            if path not in ("schema", "id"):
                self.ignored(path, "The other program has nothing like it.")
        return FidelityReport(tuple(self._rows))

    def authorities(self) -> list[bytes]:
        """The CA certificates of the profile, DER."""
        found = []
        for reference in self.profile.trust.ca:
            found += _certificates(self.files, reference)
        return found

    def bundle(self, number: int) -> bytes | None:
        """The bundle of a round that is PKCS #12; None where key and certificate are otherwise."""
        entry = self.profile.auth.local[number]
        octets = self.files.get(entry.cert or "", b"")
        return octets if entry.key is None and containers.is_bundle(octets) else None


def _certificates(files: Mapping[str, bytes], reference: str) -> list[bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding

    if reference not in files:
        raise ProfileError("trust.ca", f'"{reference}" was not handed over with the profile')
    try:
        return [item.public_bytes(Encoding.DER) for item in containers.certificates(files[reference])]
    except containers.UNREADABLE:
        raise ProfileError("trust.ca", f'"{reference}" holds no certificate that can be read') from None


def _leaves(table: Any, path: str) -> list[tuple[str, object]]:  # noqa: ANN401 - a TOML table
    if isinstance(table, dict) and not {"value"} <= table.keys():
        return [leaf for key, value in table.items() for leaf in _leaves(value, f"{path}.{key}".lstrip("."))]
    if isinstance(table, list) and table and all(isinstance(item, dict) for item in table):
        return [leaf for n, item in enumerate(table) for leaf in _leaves(item, f"{path}[{n}]")]
    return [(path, table)]
