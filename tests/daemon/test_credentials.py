"""Secrets of system profiles that nobody types: systemd credentials, and files of the daemon's own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from client.control.messages import ControlError, Up
from client.daemon.order import system_order
from client.lab.pki import pem
from tests.daemon.test_handlers import ALICE, PROFILE, Office, play, write_system_profile
from tests.daemon.test_questions import AUTHORITIES, play_at
from tests.pair import CLIENT_CERT, PSK, gateway_config

SECRET = PSK.reveal().decode()
BY_KEY = (
    PROFILE.replace(
        'method = "psk"\nsecret = "ask:"',
        'method = "cert"\ncert = "file:me.pem"\nkey = "credential:office.key"',
    ).replace('local = "alice@example.com"\n', "")
    + '[trust]\nca = ["file:ca.pem"]\n'
)


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What systemd gives a unit with LoadCredential=."""
    directory = tmp_path / "credentials"
    directory.mkdir(0o700)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    return directory


def keep(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch(mode)
    path.write_text(text)
    path.chmod(mode)


async def comes_up_by_itself(office: Office) -> None:
    """Now, and after a restart of the daemon, without a question."""
    await office.handlers.up(ALICE, Up(name="office"))
    await office.machine.until_state("up", 5)
    assert office.questions() == []


async def comes_back_by_itself(office: Office) -> None:
    (intent,) = office.intents.load()
    await office.tunnels.restore(system_order(office.store, intent.owner, intent.id, os.getuid()))
    await office.machine.until_state("up", 5)
    assert office.questions() == []


def no_secret_is_kept(directory: Path) -> bool:
    files = [path for path in (directory / "state").rglob("*") if path.is_file()]
    return bool(files) and all(SECRET.encode() not in path.read_bytes() for path in files)


def test_a_systemd_credential_brings_a_tunnel_up_and_back(tmp_path: Path, credentials: Path) -> None:
    write_system_profile(tmp_path, PROFILE.replace('"ask:"', '"credential:office.psk"'))
    keep(credentials / "office.psk", f"{SECRET}\n", 0o400)
    play(tmp_path, comes_up_by_itself)
    assert no_secret_is_kept(tmp_path)
    play(tmp_path, comes_back_by_itself)


def test_a_private_key_may_be_a_credential(tmp_path: Path, credentials: Path) -> None:
    write_system_profile(tmp_path, BY_KEY)
    keep(tmp_path / "system" / "me.pem", pem(CLIENT_CERT.certificate), 0o644)
    (tmp_path / "system" / "ca.pem").write_bytes(AUTHORITIES["file:ca.pem"])
    keep(credentials / "office.key", pem(CLIENT_CERT.key))
    config = replace(gateway_config(), clients="cert", proof="cert")
    play_at(tmp_path, config, comes_up_by_itself)
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or b"PRIVATE KEY" not in path.read_bytes()
    play_at(tmp_path, config, comes_back_by_itself)


def test_a_file_of_the_daemons_own_serves_as_well(tmp_path: Path) -> None:
    write_system_profile(tmp_path, PROFILE.replace('"ask:"', '"file:../secrets/office.psk"'))
    keep(tmp_path / "secrets" / "office.psk", SECRET)
    play(tmp_path, comes_up_by_itself)
    play(tmp_path, comes_back_by_itself)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_file_that_others_can_reach_is_refused_with_what_mends_it(tmp_path: Path, mode: int) -> None:
    write_system_profile(tmp_path, PROFILE.replace('"ask:"', '"file:../secrets/office.psk"'))
    keep(tmp_path / "secrets" / "office.psk", SECRET, mode)

    async def scene(office: Office) -> None:
        with pytest.raises(ControlError) as error:
            await office.handlers.up(ALICE, Up(name="office"))
        assert error.value.kind == "secret.unsafe"
        assert error.value.hint.startswith("chmod 600 ")
        assert SECRET not in error.value.evidence
        assert office.machine.sessions == 0

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("present", "words"),
    [(True, "there is no .*office.psk"), (False, "needs a systemd unit with LoadCredential=")],
)
def test_a_credential_that_is_not_there_is_said(
    tmp_path: Path, credentials: Path, monkeypatch: pytest.MonkeyPatch, present: bool, words: str
) -> None:
    write_system_profile(tmp_path, PROFILE.replace('"ask:"', '"credential:office.psk"'))
    if not present:
        monkeypatch.delenv("CREDENTIALS_DIRECTORY")

    async def scene(office: Office) -> None:
        with pytest.raises(ControlError, match=words) as error:
            await office.handlers.up(ALICE, Up(name="office"))
        assert error.value.kind == "profile.invalid"

    play(tmp_path, scene)
