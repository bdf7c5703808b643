from __future__ import annotations

import asyncio
from ipaddress import ip_address

from client.daemon.inbox import Datagram, Inbox
from client.ike.events import Channel, Endpoint
from client.tunnel.events import Slept
from tests.daemon.virtual_loop import now, run


def datagram(number: int) -> Datagram:
    return Datagram(1, bytes([number]), Channel.INIT, Endpoint(ip_address("192.0.2.1"), 500))


def test_a_flood_of_datagrams_costs_datagrams_only() -> None:
    async def body() -> None:
        inbox = Inbox(datagram_limit=2)
        for number in range(5):
            inbox.put(datagram(number))
        inbox.put(Slept(1.0))
        assert inbox.dropped == 3
        assert [await inbox.next(0) for _ in range(4)] == [Slept(1.0), datagram(0), datagram(1), None]

    run(body)


def test_the_deadline_comes_first() -> None:
    async def body() -> None:
        began = now()
        assert await Inbox().next(5.0) is None
        assert now() - began == 5.0

    run(body)


def test_an_item_ends_the_wait() -> None:
    async def body() -> None:
        inbox = Inbox()
        asyncio.get_running_loop().call_later(2.0, inbox.put, Slept(1.0))
        began = now()
        assert await inbox.next(None) == Slept(1.0)
        assert now() - began == 2.0

    run(body)


def test_a_datagram_is_not_shown() -> None:
    assert "\\x01" not in repr(datagram(1))
