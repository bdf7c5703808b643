"""Framing of the control protocol: JSON-RPC 2.0, one object a line, and typed reading of its objects.

`Message` stands in for dataclasses: importing those, and `typing`, and making thirty classes would cost
`roam status`, which runs in scripts and shell prompts, half as long again to start.
"""

# ruff: noqa: ANN401 - JSON values and the types of fields are what `Any` is for

from __future__ import annotations

import binascii
import json
import sys
from functools import cache
from types import UnionType

from .kinds import HINTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, NoReturn, Self, TypeVar, dataclass_transform

    T = TypeVar("T", bound="Message")
    Json = dict[str, Any]
else:

    def dataclass_transform(**_options: object) -> Callable[[type], type]:
        """As in `typing`: for type checkers alone."""
        return lambda cls: cls


PROTOCOL = 1
LINE_LIMIT = 1 << 20
"""Octets of one line, the newline included."""
CLIENT_LIMIT = 64
RING_SIZE = 1000
"""Events that a client can catch up with after a reconnection."""


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


@dataclass_transform(frozen_default=True)
class Message:
    """Base of all messages: a subclass declares its fields as a dataclass does, and is frozen.

    Default values stay where the subclass has them, as attributes of the class.
    """

    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls._fields = tuple(cls.__annotations__)

    def __init__(self, *values: Any, **named: Any) -> None:
        named.update(zip(self._fields, values, strict=False))
        wrong = named.keys() - set(self._fields)
        missing = [name for name in self._fields if name not in named and not hasattr(type(self), name)]
        if wrong or missing or len(values) > len(self._fields):
            raise TypeError(f"{type(self).__name__}: unknown {sorted(wrong)}, missing {missing}")
        self.__dict__.update(named)

    def __setattr__(self, name: str, _value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, name) == getattr(other, name) for name in self._fields
        )

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self._fields))

    def __repr__(self) -> str:
        changed = ", ".join(
            f"{name}={self.__dict__[name]!r}" for name in self._fields if name in self.__dict__
        )
        return f"{type(self).__name__}({changed})"

    def objection(self) -> str:
        """What is wrong between the fields of a message that came in; empty: nothing."""
        return ""

    def replace(self, **changes: Any) -> Self:
        """The same message with some fields changed."""
        return type(self)(**{**self.__dict__, **changes})


CODES = {"rpc.parse": -32700, "rpc.request": -32600, "rpc.method": -32601, "rpc.params": -32602}
APPLICATION_ERROR = -32000
"""JSON-RPC's number for everything that has a `data.kind` of ours."""


def read(shape: type[T], value: object, where: str = "params", kind: str = "rpc.params") -> T:
    """The message `shape` from a JSON object.

    Unknown fields are ignored and null is absent (the protocol only grows); a missing or wrong field raises
    `ControlError(kind)` with its path.  The text never quotes a value: it may be a secret.
    """
    if not isinstance(value, dict):
        raise ControlError(kind, f"{where} is no object")
    try:
        message = shape(**_fields(shape, value, where))
    except _Unfit as error:
        raise ControlError(kind, str(error)) from None
    if objection := message.objection():
        raise ControlError(kind, f"{where}: {objection}")
    return message


class _Unfit(Exception):
    """A field is not what its message wants."""


def _fields(shape: Any, value: Json, where: str) -> Json:
    fields: Json = {}
    for name, wanted in _types(shape).items():
        item = value.get(name)
        if item is not None:
            fields[name] = _convert(wanted, item, f"{where}.{name}")
        elif not hasattr(shape, name):
            raise _Unfit(f"{where}.{name} is missing")
    return fields


def types_of(shape: Any) -> Json:
    """Types of a message's fields, from the annotations as `typing.get_type_hints` would evaluate them."""
    return _types(shape)


@cache
def _types(shape: Any) -> Json:
    names = vars(sys.modules[shape.__module__])
    return {name: eval(text, names) for name, text in shape.__annotations__.items()}  # noqa: S307 - our own source


def _convert(wanted: Any, item: object, where: str) -> Any:
    if wanted in _SCALARS:
        return _scalar(wanted, item, where)
    if isinstance(wanted, UnionType):  # only ever `X | None`
        return _convert(wanted.__args__[0], item, where)
    origin = getattr(wanted, "__origin__", None)
    if origin is tuple:
        if not isinstance(item, list):
            raise _Unfit(f"{where} is no list")
        return tuple(_convert(wanted.__args__[0], entry, f"{where}[{n}]") for n, entry in enumerate(item))
    if not isinstance(item, dict):
        raise _Unfit(f"{where} is no object")
    if origin is dict:
        return {key: _convert(wanted.__args__[1], entry, f"{where}.{key}") for key, entry in item.items()}
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
        return binascii.a2b_base64(item, strict_mode=True) if wanted is bytes else wanted(item)
    except (ValueError, OverflowError):
        raise _Unfit(f"{where} is no {word}") from None


def plain(value: object) -> Any:
    """A message as JSON has it: all its fields, octets as base64, secrets as their text."""
    if isinstance(value, Message):
        return {name: plain(getattr(value, name)) for name in value._fields}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return binascii.b2a_base64(value, newline=False).decode()
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
    if b"\\u" in line and not _is_text(value):
        raise ControlError("rpc.parse", "the line has half a character")
    return value


def _is_text(value: Json) -> bool:
    """Whether every string can be written: JSON's escapes can make half of a surrogate pair."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
