"""What a gateway counts: a refused secret is not tried again by itself, whatever the network and the daemon do.

The gateway here writes down every proof that it is given, and whether it was right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest

from client.control.messages import SecretAnswer, SecretCancel, SecretText, Up
from client.daemon.order import user_order
from client.ike.eap.mschapv2 import OpCode
from client.ike.eap.packet import EapPacket
from client.ike.events import Rng
from client.ike.keys import Secret
from client.ike.message import Message
from client.ike.payloads import Notify, Payload
from client.ike.registry import EapType, NotifyType
from client.lab import eap_methods
from client.lab.acceptance import Acceptance
from client.lab.accounts import Accounts, Outcome, ServerMethod
from client.lab.responder import GatewayConfig
from tests.daemon.test_handlers import ALICE, Office
from tests.daemon.test_questions import AUTHORITIES, TEMPLATE, asked, asked_late, play_at, reply
from tests.daemon.world import LTE, WIFI
from tests.pair import gateway_config
from tests.secrecy.scanner import kept_secret

RIGHT, WRONG, NEW = (kept_secret(text) for text in ("wonderland", "jabberwocky", "looking-glass"))
METHODS = {"mschapv2": EapType.MSCHAPV2, "gtc": EapType.GTC, "md5": EapType.MD5}
Make = Callable[[Accounts, str, Rng], ServerMethod]
A_DAY = 24 * 3600.0


@dataclass
class Ledger:
    """What the gateway's account was asked to believe."""

    wrong: int = 0
    right: int = 0

    @property
    def proofs(self) -> int:
        return self.wrong + self.right

    def has_refused(self, number: int) -> bool:
        return self.wrong == number


@dataclass
class Counted:
    """A server's method that keeps the ledger."""

    method: ServerMethod
    ledger: Ledger
    TYPE: ClassVar[EapType]

    @property
    def msk(self) -> Secret | None:
        return self.method.msk

    def begin(self, identifier: int) -> bytes:
        return self.method.begin(identifier)

    def judge(self, response: EapPacket, identifier: int) -> bytes | Outcome:
        outcome = self.method.judge(response, identifier)
        if response.type == EapType.MSCHAPV2 and response.data == bytes([OpCode.FAILURE]):
            return outcome  # no proof: the refusal before it was read
        if refuses(outcome):
            self.ledger.wrong += 1
        elif outcome is not Outcome.FAILURE:
            self.ledger.right += 1
        return outcome


def refuses(outcome: bytes | Outcome) -> bool:
    """MSCHAPv2 says a refusal in a packet of its own, and ends the dialogue after it."""
    return outcome is Outcome.FAILURE or (isinstance(outcome, bytes) and outcome[:1] == b"\x04")


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    kept = Ledger()

    def counted(kind: EapType, make: Make) -> Make:
        own = type("Counted", (Counted,), {"TYPE": kind})
        return lambda accounts, identity, rng: own(make(accounts, identity, rng), kept)

    servers = {kind: counted(kind, make) for kind, make in eap_methods.SERVERS.items()}
    monkeypatch.setattr("client.lab.eap_server.SERVERS", servers)
    return kept


def gateway(*methods: EapType, **options: object) -> GatewayConfig:
    accounts = replace(Accounts({"alice": Secret(RIGHT.encode())}), **options)  # type: ignore[arg-type]
    return replace(gateway_config(), clients="eap", proof="cert", accounts=accounts, eap_methods=methods)


def order(word: str, secret: str | None) -> Up:
    text = TEMPLATE.replace("METHODS", f'"{word}"').replace('"ask:"', '"keyring:office"')
    secrets = {} if secret is None else {"keyring:office": SecretText(secret)}
    return Up(profile=text, files=AUTHORITIES, secrets=secrets)


def plug(office: Office, *addresses: str) -> None:
    (entry,) = office.tunnels
    office.machine.plug(entry.driver, *addresses)


async def wander(office: Office, seconds: float, seed: int = 1) -> None:
    """A day of a laptop: networks come, go and change, and the gateway is restarted now and then."""
    chance = Random(seed)
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        networks: tuple[tuple[str, ...], ...] = ((), (WIFI,), (LTE,), (WIFI, LTE))
        plug(office, *chance.choice(networks))
        if chance.random() < 0.2:
            office.machine.internet.restart_gateway()
        await asyncio.sleep(chance.uniform(30, 1800))
    plug(office, WIFI, LTE)
    await asyncio.sleep(600)


async def lose_gateway(office: Office) -> None:
    """A new login is due."""
    office.machine.internet.restart_gateway()
    office.machine.data_path.sends()


@pytest.mark.parametrize("method", METHODS)
def test_a_password_that_is_wrong_from_the_start_is_tried_once(
    tmp_path: Path, ledger: Ledger, method: str
) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order(method, WRONG))
        await office.machine.until_state("blocked", 30)
        await wander(office, A_DAY)
        assert (ledger.wrong, ledger.right) == (1, 0)

    async def later(office: Office) -> None:
        assert office.intents.load() == []  # nothing is left to try

    play_at(tmp_path, gateway(METHODS[method]), scene)
    play_at(tmp_path, gateway(METHODS[method]), later)


@pytest.mark.parametrize("method", ["gtc", "mschapv2"])
@pytest.mark.parametrize("stood", [False, True])
def test_a_gateway_that_refuses_without_eap_is_understood_too(
    tmp_path: Path, ledger: Ledger, method: str, monkeypatch: pytest.MonkeyPatch, *, stood: bool
) -> None:
    config = gateway(METHODS[method])
    whole = Acceptance._continue_eap

    def refusing(self: Acceptance, message: Message) -> tuple[Payload, ...]:
        answer = whole(self, message)
        return (Notify(NotifyType.AUTHENTICATION_FAILED),) if ledger.wrong else answer

    monkeypatch.setattr(Acceptance, "_continue_eap", refusing)

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order(method, RIGHT if stood else WRONG))
        if stood:
            await office.machine.until_state("up", 5)
            config.accounts.passwords["alice"] = Secret(NEW.encode())
            await lose_gateway(office)
        await office.machine.until_state("blocked", 120)
        await wander(office, A_DAY)
        assert ledger.wrong == 1

    play_at(tmp_path, config, scene)


@pytest.mark.parametrize("stood", [False, True])
def test_a_locked_account_is_tried_once_and_nothing_is_asked(
    tmp_path: Path, ledger: Ledger, *, stood: bool
) -> None:
    config = gateway(EapType.MSCHAPV2, retries=True, error=647)

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order("mschapv2", RIGHT if stood else WRONG))
        if stood:
            await office.machine.until_state("up", 5)
            config.accounts.passwords["alice"] = Secret(NEW.encode())
            await lose_gateway(office)
        await office.machine.until_state("blocked", 120)
        assert office.machine.status.guard is stood
        assert not office.handlers.pending_secrets()
        await wander(office, A_DAY)
        assert ledger.wrong == 1

    play_at(tmp_path, config, scene)


@pytest.mark.parametrize("method", METHODS)
def test_a_password_that_was_changed_elsewhere_is_tried_once_over_networks_and_restarts(
    tmp_path: Path, ledger: Ledger, method: str
) -> None:
    config = gateway(METHODS[method])

    async def stands(office: Office) -> None:
        await office.handlers.up(ALICE, order(method, RIGHT))
        await office.machine.until_state("up", 5)
        config.accounts.passwords["alice"] = Secret(NEW.encode())
        ledger.right = 0
        await lose_gateway(office)
        await office.machine.until_state("blocked", 120)
        assert office.machine.status.guard
        await wander(office, A_DAY)
        assert (ledger.wrong, ledger.right) == (1, 0)

    async def restarted(office: Office) -> None:
        (intent,) = office.intents.load()
        await office.tunnels.restore(user_order(intent.owner, intent.text, intent.files, {}))
        await wander(office, A_DAY)
        assert (ledger.wrong, ledger.right) == (1, 0)  # the daemon keeps no secret that it could try
        assert office.machine.status.guard

    play_at(tmp_path, config, stands)
    for _ in range(3):
        play_at(tmp_path, config, restarted)


def test_a_password_that_the_daemon_can_read_itself_is_not_tried_at_each_restart(
    tmp_path: Path, ledger: Ledger
) -> None:
    config = gateway(EapType.MSCHAPV2)
    stored = {"keyring:office": Secret(RIGHT.encode())}

    async def stands(office: Office) -> None:
        await office.handlers.up(ALICE, order("mschapv2", RIGHT))
        await office.machine.until_state("up", 5)
        config.accounts.passwords["alice"] = Secret(NEW.encode())
        await lose_gateway(office)
        await office.machine.until(lambda: any(intent.refused for intent in office.intents.load()), 120)

    async def restarted(office: Office) -> None:
        (intent,) = office.intents.load()
        assert intent.refused
        again = user_order(intent.owner, intent.text, intent.files, stored)
        await office.tunnels.restore(again, refused=intent.refused)
        await wander(office, A_DAY)
        assert ledger.wrong == 1
        assert office.machine.status.guard

    async def mended(office: Office) -> None:
        await office.handlers.up(ALICE, order("mschapv2", NEW))
        await office.machine.until_state("up", 5)
        assert not any(intent.refused for intent in office.intents.load())

    play_at(tmp_path, config, stands)
    for scene in (restarted, restarted, mended):
        play_at(tmp_path, config, scene)


def test_a_wrong_answer_of_the_owners_is_tried_once_too(tmp_path: Path, ledger: Ledger) -> None:
    config = gateway(EapType.MSCHAPV2)

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order("mschapv2", RIGHT))
        await office.machine.until_state("up", 5)
        config.accounts.passwords["alice"] = Secret(NEW.encode())
        await lose_gateway(office)
        for tries in range(1, 4):
            await asked_late(office)
            assert ledger.wrong == tries
            await reply(office, WRONG)
            await office.machine.until(partial(ledger.has_refused, tries + 1), 60)
        await wander(office, A_DAY)
        assert ledger.wrong == 4  # one for what was stored, one for each answer

    play_at(tmp_path, config, scene)


def test_a_code_leaves_once_whatever_happens(tmp_path: Path, ledger: Ledger) -> None:
    config = replace(gateway(EapType.GTC), accounts=Accounts({}, {"alice": Secret(RIGHT.encode())}))
    text = order("gtc", None).profile or ""
    once = Up(
        profile=text.replace('"keyring:office"', '"ask:"'),
        files=AUTHORITIES,
        secrets={"ask:": SecretText(RIGHT)},
    )

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, once)
        await office.machine.until_state("up", 5)
        await lose_gateway(office)
        await asked_late(office)
        await wander(office, A_DAY)
        assert ledger.proofs == 1

    async def restarted(office: Office) -> None:
        (intent,) = office.intents.load()
        await office.tunnels.restore(user_order(intent.owner, intent.text, intent.files, {}))
        await wander(office, A_DAY)
        assert ledger.proofs == 1

    play_at(tmp_path, config, scene)
    play_at(tmp_path, config, restarted)


# Passwords that are replaced in the course of a login


def test_a_changed_password_is_the_one_that_later_logins_use(tmp_path: Path, ledger: Ledger) -> None:
    config = gateway(EapType.MSCHAPV2, expired={"alice"})

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order("mschapv2", RIGHT))
        needed = await asked(office)
        assert (needed.kind, needed.reference) == ("new-password", "keyring:office")
        await office.handlers.answer(ALICE, SecretAnswer(needed.id, SecretText(NEW)))
        await office.machine.until_state("up", 5)
        ledger.wrong = 0
        await lose_gateway(office)
        await office.machine.until(lambda: office.machine.sessions == 2, 120)
        await office.machine.until_state("up", 120)
        assert ledger.wrong == 0
        (entry,) = office.tunnels
        assert entry.order.secrets["keyring:office"] == Secret(NEW.encode())

    play_at(tmp_path, config, scene)


def test_after_another_password_was_given_the_refused_one_is_forgotten(
    tmp_path: Path, ledger: Ledger
) -> None:
    config = gateway(EapType.MSCHAPV2, retries=True)

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order("mschapv2", WRONG))
        needed = await asked(office)
        assert (needed.kind, needed.reference) == ("password", "keyring:office")
        office.machine.internet.restart_gateway()  # it does not wait so long
        await office.handlers.answer(ALICE, SecretAnswer(needed.id, SecretText(RIGHT)))
        await office.machine.until_state("up", 300)
        assert ledger.wrong == 1

    play_at(tmp_path, config, scene)


def test_a_question_about_a_refused_password_that_is_declined_is_a_refusal(
    tmp_path: Path, ledger: Ledger
) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order("mschapv2", WRONG))
        needed = await asked(office)
        await office.handlers.cancel(ALICE, SecretCancel(needed.id))
        await office.machine.until_state("blocked", 30)
        assert office.machine.status.failure is not None
        assert office.machine.status.failure.kind == "auth.rejected"
        await wander(office, A_DAY)
        assert ledger.proofs == 1

    play_at(tmp_path, gateway(EapType.MSCHAPV2, retries=True), scene)
