"""Somebody inside is asked: who answers, who says that nobody listens, and who says nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address

import pytest

from client.ike.events import Address
from client.lab.topology import WIFI, topology
from client.net import inside
from client.net.dnswire import Query, RecordType, encode_query
from client.net.inside import Host, Reply, ask, first_router

HERE = ip_address("127.0.0.1")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((str(HERE), 0))
        bound.setblocking(False)
        yield bound


def answer(hosts: list[Host], listener: socket.socket | None = None, seconds: float = 5.0) -> Reply | None:
    async def body() -> Reply | None:
        if listener is not None:
            asyncio.get_running_loop().add_reader(listener, echo, listener)
        return await ask(hosts, [HERE], "lo", seconds)

    return asyncio.run(body())


def asked_over(link: str, host: Host, sources: list[Address]) -> Reply | None:
    return asyncio.run(ask([host], sources, link, 5.0))


def echo(listener: socket.socket) -> None:
    data, sender = listener.recvfrom(512)
    listener.sendto(data, sender)


def test_an_answer_is_an_answer(listener: socket.socket) -> None:
    hosts = [Host(HERE, listener.getsockname()[1])]
    assert answer(hosts, listener) == Reply(HERE, "answers a question")


def test_a_closed_port_is_an_answer_too(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    assert answer([Host(HERE, port)]) == Reply(HERE, "says that nobody listens on the port")


def test_silence_lasts_as_long_as_was_asked_for(listener: socket.socket) -> None:
    silent = Host(HERE, listener.getsockname()[1])
    assert answer([silent, Host(ip_address("::1"))], seconds=0.1) is None, "nor are other families asked"
    assert len(listener.recv(512)) > 12, "it was asked"


def test_who_cannot_be_asked_does_not_keep_others_from_answering(listener: socket.socket) -> None:
    unreachable = Host(ip_address("192.0.2.1"))  # not over the loopback link
    assert answer([unreachable, Host(HERE, listener.getsockname()[1])], listener) is not None


def test_the_question_is_one_that_a_name_server_understands() -> None:
    query = encode_query(Query(int.from_bytes(b"Rm"), "example.com", RecordType.A))
    assert inside.QUESTION[:12] == query[:12]
    assert inside.QUESTION[12:] == bytes.fromhex("00 0002 0001")


@pytest.mark.netns
def test_what_may_travel_one_hop_is_answered_by_the_first_router() -> None:
    with topology() as lab:
        sources = [interface.ip for interface in WIFI.laptop]
        for host, router in zip(map(first_router, (4, 6)), WIFI.router, strict=True):
            reply = lab.laptop.run(partial(asked_over, WIFI.link, host, sources))
            assert reply == Reply(router.ip, "is the first router there, and says so")
