"""Secrets that the daemon asks for: before a login, in its course, and again after a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from client.control.messages import ControlError, SecretAnswer, SecretCancel, SecretNeeded, SecretText, Up
from client.daemon.tunnels import Tunnels
from client.ike.keys import Secret
from client.ike.registry import EapType
from client.lab.eap_methods import Accounts
from client.lab.pki import pem
from client.lab.responder import GatewayConfig
from tests.daemon.test_handlers import ALICE, BOB, KEY, PROFILE, Office, play
from tests.pair import AUTHORITY, CLIENT_CERT, gateway_config

CODE = "123456"
AUTHORITIES = {"file:ca.pem": pem(AUTHORITY.certificate).encode()}
TEMPLATE = """
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com"]
[[auth.local]]
method = "eap"
identity = "alice"
secret = "ask:"
eap_methods = [METHODS]
[trust]
ca = ["file:ca.pem"]
[routing]
mode = "split"
include = ["10.77.0.0/24"]
"""


def gateway(*methods: EapType, password: str = "", code: str = CODE) -> GatewayConfig:
    accounts = Accounts(
        {"alice": Secret(password.encode())} if password else {}, {"alice": Secret(code.encode())}
    )
    return replace(gateway_config(), clients="eap", proof="cert", accounts=accounts, eap_methods=methods)


def order_for(*words: str, secret: str | None = None) -> Up:
    text = TEMPLATE.replace("METHODS", ", ".join(f'"{word}"' for word in words))
    secrets = {} if secret is None else {"ask:": SecretText(secret)}
    return Up(profile=text, files=AUTHORITIES, secrets=secrets)


async def asked(office: Office) -> SecretNeeded:
    """The one question that waits, once there is one."""
    await office.machine.until(lambda: bool(office.handlers.pending_secrets()), 10)
    (needed,) = office.handlers.pending_secrets()
    return needed


async def reply(office: Office, text: str) -> None:
    await office.handlers.answer(ALICE, SecretAnswer((await asked(office)).id, SecretText(text)))


def play_at(directory: Path, config: GatewayConfig, scene: Callable[[Office], Awaitable[None]]) -> None:
    async def adapted(office: Office) -> None:
        office.machine.internet.config = config
        office.machine.internet.restart_gateway()
        await scene(office)

    play(directory, adapted)


# Before the login


def test_what_is_missing_is_asked_of_the_owner_and_the_tunnel_comes_up(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        accepted = await office.handlers.up(ALICE, Up(profile=PROFILE))
        assert (accepted.tunnel.state, accepted.tunnel.serial) == ("blocked", 1)
        needed = await asked(office)
        assert (needed.kind, needed.owner) == ("password", 1000)
        assert needed.prompt == "Pre-shared key of alice@example.com (vpn.example.com)"
        assert (office.machine.status.guard, office.machine.status.asking) == (True, True)
        assert office.machine.sessions == 0
        with pytest.raises(ControlError):
            await office.handlers.answer(BOB, SecretAnswer(needed.id, KEY["ask:"]))
        await reply(office, KEY["ask:"].reveal())
        await office.machine.until_state("up", 5)

    play(tmp_path, scene)


async def given_up(office: Office) -> None:
    await office.machine.until(lambda: not office.machine.status.guard, 1)
    assert office.machine.status.state == "blocked"
    assert office.machine.status.failure is not None
    assert office.machine.status.failure.kind == "auth.needs_secret"
    assert office.handlers.pending_secrets() == ()
    assert office.intents.load() == []
    assert office.machine.system.config.routes == ()


def test_a_question_that_is_declined_gives_a_new_tunnel_up(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, Up(profile=PROFILE))
        needed = await asked(office)
        with pytest.raises(ControlError):
            await office.handlers.cancel(BOB, SecretCancel(needed.id))
        await office.handlers.cancel(ALICE, SecretCancel(needed.id))
        await given_up(office)

    play(tmp_path, scene)


def test_a_question_that_nobody_answers_gives_a_new_tunnel_up(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, Up(profile=PROFILE))
        await asked(office)
        await asyncio.sleep(119)
        assert office.machine.status.guard
        await asyncio.sleep(2)
        await given_up(office)

    play(tmp_path, scene)


def test_down_withdraws_the_question(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        from client.control.messages import Down

        await office.handlers.up(ALICE, Up(profile=PROFILE))
        needed = await asked(office)
        await office.handlers.down(ALICE, Down("office"))
        with pytest.raises(ControlError) as error:
            await office.handlers.answer(ALICE, SecretAnswer(needed.id, KEY["ask:"]))
        assert error.value.kind == "secret.unknown"

    play(tmp_path, scene)


def test_other_secrets_of_a_tunnel_that_is_up_are_not_asked_for(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, Up(profile=PROFILE, secrets=KEY))
        await office.machine.until_state("up", 5)
        with pytest.raises(ControlError) as error:
            await office.handlers.up(ALICE, Up(profile=PROFILE.replace("ask:", "ask:Another")))
        assert error.value.kind == "auth.needs_secret"
        assert office.machine.status.state == "up"

    play(tmp_path, scene)


def test_a_wrong_passphrase_is_asked_for_again(tmp_path: Path) -> None:
    encrypted = CLIENT_CERT.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")
    )
    text = (
        PROFILE.replace(
            'method = "psk"', 'method = "cert"\ncert = "file:me.pem"\nkey = "file:me.key"'
        ).replace('local = "alice@example.com"\n', "")
        + '[trust]\nca = ["file:ca.pem"]\n'
    )
    files = {**AUTHORITIES, "file:me.pem": pem(CLIENT_CERT.certificate).encode(), "file:me.key": encrypted}

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, Up(profile=text, files=files, secrets={"ask:": SecretText("wrong")}))
        needed = await asked(office)
        assert needed.kind == "passphrase"
        assert "this passphrase does not open it" in needed.prompt
        await reply(office, "open sesame")
        await office.machine.until_state("up", 5)

    play_at(tmp_path, replace(gateway_config(), clients="cert", proof="cert"), scene)


# Codes that serve once


def test_a_code_is_used_once_and_a_new_one_asked_for_before_the_next_login(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_for("gtc", secret=CODE))
        await office.machine.until_state("up", 5)
        office.machine.internet.restart_gateway()
        office.machine.data_path.sends()
        needed = await asked_late(office)
        assert needed.kind == "otp"
        assert needed.prompt == "One-time code of alice (vpn.example.com)"
        assert office.machine.status.guard
        sessions = office.machine.sessions
        await asyncio.sleep(60)  # no login without a code, however long it takes
        assert office.machine.sessions == sessions
        await reply(office, CODE)
        await office.machine.until_state("up", 5)
        assert office.machine.sessions == sessions + 1

    play_at(tmp_path, gateway(EapType.GTC), scene)


async def asked_late(office: Office) -> SecretNeeded:
    await office.machine.until(lambda: bool(office.handlers.pending_secrets()), 120)
    return await asked(office)


@pytest.mark.parametrize("method", ["gtc", "mschapv2"])
def test_a_refused_secret_is_never_tried_again_by_itself(tmp_path: Path, method: str) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_for(method, secret="000000"))
        await office.machine.until_state("blocked", 10)
        await asyncio.sleep(600)
        assert office.machine.sessions == 1
        assert office.machine.status.failure is not None
        assert office.machine.status.failure.kind == "auth.rejected"

    play_at(tmp_path, gateway(EapType.GTC, EapType.MSCHAPV2, password="wonderland"), scene)


def test_a_code_missing_at_first_is_asked_for_as_a_code(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_for("gtc"))
        assert (await asked(office)).kind == "otp"
        await reply(office, CODE)
        await office.machine.until_state("up", 5)

    play_at(tmp_path, gateway(EapType.GTC), scene)


def test_the_same_up_with_another_code_leaves_a_standing_tunnel_alone(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_for("gtc", secret=CODE))
        await office.machine.until_state("up", 5)
        await office.handlers.up(ALICE, order_for("gtc", secret="654321"))
        await asyncio.sleep(5)
        assert (office.machine.sessions, office.machine.status.state) == (1, "up")

    play_at(tmp_path, gateway(EapType.GTC), scene)


# In the course of a login


def test_what_the_gateway_asks_reaches_the_owner_and_the_answer_the_gateway(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_for("otp"))
        needed = await asked(office)
        assert (needed.kind, needed.prompt) == ("otp", "office asks: otp-sha1 487 lab4711")
        await office.machine.until(lambda: office.machine.status.asking, 1)
        assert "asks you" in office.machine.status.detail
        await reply(office, CODE)
        await office.machine.until_state("up", 5)
        assert office.machine.sessions == 1

    play_at(tmp_path, gateway(EapType.OTP), scene)


def test_a_further_code_is_asked_for_while_the_password_is_lasting(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        text = order_for("gtc", secret="wonderland")
        lasting = Up(
            profile=(text.profile or "").replace('secret = "ask:"', 'secret = "ask:"\none_time = false'),
            files=text.files,
            secrets=text.secrets,
        )
        await office.handlers.up(ALICE, lasting)
        assert (await asked(office)).prompt == "office asks: Code of your token:"
        await reply(office, CODE)
        await office.machine.until_state("up", 5)

    play_at(tmp_path, gateway(EapType.GTC, password="wonderland"), scene)


def test_declining_ends_the_login_and_a_new_tunnel(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_for("otp"))
        await office.handlers.cancel(ALICE, SecretCancel((await asked(office)).id))
        await office.machine.until_state("blocked", 5)
        await given_up(office)
        assert office.machine.sessions == 1

    play_at(tmp_path, gateway(EapType.OTP), scene)


def test_a_login_that_is_over_withdraws_its_question(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_for("otp"))
        needed = await asked(office)
        await asyncio.sleep(121)
        with pytest.raises(ControlError) as error:
            await office.handlers.answer(ALICE, SecretAnswer(needed.id, SecretText(CODE)))
        assert error.value.kind == "secret.unknown"
        await given_up(office)

    play_at(tmp_path, gateway(EapType.OTP), scene)


def test_a_refused_code_of_a_standing_tunnel_is_asked_for_once_more_and_no_login_tried(
    tmp_path: Path,
) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_for("gtc", secret=CODE))
        await office.machine.until_state("up", 5)
        office.machine.internet.restart_gateway()
        office.machine.data_path.sends()
        await asked_late(office)
        await reply(office, "000000")
        sessions = office.machine.sessions
        await office.machine.until(lambda: office.machine.sessions == sessions + 1, 5)
        await office.machine.until_state("blocked", 10)
        assert (await asked(office)).kind == "otp"
        await asyncio.sleep(30)
        assert office.machine.sessions == sessions + 1
        await reply(office, CODE)
        await office.machine.until_state("up", 5)

    play_at(tmp_path, gateway(EapType.GTC), scene)


def test_answers_are_nowhere_to_be_read(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, order_for("otp"))
        await asked(office)
        await reply(office, CODE)
        await office.machine.until_state("up", 5)
        assert CODE not in repr(office.told) + repr(list(office.tunnels))
        for path in (tmp_path / "state").rglob("*"):
            assert not path.is_file() or CODE.encode() not in path.read_bytes()

    play_at(tmp_path, gateway(EapType.OTP), scene)


def test_the_daemon_holds_no_more_than_one_question_of_a_tunnel(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        tunnels: Tunnels = office.tunnels
        await office.handlers.up(ALICE, Up(profile=PROFILE))
        await office.handlers.up(ALICE, Up(profile=PROFILE))
        await asked(office)
        assert len(tunnels.questions.pending()) == 1

    play(tmp_path, scene)
