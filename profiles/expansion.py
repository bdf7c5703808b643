"""A preset's values put where a profile says nothing, and the record of which value came from where."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from .errors import ProfileError, nearest
from .presets import PRESETS, Preset, Value

_EXCLUDED_BY = {
    "crypto.ike": ("crypto.preset",),
    "crypto.esp": ("crypto.preset",),
    "address.request": ("address.static", "address.none"),
}
"""A preset's value gives way to these keys of a profile too, not only to its own."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """A profile's table with the preset's values in it; `given` are those values, by their keys."""

    table: dict[str, Any]
    preset: Preset | None
    given: dict[str, Value]


def expand(table: Mapping[str, Any]) -> Expanded:
    """The table as it counts; without a preset it is the same."""
    name = table.get("preset")
    if name is None:
        return Expanded(dict(table), None, {})
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        raise ProfileError("preset", f'"{str(name)[:60]}" is no preset', nearest(str(name)[:60], PRESETS))
    whole = deepcopy(dict(table))
    given = {value.path: value for value in preset.values if _fill(whole, table, value)}
    return Expanded(whole, preset, given)


def lacking(table: Mapping[str, Any], preset: Preset) -> tuple[str, str] | None:
    """The first key that the preset needs and the profile does not have, with the reason."""
    return next(((path, why) for path, why in preset.needs if not has(table, path)), None)


def has(table: Mapping[str, Any], path: str) -> bool:
    """Whether a profile's table says something there."""
    node: Any = table
    for step in path.split("."):
        if not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    return True


def _fill(whole: dict[str, Any], table: Mapping[str, Any], value: Value) -> bool:
    """Put one value in, unless the profile says otherwise."""
    others = _EXCLUDED_BY.get(value.path, ())
    if any(has(table, path) for path in (value.path, *others)):
        return False
    section, _, key = value.path.rpartition(".")
    place = whole.setdefault(section, {})
    if not isinstance(place, dict):
        return False  # whoever reads the table says what is wrong with it
    place[key] = value.value
    return True
