"""`roam up`, `roam signer`, `roam answer` and the terminal UI with a SIM that a plugin reaches."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from client.control.messages import (
    SecretAnswer,
    SecretNeeded,
    SimChallenge,
    TunnelStatus,
    Up,
)
from tests.control.fake import FakeDaemon
from tests.secrecy.scanner import kept_secret
from tests.ui.signers import test_sim, virtual_plugin
from tests.ui.test_signer import play_without_a_word
from ui.cli import main
from ui.signers import sim

PIN = kept_secret("27182818")
KEY = "sim:plugin=modem"
PROFILE = f"""
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com"]
[[auth.local]]
method = "eap"
eap_methods = ["aka"]
key = "{KEY}"
secret = "file:password"
[trust]
ca = ["file:ca.pem"]
"""
UP = TunnelStatus("office", "up", serial=1, addresses=("10.77.0.5/32",))
RAND, AUTN = bytes([7] * 15 + [0]), bytes(range(16))
ANSWER = test_sim.words_of(virtual_plugin.answer_to(RAND))


@pytest.fixture
def office(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile with a SIM in a modem, its PIN in a file, and nobody at the terminal."""
    (directory / "office.toml").write_text(PROFILE)
    (directory / "password").touch(0o600)
    (directory / "password").write_text(f"{PIN}\n")
    known = test_sim.plugins(modem="tests.ui.signers.virtual_plugin:open_sim")
    monkeypatch.setattr(sim, "entry_points", lambda group: known.select(group=group))
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def wanted(number: str = "7", last: int = 0) -> SecretNeeded:
    challenge = SimChallenge(KEY, RAND[:15] + bytes([last]), AUTN)
    return SecretNeeded(number, "office", "sim-challenge", "office needs an answer", 0.0, challenge=challenge)


def check(answer: object, number: str = "7") -> None:
    assert isinstance(answer, SecretAnswer)
    assert (answer.id, answer.value.reveal()) == (number, ANSWER)


@pytest.mark.usefixtures("office")
def test_up_says_whose_the_sim_is_and_has_it_answer(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.script = [wanted(), UP]
    assert main(["up"]) == 0
    (_, request), (method, answer) = daemon.calls
    assert isinstance(request, Up)
    assert request.files[KEY] == b"001010123456789@nai.epc.mnc001.mcc001.3gppnetwork.org"
    assert request.secrets == {}  # the PIN is between the user and the SIM
    assert method == "answer"
    check(answer)
    assert virtual_plugin.PIN_PROMPTS[-1] == "SecretText(…)"
    said = capsys.readouterr()
    assert "'roam signer office' stays for it" in said.err
    assert ANSWER[:16] not in said.out + said.err


@pytest.mark.usefixtures("office")
def test_a_sim_that_cannot_answer_is_told_to_the_daemon(daemon: FakeDaemon) -> None:
    daemon.script = [wanted(last=2)]
    assert main(["up", "--timeout", "1"]) == 6
    assert [method for method, _ in daemon.calls] == ["up", "cancel", "down"]
    assert daemon.calls[1] == ("cancel", "7")


@pytest.mark.usefixtures("office")
def test_the_terminal_ui_has_it_answer_without_a_word(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_without_a_word(path, monkeypatch, wanted("7", last=2), wanted("8"), check)


def test_a_program_answers_a_challenge_itself_and_no_person_can(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.secrets = (wanted(),)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{ANSWER}\n"))
    assert main(["answer"]) == 0
    check(daemon.calls[0][1])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert main(["answer"]) == 2
    assert "nobody can type this" in capsys.readouterr().err
