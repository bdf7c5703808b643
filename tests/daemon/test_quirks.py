"""What the daemon does differently for some gateways: adaptations that are not the engine's, and what is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from client.daemon.driver import Driver
from client.daemon.inbox import ProbeAsked
from client.ike.events import LoginWanted
from client.ike.keys import Secret
from client.ike.options import PskLogin, SessionConfig
from client.ike.quirks import Quirk, QuirkSwitches
from client.ike.session import Session
from client.lab.responder import Personality
from tests.daemon.test_driver import bring_up, play
from tests.daemon.test_sizing import mtu
from tests.daemon.world import Machine, wish
from tests.pair import client_config, gateway_config

USED = pytest.mark.parametrize("used", [True, False], ids=["used", "switched off"])


def switched(quirk: Quirk, *, used: bool) -> SessionConfig:
    return replace(client_config(), quirks=QuirkSwitches(off=frozenset() if used else frozenset({quirk})))


def told(machine: Machine, quirk: Quirk) -> str:
    """What the status says of it."""
    return next((text for text in machine.status.quirks if text.startswith(f"{quirk}:")), "")


@USED
def test_after_a_refusal_the_gateway_is_not_named(used: bool) -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        client = switched(Quirk.UNNAMED_GATEWAY, used=used)
        wrong = replace(client, login=PskLogin(Secret(b"only with the name")))
        await driver.want(replace(wish(wrong), after_refusal=replace(client, send_idr=False)))
        await machine.until_state("up" if used else "blocked", 10)
        assert bool(told(machine, Quirk.UNNAMED_GATEWAY)) is used
        attempts = driver.notes.evidence("office", 0.0, 0.0).attempts
        marks = [entry for attempt in attempts for entry in attempt.quirks]
        assert {(mark.name, mark.used) for mark in marks} == {("unnamed_gateway", used)}
        if used:
            assert 'unnamed_gateway = "off" in [quirks]' in told(machine, Quirk.UNNAMED_GATEWAY)

    play(scene)


async def come_back(machine: Machine) -> None:
    """The gateway is restarted in the middle of a question, and knows nobody when it is back."""
    before = machine.status.session
    machine.internet.is_gateway_up = False
    await asyncio.sleep(5)
    machine.internet.restart_gateway()
    machine.internet.is_gateway_up = True
    await machine.until(lambda: machine.status.state == "up" and machine.status.session != before, 120)


@USED
def test_a_gateway_that_ends_over_questions_of_size_is_asked_no_more(used: bool) -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        machine.internet.ignores_questions = machine.internet.ignores_repetitions = True
        await driver.want(wish(switched(Quirk.SIZE_QUESTIONS, used=used)))
        await machine.until_state("up", 5)
        for _ in range(2):
            await come_back(machine)
        await asyncio.sleep(1)
        assert told(machine, Quirk.SIZE_QUESTIONS)
        assert ("switched off" in told(machine, Quirk.SIZE_QUESTIONS)) is not used
        before = machine.internet.questions
        await come_back(machine)
        await asyncio.sleep(5)
        assert (machine.internet.questions > before) is not used

    play(scene)


def test_a_profile_may_forbid_questions_of_size() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        client = replace(client_config(), quirks=QuirkSwitches(on=frozenset({Quirk.SIZE_QUESTIONS})))
        await driver.want(wish(client))
        await machine.until_state("up", 5)
        await asyncio.sleep(5)
        assert machine.internet.questions == 0
        assert mtu(machine) == 1400

    play(scene)


def test_a_gateway_that_replaces_no_keys_gets_a_new_login_without_a_break() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        before, states = machine.status.session, len(machine.statuses)
        (leg,) = driver._effects.legs.values()
        assert isinstance(leg.session, Session)
        leg.session._core.emit(LoginWanted())
        driver.tell(ProbeAsked())
        await machine.until(lambda: machine.status.session != before, 2)
        assert {status.state for status in machine.statuses[states:]} == {"up"}

    play(scene)


def test_what_a_login_has_taught_serves_the_next_one() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await driver.want(wish())
        await machine.until_state("up", 10)
        assert machine.sessions == 2
        assert "one_family: Roam asks for IPv4 alone" in told(machine, Quirk.ONE_FAMILY)
        assert all("." in address for address in machine.status.addresses)

    play(scene, replace(gateway_config(), personality=Personality(one_family=True)))
