"""What the path carries, in whole tunnels and virtual time: the link is never larger for long."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from client.daemon.driver import Driver
from client.daemon.inbox import PathEvent
from client.daemon.sizing import Sizing
from client.explain.explain import explain
from client.ike.exchanges.size_probe import TRIES
from client.ike.window import LONGEST_PATIENCE
from client.system.datapath import Activity
from client.tunnel.path_mtu import CHECK_FIRST, RAISE_AFTER, SAFE
from tests.daemon.test_driver import bring_up, play
from tests.daemon.virtual_loop import now
from tests.daemon.world import CONFIG, LTE, WIFI, Machine, wish

AROUND = 22
"""Octets around an inner packet of this tunnel, less what is around IKE: AES-GCM without UDP, but for padding."""

UNHEARD = "the gateway does not answer when it is asked for more, and nearly every path carries this"


def mtu(machine: Machine) -> int:
    (link,) = machine.system.config.links
    return link.mtu


def carries(machine: Machine, inner: int, address: str = WIFI) -> None:
    """From now a network swallows what is larger than a packet around so many octets."""
    machine.internet.largest[address] = inner + AROUND


async def traffic(machine: Machine, driver: Driver, seconds: int, *, stalls: int = 0) -> None:
    """Something flows; meanwhile TCP has to wait so often in vain."""
    machine.stalls += stalls
    for _ in range(seconds):
        driver.tell(PathEvent(Activity(now(), now())))
        await asyncio.sleep(1.0)


def test_a_path_that_carries_everything_is_asked_once() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        await asyncio.sleep(1)
        sent = len(machine.internet.sent)
        assert (mtu(machine), machine.status.mtu) == (1400, 1400)
        assert driver.status.mtu_reason == "the path carries it"
        await traffic(machine, driver, 5)
        assert len(machine.internet.sent) == sent

    play(scene)


def test_a_black_hole_is_found_within_five_seconds_and_the_link_made_smaller() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        carries(machine, 1330)
        await bring_up(machine, driver)
        took = await machine.until(lambda: mtu(machine) == 1280, 5.0)
        assert took < 2.0
        await machine.until(lambda: machine.status.mtu != 1280, 20.0)
        await asyncio.sleep(20)
        assert 1312 <= mtu(machine) <= 1330
        assert machine.status.state == "up"
        assert driver.status.mtu_reason == "larger packets vanish on the way to the gateway"
        assert machine.sessions == 1

    play(scene)


def test_another_path_is_asked_anew() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        carries(machine, 1300, LTE)
        await bring_up(machine, driver)
        await asyncio.sleep(1)
        machine.plug(driver, LTE)
        await machine.until(lambda: mtu(machine) == 1280, 5.0)
        machine.plug(driver, LTE, WIFI)
        await machine.until(lambda: mtu(machine) == 1400, 5.0)

    play(scene)


def test_where_tcp_stalls_the_path_is_asked_again() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        await traffic(machine, driver, 5)
        carries(machine, 1300)
        await traffic(machine, driver, 5)
        assert mtu(machine) == 1400, "nothing has told of it"
        began = now()
        await traffic(machine, driver, 4, stalls=1)
        assert mtu(machine) < 1400
        assert now() - began < 5.0

    play(scene)


def test_a_lossy_network_is_asked_ever_less_often() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        await traffic(machine, driver, int(CHECK_FIRST) + 1)
        before = len(machine.internet.sent)
        for _ in range(120):
            await traffic(machine, driver, 1, stalls=1)
        assert 3 <= len(machine.internet.sent) - before <= 8
        assert mtu(machine) == 1400

    play(scene)


def test_a_path_that_has_become_better_is_noticed_after_ten_minutes() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        carries(machine, 1300)
        await bring_up(machine, driver)
        await asyncio.sleep(20)
        machine.internet.largest.clear()
        await traffic(machine, driver, 60)
        assert mtu(machine) < 1400
        await asyncio.sleep(RAISE_AFTER)
        await traffic(machine, driver, 3)
        assert mtu(machine) == 1400

    play(scene)


def test_the_users_word_stands() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        carries(machine, 1300)
        await driver.want(wish(config=replace(CONFIG, mtu=1390)))
        await machine.until_state("up", 5)
        await asyncio.sleep(10)
        assert mtu(machine) == 1390
        assert machine.status.mtu_reason == "the profile says so"
        verdict = explain(driver.notes.evidence("office", now(), now()))
        assert verdict.cause == "net.mtu"
        assert "Remove mtu from [routing]" in verdict.fix[0]
        assert verdict.evidence[1] == "the tunnel lets packets of 1390 octets out"

    play(scene)


def test_a_black_hole_that_roam_has_coped_with_is_told_as_such() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        carries(machine, 1330)
        await bring_up(machine, driver)
        await asyncio.sleep(20)
        assert explain(driver.notes.evidence("office", now(), now())).cause == "net.mtu_reduced"
        machine.internet.largest.clear()
        machine.plug(driver, LTE)
        await machine.until(lambda: machine.status.state == "up", 20)
        await asyncio.sleep(2)
        verdict = explain(driver.notes.evidence("office", now(), now()))
        assert verdict.cause == "working", "what was found of another path is forgotten"

    play(scene)


def test_a_gateway_that_answers_no_question_is_given_a_safe_size_and_peace() -> None:
    """It answers the repetition without its filling, which could be a path that carries nothing large."""

    async def scene(machine: Machine, driver: Driver) -> None:
        machine.internet.ignores_questions = True
        await bring_up(machine, driver)
        await asyncio.sleep(20)
        assert (mtu(machine), machine.sessions) == (SAFE, 1)
        assert driver.status.mtu_reason == UNHEARD
        asked = machine.internet.questions
        assert asked == 3 * TRIES
        await traffic(machine, driver, 100, stalls=50)
        assert machine.internet.questions == asked
        machine.plug(driver, LTE)
        await asyncio.sleep(20)
        asked = machine.internet.questions
        assert asked == 6 * TRIES, "another path is asked once more"
        machine.plug(driver, LTE, WIFI)
        await traffic(machine, driver, int(RAISE_AFTER) + 10, stalls=50)
        assert machine.internet.questions == asked, "and that is the end of it"
        assert (mtu(machine), machine.status.state, driver.status.mtu_reason) == (SAFE, "up", UNHEARD)

    play(scene)


def test_a_gateway_that_loses_its_session_over_questions_is_asked_twice_and_never_more() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        machine.internet.ignores_questions = machine.internet.ignores_repetitions = True
        await bring_up(machine, driver)
        await traffic(machine, driver, int(3 * LONGEST_PATIENCE))
        asked, sessions = machine.internet.questions, machine.sessions
        assert (asked, sessions) == (2 * TRIES, 3)
        await traffic(machine, driver, 300, stalls=50)
        assert (machine.internet.questions, machine.sessions) == (asked, sessions)
        assert (mtu(machine), machine.status.state) == (SAFE, "up")
        assert driver.status.mtu_reason == UNHEARD

    play(scene)


def test_sessions_that_end_for_other_reasons_are_no_reason_to_ask_no_more() -> None:
    """The last question of a search has vanished, and its repetition was answered long ago."""

    async def scene(machine: Machine, driver: Driver) -> None:
        carries(machine, 1330)
        await bring_up(machine, driver)
        for sessions in range(1, 5):
            await traffic(machine, driver, 20)
            assert 1312 <= mtu(machine) <= 1330
            machine.internet.restart_gateway()
            machine.data_path.sends()
            await machine.until(lambda before=sessions: driver.status.session > before, 60.0)  # type: ignore[misc]
            await machine.until_state("up")

    play(scene)


def test_without_a_path_there_is_nothing_to_say() -> None:
    sizing = Sizing(lambda: None)
    sizing.note_traffic(0.0)
    assert (sizing.mtu, sizing.reason) == (None, "")
