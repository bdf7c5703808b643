"""One configuration for all tunnels, applied one at a time, with an answer for everybody who waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Network, ip_address, ip_interface, ip_network

from client.daemon.applier import Applier, Share
from client.daemon.names import Names
from client.ike.events import Assigned, Failure, Kind
from client.system.datapath import PoliciesMended
from client.system.feud import FREE
from client.system.plan import PutRule
from client.system.reconcile import Outcome, Problem
from client.system.xfrm_model import Direction, Flow, Policy
from client.system.xfrm_policies import PutPolicy
from client.tunnel.events import Applied, ApplyFailed
from client.tunnel.model import Lockdown, RuleEntry, Stance, SystemConfig, TunnelUp, Underlay
from tests.daemon.virtual_loop import run
from tests.daemon.world import CONFIG, LTE, WIFI, FakeResolver, FakeSystem, network

SPLIT = replace(CONFIG, name="lab", full=False, include=(ip_network("198.51.100.0/24"),))

UP = TunnelUp("roam0", Assigned(addresses=(ip_interface("10.99.0.10/32"),)))


@asynccontextmanager
async def running(system: FakeSystem) -> AsyncIterator[Applier]:
    applier = Applier(system, lambda addresses: None, Names(FakeResolver()))
    task = asyncio.create_task(applier.run())
    yield applier
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def play(scene: Callable[[Applier, FakeSystem], Awaitable[None]], system: FakeSystem | None = None) -> None:
    async def body() -> None:
        machine = system or FakeSystem()
        async with running(machine) as applier:
            await scene(applier, machine)

    run(body)


def test_everybody_hears_of_the_change_that_contains_his() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        heard: list[object] = []
        applier.share("office", Share(CONFIG), heard.append)
        applier.share("lab", Share(SPLIT), heard.append)
        await asyncio.sleep(1)
        assert heard == [Applied(), Applied()]
        assert len(system.configs) == 1

    play(scene)


def test_what_changes_meanwhile_is_applied_next() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        heard: list[object] = []
        system.delay = 1.0
        applier.share("office", Share(CONFIG), heard.append)
        await asyncio.sleep(0.5)
        applier.withdraw("office", heard.append)
        await asyncio.sleep(1)
        assert len(heard) == 1
        await asyncio.sleep(1)
        assert heard == [Applied(), Applied()]
        assert system.config == SystemConfig()

    play(scene)


def test_a_problem_is_a_local_fault_with_its_text() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        heard: list[Applied | ApplyFailed] = []
        applier.share("office", Share(CONFIG), heard.append)
        await asyncio.sleep(1)
        (event,) = heard
        assert isinstance(event, ApplyFailed)
        assert event.failure.kind is Kind.LOCAL_FAULT
        assert "rule: no" in event.failure.evidence

    play(scene, FakeSystem(problem=Problem("rule", "no")))


def test_a_second_full_tunnel_conflicts() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        applier.share("office", Share(CONFIG))
        conflict = applier.conflict("other", replace(CONFIG, name="other"))
        assert conflict is not None
        assert conflict.kind is Kind.CONFLICT_FULL_TUNNEL
        assert applier.conflict("office", CONFIG) is None
        assert applier.conflict("lab", SPLIT) is None

    play(scene)


def test_the_machine_is_guarded_by_any_tunnels_guard_and_by_lockdown() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        found = [applier.is_guarded]
        applier.share("lab", Share(replace(SPLIT, guard=False)))
        found.append(applier.is_guarded)
        applier.share("office", Share(CONFIG))
        found.append(applier.is_guarded)
        applier.withdraw("office")
        found.append(applier.is_guarded)
        applier.take(Stance(lockdown=Lockdown()))
        assert [*found, applier.is_guarded] == [False, False, True, False, True]

    play(scene)


def test_policies_that_were_put_back_again_and_again_are_a_fight_too() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        flow = Flow(IPv4Network("10.99.0.10/32"), IPv4Network("0.0.0.0/0"))
        policy = PutPolicy(Policy(flow, Direction.OUT, 0x73000001, 1000, None))
        for _ in range(FREE):
            assert applier.fight == ""
            applier.hear_mended(PoliciesMended((policy,)))
        assert "keeps undoing 'policy put out 10.99.0.10/32 → 0.0.0.0/0'" in applier.fight

    play(scene)


def test_a_touched_route_is_compared_but_nothing_is_merged_anew() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        applier.share("office", Share(CONFIG))
        await asyncio.sleep(1)
        applier.repair()
        await asyncio.sleep(1)
        assert (len(system.configs), system.repairs) == (1, 1)

    play(scene)


def test_a_new_network_is_merged_only_where_something_is_wanted() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        applier.adapt(network(WIFI))
        await asyncio.sleep(1)
        assert system.configs == []
        applier.share("office", Share(CONFIG))
        applier.adapt(network(LTE))
        await asyncio.sleep(1)
        assert len(system.configs) == 1

    play(scene)


def test_the_addresses_in_use_are_told_to_the_watcher() -> None:
    async def body() -> None:
        told: list[object] = []
        applier = Applier(
            FakeSystem(), lambda addresses: told.append(frozenset(addresses)), Names(FakeResolver())
        )
        task = asyncio.create_task(applier.run())
        local = ip_address(WIFI)
        underlay = Underlay("wifi0", local, ip_address("192.0.2.1"))
        applier.share("office", Share(CONFIG, None, frozenset({underlay})))
        await asyncio.sleep(1)
        assert told == [frozenset({local})]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(body)


def test_what_cannot_be_made_is_wanted_no_more_and_keeps_nobody_from_his() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        system.refuses = lambda desired: any("198.51.100" in str(route) for route in desired.routes)
        heard: list[object] = []
        applier.share("lab", Share(SPLIT), heard.append)
        await asyncio.sleep(1)
        refused = Failure(Kind.LOCAL_FAULT, "rule add: No space left on device", hint="Free memory.")
        assert heard == [ApplyFailed(refused)]
        assert (applier.leaves_open("lab"), system.configs) == (True, [])
        applier.share("office", Share(CONFIG), heard.append)
        await asyncio.sleep(1)
        assert heard[1:] == [Applied()]
        system.refuses = lambda _desired: False
        applier.share("lab", Share(SPLIT), heard.append)
        await asyncio.sleep(1)
        assert (heard[2:], applier.leaves_open("lab")) == ([Applied()], False)

    play(scene)


def test_what_stood_before_a_change_that_cannot_be_made_stands_on() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        heard: list[object] = []
        guarding = Share(CONFIG)
        applier.share("office", guarding)
        await asyncio.sleep(1)
        system.refuses = lambda desired: bool(desired.links)
        applier.share("office", Share(CONFIG, UP), heard.append)
        await asyncio.sleep(1)
        assert isinstance(heard[0], ApplyFailed)
        assert not applier.leaves_open("office")
        applier.adapt(network(LTE))
        await asyncio.sleep(1)
        assert len(system.configs) == 2, "the guard is adapted, and nobody asks for the link again"

    play(scene)


def test_a_fault_of_our_own_in_a_change_is_a_failure_like_others() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        def breaks(_desired: SystemConfig) -> bool:
            raise KeyError("a bug")

        heard: list[object] = []
        system.refuses = breaks
        applier.share("office", Share(CONFIG), heard.append)
        await asyncio.sleep(1)
        told = "a fault in Roam itself (KeyError); see the log"
        assert heard == [ApplyFailed(Failure(Kind.LOCAL_FAULT, told))]
        system.refuses = lambda _desired: False
        applier.share("office", Share(CONFIG), heard.append)
        await asyncio.sleep(1)
        assert heard[1:] == [Applied()]

    play(scene)


def test_who_keeps_undoing_our_changes_is_answered_more_slowly_and_named_once() -> None:
    async def body() -> None:
        system = FakeSystem(drift=(PutRule(RuleEntry(4, 7301, 29440)),))
        told: list[str] = []
        applier = Applier(
            system, lambda _: None, Names(FakeResolver()), warn=told.append, name_of=lambda _: "stubborn"
        )
        task = asyncio.create_task(applier.run())
        for _ in range(600):  # for a minute, ten times a second
            applier.repair({77})
            await asyncio.sleep(0.1)
        assert 10 <= system.repairs <= 25
        (line,) = told
        assert line.startswith("stubborn (process 77) keeps undoing 'rule add IPv4 7301: lookup 29440'")
        assert applier.fight.startswith("stubborn (process 77)")
        heard: list[object] = []
        applier.share("office", Share(CONFIG), heard.append)
        await asyncio.sleep(0.01)
        assert heard == [Applied()], "what somebody wants does not wait for a fight"
        system.drift = ()
        await asyncio.sleep(70)
        applier.repair()
        await asyncio.sleep(1)
        assert applier.fight == ""
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(body)


def test_a_fault_of_our_own_in_a_repair_ends_nothing() -> None:
    async def scene(applier: Applier, system: FakeSystem) -> None:
        async def breaks() -> Outcome:
            raise KeyError("a bug")

        system.repair = breaks  # type: ignore[method-assign]
        applier.repair()
        await asyncio.sleep(1)
        heard: list[object] = []
        applier.share("office", Share(CONFIG), heard.append)
        await asyncio.sleep(1)
        assert heard == [Applied()]

    play(scene)
