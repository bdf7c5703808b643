"""What a tunnel holds of the machine: answers about anything but the last change are of no interest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from client.daemon.applier import Share
from client.daemon.holding import Holding
from client.daemon.inbox import Inbox, Item, SystemAnswer
from client.ike.events import Assigned
from client.tunnel.events import Applied, ApplyFailed
from client.tunnel.model import TunnelUp, Underlay
from tests.daemon.virtual_loop import run
from tests.daemon.world import CONFIG, LTE, Internet, Machine
from tests.pair import GATEWAY

STANDING = Share(CONFIG, TunnelUp("roam0", Assigned()), link="roam0", mtu=1400)
OVER_LTE = Underlay("lte0", ip_address(LTE), GATEWAY)


class Held:
    """A holding on an invented machine, and what it was told."""

    def __init__(self) -> None:
        self.machine = Machine(Internet())
        self.inbox = Inbox()
        self.holding = Holding("office", self.machine.applier, self.inbox)

    async def heard(self) -> SystemAnswer:
        """The next answer."""
        item: Item | None = await self.inbox.next(10.0)
        assert isinstance(item, SystemAnswer)
        return item


def play(body: Callable[[Held], Awaitable[None]]) -> None:
    async def scene() -> None:
        held = Held()
        applying = asyncio.create_task(held.machine.applier.run())
        await body(held)
        applying.cancel()

    run(scene)


def test_what_became_of_the_last_change_is_heard() -> None:
    async def body(held: Held) -> None:
        held.holding.take(STANDING)
        answer = await held.heard()
        assert answer.event == Applied()
        assert held.holding.hears(answer)
        assert held.holding.share == STANDING

    play(body)


def test_what_became_of_an_earlier_change_is_not() -> None:
    async def body(held: Held) -> None:
        held.holding.take(STANDING)
        earlier = await held.heard()
        held.holding.release()
        assert not held.holding.hears(earlier)
        assert held.holding.hears(await held.heard())
        assert held.holding.share is None

    play(body)


def test_a_tunnel_whose_share_could_not_be_made_does_not_stand() -> None:
    async def body(held: Held) -> None:
        held.machine.system.refuses = lambda desired: bool(desired.links)
        held.holding.take(STANDING)
        answer = await held.heard()
        assert isinstance(answer.event, ApplyFailed)
        assert held.holding.hears(answer)
        assert held.holding.share is not None
        assert held.holding.share.up is None

    play(body)


def test_of_another_path_only_a_failure_is_heard() -> None:
    async def body(held: Held) -> None:
        held.holding.take(STANDING)
        assert held.holding.hears(await held.heard())
        held.holding.use(frozenset({OVER_LTE}))
        assert await held.inbox.next(10.0) is None
        held.machine.system.refuses = lambda _desired: True
        held.holding.use(frozenset())
        assert isinstance((await held.heard()).event, ApplyFailed)

    play(body)


def test_the_link_is_made_as_large_as_its_path_carries_while_the_tunnel_stands() -> None:
    async def body(held: Held) -> None:
        held.holding.resize(1300)
        assert held.holding.share is None
        held.holding.take(STANDING)
        await held.heard()
        held.holding.resize(1300)
        await asyncio.sleep(1.0)
        assert {link.mtu for link in held.machine.system.config.links} == {1300}

    play(body)
