"""Fetching from servers of authorities, of which each may be silent, slow, huge, rude or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address

import pytest

from client.ike.events import Address, Inquiry, Reply
from client.net import fetch as fetching
from client.net.fetch import MAX_BODY, MAX_HEAD, fetch
from client.net.resolve import ResolveError
from client.tunnel.model import Underlay

HERE = ip_address("127.0.0.1")
UNDERLAY = Underlay("lo", HERE, HERE)
BODY = bytes(range(256)) * 20

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def unmarked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark needs rights that these tests do not."""
    monkeypatch.setattr(fetching, "bind_marked", lambda endpoint, local, *_: endpoint.bind((str(local), 0)))


def ask(
    server: Server, *, seconds: float = 5.0, path: str = "/a?b", body: bytes = b"", host: str = "127.0.0.1"
) -> Reply:
    """What comes of asking the server, which is ended afterwards whatever it does."""

    async def scene() -> Reply:
        served: list[tuple[asyncio.Task[None], asyncio.StreamWriter]] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.append((asyncio.ensure_future(_attended(server, reader, writer)), writer))

        running = await asyncio.start_server(serve, str(HERE), 0)
        port = running.sockets[0].getsockname()[1]
        try:
            url = f"http://{host}:{port}{path}"
            return await asyncio.wait_for(fetch(Inquiry(url, body), UNDERLAY, seconds, resolve), 10.0)
        finally:
            running.close()
            for task, writer in served:
                task.cancel()
                writer.transport.abort()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    return asyncio.run(scene())


async def _attended(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        await server(reader, writer)


async def resolve(names: Sequence[str]) -> tuple[Address, ...]:
    if names == ["nowhere.example.com"]:
        raise ResolveError("nowhere.example.com does not exist")
    return (HERE,)


def saying(*parts: bytes, asked: list[bytes] | None = None) -> Server:
    """A server that says this and closes."""

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            size = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            asked.append(head + await reader.readexactly(int(size or b"0")))
        for part in parts:
            writer.write(part)
        await writer.drain()
        writer.close()

    return server


def answer(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *fields, b"", body])


@pytest.mark.parametrize(
    "said",
    [
        answer(BODY),
        answer(BODY, b"Content-Length: %d" % len(BODY)),
        answer(BODY + b"more", b"content-length:%d" % len(BODY)),
        answer(BODY, b"Content-Type: application/pkix-crl", b"Server: x"),
    ],
    ids=["until it closes", "by length", "more than announced", "with other fields"],
)
def test_the_body_is_taken_as_it_is(said: bytes) -> None:
    assert ask(saying(said)) == Reply(BODY)
    assert ask(saying(*(bytes([octet]) for octet in said[:80]), said[80:])) == Reply(BODY)


def test_a_list_is_fetched_and_a_question_is_posted() -> None:
    asked: list[bytes] = []
    ask(saying(answer(BODY), asked=asked))
    ask(saying(answer(BODY), asked=asked), path="", body=b"a question", host="ocsp.example.com")
    assert asked[0].startswith(b"GET /a?b HTTP/1.0\r\nHost: 127.0.0.1:")
    assert asked[1].startswith(b"POST / HTTP/1.0\r\nHost: ocsp.example.com:")
    assert b"Content-Type: application/ocsp-request\r\n" in asked[1]
    assert asked[1].endswith(b"\r\n\r\na question")


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        (b"", "broke off"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 \r\n\r\n", "does not speak HTTP"),
        (answer(b"", status=b"404 Not Found"), "answers 404"),
        (answer(b"", status=b"500 Sorry"), "answers 500"),
        (answer(b"", b"Location: https://example.com/", status=b"302 Found"), "answers 302"),
        (answer(b"", b"Location: http://127.0.0.1/", status=b"301 Moved"), "answers 301"),
        (answer(BODY, b"Transfer-Encoding: chunked"), "encoded"),
        (answer(BODY, b"Content-Encoding: gzip"), "encoded"),
        (answer(BODY, b"Content-Length: %d" % (len(BODY) + 1)), "broke off"),
        (answer(BODY, b"Content-Length: -1"), "no sensible length"),
        (answer(BODY, b"Content-Length: 1e9"), "no sensible length"),
        (answer(BODY, b"Content-Length: 100000000"), "larger than 1 MiB"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MAX_HEAD, "no end of its head"),
        (answer(bytes(MAX_BODY + 1)), "larger than 1 MiB"),
    ],
)
def test_what_is_no_answer_is_told(said: bytes, trouble: str) -> None:
    assert trouble in ask(saying(said)).trouble


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for octet in answer(BODY, b"Content-Length: %d" % len(BODY)):
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("server", [silent, dripping])
def test_who_takes_his_time_is_left_when_it_is_over(server: Server) -> None:
    assert ask(server, seconds=0.2) == Reply(trouble="no answer in time")


def test_of_an_endless_answer_no_more_is_read_than_may_come() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(answer(b""))
        while sent < 100 << 20:
            writer.write(bytes(65536))
            sent += 65536
            await writer.drain()

    assert "larger than 1 MiB" in ask(endless).trouble
    assert sent < 32 << 20, "what the sockets' buffers hold, and no more"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "ldap://127.0.0.1/",
        "file:///etc/passwd",
        "http:///nowhere",
        "http://user:word@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/\x01",
        "http://127.0.0.1/a b",
        "http://[127.0.0.1/",
    ],
)
def test_addresses_that_nothing_is_fetched_from(url: str) -> None:
    reply = asyncio.run(fetch(Inquiry(url), UNDERLAY, 5.0, resolve))
    assert reply.trouble
    assert not reply.data


def test_a_name_that_does_not_exist_and_a_port_that_is_closed_are_told() -> None:
    unknown = asyncio.run(fetch(Inquiry("http://nowhere.example.com/"), UNDERLAY, 5.0, resolve))
    assert unknown.trouble == "nowhere.example.com does not exist"
    closed = asyncio.run(fetch(Inquiry("http://127.0.0.1:1/"), UNDERLAY, 5.0, resolve))
    assert "refused" in closed.trouble.lower()
