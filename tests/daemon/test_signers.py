"""Keys on cards and in agents: their holder signs, and where nobody does, the tunnel waits behind its guard."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from client.control.messages import (
    ControlError,
    SecretAnswer,
    SecretCancel,
    SecretNeeded,
    SecretText,
    SignatureWanted,
    Up,
)
from client.daemon.order import user_order
from client.lab.pki import pem
from tests.daemon.test_handlers import ALICE, BOB, PROFILE, Office, write_system_profile
from tests.daemon.test_questions import AUTHORITIES, asked, asked_late, play_at
from tests.pair import CLIENT_CERT, gateway_config

KEY = "pkcs11:token=card;object=vpn"
TEXT = (
    PROFILE.replace(
        'method = "psk"\nsecret = "ask:"', f'method = "cert"\ncert = "file:me.pem"\nkey = "{KEY}"'
    ).replace('local = "alice@example.com"\n', "")
    + '[trust]\nca = ["file:ca.pem"]\n'
)
SHOWN = CLIENT_CERT.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
FILES = {**AUTHORITIES, "file:me.pem": pem(CLIENT_CERT.certificate).encode(), KEY: SHOWN}
ORDER = Up(profile=TEXT, files=FILES)
GATEWAY = replace(gateway_config(), clients="cert", proof="cert")


def signature(needed: SecretNeeded) -> SecretAnswer:
    """What a card makes of a question."""
    wanted = needed.signature
    assert isinstance(wanted, SignatureWanted)
    assert "ecdsa-sha256" in wanted.algorithms
    key = CLIENT_CERT.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    made = base64.b64encode(key.sign(wanted.octets, ec.ECDSA(SHA256()))).decode()
    return SecretAnswer(needed.id, SecretText(f"ecdsa-sha256 {made}"))


async def lose_gateway(office: Office) -> None:
    """The gateway forgets everything: a new login is due."""
    office.machine.internet.restart_gateway()
    office.machine.data_path.sends()
    await asked_late(office)


def test_the_owner_of_the_key_signs_and_the_tunnel_comes_up(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        needed = await asked(office)
        assert (needed.kind, needed.owner, needed.tunnel) == ("signature", 1000, "office")
        assert needed.signature is not None
        assert needed.signature.key == KEY
        with pytest.raises(ControlError):
            await office.handlers.answer(BOB, signature(needed))
        await office.handlers.answer(ALICE, signature(needed))
        await office.machine.until_state("up", 5)

    play_at(tmp_path, GATEWAY, scene)


def test_a_key_that_is_not_at_hand_ends_a_first_up_with_the_reason(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        needed = await asked(office)
        await office.handlers.cancel(ALICE, SecretCancel(needed.id, "the card is not in its\x1b[2J reader"))
        await office.machine.until_state("blocked", 5)
        failure = office.machine.status.failure
        assert failure is not None
        assert failure.kind == "auth.needs_signer"
        assert failure.evidence == "the card is not in its\N{REPLACEMENT CHARACTER}[2J reader"
        assert "roam signer" in failure.hint
        await office.machine.until(lambda: not office.machine.status.guard, 1)
        assert office.intents.load() == []

    play_at(tmp_path, GATEWAY, scene)


def test_without_a_signer_a_tunnel_that_has_stood_waits_behind_its_guard(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        await office.handlers.answer(ALICE, signature(await asked(office)))
        await office.machine.until_state("up", 5)
        await lose_gateway(office)
        await office.machine.until_state("blocked", 60)
        sessions = office.machine.sessions
        await asyncio.sleep(3600)  # nothing is tried without the key
        assert office.machine.sessions == sessions
        status = office.machine.status
        assert (status.guard, status.failure and status.failure.kind) == (True, "auth.needs_signer")
        assert KEY in (status.failure.evidence if status.failure else "")
        await office.handlers.up(ALICE, ORDER)  # the key is there again
        await office.handlers.answer(ALICE, signature(await asked(office)))
        await office.machine.until_state("up", 5)

    play_at(tmp_path, GATEWAY, scene)


def test_a_signer_that_stays_serves_every_login(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        await office.handlers.answer(ALICE, signature(await asked(office)))
        await office.machine.until_state("up", 5)
        await lose_gateway(office)
        await office.handlers.answer(ALICE, signature(await asked(office)))
        await office.machine.until_state("up", 5)

    play_at(tmp_path, GATEWAY, scene)


def test_after_a_restart_the_public_half_is_there_and_the_key_is_asked_for(tmp_path: Path) -> None:
    async def first(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        await office.handlers.answer(ALICE, signature(await asked(office)))
        await office.machine.until_state("up", 5)

    async def second(office: Office) -> None:
        (intent,) = office.intents.load()
        assert intent.files[KEY] == SHOWN
        await office.tunnels.restore(user_order(intent.owner, intent.text, intent.files, {}))
        needed = await asked(office)
        assert office.machine.status.guard
        await office.handlers.answer(ALICE, signature(needed))
        await office.machine.until_state("up", 5)

    play_at(tmp_path, GATEWAY, first)
    play_at(tmp_path, GATEWAY, second)


def test_whoever_brings_a_system_profile_up_signs_for_it(tmp_path: Path) -> None:
    write_system_profile(tmp_path, TEXT)
    for name in ("ca.pem", "me.pem"):
        (tmp_path / "system" / name).write_bytes(FILES[f"file:{name}"])

    async def scene(office: Office) -> None:
        brought = {KEY: SHOWN, "file:ca.pem": b"another authority"}
        await office.handlers.up(ALICE, Up(name="office", files=brought))
        needed = await asked(office)
        assert needed.owner == 1000
        await office.handlers.answer(ALICE, signature(needed))
        await office.machine.until_state("up", 5)

    play_at(tmp_path, GATEWAY, scene)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({**AUTHORITIES, "file:me.pem": FILES["file:me.pem"]}, "was not handed over"),
        ({**FILES, KEY: b"nonsense"}, "holds no public key"),
        ({**FILES, KEY: AUTHORITIES["file:ca.pem"]}, "does not belong to the certificate"),
    ],
)
def test_a_public_half_that_does_not_fit_is_refused_at_once(
    tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    async def scene(office: Office) -> None:
        with pytest.raises(ControlError, match=words) as error:
            await office.handlers.up(ALICE, Up(profile=TEXT, files=files))
        assert error.value.kind == "profile.invalid"
        assert office.machine.sessions == 0

    play_at(tmp_path, GATEWAY, scene)
