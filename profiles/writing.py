"""Profiles as TOML for people: written in the order of the reference, and edited with their comments kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Item, Table

from . import model
from .errors import ProfileError
from .store import load_text

_SECTIONS = (
    "gateway",
    "identity",
    "auth",
    "trust",
    "crypto",
    "address",
    "routing",
    "dns",
    "mobility",
    "lifetimes",
)
_SHAPES = (
    model.Gateway,
    model.Identity,
    model.LocalRound,
    model.RemoteAuth,
    model.Trust,
    model.Crypto,
    model.AddressSection,
    model.Routing,
    model.Dns,
    model.Mobility,
    model.Lifetimes,
)
_NAMES = dict.fromkeys(entry.name for shape in _SHAPES for entry in fields(shape))
_RANK = {name: n for n, name in enumerate(_NAMES)}
"""Keys in the order in which the reference lists them."""

_STEP = re.compile(r"([a-z_]+)(?:\[(\d+)\])?")
_WIDE = 90  # columns; a longer list is written one value a line


def compose(table: Mapping[str, Any], comments: Mapping[str, str], heading: Sequence[str]) -> str:
    """A profile's table as TOML; `comments` stand behind the keys they name, `heading` above everything."""
    document = tomlkit.document()
    for line in heading:
        document.add(tomlkit.comment(line))
    for key in _ordered(table):
        if not isinstance(table[key], (dict, list)):
            document.add(key, _item(table[key], comments.get(key)))
    for section in _SECTIONS:
        if table.get(section):
            document.add(tomlkit.nl())
            document.add(section, _section(section, table[section], comments))
    return tomlkit.dumps(document).replace("\n\n\n", "\n\n")


def table_of(profile: model.Profile) -> dict[str, Any]:
    """A profile as a table: only what differs from the defaults."""
    table: dict[str, Any] = _table_of(profile)
    return table


def edited(text: str, changes: Mapping[str, object]) -> str:
    """The same profile with other values, comments and order kept; a value of None removes its key.

    Raises `ProfileError` for a key that cannot be, or where the result would be no profile.
    """
    try:
        document = tomlkit.parse(text)
        for path, value in changes.items():
            _change(document, path, value)
    except TOMLKitError as error:
        raise ProfileError("", f"is no TOML: {error}") from None
    result = tomlkit.dumps(document)
    load_text(result)
    return result


def _ordered(table: Mapping[str, Any]) -> list[str]:
    first = ["schema", "id", "name", "preset"]
    return [*(key for key in first if key in table), *(key for key in table if key not in first)]


def _section(path: str, values: Mapping[str, Any], comments: Mapping[str, str]) -> Table:
    """A table, its plain keys before its own tables, as TOML wants it."""
    has_plain = any(not _is_nested(value) for value in values.values())
    section = tomlkit.table(is_super_table=not has_plain)
    for key in sorted(values, key=lambda key: (_is_nested(values[key]), _RANK.get(key, len(_RANK)))):
        where, value = f"{path}.{key}", values[key]
        if isinstance(value, list) and _is_nested(value):
            section.add(key, _rounds(where, value, comments))
        elif _is_nested(value):
            section.add(key, _section(where, value, comments))
        else:
            section.add(key, _item(value, comments.get(where)))
    return section


def _rounds(path: str, entries: list[Mapping[str, Any]], comments: Mapping[str, str]) -> AoT:
    rounds = tomlkit.aot()
    for n, entry in enumerate(entries):
        rounds.append(_section(f"{path}[{n}]", entry, comments))
    return rounds


def _is_nested(value: object) -> bool:
    if isinstance(value, dict):
        return set(value) != {"type", "value"}  # an identity stands on one line
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _item(value: object, comment: str | None = None) -> Item:
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        inline.update(value)
        item: Item = inline
    else:
        item = tomlkit.item(value)
        if isinstance(value, list) and len(str(value)) > _WIDE:
            item = tomlkit.array().multiline(True)
            item.extend(value)
    return item if comment is None else item.comment(comment)


def _change(document: Any, path: str, value: object) -> None:  # noqa: ANN401 - tomlkit's containers are untyped
    *steps, last = path.split(".")
    node = document
    for step in steps:
        match = _STEP.fullmatch(step)
        if match is None:
            raise ProfileError(path, "is no key of a profile")
        if match[1] not in node:
            node.add(match[1], tomlkit.table())
        node = node[match[1]]
        if match[2] is not None:
            if not isinstance(node, list) or int(match[2]) >= len(node):
                raise ProfileError(path, "names a round that is not there")
            node = node[int(match[2])]
    if not isinstance(node, dict):
        raise ProfileError(path, "is no key of a profile")
    if value is None:
        node.pop(last, None)
    elif last in node:
        before = node[last]
        node[last] = _with_trivia(_item(value), before)
    else:
        node[last] = _item(value)


def _with_trivia(item: Item, before: object) -> Item:
    """The new value with the old one's comment behind it."""
    if isinstance(before, Item):
        item.trivia.comment_ws, item.trivia.comment = before.trivia.comment_ws, before.trivia.comment
    return item


def _table_of(value: Any) -> Any:  # noqa: ANN401 - any field of the model
    if isinstance(value, model.Name):
        return value.value if value.type is None else {"type": value.type, "value": value.value}
    if isinstance(value, tuple):
        return [_table_of(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        found = {
            entry.name: _table_of(getattr(value, entry.name))
            for entry in fields(value)
            if getattr(value, entry.name) != entry.default
        }
        return {key: item for key, item in found.items() if item is not None}
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)
