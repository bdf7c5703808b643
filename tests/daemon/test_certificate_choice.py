"""A file with several certificates of its owner's: he is asked through the control socket which one it is to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from client.control.messages import Up
from client.lab.pki import pem
from tests.daemon.test_handlers import ALICE, PROFILE, Office
from tests.daemon.test_questions import AUTHORITIES, asked, play_at, reply
from tests.pair import AUTHORITY, CLIENT_CERT, VALID, gateway_config

OTHER = AUTHORITY.issue("CN=alice at home", emails=["alice@home.example"], server=False, **VALID)
BUNDLE = "".join(
    pem(part) for part in (OTHER.key, OTHER.certificate, CLIENT_CERT.key, CLIENT_CERT.certificate)
).encode()
TEXT = (
    PROFILE.replace('method = "psk"\nsecret = "ask:"', 'method = "cert"\ncert = "file:me.pem"').replace(
        'local = "alice@example.com"\n', ""
    )
    + '[trust]\nca = ["file:ca.pem"]\n'
)
ORDER = Up(profile=TEXT, files={**AUTHORITIES, "file:me.pem": BUNDLE})
GATEWAY = replace(gateway_config(), clients="cert", proof="cert")


@pytest.mark.parametrize("words", ["2", " 2 "])
def test_the_one_that_was_chosen_logs_in(tmp_path: Path, words: str) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        needed = await asked(office)
        assert needed.kind == "choose-certificate"
        assert "1: “CN=alice at home” by “CN=Test Root”, until 2030-01-01" in needed.prompt
        assert "2: “" in needed.prompt
        assert office.machine.sessions == 0, "nothing was sent before it was clear who logs in"
        await reply(office, words)
        await office.machine.until_state("up", 5)
        assert len(office.questions()) == 1

    play_at(tmp_path, GATEWAY, scene)


@pytest.mark.parametrize("words", ["3", "0", "alice", "-1"])
def test_another_answer_is_asked_about_again(tmp_path: Path, words: str) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, ORDER)
        await reply(office, words)
        again = await asked(office)
        assert f"there is no {words!r} among them" in again.prompt
        await reply(office, "2")
        await office.machine.until_state("up", 5)

    play_at(tmp_path, GATEWAY, scene)
