"""What a tunnel's attempts leave behind: recorded by the driver, bounded, and without secrets."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from client.control.evidence import MOST_ATTEMPTS, CheckRecord, Evidence
from client.control.messages import Fault
from client.control.wire import plain
from client.daemon.driver import Driver
from client.daemon.notes import LARGEST_FILE, MOST_KEPT, Book, Notes
from client.explain.explain import explain
from client.explain.quirks import quirks
from client.net.icmp import IcmpReport
from client.tunnel.model import Underlay
from tests.daemon.virtual_loop import now, run
from tests.daemon.world import LTE, WIFI, Internet, Machine, driven, network, wish
from tests.explain.breaking import personality
from tests.explain.broken import LAPTOP
from tests.ike.failing_logins import ROWS
from tests.pair import PSK, eap_client


def evidence_of(driver: Driver) -> Evidence:
    return driver.notes.evidence("office", now(), 1_700_000_000.0 + now())


def test_a_refused_login_is_explained_after_the_tunnel_is_down() -> None:
    async def body() -> None:
        row = ROWS["wrong password"]
        machine = Machine(Internet(row.gateway))
        async with driven(machine) as driver:
            await driver.want(wish(row.client))
            await machine.until_state("blocked")
            await driver.unwant()
            left = evidence_of(driver)
        assert explain(left).cause == "login.password"
        assert (left.failure, left.gateway) == ("auth.rejected", "vpn.example.com")
        assert left.lookup is not None
        assert left.lookup.addresses == ("192.0.2.1",)
        assert left.local is not None
        assert [link.name for link in left.local.links] == ["wifi0", "lte0"]
        assert "looking glass" not in json.dumps(plain(left))

    run(body)


def test_after_a_silence_the_ports_are_looked_at_once_in_a_while() -> None:
    looked: dict[str, list[float]] = {}

    async def look(underlay: Underlay, port: int) -> tuple[CheckRecord, ...]:
        looked.setdefault(underlay.interface, []).append(now())
        assert (str(underlay.remote), port) == ("192.0.2.1", 500)
        return (CheckRecord("udp 500", "silent"), CheckRecord("udp 4500", "answered"))

    async def body() -> None:
        machine = Machine(Internet())
        object.__setattr__(machine.world, "check_ports", look)
        machine.internet.is_gateway_up = False
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until(lambda: any(len(times) > 1 for times in looked.values()), 600)
            assert len(looked) == 2, "over each network"
            assert all(
                second - first >= 120 for times in looked.values() for first, second in pairwise(times)
            )
            assert explain(evidence_of(driver)).cause == "net.udp500_blocked"

    run(body)


def test_a_network_that_wants_a_login_is_told_so() -> None:
    async def portal() -> str:
        return "login"

    async def body() -> None:
        machine = Machine(Internet())
        object.__setattr__(machine.world, "portal", portal)
        machine.internet.is_gateway_up = False
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until_state("waiting")
            await machine.until(lambda: explain(evidence_of(driver)).cause == "net.portal")

    run(body)


def test_reports_of_routers_are_kept_with_the_attempt() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        machine.network = network(WIFI)
        machine.internet.is_gateway_up = False
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until(lambda: bool(machine.internet.sockets))
            for sockets in machine.internet.sockets.values():
                sockets.icmp = (IcmpReport("port unreachable", "192.0.2.1", "init"),)
            await machine.until_state("waiting")
            assert explain(evidence_of(driver)).cause == "net.port_closed"

    run(body)


def test_only_the_last_attempts_are_kept() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        machine.internet.is_gateway_up = False
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until(lambda: machine.sessions > MOST_ATTEMPTS + 2, 2000)
            left = evidence_of(driver)
            assert len(left.attempts) == MOST_ATTEMPTS
            assert len(json.dumps(plain(left))) < 200_000

    run(body)


def test_a_tunnel_that_stands_is_told_with_its_traffic() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until_state("up")
            machine.data_path.sends()
            await machine.until(
                lambda: machine.status.traffic is not None and machine.status.traffic.packets_out > 0
            )
            await asyncio.sleep(1)
            left = evidence_of(driver)
            standing = left.attempts[-1].standing
            assert standing is not None
            assert (standing.packets_in, standing.packets_out, standing.mtu) == (1, 2, 1400)
            assert [(entry.what, entry.outcome) for entry in left.attempts[-1].checks] == [
                ("inside 1400 octets", "answered")
            ]
            assert explain(left).cause == "working"

    run(body)


def test_a_peculiar_gateway_is_told_in_its_status() -> None:
    async def body() -> None:
        machine = Machine(Internet(personality(mobike=False, fragmentation=False)))
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until_state("up")
            told = machine.status.quirks
            assert [text.partition(":")[0] for text in told] == ["no IKE fragmentation", "no MOBIKE"]
            assert "seen: no MOBIKE_SUPPORTED" in told[1]
            assert "mobike in [mobility]" in told[1]
            assert tuple(map(str, quirks(evidence_of(driver)))) == told

    run(body)


def test_a_move_is_noted() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until_state("up")
            machine.plug(driver, LTE)
            await machine.until(lambda: evidence_of(driver).attempts[-1].moves == ("confirmed",))

    run(body)


def test_no_secret_is_noted() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until_state("up")
            text = json.dumps(plain(evidence_of(driver)))
        for secret in (PSK.reveal(), b"wonderland"):
            assert secret.decode() not in text
            assert secret.hex() not in text

    run(body)


def failed(book: Book, key: str) -> Evidence:
    """Notes of a tunnel that has failed, written down."""
    notes = book.open(key, 0.0)
    notes.note_local(LAPTOP)
    notes.settle("vpn.example.com", "blocked", Fault("auth.rejected", "no"))
    evidence = notes.evidence("office", 1.0, 2.0)
    book.keep(key, evidence)
    return evidence


def test_notes_outlive_the_daemon_in_a_file_for_its_user_alone(tmp_path: Path) -> None:
    left = failed(Book(tmp_path), "office of uid 1000")
    (file,) = (tmp_path / "evidence").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    again = Book(tmp_path).of("office of uid 1000")
    assert again is not None
    assert again.evidence("office", 1.0, 2.0) == left
    assert Book(tmp_path).of("office of uid 1001") is None


def test_a_file_that_does_not_read_is_no_note(tmp_path: Path) -> None:
    book = Book(tmp_path)
    failed(book, "one")
    (file,) = (tmp_path / "evidence").iterdir()
    for text in ("", "{", "[]", '{"format": 99}', '{"attempts": [{"started": "yesterday"}]}', "[" * 100_000):
        file.write_text(text)
        assert Book(tmp_path).of("one") is None
    file.write_text(" " * (LARGEST_FILE + 1))
    assert Book(tmp_path).of("one") is None


def test_old_notes_give_way(tmp_path: Path) -> None:
    book = Book(tmp_path)
    for number in range(MOST_KEPT + 5):
        failed(book, str(number))
    assert len(list((tmp_path / "evidence").iterdir())) == MOST_KEPT


def test_a_failure_is_remembered_until_the_tunnel_is_up_again() -> None:
    notes = Notes()
    notes.settle("gw", "blocked", Fault("auth.rejected", "no"))
    notes.settle("gw", "off", None)
    assert notes.evidence("office", 1.0, 2.0).failure == "auth.rejected"
    notes.settle("gw", "up", None)
    assert notes.evidence("office", 1.0, 2.0).failure == ""


def test_whoever_connects_by_a_name_of_his_own_is_noted_by_it() -> None:
    async def body() -> None:
        machine = Machine(Internet(ROWS["wrong password"].gateway))
        async with driven(machine) as driver:
            await driver.want(wish(replace(eap_client(b"looking glass"))))
            await machine.until_state("blocked")
            offer = evidence_of(driver).attempts[-1].offer
            assert offer is not None
            assert (offer.login, offer.identity, offer.eap_methods) == (
                "eap",
                "alice@example.com",
                ("EAP-MSCHAPv2",),
            )

    run(body)


def test_what_becomes_of_the_networks_while_it_waits_is_noted() -> None:
    async def body() -> None:
        machine = Machine(Internet())
        machine.internet.is_gateway_up = False
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until_state("waiting", 60)
            machine.plug(driver)
            await asyncio.sleep(1)
            local = evidence_of(driver).local
            assert local is not None
            assert not any(link.up and link.families for link in local.links)

    run(body)
