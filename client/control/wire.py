"""Framing of the control protocol: JSON-RPC 2.0, one object a line, and typed reading of its objects.

Values are NamedTuples and not dataclasses: they cost a command a third of the time at start (measured; `roam
status` runs in scripts and prompts).
"""

# ruff: noqa: ANN401 - JSON values and the types of fields are what `Any` is for

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from .kinds import HINTS

PROTOCOL = 1
LINE_LIMIT = 1 << 20
"""Octets of one line, the newline included."""
CLIENT_LIMIT = 64
RING_SIZE = 1000
"""Events that a client can catch up with after a reconnection."""

Json = dict[str, Any]
T = TypeVar("T")


class ControlError(Exception):
    """What the other side (or we) could not do: `data` of a JSON-RPC error.

    `kind` is one of `kinds.KINDS`; `evidence` says in words what was seen; `hint` what to do next.
    """

    def __init__(self, kind: str, evidence: str, hint: str = "") -> None:
        super().__init__(evidence)
        self.kind = kind
        self.evidence = evidence
        self.hint = hint or HINTS.get(kind, "")


class SecretText:
    """A password or key on its way: redacted in every representation."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself: call it only where it goes onto the wire or into the engine."""
        return self._value

    def __repr__(self) -> str:
        return "SecretText(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretText) and self._value == other._value

    def __hash__(self) -> NoReturn:
        raise TypeError("a secret is no dictionary key")


CODES = {"rpc.parse": -32700, "rpc.request": -32600, "rpc.method": -32601, "rpc.params": -32602}
APPLICATION_ERROR = -32000
"""JSON-RPC's number for everything that has a `data.kind` of ours."""


def read(shape: Callable[..., T], value: object, where: str = "params", kind: str = "rpc.params") -> T:
    """The message `shape` (a NamedTuple) from a JSON object.

    Unknown fields are ignored and null is absent (the protocol only grows); a missing or wrong field raises
    `ControlError(kind)` with its path.  The text never quotes a value: it may be a secret.
    """
    if not isinstance(value, dict):
        raise ControlError(kind, f"{where} is no object")
    try:
        return shape(**_fields(shape, value, where))
    except _Unfit as error:
        raise ControlError(kind, str(error)) from None


class _Unfit(Exception):
    """A field is not what its message wants."""


def _fields(shape: Any, value: Json, where: str) -> Json:
    fields: Json = {}
    for name, wanted in _hints(shape).items():
        item = value.get(name)
        if item is not None:
            fields[name] = _convert(wanted, item, f"{where}.{name}")
        elif name not in shape._field_defaults:
            raise _Unfit(f"{where}.{name} is missing")
    return fields


@cache
def _hints(shape: Any) -> Json:
    return get_type_hints(shape)


def _convert(wanted: Any, item: object, where: str) -> Any:
    if wanted in _SCALARS:
        return _scalar(wanted, item, where)
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is UnionType:  # only ever `X | None`
        return _convert(arguments[0], item, where)
    if origin is tuple:
        if not isinstance(item, list):
            raise _Unfit(f"{where} is no list")
        return tuple(_convert(arguments[0], entry, f"{where}[{n}]") for n, entry in enumerate(item))
    if not isinstance(item, dict):
        raise _Unfit(f"{where} is no object")
    if origin is dict:
        return {key: _convert(arguments[1], entry, f"{where}.{key}") for key, entry in item.items()}
    return wanted(**_fields(wanted, item, where))


_SCALARS: dict[Any, tuple[Any, str]] = {
    bool: (bool, "boolean"),
    bytes: (str, "base64 string"),
    float: ((int, float), "number"),
    int: (int, "integer"),
    SecretText: (str, "string"),
    str: (str, "string"),
}
"""type of a field -> (types that JSON may have there, their name)"""


def _scalar(wanted: Any, item: Any, where: str) -> Any:
    types, word = _SCALARS[wanted]
    if not isinstance(item, types) or (isinstance(item, bool) and wanted is not bool):
        raise _Unfit(f"{where} is no {word}")
    try:
        return b64decode(item, validate=True) if wanted is bytes else wanted(item)
    except (ValueError, OverflowError):
        raise _Unfit(f"{where} is no {word}") from None


def plain(value: object) -> Any:
    """A message as JSON has it: NamedTuples become objects, octets base64, secrets their text."""
    fields = getattr(value, "_fields", None)
    if fields is not None:
        return {name: plain(getattr(value, name)) for name in fields}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value.reveal() if isinstance(value, SecretText) else value


def _line(message: Json) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def encode_request(request_id: int, method: str, params: object) -> bytes:
    """One line that asks for `method`."""
    return _line({"jsonrpc": "2.0", "id": request_id, "method": method, "params": plain(params)})


def encode_result(request_id: object, result: object) -> bytes:
    """One line that answers a request."""
    return _line({"jsonrpc": "2.0", "id": request_id, "result": plain(result)})


def encode_error(request_id: object, error: ControlError) -> bytes:
    """One line that refuses a request; `request_id` None where it could not be read."""
    data = {"kind": error.kind, "evidence": error.evidence, "hint": error.hint}
    code = CODES.get(error.kind, APPLICATION_ERROR)
    body = {"code": code, "message": f"{error.kind}: {error.evidence}", "data": data}
    return _line({"jsonrpc": "2.0", "id": request_id, "error": body})


def encode_notification(method: str, params: object) -> bytes:
    """One line that expects no answer."""
    return _line({"jsonrpc": "2.0", "method": method, "params": plain(params)})


def decode_line(line: bytes) -> Json:
    """The JSON object of one line; `ControlError` of kind `rpc.parse` or `rpc.request`, and nothing else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise ControlError("rpc.parse", "the line is not JSON") from None
    if not isinstance(value, dict):
        raise ControlError("rpc.request", "the line is no JSON object")
    return value
