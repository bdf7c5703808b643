"""Lockdown and portal passes, in virtual time: who may say so, what is remembered, what the machine becomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from client.control.handlers import Access, Caller
from client.control.messages import ControlError, LockdownSet, Notice, PortalOpen
from client.daemon.applier import Applier, Share
from client.daemon.names import Names
from client.daemon.warden import FILE, Kept, LockdownFile, Warden
from client.ike.events import Address
from client.system.reconcile import Problem
from client.tunnel.model import Lockdown, PortalPass, Stance
from tests.daemon.virtual_loop import now, run
from tests.daemon.world import CONFIG, FakeResolver, FakeSystem

ALICE = Caller(1000, Access.CONTROL)
BOB = Caller(1001, Access.CONTROL)
ROOT = Caller(0, Access.ADMIN)
ROUTER = ip_address("192.168.1.1")
UNIX = 1_800_000_000.0
ON, OFF = LockdownSet(True), LockdownSet(False)


class House:
    """A warden over an applier with a machine of paper."""

    def __init__(self, state_dir: Path) -> None:
        self.system = FakeSystem()
        self.told: list[str] = []
        self.applier = Applier(self.system, lambda _: None, Names(FakeResolver()), Stance(uid=990))
        self.problem = ""
        self.warden = Warden(
            state_dir,
            self.applier,
            now,
            lambda: UNIX + now(),
            self._resolvers,
            lambda: self.problem,
            self._tell,
        )

    async def _resolvers(self) -> tuple[Address, ...]:
        return (ROUTER,)

    def is_closed(self) -> bool:
        """Whether the machine was given a filter."""
        return self.system.config.guard is not None

    def is_on(self) -> bool:
        return self.warden.status.on

    def portal(self) -> PortalPass | None:
        return self.applier.stance.portal

    def _tell(self, notice: Notice) -> None:
        self.told.append(notice.text)


@asynccontextmanager
async def living(state_dir: Path) -> AsyncIterator[House]:
    house = House(state_dir)
    tasks = [asyncio.create_task(work) for work in (house.applier.run(), house.warden.run())]
    yield house
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def play(state_dir: Path, scene: Callable[[House], Awaitable[None]]) -> None:
    async def body() -> None:
        async with living(state_dir) as house:
            await scene(house)

    run(body)


def test_lockdown_closes_and_opens_and_is_told(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        status = await house.warden.set_lockdown(ALICE, ON)
        assert (status.on, status.owner, status.allow_lan, status.guard) == (True, 1000, True, "nftables")
        assert house.is_closed()
        assert [str(route) for route in house.system.config.routes] == [
            "blackhole 0.0.0.0/0 metric 2000",
            "blackhole ::/0 metric 2000",
        ]
        status = await house.warden.set_lockdown(ALICE, OFF)
        assert not status.on
        assert not house.is_closed()
        assert house.told == ["lockdown is on", "lockdown is off"]

    play(tmp_path, scene)


def test_lockdown_outlives_the_daemon(tmp_path: Path) -> None:
    async def first(house: House) -> None:
        await house.warden.set_lockdown(ALICE, LockdownSet(True, allow_lan=False))

    async def second(house: House) -> None:
        assert house.applier.stance == Stance(990, Lockdown(allow_lan=False))
        assert (house.warden.status.on, house.warden.status.owner) == (True, 1000)
        await house.applier.sweep()
        assert house.is_closed()
        await house.warden.set_lockdown(ALICE, OFF)
        assert not (tmp_path / FILE).exists()

    play(tmp_path, first)
    play(tmp_path, second)


def test_only_who_turned_it_on_and_root_may_change_it(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.warden.set_lockdown(ALICE, ON)
        for request in (ON, OFF):
            with pytest.raises(ControlError) as refused:
                await house.warden.set_lockdown(BOB, request)
            assert refused.value.kind == "permission.denied"
        assert house.is_on()
        await house.warden.set_lockdown(ROOT, OFF)
        assert not house.is_on()

    play(tmp_path, scene)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "owner": 1, "allow_lan": true}', "\x00"])
def test_a_wish_that_does_not_read_is_one_and_root_ends_it(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert LockdownFile(tmp_path).load() == Kept(0, allow_lan=False)

    async def scene(house: House) -> None:
        with pytest.raises(ControlError):
            await house.warden.set_lockdown(ALICE, OFF)
        await house.warden.set_lockdown(ROOT, OFF)

    play(tmp_path, scene)


def test_the_wish_is_nobody_elses_to_read(tmp_path: Path) -> None:
    LockdownFile(tmp_path).keep(Kept(1000, allow_lan=True))
    file = tmp_path / FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == {"version": 1, "owner": 1000, "allow_lan": True}


def test_a_disk_that_takes_nothing_closes_all_the_same_and_says_so(tmp_path: Path) -> None:
    state_dir = tmp_path / "file"
    state_dir.write_text("in the way")

    async def scene(house: House) -> None:
        house.warden._file._file = state_dir / FILE
        with pytest.raises(ControlError, match="not after a restart"):
            await house.warden.set_lockdown(ALICE, ON)
        assert house.is_closed()

    play(tmp_path, scene)


def test_a_machine_that_cannot_be_changed_is_told(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        house.system.problem = Problem("filter set", "Operation not permitted")
        with pytest.raises(ControlError, match="Operation not permitted"):
            await house.warden.set_lockdown(ALICE, ON)

    play(tmp_path, scene)


def test_status_says_where_the_guard_is_made_by_routing_only(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        house.problem = "no nftables"
        status = await house.warden.set_lockdown(ALICE, ON)
        assert (status.guard, status.guard_reason) == ("routing", "no nftables")

    play(tmp_path, scene)


def test_a_portal_is_open_for_its_user_and_closes_by_itself(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        await house.warden.set_lockdown(ALICE, ON)
        status = await house.warden.open_portal(BOB, PortalOpen(60))
        assert status.portal_owner == 1001
        assert status.portal_until is not None
        assert 60 <= status.portal_until - status.time <= 62
        assert house.portal() == PortalPass(1001, (ROUTER,), int(status.portal_until))
        closed = house.system.config
        await asyncio.sleep(59)
        assert house.system.config == closed
        await asyncio.sleep(2)
        assert house.portal() is None
        assert house.system.config != closed
        assert house.warden.status.portal_until is None
        assert house.is_on()

    play(tmp_path, scene)


def test_a_portal_is_closed_by_hand_and_opened_again(tmp_path: Path) -> None:
    async def scene(house: House) -> None:
        house.applier.share("office", Share(CONFIG))
        await house.warden.open_portal(ALICE, PortalOpen(60))
        await asyncio.sleep(50)
        await house.warden.open_portal(ALICE, PortalOpen(60))
        await asyncio.sleep(50)
        assert house.portal() is not None
        await house.warden.open_portal(ALICE, PortalOpen(0))
        assert house.portal() is None
        await asyncio.sleep(100)

    play(tmp_path, scene)


@pytest.mark.parametrize("seconds", [-1.0, 300.5, float("nan")])
def test_no_portal_is_open_for_long(seconds: float) -> None:
    assert PortalOpen(seconds).objection()
