"""`roam up`: from a profile to a tunnel, or to one clear error that leaves nothing behind."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from client.control.access import PeerCredentials
from client.control.messages import ControlError, Fault, SecretAnswer, SecretNeeded, TunnelStatus, Up
from tests.control.fake import FakeDaemon, serving_apart
from tests.ui.conftest import EAP, MemoryKeyring
from ui.cli import main

CONNECTING = TunnelStatus(
    "office", "connecting", serial=1, gateway="vpn.example.com", detail="waiting for an answer from 192.0.2.1"
)
UP = TunnelStatus("office", "up", serial=1, addresses=("10.77.0.5/32",))
PROMPT = b"Password of alice (vpn.example.com): "
ROOT_OF_SOURCE = Path(__file__).parents[2]


def failed(state: str, kind: str) -> TunnelStatus:
    return TunnelStatus("office", state, serial=1, failure=Fault(kind, "what was seen"))


def methods(daemon: FakeDaemon) -> list[str]:
    return [name for name, _request in daemon.calls]


@pytest.fixture(autouse=True)
def stored(directory: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch) -> MemoryKeyring:
    """A password in the keyring, and nobody at the terminal."""
    ring.entries["roam", "office/eap"] = "hunter2"
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    return ring


def test_up_hands_over_text_files_and_secrets_and_waits(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.script = [CONNECTING, UP]
    assert main(["up", "office"]) == 0
    (_method, request) = daemon.calls[0]
    assert isinstance(request, Up)
    assert (request.profile, request.files) == (EAP, {"file:ca.pem": b"certificate"})
    assert request.secrets["keyring:office/eap"].reveal() == "hunter2"
    output = capsys.readouterr()
    assert output.out == "office: up as 10.77.0.5/32\n"
    assert output.err.splitlines() == [
        "office: connecting",
        "office: connecting: waiting for an answer from 192.0.2.1",
    ]
    assert "hunter2" not in output.out + output.err


def test_without_a_name_the_only_profile_is_meant(daemon: FakeDaemon, directory: Path) -> None:
    daemon.script = [UP]
    assert main(["up"]) == 0
    (directory / "zwei.toml").write_text(EAP.replace("office", "zwei"))
    assert main(["up"]) == 2


def test_who_has_no_profile_is_told_how_to_make_one(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "office.toml").unlink()
    assert main(["up"]) == 2
    assert "'roam new' makes one" in capsys.readouterr().err
    assert main(["profiles"]) == 0
    assert "'roam new' makes one" in capsys.readouterr().out


def test_with_several_profiles_the_list_is_shown(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "home.toml").write_text(EAP.replace('"office"', '"home"'))
    assert main(["up"]) == 2
    assert "home, office" in capsys.readouterr().err


def test_an_unknown_name_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "ofice"]) == 2
    assert 'Did you mean "office"?' in capsys.readouterr().err


def test_a_mistake_in_the_profile_is_told_with_file_and_key(
    daemon: FakeDaemon, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "office.toml").write_text(EAP.replace("[trust]", "[thrust]"))
    assert main(["up", "office"]) == 2
    words = capsys.readouterr().err
    assert f"{directory}/office.toml: thrust: unknown key" in words
    assert 'Did you mean "trust"?' in words
    assert not daemon.calls


def test_a_system_profile_is_only_named(daemon: FakeDaemon, tmp_path: Path) -> None:
    system = tmp_path / "system"
    system.mkdir()
    (system / "lab.toml").write_text("the daemon reads it")
    daemon.script = [TunnelStatus("lab", "up", serial=1)]
    assert main(["up", "lab"]) == 0
    assert daemon.calls == [("up", Up(name="lab"))]


def test_secrets_that_a_system_profile_leaves_open_go_with_its_name(
    daemon: FakeDaemon, tmp_path: Path
) -> None:
    system = tmp_path / "system"
    system.mkdir()
    (system / "lab.toml").write_text(EAP.replace('"office"', '"lab"'))
    daemon.script = [TunnelStatus("lab", "up", serial=1)]
    assert main(["up", "lab"]) == 0
    (_method, request) = daemon.calls[0]
    assert isinstance(request, Up)
    assert (request.name, request.profile, request.files) == ("lab", None, {})
    assert request.secrets["keyring:office/eap"].reveal() == "hunter2"


def test_no_wait_leaves_the_rest_to_the_daemon(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "--no-wait"]) == 0
    assert "roam status office" in capsys.readouterr().out
    assert methods(daemon) == ["up"]


def test_up_as_json_ends_with_the_status(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.script = [UP]
    assert main(["up", "--json"]) == 0
    message = json.loads(capsys.readouterr().out)
    assert (message["kind"], message["data"]["state"]) == ("up", "up")


def test_up_of_a_tunnel_that_is_up_is_done_at_once(daemon: FakeDaemon) -> None:
    daemon.tunnels["office"] = UP
    assert main(["up"]) == 0


@pytest.mark.parametrize(
    ("state", "kind", "code"),
    [
        ("blocked", "auth.rejected", 5),
        ("blocked", "auth.method", 5),
        ("blocked", "trust.unknown_ca", 8),
        ("blocked", "trust.name_mismatch", 8),
        ("blocked", "crypto.no_proposal", 1),
        ("waiting", "crypto.no_proposal", 1),
        ("waiting", "auth.rejected", 5),
        ("blocked", "conflict.full_tunnel", 1),
        ("off", "user.down", 3),
    ],
)
def test_a_failure_is_told_at_once_and_leaves_nothing_behind(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], state: str, kind: str, code: int
) -> None:
    daemon.script = [CONNECTING, failed(state, kind)]
    assert main(["up"]) == code
    assert methods(daemon) == ["up", "down"]
    assert "  seen: office: what was seen" in capsys.readouterr().err


def test_no_answer_is_waited_for_until_the_time_is_over(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.script = [failed("waiting", "net.no_response"), CONNECTING]
    assert main(["up", "--timeout", "0.05"]) == 6
    assert methods(daemon) == ["up", "down"]
    assert "after 0.05 s, office: what was seen" in capsys.readouterr().err


def test_a_passing_failure_is_forgotten_when_the_next_attempt_succeeds(daemon: FakeDaemon) -> None:
    daemon.script = [failed("waiting", "net.no_response"), CONNECTING, UP]
    assert main(["up"]) == 0


def test_a_tunnel_that_just_does_not_come_up_times_out(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.script = [CONNECTING]
    assert main(["up", "--timeout", "0.05"]) == 6
    assert "waiting for an answer from 192.0.2.1 (gateway vpn.example.com)" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon"])
def test_a_timeout_is_a_time(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--timeout", text]) == 2
    assert "--timeout" in capsys.readouterr().err


def test_a_tunnel_that_was_wanted_before_stays_wanted(daemon: FakeDaemon) -> None:
    daemon.tunnels["office"] = TunnelStatus("office", "waiting", serial=1)
    daemon.script = [failed("blocked", "auth.rejected").replace(serial=2)]
    assert main(["up"]) == 5
    assert methods(daemon) == ["up"]


def test_news_of_an_earlier_wish_is_not_believed(daemon: FakeDaemon) -> None:
    daemon.tunnels["office"] = TunnelStatus("office", "waiting", serial=1)
    daemon.script = [failed("blocked", "auth.rejected"), UP.replace(serial=2)]
    assert main(["up"]) == 0


def test_a_refusal_of_the_daemon_ends_the_command(daemon: FakeDaemon) -> None:
    daemon.refusal = ControlError("conflict.full_tunnel", "home is a full tunnel too")
    assert main(["up"]) == 1
    assert methods(daemon) == ["up"]


def test_whoever_may_only_look_is_refused_before_any_secret_is_fetched(
    path: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ring.entries.clear()  # fetching would fail with another error
    monkeypatch.setenv("ROAM_SOCKET", str(path))
    with serving_apart(FakeDaemon(), path, PeerCredentials(1001, 1001)):
        assert main(["up"]) == 4
    assert "usermod -aG roam" in capsys.readouterr().err


# --- secrets


def test_a_missing_keyring_entry_without_a_terminal_is_exit_9(
    daemon: FakeDaemon, ring: MemoryKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    ring.entries.clear()
    assert main(["up"]) == 9
    assert 'the keyring has no entry "roam" for "office/eap"' in capsys.readouterr().err
    assert methods(daemon) == []


def test_a_prompt_without_a_terminal_is_exit_9(daemon: FakeDaemon, directory: Path) -> None:
    (directory / "office.toml").write_text(EAP.replace("keyring:office/eap", "ask:"))
    assert main(["up"]) == 9


def test_a_question_of_the_daemon_without_a_terminal_is_cancelled(daemon: FakeDaemon) -> None:
    daemon.script = [SecretNeeded("7", "office", "otp", "Code", 0.0), UP]
    assert main(["up"]) == 9
    assert daemon.calls[1:] == [("cancel", "7"), daemon.calls[2]]
    assert methods(daemon)[2] == "down"


def test_a_secret_file_open_to_others_is_refused(
    daemon: FakeDaemon, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "office.toml").write_text(EAP.replace("keyring:office/eap", "file:password"))
    secret = directory / "password"
    secret.write_text("hunter2\n")
    secret.chmod(0o644)
    assert main(["up"]) == 2
    words = capsys.readouterr().err
    assert "[secret.unsafe]" in words
    assert f"chmod 600 {secret}" in words
    secret.chmod(0o600)
    daemon.script = [UP]
    assert main(["up"]) == 0
    (_method, request) = daemon.calls[0]
    assert isinstance(request, Up)
    assert request.secrets["file:password"].reveal() == "hunter2"


def _take_terminal() -> None:
    """The terminal turns Ctrl-C into a signal, which counts also where the tests themselves run in background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def in_a_terminal(arguments: list[str], typed: list[tuple[bytes, bytes]], exit_code: int = 0) -> bytes:
    """Run `roam` on a terminal of its own; `typed`: the next prompt, and what is typed once it is there."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "ui.cli", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_take_terminal,
        cwd=ROOT_OF_SOURCE,
        env={**os.environ, "NO_COLOR": "1", "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"},
    ) as process:
        os.close(slave)
        seen, start = b"", 0
        for prompt, answer in typed:
            while prompt not in seen[start:]:
                seen += os.read(master, 4096)
            start = len(seen)
            os.write(master, answer)
        try:
            while chunk := os.read(master, 4096):
                seen += chunk
        except OSError:  # the terminal's last user is gone
            pass
        os.close(master)
        assert process.wait() == exit_code, seen
    return seen


def test_a_person_at_a_terminal_is_asked_without_an_echo(daemon: FakeDaemon, directory: Path) -> None:
    (directory / "office.toml").write_text(EAP.replace("keyring:office/eap", "ask:"))
    question = SecretNeeded("7", "office", "otp", "Code of the day", 0.0)
    daemon.secrets = (question, SecretNeeded("8", "other", "otp", "Not ours", 0.0))
    daemon.script = [question, UP]  # it comes as an event too, and is asked once
    typed = [(PROMPT, b"hunter2\n"), (b"Code of the day: ", b"123456\n")]
    seen = in_a_terminal(["up"], typed)
    assert b"hunter2" not in seen
    assert b"123456" not in seen
    assert methods(daemon) == ["up", "answer"]
    request, answer = daemon.calls[0][1], daemon.calls[1][1]
    assert isinstance(request, Up)
    assert request.secrets["ask:"].reveal() == "hunter2"
    assert isinstance(answer, SecretAnswer)
    assert (answer.id, answer.value.reveal()) == ("7", "123456")


def test_a_person_who_mistypes_is_asked_again(daemon: FakeDaemon, directory: Path) -> None:
    (directory / "office.toml").write_text(EAP.replace("keyring:office/eap", "ask:"))
    daemon.script = [failed("blocked", "auth.rejected")]
    daemon.script_after_down = [UP.replace(serial=2)]
    in_a_terminal(["up"], [(PROMPT, b"huntre2\n"), (PROMPT, b"hunter2\n")])
    assert methods(daemon) == ["up", "down", "up"]


def test_a_person_who_is_refused_three_times_is_not_asked_again(daemon: FakeDaemon, directory: Path) -> None:
    (directory / "office.toml").write_text(EAP.replace("keyring:office/eap", "ask:"))
    refused = failed("blocked", "auth.rejected").replace(serial=9)
    daemon.script = [refused]
    daemon.script_after_down = [refused]
    seen = in_a_terminal(["up"], [(PROMPT, b"no\n")] * 3, exit_code=5)
    assert seen.count(PROMPT) == 3
    assert methods(daemon) == ["up", "down"] * 3


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["Ctrl-C", "Ctrl-D"])
def test_a_person_may_go_away_from_a_prompt(daemon: FakeDaemon, directory: Path, key: bytes) -> None:
    (directory / "office.toml").write_text(EAP.replace("keyring:office/eap", "ask:"))
    seen = in_a_terminal(["up"], [(PROMPT, key)], exit_code=1)
    assert b"\r\nroam: interrupted [interrupted]" in seen  # on a line of its own
    assert methods(daemon) == []


def test_without_a_keyring_a_person_is_told_and_asked_and_not_offered_to_keep_it(
    daemon: FakeDaemon,
) -> None:
    daemon.script = [UP]
    seen = in_a_terminal(["up"], [(PROMPT, b"hunter2\n")])
    assert b"note: auth.local[0].secret: this session has no keyring" in seen
    assert b"Keep the password" not in seen
