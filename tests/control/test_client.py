"""The clients, above all when the daemon is not what it should be."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from client.control.async_client import AsyncClient
from client.control.client import Client, connection_error, socket_path
from client.control.messages import (
    DEFAULT_SOCKET,
    LINE_LIMIT,
    ControlError,
    Hello,
    Notice,
    StatusReport,
    Subscribe,
    TunnelStatus,
    Up,
    Welcome,
)
from client.control.methods import METHODS
from tests.control.fake import FakeDaemon, serving, serving_apart


def kind_of(action: Callable[[], object]) -> str:
    with pytest.raises(ControlError) as caught:
        action()
    return caught.value.kind


@contextmanager
def answering(path: Path, reply: bytes) -> Iterator[None]:
    """A daemon that says `reply` to the first request, whatever that is, and hangs up."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        connection, _address = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        listener.close()


def test_the_socket_is_chosen_by_option_environment_and_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROAM_SOCKET", raising=False)
    assert socket_path() == DEFAULT_SOCKET
    monkeypatch.setenv("ROAM_SOCKET", "/run/other.sock")
    assert socket_path() == "/run/other.sock"
    assert socket_path("/run/mine.sock") == "/run/mine.sock"


def test_no_socket_means_no_daemon(path: Path) -> None:
    assert kind_of(lambda: Client(str(path))) == "daemon.absent"


def test_a_socket_without_listener_means_no_daemon(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    assert kind_of(lambda: Client(str(path))) == "daemon.absent"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PermissionError(13, "Permission denied"), "permission.denied"),
        (OSError("AF_UNIX path too long"), "daemon.absent"),
    ],
)
def test_what_a_failed_connection_means(error: OSError, kind: str) -> None:
    assert connection_error(error, "/run/x").kind == kind


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"", "daemon.lost"),
        (b'{"id":1,"result":{"ti', "daemon.lost"),
        (b"rubbish\n", "rpc.parse"),
        (b'{"id":1,"result":{"tunnels":[]}}\n', "rpc.reply"),
        (b'{"id":1,"result":{"time":1,"tunnels":[{"name":"a"}]}}\n', "rpc.reply"),
        (b'{"id":1,"error":{"code":1}}\n', "rpc.reply"),
        (b'{"id":1,"error":{"data":{"kind":"auth.new","evidence":"x"}}}\n', "auth.new"),
        (b'{"id":null,"error":{"data":{"kind":"daemon.full","evidence":"64"}}}\n', "daemon.full"),
    ],
)
def test_a_strange_answer_is_one_clear_error(path: Path, reply: bytes, kind: str) -> None:
    with answering(path, reply), Client(str(path)) as client:
        assert kind_of(client.status) == kind


def test_a_newer_daemon_may_say_more(path: Path) -> None:
    reply = b'{"method":"weather"}\n{"method":"event","params":{"topic":"new"}}\n'
    reply += b'{"id":1,"result":{"time":1,"new":2}}\n'
    with answering(path, reply), Client(str(path)) as client:
        assert client.status() == StatusReport(1.0)


def test_a_daemon_that_does_not_answer_is_given_up(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        with Client(str(path)) as client:
            assert kind_of(lambda: client.call("hello", Hello(), Welcome, patience=0.01)) == "daemon.lost"


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_method_of_the_protocol_has_a_typed_one(client: type) -> None:
    called = {
        found.group(1)
        for name, function in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_") and function.__annotations__.get("return")
        for found in re.finditer(r'self\.call\(\s*"([a-z_.]+)"', inspect.getsource(function))
    }
    assert called == set(METHODS)


def test_a_request_that_is_too_long_is_not_sent(path: Path) -> None:
    with serving_apart(FakeDaemon(), path), Client(str(path)) as client:
        assert kind_of(lambda: client.up(Up(profile="x" * LINE_LIMIT))) == "rpc.too_long"
        assert client.hello("roam").access == "admin"


def test_events_that_come_before_an_answer_are_kept(path: Path) -> None:
    daemon = FakeDaemon()
    with serving_apart(daemon, path) as thread, Client(str(path)) as client:
        client.subscribe(Subscribe())
        thread.call(lambda: daemon.change(Notice("first")))
        thread.call(lambda: daemon.change(TunnelStatus("office", "up")))
        report = client.status()
        while not report.tunnels:
            report = client.status()
        seen = [client.next_event(), client.next_event(), client.next_event(monotonic() - 1)]
    assert [event and event.data for event in seen] == [Notice("first"), TunnelStatus("office", "up"), None]


def test_the_asyncio_client_ends_its_events_when_the_daemon_goes(path: Path) -> None:
    async def run() -> tuple[int, str]:
        daemon = FakeDaemon()
        async with serving(daemon, path) as server:
            client = await AsyncClient(str(path)).__aenter__()
            await client.subscribe(Subscribe())
            server.publish(Notice("bye"))
            await client.status()
        seen = [event async for event in client.events()]
        with pytest.raises(ControlError) as caught:
            await client.status()
        await client.__aexit__()
        return len(seen), caught.value.kind

    assert asyncio.run(run()) == (1, "daemon.lost")


def test_the_asyncio_client_runs_requests_at_the_same_time(path: Path) -> None:
    async def run() -> list[str]:
        daemon = FakeDaemon()
        daemon.tunnels["office"] = TunnelStatus("office", "up")
        daemon.gate = asyncio.Event()
        async with serving(daemon, path), AsyncClient(str(path)) as client, asyncio.TaskGroup() as group:
            down = group.create_task(client.down("office"))
            states = [entry.state for entry in (await client.status()).tunnels]
            daemon.gate.set()
        return [*states, *down.result().names]

    assert asyncio.run(run()) == ["up", "office"]


def test_the_asyncio_client_reports_an_absent_daemon(path: Path) -> None:
    async def run() -> None:
        async with AsyncClient(str(path)):
            pass

    assert kind_of(lambda: asyncio.run(run())) == "daemon.absent"
