"""Published test vectors: `vectors/*.toml`, each vector naming the document it was taken from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DIRECTORY = Path(__file__).parent / "vectors"


@dataclass(frozen=True)
class Vector:
    """One vector; pytest shows its source as the test's parameter."""

    fields: dict[str, Any]

    def text(self, name: str) -> str:
        """A field as it stands in the file."""
        return str(self.fields[name])

    def number(self, name: str) -> int:
        """An integer field."""
        return int(self.fields[name])

    def octets(self, name: str) -> bytes:
        """A field in hexadecimal digits, possibly over several lines."""
        return bytes.fromhex(self.fields[name])

    def __contains__(self, name: str) -> bool:
        return name in self.fields


def load(name: str) -> list[Vector]:
    """The vectors of one file."""
    document = tomllib.loads((_DIRECTORY / f"{name}.toml").read_text(encoding="utf-8"))
    return [Vector(fields) for fields in document["vector"]]


def source(vector: Vector) -> str:
    """What to call the vector in a test's name."""
    return vector.text("source")
