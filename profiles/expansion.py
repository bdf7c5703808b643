"""A preset's values put where a profile says nothing, and the record of which value came from where."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from .errors import ProfileError, nearest
from .presets import PRESETS, Preset, Value

_OF_CRYPTO = ("modern", "compatible")
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
    _misplaced(table)
    if name is None:
        return Expanded(dict(table), None, {})
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        word = str(name)[:60]
        hint = f'Write preset = "{word}" under [crypto].' if word in _OF_CRYPTO else nearest(word, PRESETS)
        raise ProfileError("preset", f'"{word}" is no preset', hint)
    whole = deepcopy(dict(table))
    values = preset.values_for(allow_legacy=_allows_legacy(table))
    given = {value.path: value for value in values if _fill(whole, table, value)}
    return Expanded(whole, preset, given)


def _allows_legacy(table: Mapping[str, Any]) -> bool:
    crypto = table.get("crypto")
    return isinstance(crypto, dict) and crypto.get("allow_legacy") is True


def _misplaced(table: Mapping[str, Any]) -> None:
    """The two kinds of preset are easily taken for each other."""
    crypto = table.get("crypto")
    word = crypto.get("preset") if isinstance(crypto, dict) else None
    if isinstance(word, str) and word in PRESETS:
        hint = f'Write preset = "{word}" at the top of the file, outside of any [section].'
        raise ProfileError("crypto.preset", f'"{word}" is a kind of gateway', hint)


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
