"""The control protocol as JSON Schema (2020-12), made from the message types and the method table.

Objects stay open: a reader ignores what it does not know, because the protocol grows.
"""

# ruff: noqa: ANN401 - types of fields are what `Any` is for

from __future__ import annotations

import inspect
import re
from types import UnionType
from typing import TYPE_CHECKING, Any

from .messages import EVENT_SHAPES, PROTOCOL, Event, Message, SecretText
from .methods import METHODS
from .wire import types_of

if TYPE_CHECKING:
    from .wire import Json

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALARS: dict[Any, Json] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    SecretText: {"type": "string", "writeOnly": True},
}
_FIELD = re.compile(r"^    (\w+): [^#\n]*(?:#\s*(?!noqa)(.*))?$", re.MULTILINE)

_REQUEST = {
    "description": "One line from a client.",
    "type": "object",
    "required": ["id", "method"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "id": {"type": ["integer", "string"]},
        "method": {"type": "string"},
        "params": {"type": ["object", "null"]},
    },
}
_ERROR = {
    "description": "What could not be done; `kind` is stable, `evidence` and `hint` are words for people.",
    "type": "object",
    "required": ["code", "message", "data"],
    "properties": {
        "code": {"type": "integer"},
        "message": {"type": "string"},
        "data": {
            "type": "object",
            "required": ["kind", "evidence", "hint"],
            "properties": {name: {"type": "string"} for name in ("kind", "evidence", "hint")},
        },
    },
}
_RESPONSE = {
    "description": "One line that answers a request: with `result`, as `methods` says, or with `error`.",
    "type": "object",
    "required": ["jsonrpc", "id"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "id": {"type": ["integer", "string", "null"]},
        "result": {"type": "object"},
        "error": {"$ref": "#/$defs/Error"},
    },
    "oneOf": [{"required": ["result"]}, {"required": ["error"]}],
}


def schema() -> Json:
    """The whole protocol.  `methods` tells each method's `params` and `result`; both stand in `$defs`."""
    shapes: dict[str, Json] = {"Request": _REQUEST, "Response": _RESPONSE, "Error": _ERROR}
    for shape in sorted(message_types(), key=lambda shape: shape.__name__):
        shapes[shape.__name__] = _message(shape)
    shapes["Notification"] = _notification()
    lines = [{"$ref": f"#/$defs/{name}"} for name in ("Request", "Response", "Notification")]
    return {
        "$schema": DIALECT,
        "title": f"Roam's control protocol, version {PROTOCOL}",
        "description": "JSON-RPC 2.0 over a Unix socket, one object a line.",
        "anyOf": lines,
        "methods": {name: _method(name) for name in METHODS},
        "$defs": shapes,
    }


def message_types() -> set[type[Message]]:
    """Every message that a method or an event has in it."""
    found: set[type[Message]] = set()
    waiting: list[Any] = [Event]
    for method in METHODS.values():
        waiting += [method.params, method.result]
    while waiting:
        wanted = waiting.pop()
        if isinstance(wanted, type) and issubclass(wanted, Message):
            if wanted not in found:
                found.add(wanted)
                waiting += types_of(wanted).values()
        else:
            waiting += getattr(wanted, "__args__", ())
    return found


def described(shape: type[Message]) -> str:
    """A message's own description."""
    return inspect.cleandoc(shape.__doc__ or "")


def field_notes(shape: type[Message]) -> dict[str, str]:
    """What the source says of a message's fields, behind them."""
    return {name: note for name, note in _FIELD.findall(inspect.getsource(shape)) if note}


def _method(name: str) -> Json:
    method = METHODS[name]
    return {
        "description": method.summary,
        "access": method.access.name.lower(),
        "params": _reference(method.params),
        "result": _reference(method.result),
    }


def _message(shape: type[Message]) -> Json:
    notes = field_notes(shape)
    properties = {}
    for name, wanted in types_of(shape).items():
        properties[name] = _type(wanted) | ({"description": notes[name]} if name in notes else {})
    required = [name for name in properties if not hasattr(shape, name)]
    found: Json = {"description": described(shape), "type": "object", "properties": properties}
    return found | ({"required": required} if required else {})


def _notification() -> Json:
    """An event as it comes, its data by its topic."""
    choices = [
        {"properties": {"topic": {"const": topic}, "data": _reference(shape)}}
        for topic, shape in EVENT_SHAPES.items()
    ]
    unknown = {"properties": {"topic": {"not": {"enum": list(EVENT_SHAPES)}}}}
    return {
        "description": "One line that expects no answer: an event.",
        "type": "object",
        "required": ["method", "params"],
        "properties": {
            "method": {"const": "event"},
            "params": {**_event_head(), "anyOf": [*choices, unknown]},
        },
    }


def _event_head() -> Json:
    """An event's fields; what its data is, depends on its topic, and new topics may come."""
    head = _message(Event)
    head["properties"]["data"] = {"type": "object"}
    return head


def _type(wanted: Any) -> Json:
    if wanted in _SCALARS:
        return dict(_SCALARS[wanted])
    if isinstance(wanted, UnionType):
        return {
            "anyOf": [{"type": "null"} if item is type(None) else _type(item) for item in wanted.__args__]
        }
    origin = getattr(wanted, "__origin__", None)
    if origin is tuple:
        return {"type": "array", "items": _type(wanted.__args__[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(wanted.__args__[1])}
    return _reference(wanted)


def _reference(shape: type[Message]) -> Json:
    return {"$ref": f"#/$defs/{shape.__name__}"}
