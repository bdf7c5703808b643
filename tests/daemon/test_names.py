"""Name resolution comes after the links and goes before them, and nobody waits for it for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, ip_address, ip_interface, ip_network

from client.daemon.applier import Applier, Share
from client.daemon.names import LAST_PATIENCE, PATIENCE, Names
from client.ike.events import Assigned, Selector
from client.system.reconcile import Outcome, Problem
from client.tunnel.events import Applied
from client.tunnel.model import SystemConfig, TunnelUp
from tests.daemon.virtual_loop import now, run
from tests.daemon.world import CONFIG, LTE, WIFI, FakeResolver, FakeSystem, network

SPLIT = replace(
    CONFIG, name="lab", full=False, include=(ip_network("198.51.100.0/24"),), dns_search=("lab.example",)
)
UP = TunnelUp("roam0", Assigned((ip_interface("10.99.0.10/32"),), dns=(ip_address("10.77.0.53"),)))
OTHER = TunnelUp("roam1", Assigned((ip_interface("10.98.0.10/32"),), dns=(ip_address("10.98.0.53"),)))
FULL_LINE = "roam0: 10.77.0.53 ~."
SPLIT_LINE = "roam1: 10.98.0.53 lab.example"


@dataclass
class TellingSystem(FakeSystem):
    """Adds the links of each configuration to the resolver's list of events."""

    resolver: FakeResolver | None = None

    async def apply(self, desired: SystemConfig, generation: int) -> Outcome:
        outcome = await super().apply(desired, generation)
        if self.resolver is not None:
            self.resolver.events.append([link.name for link in desired.links])
        return outcome


@dataclass
class Scene:
    """An applier that runs, and what its machine and its resolver have seen."""

    resolver: FakeResolver
    system: TellingSystem
    names: Names
    applier: Applier

    async def hear(self, act: Callable[[Callable[[object], None]], None]) -> float:
        """Seconds until whoever acts so is answered."""
        answered = asyncio.Event()
        began = now()
        act(lambda event: answered.set() if event == Applied() else None)
        await answered.wait()
        return now() - began


def play(body: Callable[[Scene], Awaitable[None]], **system: object) -> None:
    async def scene() -> None:
        resolver = FakeResolver()
        machine = TellingSystem(resolver=resolver, **system)  # type: ignore[arg-type]
        names = Names(resolver)
        applier = Applier(machine, lambda addresses: None, names)
        await applier.sweep()
        resolver.events.clear()
        task = asyncio.create_task(applier.run())
        await body(Scene(resolver, machine, names, applier))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(scene)


def test_names_come_after_the_links_and_go_before_them() -> None:
    async def body(it: Scene) -> None:
        await it.hear(lambda answer: it.applier.share("office", Share(CONFIG, UP), answer))
        assert it.resolver.events == [["roam0"], (FULL_LINE,)]
        it.resolver.events.clear()
        await it.hear(lambda answer: it.applier.withdraw("office", answer))
        assert it.resolver.events == [(), []]

    play(body)


def test_what_another_tunnel_has_stays() -> None:
    async def body(it: Scene) -> None:
        await it.hear(lambda answer: it.applier.share("office", Share(CONFIG, UP), answer))
        await it.hear(lambda answer: it.applier.share("lab", Share(SPLIT, OTHER), answer))
        it.resolver.events.clear()
        await it.hear(lambda answer: it.applier.withdraw("office", answer))
        assert it.resolver.events == [(SPLIT_LINE,), ["roam1"]]

    play(body)


def test_a_move_does_not_touch_names() -> None:
    async def body(it: Scene) -> None:
        await it.hear(lambda answer: it.applier.share("office", Share(CONFIG, UP), answer))
        it.resolver.events.clear()
        it.applier.adapt(network(WIFI, LTE))
        await it.hear(lambda answer: it.applier.share("office", Share(CONFIG, UP), answer))
        assert it.resolver.events == [["roam0"]]
        assert it.resolver.repairs == 1  # a new network may have brought another resolv.conf

    play(body)


def test_a_resolver_that_hangs_delays_neither_way_for_long() -> None:
    async def body(it: Scene) -> None:
        it.resolver.delay = 60.0
        up = await it.hear(lambda answer: it.applier.share("office", Share(CONFIG, UP), answer))
        assert PATIENCE <= up < PATIENCE + 0.1
        down = await it.hear(lambda answer: it.applier.withdraw("office", answer))
        assert PATIENCE <= down < PATIENCE + 0.1

    play(body)


def test_a_resolver_that_hangs_keeps_no_daemon_from_starting_or_ending() -> None:
    async def body(it: Scene) -> None:
        await it.hear(lambda answer: it.applier.share("office", Share(CONFIG, UP), answer))
        it.resolver.delay = 60.0
        began = now()
        await it.names.close()
        assert now() - began <= LAST_PATIENCE
        await it.applier.sweep()
        assert now() - began < LAST_PATIENCE + PATIENCE + 0.1

    play(body)


def test_while_a_resolver_hangs_the_machine_follows_all_the_same() -> None:
    async def body(it: Scene) -> None:
        it.resolver.delay = 60.0
        it.applier.share("office", Share(CONFIG, UP))
        await asyncio.sleep(0.1)
        moved = await it.hear(lambda answer: it.applier.share("office", Share(CONFIG, UP), answer))
        assert moved < 0.1

    play(body)


def test_what_cannot_be_done_is_a_remark_and_the_tunnel_stands() -> None:
    async def body(it: Scene) -> None:
        it.resolver.refusal = "file: only root may, and roam-dns is not installed"
        await it.hear(lambda answer: it.applier.share("office", Share(CONFIG, UP), answer))
        naming = it.applier.naming("office")
        assert naming.by == ""
        assert naming.servers == (ip_address("10.77.0.53"),)
        assert naming.remarks == (it.resolver.refusal,)

    play(body)


def test_a_tunnel_that_could_not_be_made_brings_no_names() -> None:
    async def body(it: Scene) -> None:
        it.applier.share("office", Share(CONFIG, UP))
        await asyncio.sleep(1)
        assert it.resolver.events == [["roam0"]]

    play(body, problem=Problem("rule", "no"))


def test_servers_in_use_get_a_route_and_those_behind_no_selector_a_remark() -> None:
    async def body(it: Scene) -> None:
        far = ip_address("203.0.113.53")
        config = replace(SPLIT, dns_servers=(far,))
        inside = IPv4Network("10.98.0.0/24")
        up = replace(OTHER, remote_selectors=(Selector(inside[0], inside[-1]),))
        await it.hear(lambda answer: it.applier.share("lab", Share(config, up), answer))
        assert it.names.servers == {far}
        (remark,) = it.applier.naming("lab").remarks
        assert remark == "the gateway lets no traffic to the name server 203.0.113.53 through"
        await it.hear(lambda answer: it.applier.share("lab", Share(config, OTHER), answer))
        assert it.applier.naming("lab").remarks == ()
        assert f"{far}/32 dev roam1 metric 100" in map(str, it.system.config.routes)

    play(body)


def test_names_are_as_before_when_the_daemon_ends_and_stay_so() -> None:
    async def body(it: Scene) -> None:
        await it.hear(lambda answer: it.applier.share("office", Share(CONFIG, UP), answer))
        it.resolver.events.clear()
        await it.names.close()
        await it.hear(lambda answer: it.applier.share("office", Share(CONFIG, UP), answer))
        assert it.resolver.events == [(), ["roam0"]]

    play(body)


def test_a_daemon_that_finds_its_tunnels_wanted_puts_names_back_while_they_come() -> None:
    async def body() -> None:
        resolver = FakeResolver()
        applier = Applier(FakeSystem(), lambda addresses: None, Names(resolver))
        task = asyncio.create_task(applier.run())
        applier.share("office", Share(CONFIG))
        await asyncio.sleep(1)
        assert resolver.events == [()]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(body)
