"""What a status has no room for: SAs, selectors, the gateway's certificates, the moves so far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from client.control.messages import ControlError, Named
from client.daemon.details import shown
from client.ike.events import Selector
from client.tunnel.model import NetworkChange
from tests.daemon.test_handlers import ALICE, BOB, UP, Office, play
from tests.daemon.world import LTE, WIFI, network


async def see(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):  # of the virtual clock
        while not condition():  # noqa: ASYNC110 - a status is no event
            await asyncio.sleep(0.1)


def test_a_tunnel_that_stands_has_sas_and_selectors(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        (entry,) = office.tunnels
        await see(lambda: entry.status.state == "up")
        found = await office.handlers.details(ALICE, Named("office"))
        assert [len(spi) for spi in found.ike_spis] == [16, 16]
        assert found.ike_suite == entry.status.ike_suite != ""
        (child,) = found.children
        assert child.spi_in != child.spi_out
        assert child.remote
        assert found.certificates == ()  # a pre-shared key proves this gateway
        assert found.handovers == ()
        assert entry.status.rtt_ms is not None
        assert entry.status.rtt_ms > 0

    play(tmp_path, scene)


def test_each_move_is_a_record(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        (entry,) = office.tunnels
        await see(lambda: entry.status.state == "up")
        before, after = network(WIFI, LTE), network(LTE)
        office.machine.network = after
        office.tunnels.network_changed(NetworkChange(before, after))
        await see(lambda: entry.status.handover is not None and entry.status.state == "up")
        (move,) = (await office.handlers.details(ALICE, Named("office"))).handovers
        assert (move.old, move.new) == (f"wifi0 {WIFI}", f"lte0 {LTE}")
        assert move.confirmed_ms is not None
        assert move.confirmed_ms > 0

    play(tmp_path, scene)


def test_a_probe_is_answered_and_measured(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        (entry,) = office.tunnels
        await see(lambda: entry.status.state == "up")
        sent = len(office.machine.internet.sent)
        await office.handlers.probe(ALICE, Named("office"))
        await asyncio.sleep(1)
        assert len(office.machine.internet.sent) == sent + 1
        assert not entry.status.probing

    play(tmp_path, scene)


def test_details_are_for_those_who_control_the_tunnel(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        for method in (office.handlers.details, office.handlers.probe):
            with pytest.raises(ControlError) as refused:
                await method(BOB, Named("office"))
            assert refused.value.kind == "permission.denied"

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (Selector(ip_address("10.0.0.0"), ip_address("10.0.0.255")), "10.0.0.0-10.0.0.255"),
        (Selector(ip_address("10.0.0.1"), ip_address("10.0.0.1"), 6, 443, 443), "10.0.0.1 tcp 443"),
        (Selector(ip_address("::"), ip_address("::ff"), 17, 1, 1024), "::-::ff udp 1-1024"),
        (Selector(ip_address("10.0.0.1"), ip_address("10.0.0.1"), 132), "10.0.0.1 protocol 132"),
        (Selector(ip_address("10.0.0.1"), ip_address("10.0.0.1"), 1, 65535, 0), "10.0.0.1 icmp opaque"),
    ],
)
def test_selectors_are_told_in_words(selector: Selector, words: str) -> None:
    assert shown(selector) == words
