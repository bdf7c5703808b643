"""The command line through its main(), with a fake daemon behind a real socket."""

from __future__ import annotations

import io
import json
import os
import queue
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from client.control.affairs import DaemonInfo
from client.control.kinds import KINDS
from client.control.messages import ControlError, Down, TunnelStatus
from tests.control.fake import NOW, FakeDaemon, serving_apart
from ui.cli import COMMANDS, main

UP = TunnelStatus("office", "up", serial=1, addresses=("10.77.0.5/32",))


def out(capsys: pytest.CaptureFixture[str]) -> Any:  # noqa: ANN401 - whatever the envelope holds
    """The one envelope on stdout."""
    message = json.loads(capsys.readouterr().out)
    assert message["version"] == 1
    return message


# --- status


def test_status_shows_the_tunnels(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.tunnels["office"] = UP
    assert main(["status"]) == 0
    assert capsys.readouterr().out.startswith("office: up\n")


def test_status_as_json_has_a_versioned_envelope(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.tunnels["office"] = UP
    assert main(["--json", "status"]) == 0
    message = out(capsys)
    assert message["kind"] == "status"
    assert message["data"]["tunnels"][0]["addresses"] == ["10.77.0.5/32"]


@pytest.mark.parametrize(
    ("state", "code"),
    [("up", 0), ("moving", 0), ("connecting", 3), ("waiting", 3), ("blocked", 3), ("closing", 3)],
)
def test_status_of_a_name_says_by_its_exit_code_whether_it_is_connected(
    daemon: FakeDaemon, state: str, code: int
) -> None:
    daemon.tunnels["office"] = TunnelStatus("office", state)
    assert main(["status", "office"]) == code
    assert main(["status"]) == 0


def test_status_of_an_unknown_tunnel_is_not_connected(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "office"]) == 3
    assert "there is no such tunnel [tunnel.unknown]" in capsys.readouterr().err


def test_without_a_daemon_every_command_says_how_to_get_one(
    path: Path, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["status"], ["up"], ["down"], ["watch"], ["rekey"]):
        assert main(["--socket", str(path), *command]) == 7
        words = capsys.readouterr().err
        assert str(path) in words
        assert "systemctl start roamd" in words


def test_a_failure_is_an_envelope_too(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json", "--socket", str(path)]) == 7
    message = out(capsys)
    assert (message["kind"], message["data"]["kind"]) == ("error", "daemon.absent")
    assert message["data"]["hint"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_cause_ends_with_its_exit_code_and_three_lines(
    daemon: FakeDaemon, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.refusal = ControlError(kind, "what was seen")
    assert main(["down", "office"]) == KINDS[kind][0]
    happened, seen, following = capsys.readouterr().err.splitlines()
    assert happened == f"roam: {KINDS[kind][1]} [{kind}]"
    assert seen == "  seen: what was seen"
    assert following == f"  next: {KINDS[kind][2]}"


# --- the small ones


def test_down_names_what_it_ended(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.tunnels["office"] = UP
    assert main(["down", "--force"]) == 0
    assert capsys.readouterr().out == "office: down\n"
    assert daemon.calls == [("down", Down(None, force=True))]


def test_down_of_what_is_not_up_is_done_already(
    daemon: FakeDaemon, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["down"]) == 0
    assert capsys.readouterr().out == "no tunnel was up\n"
    daemon.refusal = ControlError("tunnel.unknown", "no tunnel is wanted now")
    assert main(["down", "office"]) == 0  # a profile has this name
    assert capsys.readouterr().out == "office: was not up\n"
    assert main(["down", "ofice"]) == 3


def test_a_profile_that_nobody_wants_is_not_called_unknown(
    daemon: FakeDaemon, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.tunnels["home"] = TunnelStatus("home", "up")
    assert main(["status", "office"]) == 3
    words = capsys.readouterr().err
    assert "office is not wanted now" in words
    assert "'roam up office' starts it" in words
    assert main(["status", "ofice"]) == 3
    assert "there are: home" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "words"), [([], "Child SA"), (["--ike"], "IKE SA")])
def test_rekey_waits_for_the_new_keys(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    daemon.tunnels["office"] = UP
    assert main(["rekey", "office", *options]) == 0
    assert capsys.readouterr().out == f"office: the {words} has new keys\n"


def test_a_rekey_without_new_keys_is_no_success(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.tunnels["office"] = UP
    daemon.renews = False
    assert main(["rekey", "--timeout", "0.05"]) == 6
    assert "no new keys within 0.05 s" in capsys.readouterr().err


def test_cleanup_lists_what_the_daemon_removed(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cleanup"]) == 0
    assert "table 29440" in capsys.readouterr().out
    assert [name for name, _request in daemon.calls] == ["cleanup"]


def test_cleanup_without_a_daemon_sweeps_where_it_may(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeper, seen = tmp_path / "roamd", tmp_path / "seen"
    sweeper.write_text(f'#!/bin/sh\necho "$@" > {seen}\nexit 1\n')
    sweeper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(["cleanup", "--socket", str(path), "--state-dir", "/var/lib/x"]) == 1
    assert seen.read_text().split() == ["--sweep", "--socket", str(path), "--state-dir", "/var/lib/x"]


@pytest.mark.parametrize(
    ("said", "code", "data"),
    [
        ("nothing was left", 0, {"removed": []}),
        ("rule 7301\nroute 10.0.0.0/8", 0, {"removed": ["rule 7301", "route 10.0.0.0/8"]}),
        ("rule 7301", 1, {"kind": "local.fault", "evidence": "rule 7301", "hint": ""}),
    ],
)
def test_a_sweep_tells_programs_in_json(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    said: str,
    code: int,
    data: object,
) -> None:
    sweeper = tmp_path / "roamd"
    sweeper.write_text(f"#!/bin/sh\nprintf '{said}\\n'\nexit {code}\n")
    sweeper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(["cleanup", "--json", "--socket", str(path)]) == code
    assert out(capfd)["data"] == data


def test_cleanup_without_a_daemon_is_for_those_who_may_change_the_network(path: Path) -> None:
    child = os.fork()
    if child == 0:
        code = 70
        try:
            if os.geteuid() == 0:
                os.setresuid(65534, 65534, 65534)  # the kernel drops all capabilities with it
            code = main(["cleanup", "--socket", str(path)])
        finally:
            os._exit(code)  # whatever happened: a second copy of this test run must not go on
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4


class Lines(io.TextIOBase):
    """A stream whose lines another thread takes, each when it comes: none is lost between two looks."""

    def __init__(self) -> None:
        self._lines = queue.SimpleQueue[str]()
        self._rest = ""

    def write(self, text: str) -> int:
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            self._lines.put(line)
        return len(text)

    def next(self) -> str:
        return self._lines.get(timeout=30)


def test_watch_prints_one_object_a_line_until_the_daemon_ends(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon, printed, codes = FakeDaemon(), Lines(), list[int]()
    monkeypatch.setenv("ROAM_SOCKET", str(path))
    monkeypatch.setattr(sys, "stdout", printed)
    daemon.script = [UP]
    with serving_apart(daemon, path) as thread:
        watcher = threading.Thread(target=lambda: codes.append(main(["watch"])))
        watcher.start()
        lines = [printed.next()]
        thread.call(lambda: daemon.change(UP))
        lines.append(printed.next())
    watcher.join(30)
    kinds = [json.loads(line)["kind"] for line in lines]
    assert (kinds, codes) == (["snapshot", "event"], [7])
    assert json.loads(lines[1])["data"]["data"]["state"] == "up"


def test_profiles_are_listed_with_what_is_wrong_with_them(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "broken.toml").write_text("schema = 1\nid = 3\n")
    assert main(["profiles"]) == 0
    broken, office = capsys.readouterr().out.splitlines()
    assert broken.startswith("broken  unusable: ")
    assert office == "office  vpn.example.com"
    assert main(["profiles", "--json"]) == 0
    assert [entry["name"] for entry in out(capsys)["data"]] == ["broken", "office"]


def test_without_a_terminal_and_a_command_there_is_only_advice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    assert main([]) == 2
    assert "roam --help" in capsys.readouterr().err


def test_help_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"    {name}" in text for name in COMMANDS)
    assert "9 needs a terminal" in " ".join(text.split())


def test_an_unknown_command_is_told_like_every_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stauts"]) == 2
    words = capsys.readouterr().err
    assert 'there is no command "stauts"' in words
    assert 'Did you mean "status"?' in words
    assert main(["--json", "up", "a", "b"]) == 2
    assert out(capsys)["data"]["kind"] == "usage"
    assert main(["status", "--js"]) == 2  # an abbreviation would stand in scripts and break one day


@pytest.mark.parametrize(
    ("words", "seen", "following"),
    [
        (
            ["up", "--tiemout", "3"],
            'roam up takes no "--tiemout"',
            'Did you mean "--timeout"? \'roam up --help',
        ),
        (["status", "a", "b"], 'roam status takes no "b"', "'roam status --help' shows"),
        (["--frobnicate"], 'roam takes no "--frobnicate"', "'roam --help' shows"),
        (["lockdown", "onn"], 'WISH is on, off or status, and not "onn"', 'Did you mean "on"?'),
        (["wait", "--for", "trafic"], '--for is state, traffic or dns, and not "trafic"', 'mean "traffic"?'),
        (["doctor", "dnss"], 'TOPIC is dns, and not "dnss"', 'Did you mean "dns"?'),
        (["help", "stauts"], 'there is no command "stauts"', 'Did you mean "status"?'),
        (["up", "--timeout", "soon"], "argument --timeout: 'soon' is no number", "'roam up --help' shows"),
    ],
)
def test_what_was_mistyped_is_told_with_the_nearest_word(
    words: list[str], seen: str, following: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    happened, second, third = capsys.readouterr().err.splitlines()
    assert happened == "roam: the command makes no sense as it stands [usage]"
    assert seen in second
    assert following in third


def test_a_word_that_looks_like_another_command_is_no_other_command(daemon: FakeDaemon) -> None:
    assert main(["--socket", "/nonexistent/up", "status"]) == 7


def test_help_may_be_asked_for_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["help", "rekey"], ["rekey", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith("usage: roam rekey ")


def test_lockdown_without_a_word_tells_how_it_is(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lockdown"]) == 0
    assert capsys.readouterr().out.startswith("lockdown: off\n")


def test_the_version_is_of_both_ends(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.results["daemon.info"] = DaemonInfo("9.9", 1, "boot-1", 42, 990, NOW - 90, NOW)
    assert main(["version"]) == 0
    told = capsys.readouterr()
    own, theirs = told.out.splitlines()
    assert own.split() == ["roam", version("roam-vpn")]
    assert theirs == "roamd  9.9, protocol 1, running for 1 min 30 s as process 42"
    assert "the daemon is of another version" in told.err
    assert main(["version", "--json"]) == 0
    assert out(capsys)["data"] == {"roam": version("roam-vpn"), "roamd": "9.9"}


def test_the_version_is_told_without_a_daemon_too(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--socket", str(path), "version"]) == 0
    told = capsys.readouterr()
    assert f"roamd  no daemon: there is no socket {path}" in told.out
    assert told.err == ""


def test_the_systems_tunnel_is_found_under_its_long_name(daemon: FakeDaemon) -> None:
    daemon.tunnels = {
        "office": TunnelStatus("office", "up", owner=1000),
        "lab": TunnelStatus("lab", "up", shared=True),
    }
    assert main(["status", "system/lab"]) == 0
    assert main(["status", "lab"]) == 0
    assert main(["status", "system/office"]) == 3
