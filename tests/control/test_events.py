"""Subscriptions: nothing is lost, nothing is told to the wrong person, nobody is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.control.access import PeerCredentials
from client.control.async_client import AsyncClient
from client.control.messages import (
    RING_SIZE,
    Hello,
    Notice,
    SecretNeeded,
    Subscribe,
    TunnelStatus,
    Welcome,
)
from client.control.server import BACKLOG_LIMIT
from tests.control.fake import GROUP, ROOT, FakeDaemon, serving
from tests.control.talk import MEMBER, STRANGER, request


def listening(
    path: Path, act: Callable[[FakeDaemon], None], subscribe: Subscribe, peer: PeerCredentials = ROOT
) -> list[Any]:
    """What a subscriber sees: the snapshot's seq, then data of the events that `act` causes."""

    async def run() -> list[Any]:
        daemon = FakeDaemon()
        async with serving(daemon, path, peer), AsyncClient(str(path)) as client:
            seen: list[Any] = [(await client.subscribe(subscribe)).seq]
            act(daemon)
            daemon.change(Notice("last"))
            async for event in client.events():
                if event.data == Notice("last"):
                    return seen
                seen.append((event.seq, event.data))
        raise AssertionError("the connection ended")

    return asyncio.run(run())


def test_a_subscriber_sees_the_snapshot_and_then_every_change(path: Path) -> None:
    first, second = TunnelStatus("office", "connecting"), TunnelStatus("office", "up")

    def act(daemon: FakeDaemon) -> None:
        daemon.change(first)
        daemon.change(second)

    assert listening(path, act, Subscribe()) == [0, (1, first), (2, second)]


def test_topics_select_what_a_subscriber_sees(path: Path) -> None:
    assert listening(path, lambda daemon: daemon.change(TunnelStatus("a", "up")), Subscribe(("daemon",))) == [
        0
    ]


@pytest.mark.parametrize(
    ("peer", "told"), [(ROOT, True), (MEMBER, True), (PeerCredentials(1002, GROUP), False)]
)
def test_a_question_goes_to_the_owner_and_root_only(path: Path, peer: PeerCredentials, told: bool) -> None:
    question = SecretNeeded("1", "office", "otp", "Code", 0.0, owner=1000)
    seen = listening(path, lambda daemon: daemon.change(question), Subscribe(), peer)
    assert seen == ([0, (1, question)] if told else [0])


def test_events_of_a_foreign_tunnel_are_redacted(path: Path) -> None:
    status = TunnelStatus("office", "up", owner=1000, identity="gw")
    (_seq, (_number, told)) = listening(path, lambda daemon: daemon.change(status), Subscribe(), STRANGER)
    assert told == TunnelStatus("office", "up", owner=1000)


def resume(path: Path, since: int, boot: str, changes: int) -> tuple[bool, list[int]]:
    async def run() -> tuple[bool, list[int]]:
        daemon = FakeDaemon()
        async with serving(daemon, path), AsyncClient(str(path)) as client:
            for n in range(changes):
                daemon.change(Notice(str(n)))
            snapshot = await client.subscribe(Subscribe(since=since, boot=boot))
            assert snapshot.seq == changes
            daemon.change(Notice("last"))
            seen: list[int] = []
            async for event in client.events():
                if event.data == Notice("last"):
                    return snapshot.replayed, seen
                seen.append(event.seq)
        raise AssertionError("the connection ended")

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("since", "boot", "changes", "expected"),
    [
        (2, "boot-1", 4, (True, [3, 4])),
        (4, "boot-1", 4, (True, [])),
        (2, "another", 4, (False, [])),
        (9, "boot-1", 4, (False, [])),
        (-1, "boot-1", 4, (False, [])),
        (0, "boot-1", RING_SIZE + 1, (False, [])),
    ],
)
def test_a_client_that_comes_back_gets_what_it_missed_or_is_told_that_it_cannot(
    path: Path, since: int, boot: str, changes: int, expected: tuple[bool, list[int]]
) -> None:
    assert resume(path, since, boot, changes) == expected


def test_a_slow_reader_is_cut_off_and_delays_nobody(path: Path) -> None:
    count = BACKLOG_LIMIT // 10_000 + 400  # what the kernel holds comes on top of our limit

    async def run() -> tuple[int, bool]:
        daemon, loop = FakeDaemon(), asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as slow:
            slow.setblocking(False)
            async with serving(daemon, path), AsyncClient(str(path)) as quick:
                await quick.subscribe(Subscribe())
                await loop.sock_connect(slow, str(path))
                await loop.sock_sendall(slow, request("events.subscribe") + b"\n")
                await loop.sock_recv(slow, 1)  # the subscription stands
                for n in range(count):
                    daemon.change(Notice(f"{n:10000}"))
                    await quick.call("hello", Hello(), Welcome)  # gives the quick one time to read
                events = quick.events()
                seen = [(await anext(events)).seq for _ in range(count)]
                return len(seen), len(await drain(slow)) < count * 10_000

    assert asyncio.run(run()) == (count, True)


async def drain(client: socket.socket) -> bytes:
    """Everything that is still to be read, up to the end that the server has made."""
    loop, octets = asyncio.get_running_loop(), bytearray()
    with contextlib.suppress(ConnectionResetError):
        while chunk := await loop.sock_recv(client, 1 << 20):
            octets += chunk
    return bytes(octets)
