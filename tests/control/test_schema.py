"""The protocol's schema: as the message types are, and what a client and a daemon say fits it."""

# ruff: noqa: ANN401 - JSON values are what `Any` is for

from __future__ import annotations

import ast
import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from client.control.messages import Event, Notice, SecretNeeded, SecretText, Traffic, TunnelStatus, Up
from client.control.methods import METHODS
from client.control.schema import message_types, schema
from client.control.wire import (
    ControlError,
    Message,
    encode_error,
    encode_notification,
    encode_result,
    plain,
    types_of,
)

ROOT = Path(__file__).resolve().parents[2]


def script() -> ModuleType:
    """packaging/dev/describe_protocol.py: `packaging` is no package."""
    path = ROOT / "packaging" / "dev" / "describe_protocol.py"
    spec = importlib.util.spec_from_file_location("describe_protocol", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def whole() -> dict[str, Any]:
    return schema()


def check(name: str, value: Any) -> None:
    """Complains where `value` is not what the schema calls `name`."""
    wanted = {"$schema": whole()["$schema"], "$defs": whole()["$defs"], "$ref": f"#/$defs/{name}"}
    jsonschema.Draft202012Validator(wanted).validate(value)


def check_result(method: str, value: Any) -> None:
    """The same for the result of a method."""
    check(whole()["methods"][method]["result"]["$ref"].rpartition("/")[2], value)


@pytest.mark.parametrize("path", list(script().files()), ids=lambda path: path.name)
def test_the_files_in_docs_are_up_to_date(path: Path) -> None:
    """If not: python packaging/dev/describe_protocol.py"""
    assert path.read_text() == script().files()[path]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(whole())
    assert whole()["methods"].keys() == METHODS.keys()


def test_nothing_is_referred_to_that_is_not_there() -> None:
    text = json.dumps(whole())
    names = {part.partition('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert names <= whole()["$defs"].keys()


def sample(wanted: Any) -> Any:
    """A value of a field's type."""
    simple: dict[Any, Any] = {
        str: "text",
        int: 7,
        float: 1.5,
        bool: True,
        bytes: b"\0\1",
        SecretText: SecretText("hidden"),
    }
    if wanted in simple:
        return simple[wanted]
    if isinstance(wanted, type) and issubclass(wanted, Message):
        return wanted(**{name: sample(kind) for name, kind in types_of(wanted).items()})
    origin, arguments = getattr(wanted, "__origin__", None), wanted.__args__
    if origin is tuple:
        return (sample(arguments[0]),)
    return {"key": sample(arguments[1])} if origin is dict else sample(arguments[0])


@pytest.mark.parametrize("shape", sorted(message_types(), key=str))
def test_every_message_fits_in_full_and_with_its_defaults_alone(shape: type[Message]) -> None:
    full = sample(shape)
    check(shape.__name__, plain(full))
    required = {name: getattr(full, name) for name in shape._fields if not hasattr(shape, name)}
    check(shape.__name__, plain(shape(**required)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TunnelStatus", {"name": "office"}),
        ("TunnelStatus", {"name": "office", "state": 7}),
        ("TunnelStatus", {"name": "office", "state": "up", "routes": "10.0.0.0/8"}),
        ("TunnelStatus", {"name": "office", "state": "up", "traffic": {"packets_in": "7"}}),
        ("Response", {"jsonrpc": "2.0", "id": 1}),
        ("Request", {"jsonrpc": "2.0", "method": "hello"}),
        ("Notification", {"method": "event", "params": {"seq": 1, "time": 1, "topic": "daemon", "data": {}}}),
    ],
)
def test_what_does_not_fit_is_noticed(name: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(name, value)


def test_what_is_unknown_is_let_through() -> None:
    check("TunnelStatus", {"name": "office", "state": "dreaming", "colour": "green"})
    event = {"seq": 1, "time": 1.0, "topic": "weather", "data": {"rain": True}}
    check("Notification", {"method": "event", "params": event})


@pytest.mark.parametrize(
    "data",
    [
        TunnelStatus("office", "up", traffic=Traffic(1, 2, 3, 4)),
        SecretNeeded("1", "office", "otp", "Code", 1.0),
        Notice("hello"),
    ],
)
def test_events_fit(data: TunnelStatus | SecretNeeded | Notice) -> None:
    topic = {TunnelStatus: "tunnel", SecretNeeded: "secret", Notice: "daemon"}[type(data)]
    check("Notification", json.loads(encode_notification("event", Event(1, 1.0, topic, data))))


def test_answers_fit() -> None:
    check("Response", json.loads(encode_result(1, TunnelStatus("office", "up"))))
    check("Response", json.loads(encode_error(None, ControlError("rpc.parse", "no JSON"))))


def test_a_secret_is_marked_as_one() -> None:
    secrets = whole()["$defs"]["Up"]["properties"]["secrets"]
    assert secrets["additionalProperties"] == {"type": "string", "writeOnly": True}
    assert "hidden" not in repr(sample(Up))


def test_methods_say_who_may_call_them() -> None:
    assert whole()["methods"]["daemon.set_log_level"]["access"] == "admin"
    assert "describe_protocol" not in sys.modules


@pytest.mark.parametrize("module", ["client", "async_client"])
def test_both_libraries_have_every_method(module: str) -> None:
    tree = ast.parse((ROOT / "client" / "control" / f"{module}.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > 2]
    called = {
        ast.literal_eval(node.args[0]): ast.unparse(node.args[2])
        for node in calls
        if ast.unparse(node.func) == "self.call"
    }
    assert called == {name: method.result.__name__ for name, method in METHODS.items()}
