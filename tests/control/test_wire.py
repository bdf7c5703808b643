"""Messages to JSON and back, and what is refused on the way."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.control.messages import (
    ControlError,
    Fault,
    Handover,
    Message,
    Notice,
    OuterPath,
    SecretAnswer,
    SecretText,
    StatusReport,
    Traffic,
    TunnelStatus,
    Up,
    redacted,
)
from client.control.wire import decode_line, encode_error, encode_result, plain, read

FULL = TunnelStatus(
    "office",
    "up",
    since=1.5,
    serial=3,
    owner=1000,
    identity="vpn.example.com",
    path=OuterPath("wlan0", "192.0.2.7:4500", "198.51.100.1:4500", nat_local=True),
    addresses=("10.77.0.5/32", "2001:db8::5/128"),
    mobike=True,
    guard=True,
    ike_rekey_at=99.0,
    traffic=Traffic(1, 2, 3, 4, 5),
    handover=Handover("address gone", "wlan0", "wwan0", 3.0, 143),
    failure=Fault("net.no_response", "nothing came", "look"),
)


@pytest.mark.parametrize(
    "message", [FULL, TunnelStatus("a", "off"), StatusReport(1.0, tunnels=(FULL,)), Notice("x")]
)
def test_every_field_survives_json(message: Message) -> None:
    assert read(type(message), json.loads(json.dumps(plain(message)))) == message


def test_files_travel_as_base64_and_secrets_as_text() -> None:
    up = Up(profile="x", files={"file:a": b"\x00\xff"}, secrets={"ask:": SecretText("pä")})
    assert plain(up)["files"] == {"file:a": "AP8="}
    assert read(Up, plain(up)) == up


def test_a_secret_shows_in_no_representation() -> None:
    secret = SecretText("hunter2")
    for text in (
        repr(secret),
        str(secret),
        repr(SecretAnswer("1", secret)),
        repr(Up(secrets={"ask:": secret})),
    ):
        assert "hunter2" not in text


def test_unknown_fields_and_null_are_ignored_because_the_protocol_grows() -> None:
    assert read(TunnelStatus, {"name": "a", "state": "up", "colour": "red", "path": None}) == TunnelStatus(
        "a", "up"
    )


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"state": "up"}, "params.name is missing"),
        ({"name": "a", "state": 1}, "params.state is no string"),
        ({"name": "a", "state": "up", "serial": True}, "params.serial is no integer"),
        ({"name": "a", "state": "up", "since": "x"}, "params.since is no number"),
        ({"name": "a", "state": "up", "since": 10**400}, "params.since is no number"),
        ({"name": "a", "state": "up", "routes": ["b", 3]}, "params.routes[1] is no string"),
        (
            {"name": "a", "state": "up", "path": {"interface": "w", "local": 1}},
            "params.path.local is no string",
        ),
        ({"name": "a", "state": "up", "path": []}, "params.path is no object"),
        ([], "params is no object"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(value: object, place: str) -> None:
    with pytest.raises(ControlError) as caught:
        read(TunnelStatus, value)
    assert (caught.value.kind, caught.value.evidence) == ("rpc.params", place)


def test_a_refused_secret_is_not_quoted() -> None:
    with pytest.raises(ControlError) as caught:
        read(Up, {"profile": "x", "secrets": {"ask:": ["hunter2"]}})
    assert "hunter2" not in caught.value.evidence


def test_messages_are_frozen_and_check_their_fields() -> None:
    with pytest.raises(AttributeError):
        FULL.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        TunnelStatus("a")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        TunnelStatus("a", "up", colour="red")  # type: ignore[call-arg]


def test_others_learn_the_state_alone() -> None:
    assert redacted(FULL) == TunnelStatus("office", "up", since=1.5, serial=3, owner=1000, guard=True)


def test_an_error_carries_kind_evidence_and_the_usual_hint() -> None:
    error = json.loads(encode_error(7, ControlError("auth.rejected", "E=691")))["error"]
    assert error["data"]["kind"] == "auth.rejected"
    assert error["data"]["evidence"] == "E=691"
    assert error["data"]["hint"]


def test_a_line_is_one_line_of_ascii_whatever_it_says() -> None:
    line = encode_result(1, Notice("a\nb\u2028c\ud800"))
    assert line.isascii()
    assert line.count(b"\n") == 1


@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,0e+-.\\u \n', max_size=80).map(str.encode))
def test_no_line_raises_anything_but_a_control_error(line: bytes) -> None:
    try:
        message = decode_line(line)
        read(Up, message)
    except ControlError:
        pass


@pytest.mark.parametrize("text", [r"\ud800", r"a\uDFFFb", r"\ude00\ud83d"])
def test_half_a_character_is_no_text(text: str) -> None:
    with pytest.raises(ControlError) as caught:
        decode_line(f'{{"name": "{text}"}}'.encode())
    assert caught.value.kind == "rpc.parse"


def test_a_whole_character_is_text_however_it_is_written() -> None:
    assert decode_line(rb'{"name": "\ud83d\ude00"}') == decode_line('{"name": "\N{GRINNING FACE}"}'.encode())
