"""The interface description of the varlink façade, made from the message types and the method table."""

# ruff: noqa: ANN401 - types of fields are what `Any` is for

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any

from .messages import EVENT_SHAPES, ControlError, Event, Message, SecretText, Subscribe
from .methods import METHODS
from .schema import described, message_types
from .wire import types_of

INTERFACE = "org.roamvpn.Roam"
SERVICE = "org.varlink.service"

_SCALARS: dict[Any, str] = {
    str: "string",
    bytes: "string",
    SecretText: "string",
    int: "int",
    float: "float",
    bool: "bool",
}

_SERVICE = """\
# The interface that every varlink service has.
interface org.varlink.service

method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)

error MethodNotFound (method: string)

error MethodNotImplemented (method: string)

error InvalidParameter (parameter: string)

error PermissionDenied ()

error ExpectedMore ()
"""


def method_name(name: str) -> str:
    """`tunnel.set_up` as varlink spells it: `TunnelSetUp`."""
    return "".join(word.capitalize() for word in name.replace(".", "_").split("_"))


def description(interface: object) -> str:
    """What an interface has; `ControlError` where it is none of ours."""
    if interface == SERVICE:
        return _SERVICE
    if interface == INTERFACE:
        return _ours()
    if not isinstance(interface, str):
        raise ControlError("rpc.params", "params.interface is no string")
    raise ControlError("varlink.interface", interface)


@cache
def _ours() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Roam: tunnels that follow a laptop.  The same methods as on the control socket."
    yield f"interface {INTERFACE}"
    shapes = message_types() - {Event, *(method.params for method in METHODS.values())}
    for shape in sorted(shapes | _inner_parameters(), key=lambda shape: shape.__name__):
        if shape._fields:
            yield ""
            yield from _comment(described(shape))
            yield f"type {_type_name(shape)} {_struct(shape)}"
    yield ""
    yield from _comment("An event: the field that its topic names has its data.")
    yield f"type Event (seq: int, time: float, topic: string, {_event_fields()})"
    for name, method in METHODS.items():
        yield ""
        yield from _comment(method.summary)
        result = _struct(method.result)
        if method.params is Subscribe:
            yield from _comment("With `more`, events follow the snapshot.")
            result = "(snapshot: ?Snapshot, event: ?Event)"
        yield f"method {method_name(name)}{_struct(method.params)} -> {result}"
    yield ""
    yield "error Failed (kind: string, evidence: string, hint: string)"


def _inner_parameters() -> set[type[Message]]:
    """Messages that are parameters of a method, and part of another message too."""
    found: set[type[Message]] = set()
    for shape in message_types():
        found |= {part for wanted in types_of(shape).values() for part in _parts(wanted)}
    return found


def _parts(wanted: Any) -> Iterator[type[Message]]:
    if isinstance(wanted, type) and issubclass(wanted, Message):
        yield wanted
    for item in getattr(wanted, "__args__", ()):
        yield from _parts(item)


def _event_fields() -> str:
    return ", ".join(f"{topic}: ?{_type_name(shape)}" for topic, shape in EVENT_SHAPES.items())


def _struct(shape: type[Message]) -> str:
    fields = [
        f"{name}: {_type(wanted, optional=hasattr(shape, name))}" for name, wanted in types_of(shape).items()
    ]
    return f"({', '.join(fields)})"


def _type(wanted: Any, *, optional: bool = False) -> str:
    mark = "?" if optional else ""
    if wanted in _SCALARS:
        return mark + _SCALARS[wanted]
    if isinstance(wanted, UnionType):  # only ever `X | None`
        return f"?{_type(wanted.__args__[0])}"
    origin = getattr(wanted, "__origin__", None)
    if origin is tuple:
        return f"{mark}[]{_type(wanted.__args__[0])}"
    if origin is dict:
        return f"{mark}[string]{_type(wanted.__args__[1])}"
    return mark + _type_name(wanted)


def _type_name(shape: type[Message]) -> str:
    """A message's name, unless a method has it: varlink knows one name for one thing."""
    name = shape.__name__
    return f"{name}Data" if name in {method_name(method) for method in METHODS} else name


def _comment(text: str) -> Iterator[str]:
    yield from (f"# {line}".rstrip() for line in text.splitlines())
