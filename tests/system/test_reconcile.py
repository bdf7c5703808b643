"""The applier with a machine of paper: order of note and change, failures, repair, sweep."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest

from client.system.manifest import Manifest, Owned, Place
from client.system.plan import (
    Actual,
    DropAddress,
    DropGuard,
    DropLink,
    DropRoute,
    DropRule,
    PutAddress,
    PutGuard,
    PutRoute,
    PutRule,
    PutSysctl,
    SetLink,
    Step,
)
from client.system.reconcile import Outcome, System
from client.tunnel.model import LinkEntry, RouteEntry, RuleEntry, SystemConfig
from client.tunnel.ruleset import Chain, Rule, RuleSet

EVERYTHING = ip_network("0.0.0.0/0")
BLACKHOLE = RouteEntry(EVERYTHING, None, 2000)
GUARD = SystemConfig(rules=(RuleEntry(4, 7301, 29440),), routes=(BLACKHOLE,))
UP = replace(
    GUARD,
    links=(LinkEntry("roam0", 1400, (ip_interface("10.8.0.2/32"),)),),
    routes=(RouteEntry(EVERYTHING, "roam0", 100), BLACKHOLE),
    sysctls=(("net/ipv4/conf/all/arp_ignore", "1"),),
)
ROAM0 = LinkEntry("roam0", 1500, ())
UNTOUCHED = Actual(links=(ROAM0,), down=frozenset({"roam0"}), sysctls={"net/ipv4/conf/all/arp_ignore": "0"})


class Paper:
    """A machine in memory; `refuse` makes steps fail whose text begins so."""

    def __init__(self, state_dir: Path, actual: Actual = UNTOUCHED) -> None:
        self.actual = actual
        self.refuse: tuple[str, ...] = ()
        self.notes: list[Owned] = []  # as on the disk when each step was carried out
        self._manifest = Manifest(state_dir)

    def read(self, table: int, sysctls: frozenset[str], links: frozenset[str]) -> Actual:
        assert (table, links - {"roam0", "roam1"}) == (29440, frozenset())
        return replace(
            self.actual,
            sysctls={key: self.actual.sysctls[key] for key in sysctls if key in self.actual.sysctls},
        )

    def perform(self, step: Step, table: int) -> bool:
        assert table == 29440
        self.notes.append(self._manifest.load(Place.here()))
        if str(step).startswith(self.refuse):
            raise OSError(1, "Operation not permitted")
        self.actual = changed(self.actual, step)
        return True


def changed(actual: Actual, step: Step) -> Actual:
    match step:
        case PutRule(rule):
            return replace(actual, rules=(*actual.rules, rule))
        case DropRule(rule):
            return replace(actual, rules=tuple(old for old in actual.rules if old != rule))
        case PutRoute(route):
            return replace(actual, routes=(*changed(actual, DropRoute(route)).routes, route))
        case DropRoute(route):
            kept = (
                old
                for old in actual.routes
                if (old.destination, old.metric) != (route.destination, route.metric)
            )
            return replace(actual, routes=tuple(kept))
        case PutGuard(rules):
            return replace(actual, guard=rules)
        case DropGuard():
            return replace(actual, guard=None)
        case PutSysctl(key, value):
            return replace(actual, sysctls={**actual.sysctls, key: value})
        case DropLink(name):
            return replace(actual, links=tuple(link for link in actual.links if link.name != name))
        case _:
            return with_link(actual, step)


def with_link(actual: Actual, step: SetLink | PutAddress | DropAddress) -> Actual:
    (link,) = actual.links
    match step:
        case SetLink(name, mtu, up):
            return replace(actual, links=(replace(link, mtu=mtu),), down=frozenset(() if up else (name,)))
        case PutAddress(_, interface):
            return replace(actual, links=(replace(link, addresses=(*link.addresses, interface)),))
        case DropAddress(_, interface):
            kept = tuple(old for old in link.addresses if old != interface)
            return replace(actual, links=(replace(link, addresses=kept),))


def using(state_dir: Path, paper: Paper, body: Callable[[System], Awaitable[None]]) -> None:
    async def main() -> None:
        system = System(state_dir, lambda: nullcontext(paper))
        try:
            await body(system)
        finally:
            system.close()

    asyncio.run(main())


def test_applying_makes_the_machine_so_and_a_second_time_does_nothing(tmp_path: Path) -> None:
    paper = Paper(tmp_path)

    async def body(system: System) -> None:
        first = await system.apply(UP, 1)
        assert (first.generation, first.problems) == (1, ())
        assert (paper.actual.links, paper.actual.down) == (UP.links, frozenset())
        assert set(paper.actual.routes) == set(UP.routes)
        assert paper.actual.sysctls == dict(UP.sysctls)
        assert await system.apply(UP, 2) == Outcome(2)

    using(tmp_path, paper, body)


def test_what_cannot_be_recognised_is_on_the_disk_before_it_is_changed(tmp_path: Path) -> None:
    paper = Paper(tmp_path)

    async def body(system: System) -> None:
        await system.apply(UP, 1)
        owned = Owned(29440, frozenset({"roam0"}), {"net/ipv4/conf/all/arp_ignore": "0"})
        assert set(map(repr, paper.notes)) == {repr(owned)}

    using(tmp_path, paper, body)


def test_a_link_is_noted_when_it_is_expected_and_not_again_when_it_comes(tmp_path: Path) -> None:
    paper = Paper(tmp_path)
    coming = frozenset({"roam0"})
    note = tmp_path / "manifest.json"

    async def body(system: System) -> None:
        await system.expect(coming)
        assert Manifest(tmp_path).load(Place.here()).links == coming
        written = note.stat().st_ino
        await system.apply(replace(GUARD, coming=coming), 1)
        await system.apply(replace(UP, coming=coming, sysctls=()), 2)
        await system.apply(GUARD, 3)
        assert note.stat().st_ino == written
        await system.apply(replace(GUARD, coming=frozenset({"roam1"})), 4)
        assert Manifest(tmp_path).load(Place.here()).links == {"roam0", "roam1"}

    using(tmp_path, paper, body)


def test_a_setting_is_restored_to_what_it_was_before_the_first_change(tmp_path: Path) -> None:
    paper = Paper(tmp_path)

    async def body(system: System) -> None:
        await system.apply(UP, 1)
        await system.apply(UP, 2)
        await system.apply(GUARD, 3)
        assert paper.actual.sysctls == {"net/ipv4/conf/all/arp_ignore": "0"}
        assert Manifest(tmp_path).load(Place.here()).sysctls == {}

    using(tmp_path, paper, body)


def test_a_refused_step_is_told_and_the_others_are_taken_back(tmp_path: Path) -> None:
    paper = Paper(tmp_path)
    paper.refuse = ("address add",)

    async def body(system: System) -> None:
        await system.apply(GUARD, 6)
        guarded = paper.actual
        outcome = await system.apply(UP, 7)
        assert [str(problem) for problem in outcome.problems] == [
            "address add 10.8.0.2/32 dev roam0: Operation not permitted"
        ]
        assert "CAP_NET_ADMIN" in outcome.problems[0].advice
        assert (outcome.undone, paper.actual) == (True, guarded)
        assert await system.repair() == Outcome(6), "what failed is not tried again behind the user's back"
        paper.refuse = ()
        assert (await system.apply(UP, 8)).problems == ()

    using(tmp_path, paper, body)


def test_under_lockdown_a_refused_step_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    paper = Paper(tmp_path)
    paper.refuse = ("address add",)
    locked = replace(UP, fail_closed=True)

    async def body(system: System) -> None:
        outcome = await system.apply(locked, 7)
        assert [problem.what for problem in outcome.problems] == ["address add 10.8.0.2/32 dev roam0"]
        assert (outcome.undone, BLACKHOLE in paper.actual.routes) == (False, True)
        paper.refuse = ()
        assert [str(step) for step in (await system.repair()).steps] == ["address add 10.8.0.2/32 dev roam0"]

    using(tmp_path, paper, body)


def test_on_the_way_down_a_refused_step_keeps_nothing_else(tmp_path: Path) -> None:
    paper = Paper(tmp_path)

    async def body(system: System) -> None:
        await system.apply(UP, 1)
        paper.refuse = ("rule del",)
        outcome = await system.apply(SystemConfig(), 2)
        assert [problem.what for problem in outcome.problems] == ["rule del IPv4 7301: lookup 29440"]
        assert (outcome.undone, paper.actual.routes, paper.actual.rules) == (False, (), GUARD.rules)

    using(tmp_path, paper, body)


def test_a_missing_link_is_a_problem_and_the_guard_closes(tmp_path: Path) -> None:
    paper = Paper(tmp_path, replace(UNTOUCHED, links=(), down=frozenset()))

    async def body(system: System) -> None:
        outcome = await system.apply(UP, 1)
        assert [str(problem) for problem in outcome.problems] == ["link roam0: is not there"]
        assert paper.actual.routes == (BLACKHOLE,)

    using(tmp_path, paper, body)


def test_the_guard_closes_also_where_the_note_cannot_be_written(tmp_path: Path) -> None:
    state_dir = tmp_path / "file"
    state_dir.write_text("in the way")
    paper = Paper(tmp_path)

    async def body(system: System) -> None:
        outcome = await system.apply(GUARD, 1)
        assert {problem.what for problem in outcome.problems} == {"the manifest"}
        assert paper.actual.routes == GUARD.routes

    using(state_dir, paper, body)


def test_an_unreachable_kernel_is_a_problem_not_an_exception(tmp_path: Path) -> None:
    def refuse() -> nullcontext[Paper]:
        raise PermissionError(1, "Operation not permitted")

    async def body() -> None:
        system = System(tmp_path, refuse)
        for outcome in (await system.apply(UP, 1), await system.sweep()):
            assert [problem.reason for problem in outcome.problems] == ["Operation not permitted"]
        system.close()

    asyncio.run(body())


def test_repair_puts_back_what_somebody_took_and_nothing_otherwise(tmp_path: Path) -> None:
    paper = Paper(tmp_path)

    async def body(system: System) -> None:
        assert await system.repair() == Outcome(0)
        await system.apply(GUARD, 4)
        assert await system.repair() == Outcome(4)
        paper.actual = replace(paper.actual, rules=())
        outcome = await system.repair()
        assert outcome.generation == 4
        assert [type(step) for step in outcome.steps] == [PutRule]

    using(tmp_path, paper, body)


@pytest.mark.parametrize("is_manifest_lost", [False, True])
def test_sweep_leaves_nothing_and_is_not_repaired(tmp_path: Path, is_manifest_lost: bool) -> None:
    paper = Paper(tmp_path)

    async def body(system: System) -> None:
        await system.apply(replace(UP, sysctls=()), 1)
        if is_manifest_lost:
            (tmp_path / "manifest.json").unlink()
        assert (await system.sweep()).problems == ()
        assert (paper.actual.links, paper.actual.rules, paper.actual.routes) == ((), (), ())
        assert Manifest(tmp_path).load(Place.here()) == Owned()
        assert (await system.repair()).steps == ()
        assert (await system.sweep()).steps == ()

    using(tmp_path, paper, body)


def test_sweep_restores_settings_that_a_crashed_daemon_changed(tmp_path: Path) -> None:
    paper = Paper(tmp_path)

    async def crashes(system: System) -> None:
        await system.apply(UP, 1)

    async def comes_back(system: System) -> None:
        await system.sweep()
        assert paper.actual.sysctls == {"net/ipv4/conf/all/arp_ignore": "0"}

    using(tmp_path, paper, crashes)
    using(tmp_path, paper, comes_back)


def test_what_could_not_be_swept_is_not_forgotten(tmp_path: Path) -> None:
    paper = Paper(tmp_path)

    async def body(system: System) -> None:
        await system.apply(UP, 1)
        paper.refuse = ("rule del",)
        assert len((await system.sweep()).problems) == 1
        assert Manifest(tmp_path).load(Place.here()).links == {"roam0"}

    using(tmp_path, paper, body)


def test_overlapping_commands_are_carried_out_in_order(tmp_path: Path) -> None:
    paper = Paper(tmp_path)

    async def body(system: System) -> None:
        outcomes = await asyncio.gather(system.apply(UP, 1), system.apply(GUARD, 2), system.repair())
        assert [outcome.generation for outcome in outcomes] == [1, 2, 2]
        assert outcomes[2].steps == ()
        assert paper.actual.routes == GUARD.routes

    using(tmp_path, paper, body)


def test_sweep_under_lockdown_leaves_lockdown_and_keeps_it_repaired(tmp_path: Path) -> None:
    paper = Paper(tmp_path)
    locked = replace(GUARD, guard=RuleSet((Rule(Chain.POSTROUTING, (), False, "nothing leaves"),)))

    async def body(system: System) -> None:
        await system.apply(UP, 1)
        assert (await system.sweep(locked)).problems == ()
        assert (paper.actual.links, paper.actual.rules) == ((), GUARD.rules)
        assert (paper.actual.routes, paper.actual.guard) == (GUARD.routes, locked.guard)
        paper.actual = replace(paper.actual, guard=None)
        assert [type(step) for step in (await system.repair()).steps] == [PutGuard]

    using(tmp_path, paper, body)
