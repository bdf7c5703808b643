"""Child SAs in the kernel's tables: order, moves, refusals at every step."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from client.ike.events import Endpoint
from client.system.xfrm_model import Direction, Flow, Limits, Policy
from client.system.xfrm_plan import Outer, pair_of
from client.system.xfrm_tunnel import IF_IDS, XfrmTunnel, sweep
from tests.esp.children import child_pair

from .faketables import FakeDevice, FakeTables

IF_ID = IF_IDS[0]
HERE = Outer(
    Endpoint(IPv4Address("192.0.2.1"), 61440), Endpoint(IPv4Address("192.0.2.9"), 4500), encapsulate=True
)
THERE = replace(HERE, local=Endpoint(IPv4Address("198.51.100.1"), 61441))
FIRST = child_pair(spis=(0xA1, 0xA2))[0]
SECOND = child_pair(seed="second", spis=(0xB1, 0xB2))[0]


def _steps(work: Callable[[XfrmTunnel], object]) -> int:
    tables = FakeTables()
    tunnel = with_first(tables, migrates=False)
    before = len(tables.log)
    work(tunnel)
    return len(tables.log) - before


def opened(tables: FakeTables, *, migrates: bool = True) -> XfrmTunnel:
    tunnel = XfrmTunnel(tables, IF_ID, Limits(), migrates=migrates)
    tunnel.bind(HERE)
    return tunnel


def with_first(tables: FakeTables, *, migrates: bool = True) -> XfrmTunnel:
    tunnel = opened(tables, migrates=migrates)
    tunnel.install(FIRST, outbound=True)
    tables.use(FIRST.spi_in, 5)
    tables.use(FIRST.spi_out, 6)
    return tunnel


def senders(tables: FakeTables) -> set[int | None]:
    """SPIs on which the outbound policies send; None: nothing may go out."""
    return {
        None if policy.template is None else policy.template.spi
        for policy in tables.rules.values()
        if policy.direction is Direction.OUT
    }


def test_inbound_stands_before_outbound_and_sas_before_their_policies() -> None:
    tables = FakeTables()
    with_first(tables)
    assert tables.log[:2] == ["add a1", "add a2"]
    assert tables.log[2:] == ["IN asks for 0"] * 2 + ["FORWARD asks for 0"] * 2 + ["OUT asks for a2"] * 2


def test_a_rekey_changes_over_when_told_and_then_lets_the_old_one_go() -> None:
    tables = FakeTables()
    tunnel = with_first(tables)
    tunnel.install(SECOND, outbound=False)
    assert senders(tables) == {0xA2}
    tunnel.use_outbound(SECOND.spi_in)
    assert senders(tables) == {0xB2}
    tunnel.remove(FIRST.spi_in)
    assert {spi for _, spi in tables.kernel} == {0xB1, 0xB2}
    assert senders(tables) == {0xB2}


def test_when_the_last_one_goes_its_policies_go_before_it() -> None:
    tables = FakeTables()
    tunnel = with_first(tables)
    tables.log.clear()
    tunnel.remove(FIRST.spi_in)
    assert tables.log[-2:] == ["delete a2", "delete a1"]
    assert (tables.kernel, tables.rules) == ({}, {})
    tunnel.remove(FIRST.spi_in)


def test_keys_are_never_installed_twice() -> None:
    tables = FakeTables()
    tunnel = with_first(tables)
    tunnel.remove(FIRST.spi_in)
    with pytest.raises(OSError, match="in use before"):
        tunnel.install(replace(FIRST, spi_in=1, spi_out=2), outbound=True)


def test_nothing_is_installed_without_a_path_and_nothing_unknown_is_used() -> None:
    tables = FakeTables()
    tunnel = XfrmTunnel(tables, IF_ID, Limits())
    with pytest.raises(OSError, match="no path"):
        tunnel.install(FIRST, outbound=True)
    with pytest.raises(OSError, match="unknown"):
        tunnel.use_outbound(1)
    assert tables.log == []


# Moves

MOVE_STEPS = _steps(lambda tunnel: tunnel.bind(THERE))


@pytest.mark.parametrize("migrates", [True, False])
def test_a_move_closes_first_carries_everything_and_opens_last(migrates: bool) -> None:
    tables = FakeTables(migrates=migrates)
    tunnel = with_first(tables)
    before = {spi: (sa.replay, sa.usage) for (_, spi), sa in tables.kernel.items()}
    tables.log.clear()
    assert tunnel.bind(THERE) == ()
    assert tables.log[:2] == ["OUT blocks"] * 2
    assert tables.log[-2:] == ["OUT asks for a2"] * 2
    assert {spi: (sa.replay, sa.usage) for (_, spi), sa in tables.kernel.items()} == before
    assert set(tables.kernel) == {(THERE.local.address, 0xA1), (THERE.remote.address, 0xA2)}
    assert tunnel.migrates is migrates


def test_the_kernel_is_not_asked_again_to_migrate_where_it_cannot() -> None:
    tables = FakeTables(migrates=False)
    tunnel = with_first(tables)
    tunnel.bind(THERE)
    assert not tunnel.migrates


def test_where_encapsulation_ends_or_the_family_changes_sas_are_carried_by_hand() -> None:
    tables = FakeTables()
    tunnel = with_first(tables)
    tunnel.bind(replace(THERE, encapsulate=False))
    assert not [entry for entry in tables.log if entry.startswith("migrate")]
    assert tables.kernel[THERE.local.address, 0xA1].replay.received == 5
    assert tunnel.migrates


def test_another_port_of_the_same_addresses_is_an_update() -> None:
    tables = FakeTables()
    tunnel = with_first(tables)
    tables.log.clear()
    tunnel.bind(replace(HERE, local=Endpoint(HERE.local.address, 61442)))
    assert tables.log[2:4] == ["update a1", "update a2"]


def test_the_same_path_again_is_no_move() -> None:
    tables = FakeTables()
    tunnel = with_first(tables)
    tables.log.clear()
    tunnel.bind(HERE)
    assert tables.log == []


@pytest.mark.parametrize("offloads", [True, False])
def test_a_device_takes_over_what_it_can_and_is_left_by_hand(offloads: bool) -> None:
    tables = FakeTables(device=FakeDevice(crypto=0 if offloads else errno.EINVAL))
    tunnel = XfrmTunnel(tables, IF_ID, Limits(), no_whole="a guard stands")
    tunnel.bind(replace(HERE, encapsulate=False, device=3))
    tunnel.install(FIRST, outbound=True)
    assert {sa.device is not None for sa in tables.kernel.values()} == {offloads}
    tunnel.bind(replace(THERE, encapsulate=False, device=4))
    assert {sa.device.index if sa.device else 0 for sa in tables.kernel.values()} == {4 if offloads else 0}
    assert not [entry for entry in tables.log if entry.startswith("migrate")]


def test_an_sa_whose_numbers_nobody_tells_is_given_up_and_not_started_anew() -> None:
    tables = FakeTables(tells_last_state=False)
    tunnel = with_first(tables, migrates=False)
    assert tunnel.bind(THERE) == (FIRST.spi_in,)
    assert tables.kernel == {}
    tunnel.install(SECOND, outbound=True)
    tunnel.remove(FIRST.spi_in)
    assert senders(tables) == {0xB2}


def test_an_sa_that_another_program_has_removed_is_given_up_too() -> None:
    tables = FakeTables()
    tunnel = with_first(tables, migrates=False)
    tables.kernel.clear()
    assert tunnel.bind(THERE) == (FIRST.spi_in,)


def test_a_migration_that_the_kernel_refuses_is_done_by_hand() -> None:
    tables = FakeTables(number=errno.ENODATA)
    tunnel = with_first(tables)
    tables.refused = len(tables.log) + 3
    assert tunnel.bind(THERE) == ()
    assert tables.log[-7:-4] == ["migrate a1", "delete a1", "add a1"]
    assert tunnel.migrates


def test_a_move_that_fails_leaves_the_way_out_closed() -> None:
    for step in range(3, MOVE_STEPS):  # before, it is not closed yet; after, it is half open again
        tables = FakeTables(migrates=False)
        tunnel = with_first(tables)
        tables.refused = len(tables.log) + step
        with pytest.raises(OSError, match="refused"):
            tunnel.bind(THERE)
        assert senders(tables) == {None}, step
        tables.refused = 0
        tunnel.close()
        assert (tables.kernel, tables.rules) == ({}, {}), step


# Refusals


ERRORS = (errno.EEXIST, errno.ESRCH, errno.ENOMEM, errno.ENOBUFS, errno.EPERM)
INSTALL_STEPS = _steps(lambda tunnel: tunnel.install(SECOND, outbound=True))


@pytest.mark.parametrize("number", ERRORS)
@pytest.mark.parametrize("step", range(1, INSTALL_STEPS + 1))
def test_an_install_that_is_refused_at_any_step_is_undone(step: int, number: int) -> None:
    tables = FakeTables(number=number)
    tunnel = with_first(tables)
    before = dict(tables.kernel), dict(tables.rules)
    tables.refused = len(tables.log) + step
    with pytest.raises(OSError, match="refused"):
        tunnel.install(SECOND, outbound=True)
    assert (tables.kernel, tables.rules) == before
    tables.refused = 0
    tunnel.close()
    assert (tables.kernel, tables.rules) == ({}, {})


@pytest.mark.parametrize("step", range(1, INSTALL_STEPS + 1))
def test_what_was_carried_out_although_the_answer_was_lost_is_gone_at_the_end(step: int) -> None:
    tables = FakeTables(done=True)
    tunnel = with_first(tables)
    tables.refused = len(tables.log) + step
    with pytest.raises(OSError, match="refused"):
        tunnel.install(SECOND, outbound=True)
    tables.refused = 0
    tunnel.close()
    assert (tables.kernel, tables.rules) == ({}, {})


def test_what_others_have_made_is_never_touched() -> None:
    tables = FakeTables()
    theirs = pair_of(child_pair(seed="theirs", spis=(0xC1, 0xC2))[0], 1, 42, HERE, Limits())
    flow = Flow(IPv4Network("10.0.0.0/8"), IPv4Network("10.0.0.0/8"))
    tables.add_sa(theirs.inbound)
    tables.put_policy(Policy(flow, Direction.OUT, 0, 5, None))
    before = dict(tables.kernel), dict(tables.rules)
    tunnel = with_first(tables)
    with pytest.raises(OSError, match="exists"):
        tunnel.install(replace(SECOND, spi_in=0xC1), outbound=True)
    tunnel.close()
    assert sweep(tables) == ()
    assert (tables.kernel, tables.rules) == before


def test_a_sweep_takes_everything_with_a_number_of_ours_outbound_policies_first() -> None:
    tables = FakeTables()
    with_first(tables)
    tables.log.clear()
    swept = sweep(tables)
    assert len(swept) == 8
    assert tables.log[:2] == ["OUT goes"] * 2
    assert tables.log[-2:] == ["delete a1", "delete a2"]
    assert (tables.kernel, tables.rules) == ({}, {})
