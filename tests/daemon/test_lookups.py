"""What a tunnel asks beside its sessions: nothing waits for it, and nothing is asked all the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

from client.control.evidence import CheckRecord
from client.daemon.inbox import Inbox, RevocationFound
from client.daemon.leg import Leg
from client.daemon.lookups import CHECK_EVERY, Lookups
from client.daemon.notes import Notes
from client.ike.events import Inquiry, Reply, RevocationNeeded
from client.ike.session import Session
from client.tunnel.events import Resolved, ResolveFailed
from client.tunnel.model import Underlay
from tests.daemon.virtual_loop import now, run
from tests.daemon.world import WIFI, Internet, Machine
from tests.pair import GATEWAY, client_config
from tests.rng import SeededRng

UNDERLAY = Underlay("wifi0", ip_address(WIFI), GATEWAY)


def lookups(machine: Machine) -> tuple[Lookups, Inbox]:
    inbox = Inbox()
    return Lookups(machine.world, inbox, Notes()), inbox


def leg(machine: Machine) -> Leg:
    session = Session(client_config(), SeededRng(1, "client"))
    sockets = machine.internet.open_path(UNDERLAY, 500, lambda _data, _channel, _remote: None)
    return Leg(1, session, sockets, UNDERLAY, "")


def test_addresses_need_nobody_to_be_asked() -> None:
    async def body() -> None:
        asking, inbox = lookups(Machine(Internet()))
        both = ("192.0.2.7", "2001:db8::7")
        assert asking.resolve((*both, "192.0.2.7")) == Resolved(tuple(map(ip_address, both)))
        assert await inbox.next(10.0) is None

    run(body)


def test_a_name_is_answered_later_and_so_is_that_there_is_none() -> None:
    async def body() -> None:
        asking, inbox = lookups(Machine(Internet()))
        assert asking.resolve(("vpn.example.com",)) is None
        assert await inbox.next(10.0) == Resolved((GATEWAY,))
        assert asking.resolve(("vpn.example.org",)) is None
        assert await inbox.next(10.0) == ResolveFailed("vpn.example.org: no such name")

    run(body)


def test_the_answer_to_an_earlier_question_does_not_come_any_more() -> None:
    async def body() -> None:
        asking, inbox = lookups(Machine(Internet()))
        asking.resolve(("vpn.example.com",))
        asking.resolve(("192.0.2.7",))
        assert await inbox.next(10.0) is None
        asking.resolve(("vpn.example.com",))
        asking.close()
        assert await inbox.next(10.0) is None

    run(body)


def counting(machine: Machine, takes: float) -> tuple[Machine, list[float]]:
    looked: list[float] = []

    async def look(_underlay: Underlay, _port: int) -> tuple[CheckRecord, ...]:
        looked.append(now())
        await asyncio.sleep(takes)
        return ()

    machine.world = replace(machine.world, check_ports=look)
    return machine, looked


def play(takes: float, asks: Callable[[Lookups, Leg], None]) -> list[float]:
    """Ask every ten seconds for ten minutes; when the ports were looked at."""

    async def body() -> list[float]:
        machine, looked = counting(Machine(Internet()), takes)
        asking, _inbox = lookups(machine)
        there = leg(machine)
        for _ in range(60):
            asks(asking, there)
            await asyncio.sleep(10.0)
        asking.close()
        return [at - looked[0] for at in looked]

    return run(body)


def test_silent_ports_are_looked_at_now_and_then() -> None:
    assert play(1.0, lambda asking, there: asking.check_ports(there, 500)) == [
        number * CHECK_EVERY for number in range(5)
    ]


def test_a_look_that_takes_long_is_not_begun_twice() -> None:
    assert play(200.0, lambda asking, there: asking.check_ports(there, 500)) == [0.0, 200.0, 400.0]


def test_what_authorities_say_comes_through_the_inbox() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        machine.published["http://crl.example.com/1"] = Reply(b"a list")
        asking, inbox = lookups(machine)
        there = leg(machine)
        known, silent = (Inquiry(f"http://crl.example.com/{n}") for n in (1, 2))
        asking.inquire(there, RevocationNeeded((known, silent), 3.0))
        assert await inbox.next(10.0) == RevocationFound(
            1, (Reply(b"a list"), Reply(trouble="no answer in time"))
        )

    run(body)
