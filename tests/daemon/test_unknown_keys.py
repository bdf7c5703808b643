"""A gateway whose key nobody vouches for: its owner confirms the fingerprint, or the tunnel is given up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from client.control.messages import ControlError, SecretAnswer, SecretText, Up
from client.daemon.order import user_order
from client.ike.authentication import KeySigner
from client.ike.pinning import fingerprint
from client.ike.registry import EapType
from tests.daemon.test_handlers import ALICE, BOB, Office
from tests.daemon.test_questions import TEMPLATE, asked, gateway, play_at, reply
from tests.pair import AUTHORITY, GATEWAY_CERT, VALID

MARK = fingerprint(GATEWAY_CERT.key.public_key())
CERTIFIED = gateway(EapType.MSCHAPV2, password="wonderland")
RENEWED = AUTHORITY.issue("CN=vpn.example.com", dns=["vpn.example.com"], **VALID)
CHANGED = replace(CERTIFIED, chain=RENEWED.chain, signer=KeySigner(RENEWED.key))


def order_with(*pins: str) -> Up:
    """The password is given: the question is about the gateway alone."""
    listed = ", ".join(f'"{pin}"' for pin in pins)
    text = TEMPLATE.replace("METHODS", '"mschapv2"').replace('ca = ["file:ca.pem"]', f"pin = [{listed}]")
    return Up(profile=text, secrets={"ask:": SecretText("wonderland")})


def failure_of(office: Office) -> str:
    assert office.machine.status.failure is not None
    return office.machine.status.failure.kind


@pytest.mark.parametrize("words", ["yes", "Y", " YES "])
def test_a_confirmed_key_is_trusted_as_long_as_the_tunnel_is_wanted(tmp_path: Path, words: str) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_with("ask"))
        needed = await asked(office)
        assert needed.kind == "confirm-fingerprint"
        assert MARK in needed.prompt.replace(":", "")
        assert (office.machine.sessions, office.machine.status.guard) == (1, True)
        with pytest.raises(ControlError):
            await office.handlers.answer(BOB, SecretAnswer(needed.id, SecretText("yes")))
        await reply(office, words)
        await office.machine.until_state("up", 5)
        office.machine.internet.restart_gateway()
        office.machine.data_path.sends()
        await office.machine.until(lambda: office.machine.sessions == 3, 120)
        await office.machine.until_state("up", 5)
        assert len(office.questions()) == 1

    play_at(tmp_path, CERTIFIED, scene)


@pytest.mark.parametrize("words", ["no", "", "yes, but", "wonderland"])
def test_anything_but_yes_gives_the_tunnel_up(tmp_path: Path, words: str) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_with("ask"))
        await reply(office, words)
        await office.machine.until(lambda: not office.machine.status.guard, 1)
        assert (office.machine.status.state, failure_of(office)) == ("blocked", "trust.unconfirmed")
        assert (office.machine.sessions, office.handlers.pending_secrets()) == (1, ())
        assert office.intents.load() == []

    play_at(tmp_path, CERTIFIED, scene)


def test_nobody_there_gives_the_tunnel_up(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_with("ask"))
        await asked(office)
        await asyncio.sleep(119)
        assert office.machine.status.guard
        await office.machine.until(lambda: not office.machine.status.guard, 2)
        assert failure_of(office) == "trust.unconfirmed"

    play_at(tmp_path, CERTIFIED, scene)


@pytest.mark.parametrize("pin", ["ask", f"sha256:{MARK}"], ids=["a question", "a pin"])
def test_another_key_than_the_known_one_is_refused_without_a_question(tmp_path: Path, pin: str) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_with(pin))
        if pin == "ask":
            await reply(office, "yes")
        await office.machine.until_state("up", 5)
        office.machine.internet.config = CHANGED
        office.machine.internet.restart_gateway()
        office.machine.data_path.sends()
        await office.machine.until(lambda: office.machine.status.state == "blocked", 120)
        assert failure_of(office) == "trust.pin_mismatch"
        assert office.machine.status.guard
        sessions = office.machine.sessions
        await asyncio.sleep(300)
        assert (office.machine.sessions, office.handlers.pending_secrets()) == (sessions, ())

    play_at(tmp_path, CERTIFIED, scene)


def test_what_was_confirmed_is_known_after_a_restart_too(tmp_path: Path) -> None:
    async def before(office: Office) -> None:
        await office.handlers.up(ALICE, order_with("ask"))
        await reply(office, "yes")
        await office.machine.until_state("up", 5)

    async def after(office: Office) -> None:
        (intent,) = office.intents.load()
        assert intent.pins == {MARK}
        order = user_order(intent.owner, intent.text, intent.files, {}).with_pins(intent.pins)
        await office.tunnels.restore(order)
        await reply(office, "wonderland")  # the password alone is asked for
        await office.machine.until(lambda: office.machine.sessions == 1, 5)
        await office.machine.until(lambda: office.machine.status.state in {"up", "blocked"}, 60)
        assert [needed.kind for needed in office.questions()] == ["password"]

    async def same(office: Office) -> None:
        await after(office)
        assert office.machine.status.state == "up"

    async def another(office: Office) -> None:
        await after(office)
        assert failure_of(office) == "trust.pin_mismatch"

    play_at(tmp_path, CERTIFIED, before)
    play_at(tmp_path, CERTIFIED, same)
    play_at(tmp_path, CHANGED, another)
