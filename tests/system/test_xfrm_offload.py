"""What devices are asked to do, what less when they refuse, and that nothing stands half in one."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from client.ike.events import Endpoint
from client.system.choice import why_filtered
from client.system.xfrm import XfrmRefused
from client.system.xfrm_model import Device, Direction, Limits, Offload
from client.system.xfrm_offload import (
    FILTERED,
    GUARDED,
    IN_UDP,
    IN_USE,
    NOTHING_TAKEN,
    PAST_THE_LINK,
    Taken,
    Work,
    is_whole,
    left,
    told,
    wish,
)
from client.system.xfrm_plan import SOFT_SEQUENCE, Outer
from client.system.xfrm_tunnel import IF_IDS, XfrmTunnel, sweep
from tests.esp.children import child_pair

from .faketables import FakeDevice, FakeTables

WHOLE, CRYPTO = Offload.PACKET, Offload.CRYPTO
OUTER = Outer(
    Endpoint(IPv4Address("192.0.2.1"), 61440),
    Endpoint(IPv4Address("192.0.2.9"), 4500),
    encapsulate=False,
    device=3,
)
THERE = replace(OUTER, local=Endpoint(IPv4Address("198.51.100.1"), 61441), device=4)
FIRST = child_pair(spis=(0xA1, 0xA2))[0]
SECOND = child_pair(seed="second", spis=(0xB1, 0xB2))[0]
REFUSALS = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSPC, errno.EBUSY, errno.ENODEV, errno.ENXIO)
NO_ANSWERS_OF_DEVICES = (
    errno.EEXIST,
    errno.ESRCH,
    errno.ENOMEM,
    errno.ENOBUFS,
    errno.EPERM,
    errno.EPROTONOSUPPORT,
)


# The decision

WISHES: tuple[tuple[str, dict[str, Any], tuple[Work, ...], tuple[str, ...]], ...] = (
    ("sent, fresh, no guard", {}, (WHOLE, CRYPTO, None), ()),
    ("sent, in UDP", {"encapsulated": True}, (WHOLE, None), (f"cryptography: {IN_UDP}",)),
    ("sent, guarded", {"no_whole": GUARDED}, (CRYPTO, None), (f"whole packets: {GUARDED}",)),
    ("sent, used before", {"used": True}, (CRYPTO, None), (f"whole packets: {IN_USE}",)),
    ("received", {"inbound": True}, (CRYPTO, None), (f"whole packets: {PAST_THE_LINK}",)),
    (
        "received, in UDP, guarded",
        {"inbound": True, "encapsulated": True, "no_whole": GUARDED},
        (None,),
        (f"whole packets: {PAST_THE_LINK}", f"cryptography: {IN_UDP}"),
    ),
)


@pytest.mark.parametrize(
    ("facts", "works", "whys"), [row[1:] for row in WISHES], ids=[row[0] for row in WISHES]
)
def test_what_a_device_is_asked_for(
    facts: dict[str, Any], works: tuple[Work, ...], whys: tuple[str, ...]
) -> None:
    nothing: dict[str, Any] = {"inbound": False, "encapsulated": False, "no_whole": "", "used": False}
    asked = wish(**nothing | facts)
    assert (asked.works, asked.whys) == (works, whys)


@pytest.mark.parametrize(
    ("works", "number", "rest"),
    [
        *(((WHOLE, CRYPTO, None), number, (CRYPTO, None)) for number in REFUSALS),
        *(((CRYPTO, None), number, (None,)) for number in REFUSALS),
        *(((WHOLE, None), number, (None,)) for number in REFUSALS),
        *(((None,), number, ()) for number in REFUSALS),  # that has nothing to do with a device
        *(((WHOLE, CRYPTO, None), number, ()) for number in NO_ANSWERS_OF_DEVICES),
    ],
)
def test_what_is_tried_after_a_refusal(works: tuple[Work, ...], number: int, rest: tuple[Work, ...]) -> None:
    assert left(works, number) == rest


# In the tables


def opened(tables: FakeTables, outer: Outer = OUTER, why: str = "") -> XfrmTunnel:
    tunnel = XfrmTunnel(tables, IF_IDS[0], Limits(), no_whole=why)
    tunnel.bind(outer)
    return tunnel


def works(tables: FakeTables) -> dict[int, Work]:
    """What a device does of each SA, by SPI."""
    return {spi: sa.device.work if sa.device else None for (_, spi), sa in tables.kernel.items()}


def halves(tables: FakeTables) -> Iterator[str]:
    """Outbound policies that the kernel would look for the SA of in another place than where it is."""
    sas = {spi: sa for (_, spi), sa in tables.kernel.items()}
    for policy in tables.rules.values():
        if policy.direction is not Direction.OUT or policy.template is None:
            continue
        sa = sas.get(policy.template.spi)
        place = sa.device if sa is not None and is_whole(sa.device) else None
        if policy.device != place:
            yield f"{policy.device} asks for an SA in {place}"


LADDER: tuple[tuple[FakeDevice, Work, Work, str], ...] = (
    (
        FakeDevice(),
        WHOLE,
        CRYPTO,
        (
            "sent: whole packets by the network device; "
            f"received: cryptography by the network device (whole packets: {PAST_THE_LINK})"
        ),
    ),
    (
        FakeDevice(whole=errno.EINVAL),
        CRYPTO,
        CRYPTO,
        (
            "sent: cryptography by the network device (whole packets: no packet); "
            f"received: cryptography by the network device (whole packets: {PAST_THE_LINK})"
        ),
    ),
    (
        FakeDevice(policies=errno.EOPNOTSUPP, inbound=errno.EINVAL),
        CRYPTO,
        None,
        (
            "sent: cryptography by the network device (whole packets: no policies); received: all by the kernel "
            f"(whole packets: {PAST_THE_LINK}; cryptography: XFRM if_id is not supported in RX path)"
        ),
    ),
    (
        FakeDevice(inbound=errno.EINVAL),
        WHOLE,
        None,
        (
            "sent: whole packets by the network device; received: all by the kernel "
            f"(whole packets: {PAST_THE_LINK}; cryptography: XFRM if_id is not supported in RX path)"
        ),
    ),
    (
        FakeDevice(whole=errno.EINVAL, crypto=errno.ENOSPC),
        None,
        None,
        (
            "sent: all by the kernel (whole packets: no packet; cryptography: no crypto); "
            f"received: all by the kernel (whole packets: {PAST_THE_LINK}; cryptography: no crypto)"
        ),
    ),
    (
        FakeDevice(is_idle=True),
        None,
        None,
        (
            f"sent: all by the kernel (whole packets: {NOTHING_TAKEN}); received: all by the kernel "
            f"(whole packets: {PAST_THE_LINK}; cryptography: {NOTHING_TAKEN})"
        ),
    ),
)


@pytest.mark.parametrize(("device", "sent", "received", "words"), LADDER)
def test_each_sa_goes_down_the_ladder_by_itself_and_its_policies_with_it(
    device: FakeDevice, sent: Work, received: Work, words: str
) -> None:
    tables = FakeTables(device=device)
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    assert works(tables) == {FIRST.spi_in: received, FIRST.spi_out: sent}
    assert not list(halves(tables))
    assert {if_id for if_id, _, _ in tables.rules} == {IF_IDS[0]}, "nothing stays of the trial"
    assert {policy.device for policy in tables.rules.values() if policy.direction is not Direction.OUT} == {
        None
    }
    assert tunnel.taken is not None
    assert told(*tunnel.taken) == words
    assert tunnel.deviations() == ()


def test_policies_are_tried_under_another_number_before_a_packet_can_meet_one() -> None:
    """So that an SA which is made anew, in the kernel, was never used in the device."""
    tables = FakeTables(device=FakeDevice(policies=errno.EINVAL))
    opened(tables).install(FIRST, outbound=True)
    assert tables.log[:4] == ["add a1", "add a2", "delete a2", "add a2"]
    tables = FakeTables()
    opened(tables).install(FIRST, outbound=True)
    assert tables.log[:6] == [
        "add a1",
        "add a2",
        "OUT asks for a2",
        "OUT asks for a2",
        "OUT goes",
        "OUT goes",
    ]


@pytest.mark.parametrize("why", ["", GUARDED, FILTERED])
def test_whole_packets_are_handed_over_only_where_nothing_speaks_against_it(why: str) -> None:
    tables = FakeTables()
    tunnel = opened(tables, why=why)
    tunnel.install(FIRST, outbound=True)
    assert works(tables)[FIRST.spi_out] is (CRYPTO if why else WHOLE)
    assert tunnel.taken is not None
    assert tunnel.taken[0].whys == ((f"whole packets: {why}",) if why else ())


@pytest.mark.parametrize(
    ("kernel", "why"),
    [
        (FakeDevice(inbound=errno.EINVAL), ""),
        (FakeDevice(is_idle=True), FILTERED),
        (FakeDevice(inbound=errno.EPROTONOSUPPORT), FILTERED),
    ],
    ids=["6.16 and later", "before", "without ESP"],
)
def test_whether_a_kernel_sends_whole_packets_is_known_by_what_came_with_that(
    kernel: FakeDevice, why: str
) -> None:
    tables = FakeTables(device=kernel)
    assert why_filtered(tables) == why
    assert (tables.kernel, tables.rules) == ({}, {})


def test_without_a_device_nobody_is_asked_and_nothing_is_told() -> None:
    tables = FakeTables()
    tunnel = opened(tables, replace(OUTER, device=0))
    tunnel.install(FIRST, outbound=True)
    assert works(tables) == {FIRST.spi_in: None, FIRST.spi_out: None}
    assert tunnel.taken is None


def test_a_rekey_changes_over_in_the_device_and_the_status_follows() -> None:
    tables = FakeTables()
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    tables.device.whole = errno.ENOSPC  # full
    tunnel.install(SECOND, outbound=False)
    assert tunnel.taken is not None
    assert tunnel.taken[0] == Taken(WHOLE)
    tunnel.use_outbound(SECOND.spi_in)
    assert not list(halves(tables))
    assert tunnel.taken[0] == Taken(CRYPTO, ("whole packets: no packet",))
    tunnel.remove(FIRST.spi_in)
    assert works(tables) == {SECOND.spi_in: CRYPTO, SECOND.spi_out: CRYPTO}


def test_a_move_gives_up_the_sa_whose_numbers_only_the_device_knows() -> None:
    """Nobody could go on counting where it stopped: the Child SA is rekeyed."""
    tables = FakeTables()
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    tables.use(FIRST.spi_in, 5)
    assert tunnel.bind(THERE) == (FIRST.spi_in,)
    assert works(tables) == {FIRST.spi_in: CRYPTO}
    assert tables.kernel[THERE.local.address, FIRST.spi_in].replay.received == 5
    assert {policy.device for policy in tables.rules.values()} == {None}
    tunnel.install(SECOND, outbound=True)
    assert works(tables)[SECOND.spi_out] is WHOLE
    tunnel.remove(FIRST.spi_in)
    assert not list(halves(tables))
    assert {policy.device for policy in tables.rules.values()} == {None, Device(4, inbound=False, work=WHOLE)}


def test_the_way_out_is_closed_in_software_during_a_move() -> None:
    tables = FakeTables()
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    tables.refused = len(tables.log) + 3
    with pytest.raises(XfrmRefused):
        tunnel.bind(THERE)
    outbound = [policy for policy in tables.rules.values() if policy.direction is Direction.OUT]
    assert {(policy.template, policy.device) for policy in outbound} == {(None, None)}


def test_what_a_device_has_sent_is_counted_by_the_device() -> None:
    tables = FakeTables()
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    tables.use(FIRST.spi_out, SOFT_SEQUENCE)
    key = next(key for key in tables.kernel if key[1] == FIRST.spi_out)
    tables.kernel[key] = replace(tables.kernel[key], replay=replace(tables.kernel[key].replay, sent=0))
    (reading,) = tunnel.read()
    assert reading.sent == SOFT_SEQUENCE
    assert reading.spent


def test_a_policy_in_the_device_that_is_taken_out_of_it_is_found_and_put_back() -> None:
    tables = FakeTables()
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    key = next(key for key in tables.rules if key[1] is Direction.OUT)
    tables.rules[key] = replace(tables.rules[key], device=None)
    assert len(list(halves(tables))) == 1
    assert len(tunnel.mend()) == 1
    assert not list(halves(tables))


def _steps(work: Callable[[XfrmTunnel], object], device: FakeDevice) -> int:
    tables = FakeTables(device=device)
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    before = len(tables.log)
    work(tunnel)
    return len(tables.log) - before


def install_second(tunnel: XfrmTunnel) -> None:
    tunnel.install(SECOND, outbound=True)


DEVICES = (FakeDevice(), FakeDevice(policies=errno.EINVAL), FakeDevice(inbound=errno.EINVAL))
STEPS = [(device, step) for device in DEVICES for step in range(1, _steps(install_second, device) + 1)]


@pytest.mark.parametrize("number", [errno.EEXIST, errno.ENOMEM, errno.EPERM])
@pytest.mark.parametrize(("device", "step"), STEPS)
def test_an_install_in_a_device_that_is_refused_at_any_step_is_undone(
    device: FakeDevice, step: int, number: int
) -> None:
    tables = FakeTables(device=device, number=number)
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    before = dict(tables.kernel), dict(tables.rules)
    tables.refused = len(tables.log) + step
    with pytest.raises(OSError, match="refused"):
        install_second(tunnel)
    assert (tables.kernel, tables.rules) == before
    assert not list(halves(tables))
    tables.refused = 0
    tunnel.close()
    assert (tables.kernel, tables.rules) == ({}, {})


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
@pytest.mark.parametrize(("device", "step"), STEPS)
def test_a_device_that_refuses_at_any_step_leaves_nothing_half_in_it(
    device: FakeDevice, step: int, number: int
) -> None:
    """Either it stands with less, or it is undone."""
    tables = FakeTables(device=device, number=number)
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    before = dict(tables.kernel), dict(tables.rules)
    tables.refused = len(tables.log) + step
    try:
        install_second(tunnel)
    except XfrmRefused:
        assert (tables.kernel, tables.rules) == before
    else:
        assert works(tables).keys() == {0xA1, 0xA2, 0xB1, 0xB2}
    assert not list(halves(tables))


@pytest.mark.parametrize(("device", "step"), STEPS)
def test_what_a_device_took_although_the_answer_was_lost_is_gone_at_the_end(
    device: FakeDevice, step: int
) -> None:
    tables = FakeTables(device=device, done=True)
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    tables.refused = len(tables.log) + step
    with pytest.raises(OSError, match="refused"):
        install_second(tunnel)
    tables.refused = 0
    tunnel.close()
    assert (tables.kernel, tables.rules) == ({}, {})


@pytest.mark.parametrize("step", range(1, _steps(lambda tunnel: tunnel.bind(THERE), FakeDevice()) + 1))
def test_a_move_out_of_a_device_that_fails_at_any_step_leaves_nothing_half_in_it(step: int) -> None:
    tables = FakeTables()
    tunnel = opened(tables)
    tunnel.install(FIRST, outbound=True)
    tables.refused = len(tables.log) + step
    with pytest.raises(XfrmRefused):
        tunnel.bind(THERE)
    spis = {spi for _, spi in tables.kernel}
    asked = {
        policy.template.spi for policy in tables.rules.values() if policy.template and policy.template.spi
    }
    if asked <= spis:
        assert not list(halves(tables))
    tables.refused = 0
    tunnel.close()
    assert (tables.kernel, tables.rules) == ({}, {})


def test_a_killed_daemons_trial_is_swept_with_the_rest() -> None:
    tables = FakeTables()
    tunnel = opened(tables)
    tables.refused, tables.done = 4, True
    with pytest.raises(XfrmRefused):
        tunnel.install(FIRST, outbound=True)
    assert sweep(tables)
    assert (tables.kernel, tables.rules) == ({}, {})
