"""TOML values to `Profile`, by the types and metadata that the model's fields carry.

Unknown keys are errors: a misspelt `exclude` must not send traffic where nobody wanted it.
"""

# ruff: noqa: ANN401 - TOML values and the types of fields are what `Any` is for

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from ipaddress import ip_address, ip_interface, ip_network
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from . import model
from .errors import ProfileError, nearest

_WORDS = {bool: "true or false", int: "a whole number", str: "a text in quotes"}


def read(shape: Any, value: object, path: str = "") -> Any:
    """The dataclass `shape` from a TOML table; `ProfileError` names the key."""
    if not isinstance(value, dict):
        raise ProfileError(path, "is no table")
    known = {entry.name: entry for entry in fields(shape)}
    for word in value:
        if word not in known:
            raise ProfileError(_join(path, word), "unknown key", nearest(word, known))
    members = [entry for entry in known.values() if _given(entry, value, path)]
    return shape(**{entry.name: _member(shape, entry, value, path) for entry in members})


def _given(entry: Any, table: dict[str, object], path: str) -> bool:
    if entry.name in table:
        return True
    if entry.default is MISSING:
        raise ProfileError(_join(path, entry.name), "is missing", _example(entry))
    return False


def _example(entry: Any) -> str:
    """How a key that must be there is written."""
    return f"Write {entry.name} = {entry.metadata['example']}: {entry.metadata['text']}."


def _member(shape: Any, entry: Any, table: dict[str, object], path: str) -> Any:
    where = _join(path, entry.name)
    value = convert(_hints(shape)[entry.name], table[entry.name], where)
    least, most = entry.metadata["least"], entry.metadata["most"]
    if least is not None and not least <= value <= most:
        unit = f" {entry.metadata['unit']}" if entry.metadata["unit"] else ""
        raise ProfileError(where, f"{value} is not between {least} and {most}{unit}")
    return value


def convert(wanted: Any, value: object, path: str) -> Any:
    """One TOML value as the type of its field has it."""
    if wanted in _PARSERS:
        return _parsed(wanted, value, path)
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):  # only ever `X | None`: TOML has no null, absence is the None
        return convert(arguments[0], value, path)
    if origin is tuple:
        return _several(arguments[0], value, path)
    if origin is Literal:
        return _choice(arguments, value, path)
    if wanted is model.Name and isinstance(value, str):
        return model.Name(_text(value, path))
    if is_dataclass(wanted):
        return read(wanted, value, path)
    if type(value) is not wanted:
        raise ProfileError(path, f"is not {_WORDS[wanted]}")
    return _text(value, path) if isinstance(value, str) else value


def _text(value: str, path: str) -> str:
    if not value.strip():
        raise ProfileError(path, "is empty")
    return value


def _several(wanted: Any, value: object, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        hint = (
            f"Write [[{path}]], in two brackets." if is_dataclass(wanted) else "Write it in brackets: [ … ]."
        )
        raise ProfileError(path, "is no list", hint)
    return tuple(convert(wanted, item, f"{path}[{n}]") for n, item in enumerate(value))


def _choice(choices: tuple[object, ...], value: object, path: str) -> object:
    if type(value) in {type(choice) for choice in choices} and value in choices:
        return value
    words = [str(choice) for choice in choices]
    raise ProfileError(path, f"{_quoted(value)} is none of {', '.join(words)}", nearest(str(value), words))


def _quoted(value: object) -> str:
    """A value about as the profile writes it."""
    return f'"{value}"' if isinstance(value, str) else str(value)


def _network(text: str) -> model.Network:
    try:
        return ip_network(text)
    except ValueError:
        wide = ip_network(text, strict=False)  # raises again unless only host bits are set
        raise ValueError(f"has host bits set: the network is {wide}") from None


_PARSERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    model.Address: (ip_address, "an IPv4 or IPv6 address"),
    model.Interface: (ip_interface, "an address with its prefix length"),
    model.Network: (_network, "a network such as 10.0.0.0/8"),
}


def _parsed(wanted: Any, value: object, path: str) -> Any:
    parse, word = _PARSERS[wanted]
    if not isinstance(value, str):
        raise ProfileError(path, f"is not {word} in quotes")
    try:
        return parse(value)
    except ValueError as error:
        detail = str(error) if "host bits" in str(error) else f"is not {word}"
        raise ProfileError(path, f'"{value}" {detail}') from None


@cache
def _hints(shape: Any) -> dict[str, Any]:
    return get_type_hints(shape)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
