"""Every value of a profile with where it came from: the profile, its preset (with the fact), or the default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from .check import check
from .expansion import Expanded, expand, has
from .model import LocalRound, Name
from .store import read_table
from .toml_text import parse


@dataclass(frozen=True, slots=True)
class Origin:
    """One key: its value as TOML writes it, "profile", "preset" or "default", and why a preset says so."""

    path: str
    value: str
    source: str
    fact: str = ""


def origins(text: str) -> list[Origin]:
    """All values of a profile that are not empty by default; `ProfileError` as `load_text` raises it."""
    table = parse(text)
    profile = read_table(table)
    check(profile)
    return list(_walk(profile, "", table, expand(table)))


def _walk(value: Any, path: str, table: dict[str, Any], expanded: Expanded) -> Iterator[Origin]:  # noqa: ANN401
    for entry in fields(value):
        below, where = getattr(value, entry.name), f"{path}.{entry.name}".lstrip(".")
        if is_dataclass(below) and not isinstance(below, Name):
            yield from _walk(below, where, table, expanded)
        elif where == "auth.local":
            for n, entry_of in enumerate(below):
                yield from _round(entry_of, f"{where}[{n}]", table["auth"]["local"][n])
        elif (origin := _origin(where, below, table, expanded)) is not None:
            yield origin


def _round(entry: LocalRound, path: str, table: dict[str, Any]) -> Iterator[Origin]:
    for field in fields(entry):
        value = getattr(entry, field.name)
        if field.name in table or value not in (None, ()):
            yield Origin(
                f"{path}.{field.name}", shown(value), "profile" if field.name in table else "default"
            )


def _origin(path: str, value: object, table: dict[str, Any], expanded: Expanded) -> Origin | None:
    if has(table, path):
        return Origin(path, shown(value), "profile")
    if (given := expanded.given.get(path)) is not None and expanded.preset is not None:
        return Origin(
            path,
            shown(value),
            f"preset {expanded.preset.name}",
            f"{given.fact} ({given.known}, {given.date})",
        )
    return None if value in (None, (), "") else Origin(path, shown(value), "default")


def shown(value: object) -> str:
    """A value about as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(shown(item) for item in value)}]"
    if isinstance(value, Name):
        return (
            f'"{value.value}"'
            if value.type is None
            else f'{{ type = "{value.type}", value = "{value.value}" }}'
        )
    return str(value) if isinstance(value, int) else f'"{value}"'
