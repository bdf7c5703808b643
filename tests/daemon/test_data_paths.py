"""Which data path a tunnel gets, what follows from that for its session, and moves to and from behind a NAT."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest

from client.daemon.data_paths import DataPaths, limits_of
from client.daemon.driver import Driver
from client.daemon.order import user_order
from client.ike.keys import Secret
from client.ike.options import Lifetimes
from client.system.choice import Choice, DataPathKind
from client.system.datapath import WorkTaken
from client.system.kernel import KernelDataPath
from client.system.userspace import PumpPool
from client.tunnel.model import Lockdown
from tests.daemon.virtual_loop import run
from tests.daemon.world import CONFIG, KERNEL, LTE, USERSPACE, WIFI, Internet, Machine, driven, wish

PUBLIC = ip_address("198.51.100.1")
PROFILE = """
schema = 1
id = "office"
{}
[gateway]
addresses = ["vpn.example.com"]
[identity]
local = "alice@example.com"
[[auth.local]]
method = "psk"
secret = "ask:"
"""


class FakePool(PumpPool):
    """Starts no process."""

    warmed = 0

    def warm(self) -> None:
        self.warmed += 1


def looked(
    choose: Callable[[], Choice], sweep: Callable[[], tuple[str, ...]] = tuple
) -> tuple[DataPaths, FakePool]:
    pool = FakePool()
    paths = DataPaths(choose, sweep, pool)
    asyncio.run(paths.look())
    return paths, pool


def fails() -> Choice:
    raise ValueError("an answer of no sense")


def is_refused() -> tuple[str, ...]:
    raise PermissionError(1, "Operation not permitted")


def test_the_kernel_is_swept_and_then_looked_at_once() -> None:
    done: list[str] = []

    def sweep() -> tuple[str, ...]:
        done.append("sweep")
        return ("SA 192.0.2.2 → 192.0.2.1 00000001",)

    def choose() -> Choice:
        done.append("choose")
        return KERNEL

    paths, _ = looked(choose, sweep)
    assert [paths.choose("auto"), paths.choose("auto")] == [KERNEL, KERNEL]
    assert done == ["sweep", "choose"]


def test_a_profile_may_ask_for_either() -> None:
    paths, _ = looked(lambda: KERNEL)
    assert paths.choose("userspace").kind is DataPathKind.USERSPACE
    paths, _ = looked(lambda: USERSPACE)
    assert paths.choose("xfrm") == Choice(DataPathKind.XFRM, "the profile asks for it")
    assert paths.choose("xfrm-offload") == Choice(DataPathKind.XFRM_OFFLOAD, "the profile asks for it")


@pytest.mark.parametrize(("wanted", "offload"), [("xfrm", False), ("xfrm-offload", True)])
def test_devices_do_the_cryptography_only_where_a_profile_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, wanted: str, offload: bool
) -> None:
    asked: list[object] = []

    async def start(*_: object, **options: object) -> KernelDataPath:
        asked.append(options)
        raise OSError(105, "no buffer space")

    monkeypatch.setattr(KernelDataPath, "start", start)
    paths, _ = looked(lambda: KERNEL)
    with pytest.raises(OSError, match="no buffer space"):
        asyncio.run(paths.open(paths.choose(wanted).kind, "roam0", 1400, Lifetimes(), guarded=False))
    assert asked == [{"offload": offload, "guarded": False}]


@pytest.mark.parametrize(("choice", "pumps"), [(KERNEL, 0), (USERSPACE, 1)])
def test_a_pump_is_kept_ready_only_where_it_will_be_used(choice: Choice, pumps: int) -> None:
    paths, pool = looked(lambda: choice)
    assert pool.warmed == pumps
    paths.warm()
    assert pool.warmed == 2 * pumps


def test_a_look_that_fails_leaves_the_userspace_and_says_why() -> None:
    found = looked(fails)[0].choose("auto")
    assert found.kind is DataPathKind.USERSPACE
    assert "an answer of no sense" in found.reason


def test_a_sweep_that_is_refused_does_not_keep_the_kernel_from_being_chosen() -> None:
    assert looked(lambda: KERNEL, is_refused)[0].choose("auto") == KERNEL


@pytest.mark.parametrize(("found", "told"), [(USERSPACE, USERSPACE.reason), (KERNEL, "no buffer space")])
def test_a_profile_that_insists_on_the_kernel_hears_what_the_kernel_lacks(
    monkeypatch: pytest.MonkeyPatch, found: Choice, told: str
) -> None:
    """Or, where it lacks nothing, what has gone wrong."""

    async def start(*_: object, **_options: object) -> KernelDataPath:
        raise OSError(105, "no buffer space")

    monkeypatch.setattr(KernelDataPath, "start", start)
    paths, _ = looked(lambda: found)
    with pytest.raises(OSError, match=told):
        asyncio.run(paths.open(DataPathKind.XFRM, "roam0", 1400, Lifetimes(), guarded=False))


def test_what_the_kernel_lacks_is_what_the_user_hears() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        machine.lacks = "the kernel has no xfrm interfaces"
        async with driven(machine) as driver:
            await driver.want(wish(data_path=KERNEL))
            await machine.until(lambda: machine.statuses[-1].failure is not None, 30)
            failure = machine.status.failure
            assert failure is not None
            assert failure.kind == "local.fault"
            assert failure.evidence.endswith(machine.lacks)

    run(body)


def test_the_kernel_reminds_after_the_lifetime_and_ends_what_nobody_replaced() -> None:
    limits = limits_of(Lifetimes(child=3600.5))
    assert (limits.soft_age, limits.hard_age) == (3601, 7202)


@pytest.mark.parametrize(
    ("choice", "words", "forced"),
    [
        (USERSPACE, "", True),
        (KERNEL, "", False),
        (KERNEL, "[mobility]\nforce_encap = true", True),
    ],
)
def test_only_a_pump_needs_udp_around_esp_where_there_is_no_nat(
    choice: Choice, words: str, forced: bool
) -> None:
    text = PROFILE.format("") + f'[auth.remote]\nmethod = "psk"\n{words}\n'
    wished = user_order(1000, text, {}, {"ask:": Secret(b"key")}).wish(1, choice)
    assert wished.session.force_encapsulation is forced
    assert wished.data_path == choice
    assert wished.after_refusal is None or wished.after_refusal.force_encapsulation is forced


async def come_up(machine: Machine, driver: Driver, choice: Choice) -> None:
    await driver.want(wish(data_path=choice))
    await machine.until_state("up", 5)


@pytest.mark.parametrize("choice", [USERSPACE, KERNEL])
def test_the_data_path_of_the_wish_is_opened_and_told_with_its_reason(choice: Choice) -> None:
    async def body() -> None:
        machine = Machine(Internet())
        async with driven(machine) as driver:
            await come_up(machine, driver, choice)
            assert machine.data_path.kind is choice.kind
            assert machine.data_path.lifetimes == wish().session.lifetimes
            assert machine.status.data_path == str(choice.kind)
            assert machine.status.data_path_reason == choice.reason

    run(body)


OFFLOAD = Choice(DataPathKind.XFRM_OFFLOAD, "the profile asks for it")


def test_what_a_device_does_is_told_with_the_reason_why_it_is_no_more() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        async with driven(machine) as driver:
            await come_up(machine, driver, OFFLOAD)
            assert machine.data_path.guarded, "the profile has a guard"
            machine.data_path.queue.put_nowait(WorkTaken("sent: some of it (the rest: no)", whole=False))
            told = "the profile asks for it; sent: some of it (the rest: no)"
            await machine.until(lambda: machine.status.data_path_reason == told, 5)
            assert machine.status.data_path == "xfrm-offload"
            await driver.want(wish(serial=2, data_path=KERNEL), renew=True)
            await machine.until(lambda: machine.status.data_path_reason == KERNEL.reason, 5)

    run(body)


def test_whole_packets_are_not_left_in_a_device_where_a_guard_comes_to_stand() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        async with driven(machine) as driver:
            await driver.want(wish(config=replace(CONFIG, guard=False), data_path=OFFLOAD))
            await machine.until_state("up", 5)
            first = machine.data_path
            assert not first.guarded
            first.queue.put_nowait(WorkTaken("sent: whole packets", whole=True))
            await machine.until(lambda: "whole packets" in machine.status.data_path_reason, 5)
            assert not first.is_closed
            machine.applier.take(replace(machine.applier.stance, lockdown=Lockdown()))
            first.sends()  # the driver looks when it has something to do
            await machine.until(lambda: first.is_closed, 5)
            await machine.until(lambda: machine.data_path is not first, 30)
            await machine.until_state("up", 60)
            assert machine.data_path.guarded

    run(body)


def test_a_profile_that_now_asks_for_the_other_data_path_gets_it() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        async with driven(machine) as driver:
            await come_up(machine, driver, USERSPACE)
            await driver.want(wish(serial=2, data_path=KERNEL), renew=True)
            await machine.until(lambda: len(machine.data_paths) == 2, 5)
            await machine.until_state("up", 5)
            first, second = machine.data_paths
            assert first.is_closed
            assert second.kind is DataPathKind.XFRM
            assert second.children
            assert not second.is_closed

    run(body)


@pytest.mark.parametrize(
    ("behind_nat", "bound"),
    [
        (
            WIFI,
            [True, True, False],
        ),  # bound for the move as before it, and again when the gateway has answered
        (LTE, [False, False, True]),
        (None, [False, False]),
    ],
)
def test_encapsulation_follows_what_the_gateway_sees_of_nats_after_a_move(
    behind_nat: str | None, bound: list[bool]
) -> None:
    async def body() -> None:
        machine = Machine(Internet())
        if behind_nat is not None:
            machine.internet.public[ip_address(behind_nat)] = PUBLIC
        async with driven(machine) as driver:
            await come_up(machine, driver, KERNEL)
            machine.plug(driver, LTE)
            await machine.until_state("moving", 1)
            await machine.until_state("up", 2)
            assert machine.data_path.encapsulated == bound
            assert str(machine.data_path.path and machine.data_path.path.local) == LTE
            assert machine.status.path is not None
            assert machine.status.path.encapsulated is bound[-1]

    run(body)
