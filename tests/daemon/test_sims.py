"""SIMs in the user's hands: whoever holds one answers the network, and where nobody does, the tunnel waits."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from client.control.messages import (
    ControlError,
    SecretAnswer,
    SecretCancel,
    SecretNeeded,
    SecretText,
    SimChallenge,
    Up,
)
from client.daemon.order import user_order
from client.ike.eap.usim import SoftwareUsim
from client.ike.keys import Secret
from client.ike.registry import EapType
from client.lab.accounts import Accounts, Subscription
from tests.daemon.test_handlers import ALICE, BOB, Office, write_system_profile
from tests.daemon.test_questions import AUTHORITIES, TEMPLATE, asked, play_at
from tests.daemon.test_signers import lose_gateway
from tests.ike.eap.test_aka import KEY, OPC
from tests.ike.eap.test_aka_elsewhere import said_by
from tests.pair import gateway_config

SIM = "sim:"
NAME = "555444333222111@nai.epc.mnc044.mcc555.3gppnetwork.org"
TEXT = (
    TEMPLATE.replace('identity = "alice"\n', "")
    .replace('secret = "ask:"', f'key = "{SIM}"')
    .replace("METHODS", '"aka"')
)
FILES = {**AUTHORITIES, SIM: NAME.encode()}
ORDER = Up(profile=TEXT, files=FILES)


def gateway(*methods: EapType) -> Accounts:
    return Accounts(
        {},
        subscriptions={f"{'0' if m is EapType.AKA else '6'}{NAME}": Subscription(KEY, OPC) for m in methods},
    )


GATEWAY = replace(
    gateway_config(), clients="eap", proof="cert", eap_methods=(EapType.AKA,), accounts=gateway(EapType.AKA)
)


class Hand:
    """The user's SIM; another key makes it another one."""

    def __init__(self, key: Secret = KEY) -> None:
        self.usim = SoftwareUsim(key, OPC)

    def answer(self, needed: SecretNeeded) -> SecretAnswer:
        wanted = needed.challenge
        assert isinstance(wanted, SimChallenge)
        said = said_by(self.usim, wanted)  # type: ignore[arg-type]  # the engine's word for the same
        return SecretAnswer(needed.id, SecretText(said.reveal().decode()))


def test_the_owner_of_the_sim_answers_and_the_tunnel_comes_up(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        needed = await asked(office)
        assert (needed.kind, needed.owner, needed.tunnel) == ("sim-challenge", 1000, "office")
        assert needed.challenge is not None
        assert needed.challenge.key == SIM
        assert "needs the answer of sim: to the network's challenge" in needed.prompt
        answer = Hand().answer(needed)
        with pytest.raises(ControlError):
            await office.handlers.answer(BOB, answer)
        await office.handlers.answer(ALICE, answer)
        await office.machine.until_state("up", 5)

    play_at(tmp_path, GATEWAY, scene)


def test_the_subscribers_name_begins_as_the_method_wants_it(tmp_path: Path) -> None:
    methods = (EapType.AKA_PRIME,)
    config = replace(GATEWAY, eap_methods=methods, accounts=gateway(*methods))

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, replace_method(ORDER))
        await office.handlers.answer(ALICE, Hand().answer(await asked(office)))
        await office.machine.until_state("up", 5)

    play_at(tmp_path, config, scene)


def replace_method(order: Up) -> Up:
    return Up(profile=(order.profile or "").replace('"aka"', '"aka-prime"'), files=order.files)


def test_another_sim_ends_the_login_as_the_network_is_not_its_own(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        first = await asked(office)
        await office.handlers.answer(ALICE, Hand(OPC).answer(first))
        second = await asked(office)  # an impostor on the way may be past
        assert second.id != first.id
        await office.handlers.answer(ALICE, Hand(OPC).answer(second))
        await office.machine.until_state("blocked", 5)
        failure = office.machine.status.failure
        assert failure is not None
        assert failure.kind == "trust.no_proof"
        assert "does not know the subscription's secret" in failure.evidence
        assert not office.handlers.pending_secrets()

    play_at(tmp_path, GATEWAY, scene)


def test_a_sim_that_is_not_at_hand_ends_a_first_up_with_the_reason(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        await office.handlers.cancel(ALICE, SecretCancel((await asked(office)).id, "the card was taken out"))
        await office.machine.until_state("blocked", 5)
        failure = office.machine.status.failure
        assert failure is not None
        assert (failure.kind, failure.evidence) == ("auth.needs_signer", "the card was taken out")
        assert "roam signer" in failure.hint

    play_at(tmp_path, GATEWAY, scene)


def test_nobody_who_holds_the_sim_is_waited_for_longer_than_a_gateway_waits(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        needed = await asked(office)
        await office.machine.until_state("blocked", 40)
        assert office.machine.status.failure is not None
        assert (
            office.machine.status.failure.evidence == "nobody has asked the SIM sim:, which proves who we are"
        )
        with pytest.raises(ControlError):
            await office.handlers.answer(ALICE, Hand().answer(needed))

    play_at(tmp_path, GATEWAY, scene)


def test_without_its_sim_a_tunnel_that_has_stood_waits_behind_its_guard(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        hand = Hand()
        await office.handlers.up(ALICE, ORDER)
        await office.handlers.answer(ALICE, hand.answer(await asked(office)))
        await office.machine.until_state("up", 5)
        await lose_gateway(office)
        await office.machine.until_state("blocked", 60)
        sessions = office.machine.sessions
        await asyncio.sleep(3600)
        assert office.machine.sessions == sessions
        assert office.machine.status.guard
        await office.handlers.up(ALICE, ORDER)
        await office.handlers.answer(ALICE, hand.answer(await asked(office)))
        await office.machine.until_state("up", 5)

    play_at(tmp_path, GATEWAY, scene)


def test_after_a_restart_the_subscriber_is_known_and_the_sim_is_asked_for(tmp_path: Path) -> None:
    hand = Hand()

    async def first(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        await office.handlers.answer(ALICE, hand.answer(await asked(office)))
        await office.machine.until_state("up", 5)

    async def second(office: Office) -> None:
        (intent,) = office.intents.load()
        assert intent.files[SIM] == NAME.encode()
        await office.tunnels.restore(user_order(intent.owner, intent.text, intent.files, {}))
        needed = await asked(office)
        assert office.machine.status.guard
        await office.handlers.answer(ALICE, hand.answer(needed))
        await office.machine.until_state("up", 5)

    play_at(tmp_path, GATEWAY, first)
    play_at(tmp_path, GATEWAY, second)


def test_whoever_brings_a_system_profile_up_has_the_sim_for_it(tmp_path: Path) -> None:
    write_system_profile(tmp_path, TEXT)
    (tmp_path / "system" / "ca.pem").write_bytes(FILES["file:ca.pem"])

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, Up(name="office", files={SIM: NAME.encode()}))
        needed = await asked(office)
        assert needed.owner == 1000
        await office.handlers.answer(ALICE, Hand().answer(needed))
        await office.machine.until_state("up", 5)

    play_at(tmp_path, GATEWAY, scene)


@pytest.mark.parametrize(
    "shown", [None, b"", b"no name", b"55@x", b"555444333222111@", NAME.upper().encode()]
)
def test_a_sim_that_does_not_say_whose_it_is_is_refused_at_once(tmp_path: Path, shown: bytes | None) -> None:
    files = AUTHORITIES if shown is None else {**FILES, SIM: shown}

    async def scene(office: Office) -> None:
        with pytest.raises(ControlError, match=r"was not handed over|whose subscription") as error:
            await office.handlers.up(ALICE, Up(profile=TEXT, files=files))
        assert error.value.kind == "profile.invalid"
        assert office.machine.sessions == 0

    play_at(tmp_path, GATEWAY, scene)
