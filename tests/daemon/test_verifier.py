"""What `tunnel.verify` says of a machine and a tunnel, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from client.control.messages import ControlError, TunnelStatus
from client.control.verification import Deviation, Proof, Verified, Verify
from client.daemon.verifier import hosts_of, verdict
from client.net.inside import Host, Reply, first_router
from client.system import drift
from client.system.plan import PutRule
from client.tunnel.model import RuleEntry
from tests.daemon.test_handlers import ALICE, BOB, UP, Office, play
from tests.daemon.virtual_loop import now

SERVER = ip_address("10.77.0.53")
RULE = PutRule(RuleEntry(4, 7301, 29440))


def answering(office: Office) -> Callable[[Sequence[Host]], Awaitable[Reply | None]]:
    """A name server inside: its packets pass the data path."""

    async def answer(_hosts: Sequence[Host]) -> Reply | None:
        office.machine.data_path.packets = (2, 3)
        return Reply(SERVER, "answers a question")

    return answer


async def verified(office: Office, request: Verify | None = None) -> Verified:
    result = await office.handlers.actions["tunnel.verify"](ALICE, request or Verify())
    assert isinstance(result, Verified)
    return result


async def up(office: Office) -> None:
    await office.handlers.up(ALICE, UP)
    await office.machine.until_state("up", 5)


def test_an_answer_from_inside_proves_both_ways_at_once(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await up(office)
        office.inside = answering(office)
        began = now()
        found = await verified(office)
        assert (found.name, found.verdict, found.deviations) == ("office", "", ())
        assert (found.proof.sent, found.proof.received) == (1, 1)
        assert (found.proof.answered, found.proof.how) == (str(SERVER), "answers a question")
        assert found.proof.asked[0] == str(SERVER)
        assert found.proof.ike, "the gateway was asked too"
        assert now() - began < 0.5

    play(tmp_path, scene)


def test_without_any_answer_it_says_so_when_the_time_is_over(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await up(office)
        await asyncio.sleep(1)  # no answer is on its way
        office.machine.internet.is_gateway_up = False
        began = now()
        found = await verified(office, Verify(seconds=2.0))
        assert found.verdict == "verify.unproven"
        assert (found.proof.sent, found.proof.received, found.proof.answered) == (0, 0, "")
        assert not found.proof.ike
        assert 2.0 <= now() - began < 2.5

    play(tmp_path, scene)


def test_packets_that_only_go_out_prove_nothing(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await up(office)

        async def swallow(_hosts: Sequence[Host]) -> None:
            office.machine.data_path.packets = (1, 9)

        office.inside = swallow
        found = await verified(office)
        assert (found.verdict, found.proof.sent, found.proof.received) == ("verify.unproven", 7, 0)

    play(tmp_path, scene)


def test_deviations_are_told_object_by_object_and_outweigh_traffic(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await up(office)
        office.inside = answering(office)
        office.machine.system.drift = (RULE,)
        office.machine.resolver.is_held = False
        (spi,) = office.machine.data_path.children
        del office.machine.data_path.children[spi]  # somebody has flushed the kernel's SAs
        policy = drift.Deviation("IPsec policy out 10.99.0.10/32 → 0.0.0.0/0", "present", "missing")
        office.machine.data_path.changed = (policy,)
        found = await verified(office)
        assert found.verdict == "verify.deviation"
        assert found.deviations == (
            Deviation("rule add IPv4 7301: lookup 29440", "present", "missing"),
            Deviation("name resolution", "as the tunnels want it", "changed by another program"),
            Deviation(f"ESP SA {spi:08x}", "present", "missing"),
            Deviation(policy.what, policy.wanted, policy.actual),
        )

    play(tmp_path, scene)


def test_what_is_not_connected_cannot_be_verified(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        with pytest.raises(ControlError) as caught:
            await verified(office)
        assert caught.value.kind == "tunnel.not_connected"
        with pytest.raises(ControlError) as caught:
            await office.handlers.actions["tunnel.verify"](BOB, Verify("office"))
        assert caught.value.kind == "permission.denied"

    play(tmp_path, scene)


STATUS = TunnelStatus(
    "office",
    "up",
    addresses=("10.99.0.10/32", "fd99::a/128"),
    dns=("10.77.0.53",),
    routes=("10.77.0.0/24", "fd77::/64", "10.77.0.53/32", "10.99.0.10/32", "0.0.0.0/0"),
)


def test_name_servers_are_asked_first_and_then_the_first_host_of_each_network() -> None:
    assert list(hosts_of(STATUS, "")) == [
        Host(SERVER, 53),
        Host(ip_address("10.77.0.1")),
        Host(ip_address("fd77::1")),
        first_router(4),
    ]


def test_a_tunnel_for_everything_has_somebody_to_ask_though_nobody_inside_is_known() -> None:
    alone = STATUS.replace(dns=(), routes=("0.0.0.0/0", "::/0"))
    assert list(hosts_of(alone, "")) == [first_router(4), first_router(6)]
    assert [str(host) for host in hosts_of(alone, "")] == [
        "the first router (IPv4)",
        "the first router (IPv6)",
    ]


def test_a_user_may_name_whom_to_ask_if_the_tunnel_leads_there() -> None:
    assert list(hosts_of(STATUS, "10.77.0.99")) == [Host(ip_address("10.77.0.99"))]
    inside = STATUS.replace(routes=("10.77.0.0/24",))
    for target, reason in (("192.0.2.99", "is not reached through office"), ("server", "is no IP address")):
        with pytest.raises(ControlError, match=reason) as caught:
            list(hosts_of(inside, target))
        assert caught.value.kind == "usage"


@pytest.mark.parametrize(
    ("sent", "received", "deviates", "kind"),
    [
        (1, 1, False, ""),
        (1, 0, False, "verify.unproven"),
        (0, 1, False, "verify.unproven"),
        (0, 0, False, "verify.unproven"),
        (1, 1, True, "verify.deviation"),
        (0, 0, True, "verify.deviation"),
    ],
)
def test_the_verdict_is(sent: int, received: int, deviates: bool, kind: str) -> None:
    deviations = [Deviation("x", "present", "missing")] if deviates else []
    assert verdict(Proof(1.0, sent=sent, received=received), deviations) == kind


@pytest.mark.parametrize(("seconds", "fits"), [(0.0, False), (-1.0, False), (30.0, True), (30.1, False)])
def test_nobody_waits_for_ever(seconds: float, fits: bool) -> None:
    assert (Verify(seconds=seconds).objection() == "") is fits
