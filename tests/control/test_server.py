"""The control server over a real Unix socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from client.control.async_client import AsyncClient
from client.control.messages import (
    CLIENT_LIMIT,
    LINE_LIMIT,
    ControlError,
    Empty,
    Hello,
    TunnelStatus,
    Up,
    Welcome,
)
from tests.control.fake import FakeDaemon, serving, until
from tests.control.talk import converse, exchange, request


@pytest.mark.parametrize(
    ("line", "kind", "code"),
    [
        (b"{", "rpc.parse", -32700),
        (b"\xff\xfe", "rpc.parse", -32700),
        (b"[" * 100_000, "rpc.parse", -32700),
        (b"[]", "rpc.request", -32600),
        (b"17", "rpc.request", -32600),
        (b'{"jsonrpc":"2.0","method":"hello"}', "rpc.request", -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"hello"}', "rpc.request", -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":["hello"]}', "rpc.request", -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tunnel.explode"}', "rpc.method", -32601),
        (request("tunnel.up"), "rpc.params", -32602),
        (request("tunnel.up", name="a", profile="b"), "rpc.params", -32602),
        (request("tunnel.up", profile="a", files={"x": "no base64!"}), "rpc.params", -32602),
        (request("tunnel.down", force="yes"), "rpc.params", -32602),
        (request("events.subscribe", topics=["weather"]), "rpc.params", -32602),
    ],
)
def test_a_malformed_line_is_answered_with_an_error(path: Path, line: bytes, kind: str, code: int) -> None:
    error = exchange(path, line)["error"]
    assert (error["data"]["kind"], error["code"]) == (kind, code)


def test_a_malformed_line_does_not_end_the_connection(path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        writer.write(b"nonsense\n\n" + request("hello") + b"\n")
        return [json.loads(await reader.readline()) for _ in range(2)]

    first, second = converse(path, talk)
    assert first["id"] is None
    assert second["result"]["access"] == "admin"


def test_an_oversize_line_is_refused_and_ends_the_connection(path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        writer.write(b"x" * (LINE_LIMIT + 1) + b"\n")
        return json.loads(await reader.readline()), await reader.read()

    message, rest = converse(path, talk)
    assert message["error"]["data"]["kind"] == "rpc.too_long"
    assert rest == b""


def test_a_line_just_below_the_limit_is_accepted(path: Path) -> None:
    head, tail = b'{"id":1,"method":"hello","params":{"program":"', b'"}}'
    line = head + b"x" * (LINE_LIMIT - 1 - len(head) - len(tail)) + tail
    assert "result" in exchange(path, line)


def test_requests_before_the_end_of_input_are_answered(path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        writer.write(request("tunnel.status") + b"\n" + b'{"half a line')
        writer.write_eof()
        return (await reader.read()).splitlines()

    assert len(converse(path, talk)) == 1


def test_a_slow_request_delays_no_other(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = TunnelStatus("office", "up")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        daemon.gate = asyncio.Event()
        writer.write(request("tunnel.down") + b"\n")
        writer.write(b'{"id":2,"method":"hello"}\n')
        first = json.loads(await reader.readline())
        daemon.gate.set()
        return first["id"], json.loads(await reader.readline())["id"]

    assert converse(path, talk, daemon) == (2, 1)


def test_a_refusal_of_the_daemon_arrives_with_kind_evidence_and_hint(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.refusal = ControlError("conflict.full_tunnel", "home is a full tunnel too")
    data = exchange(path, request("tunnel.up", name="x"), daemon)["error"]["data"]
    assert data["kind"] == "conflict.full_tunnel"
    assert data["evidence"] == "home is a full tunnel too"
    assert "roam down" in data["hint"]


def test_a_fault_of_a_handler_is_an_answer_and_the_server_lives_on(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = FakeDaemon()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        writer.write(request("tunnel.rekey", name="unknown") + b"\n")
        failed = json.loads(await reader.readline())
        writer.write(request("hello") + b"\n")
        return failed["error"]["data"], json.loads(await reader.readline())

    data, hello = converse(path, talk, daemon)
    assert (data["kind"], data["evidence"]) == ("local.fault", "the daemon failed: KeyError")
    assert "result" in hello
    assert "a request failed" in caplog.text


def test_an_unknown_tunnel_is_named_together_with_the_known(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = TunnelStatus("office", "up")
    data = exchange(path, request("tunnel.status", name="ofice"), daemon)["error"]["data"]
    assert data["kind"] == "tunnel.unknown"
    assert "office" in data["evidence"]
    assert data["hint"] == 'Did you mean "office"?'


def test_sixty_four_clients_are_served_and_the_next_is_told_why_not(path: Path) -> None:
    async def run() -> str:
        async with serving(FakeDaemon(), path), asyncio.TaskGroup():
            clients = [AsyncClient(str(path)) for _ in range(CLIENT_LIMIT)]
            for client in clients:
                await client.__aenter__()
                await client.call("hello", Hello(), Welcome)
            reader, writer = await asyncio.open_unix_connection(str(path))
            refusal = json.loads(await reader.readline())
            writer.close()
            await clients.pop().__aexit__()
            for client in clients:
                await client.call("hello", Hello(), Welcome)
                await client.__aexit__()
            return str(refusal["error"]["data"]["kind"])

    assert asyncio.run(run()) == "daemon.full"


def test_a_place_becomes_free_when_a_client_leaves(path: Path) -> None:
    async def run() -> str:
        async with serving(FakeDaemon(), path) as server:
            for _ in range(2 * CLIENT_LIMIT):
                async with AsyncClient(str(path)) as client:
                    await client.call("hello", Hello(), Welcome)
                await until(lambda: not server._connections)
            async with AsyncClient(str(path)) as client:
                return (await client.call("hello", Hello(), Welcome)).version

    assert asyncio.run(run()) == "0.1"


def test_a_request_that_outlives_its_client_disturbs_nobody(path: Path) -> None:
    async def run() -> list[str]:
        daemon = FakeDaemon()
        daemon.tunnels["office"] = TunnelStatus("office", "up")
        daemon.gate = asyncio.Event()
        async with serving(daemon, path):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(request("tunnel.down") + b"\n")
            await until(lambda: bool(daemon.calls))
            writer.transport.abort()
            async with AsyncClient(str(path)) as other:
                daemon.gate.set()
                await other.call("profile.list", Empty(), Empty)
                del reader
                return [name for name, _request in daemon.calls]

    assert asyncio.run(run()) == ["down", "profiles"]


def test_up_hands_text_files_and_secrets_over(path: Path) -> None:
    daemon = FakeDaemon()
    line = request("tunnel.up", profile="schema = 1", files={"file:a": "AAE="}, secrets={"ask:": "hunter2"})
    exchange(path, line, daemon)
    ((_name, up),) = daemon.calls
    assert isinstance(up, Up)
    assert (up.profile, up.files, up.secrets["ask:"].reveal()) == (
        "schema = 1",
        {"file:a": b"\0\1"},
        "hunter2",
    )
