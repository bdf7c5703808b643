"""A table of a foreign file, read leniently and to the last key: what nobody asked for is reported.

Producers write true as `true`, 1 or "true", and numbers as text (strongSwan's Android client reads them so).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import TypeGuard

from .errors import ImportRefused
from .limits import blob, bounded

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


class Fields:
    """The keys of one table; `where` is its own place in the file, for messages."""

    def __init__(self, values: Mapping[str, object], where: str = "") -> None:
        self._values = values
        self._where = where
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def path(self, key: str) -> str:
        """A key as a person finds it in the file."""
        return f"{self._where}.{key}" if self._where else key

    def get(self, key: str) -> object:
        """The value as it is, None without."""
        self._read.add(key)
        return self._values.get(key)

    def text(self, key: str) -> str:
        """A text, "" without."""
        value = self.get(key)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise self._wrong(key, "no text")
        if isinstance(value, int):
            return str(value) if abs(value) < 2**64 else self._endless(key)
        return bounded(value, self.path(key)).strip()

    def flag(self, key: str) -> bool | None:
        """A yes or no in any of its spellings, None without."""
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, (bool, int)):
            return bool(value)
        word = value.strip().lower() if isinstance(value, str) else None
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise self._wrong(key, "neither true nor false")

    def number(self, key: str) -> int | None:
        """A whole number, None without."""
        value = self.get(key)
        if isinstance(value, bool):
            raise self._wrong(key, "no whole number")
        if isinstance(value, str) and 0 < len(value.strip()) <= 20:
            value = int(value) if value.strip().lstrip("-").isdecimal() else value
        if value is None or value == "":
            return None
        if not isinstance(value, int) or abs(value) >= 2**63:
            raise self._wrong(key, "no whole number")
        return value

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one text with blanks or commas between them."""
        value = self.get(key)
        if value is None:
            return ()
        if isinstance(value, str):
            return tuple(bounded(value, self.path(key)).replace(",", " ").split())
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "no list of texts")
        return tuple(bounded(item, self.path(key)).strip() for item in value[:256])

    def octets(self, key: str) -> bytes:
        """Binary data, or its base64 with whatever blanks; b"" without."""
        value = self.get(key)
        if value in (None, "", b""):
            return b""
        if isinstance(value, str):
            try:
                value = b64decode("".join(value.split()), validate=True)
            except ValueError:
                raise self._wrong(key, "no base64") from None
        if not isinstance(value, bytes):
            raise self._wrong(key, "no data")
        return blob(value, self.path(key))

    def table(self, key: str) -> Fields:
        """A table below this one; an empty one without."""
        value = self.get(key)
        if value is None:
            return Fields({}, self.path(key))
        if not is_table(value):
            raise self._wrong(key, "no table")
        return Fields(value, self.path(key))

    def tables(self, key: str) -> tuple[Fields, ...]:
        """A list of tables."""
        value = self.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self._wrong(key, "no list")
        where = self.path(key)
        found = [item for item in value[:256] if is_table(item)]
        return tuple(Fields(item, f"{where}[{n}]") for n, item in enumerate(found))

    def skip(self, *keys: str) -> None:
        """Mark keys as understood: they say nothing about a tunnel."""
        self._read.update(keys)

    def rest(self) -> tuple[str, ...]:
        """The keys that nobody has asked for."""
        return tuple(key for key in self._values if key not in self._read)

    def _wrong(self, key: str, what: str) -> ImportRefused:
        return ImportRefused(self.path(key), f"is {what}")

    def _endless(self, key: str) -> str:
        raise self._wrong(key, "an endless number")


def is_table(value: object) -> TypeGuard[dict[str, object]]:
    """Whether a value is a table with texts for keys, none of them endless."""
    return isinstance(value, dict) and all(isinstance(key, str) and len(key) <= 256 for key in value)
