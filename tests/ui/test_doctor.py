"""`roam doctor`: the daemon's findings shown, or our own where it cannot be asked; and the exit code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from client.control.diagnosis import Diagnosis, Examine, Finding
from client.control.messages import ControlError
from tests.control.fake import FakeDaemon
from ui.cli import main

WELL = Finding("kernel.tun", "ok", "TUN links can be made", "never shown")
DOUBT = Finding("clock", "warn", "no time service has set it", "Set the clock.")
BROKEN = Finding("resolver", "fail", "nobody can be \x1b[31mtold", "Start the helper.")


def test_findings_are_lines_with_what_to_do_below(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.results["doctor"] = Diagnosis((WELL, DOUBT, BROKEN), 990)
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok    daemon: roamd 0.1 answers, and you may control tunnels",
        "ok    kernel.tun: TUN links can be made",
        "warn  clock: no time service has set it",
        "      next: Set the clock.",
        "fail  resolver: nobody can be \N{REPLACEMENT CHARACTER}[31mtold",
        "      next: Start the helper.",
        "2 ok, 1 warning, 1 failure",
    ]


def test_a_warning_is_no_failure(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.results["doctor"] = Diagnosis((DOUBT,))
    assert main(["doctor", "dns", "--json"]) == 0
    assert daemon.calls == [("doctor", Examine("dns"))]
    message = json.loads(capsys.readouterr().out)
    assert (message["kind"], message["data"]["findings"][1]["name"]) == ("doctor", "clock")


@pytest.mark.parametrize(
    ("topic", "words"), [([], ["--doctor"]), (["dns"], ["--doctor", "dns"])], ids=["all", "dns"]
)
def test_without_a_daemon_we_look_ourselves_and_say_so(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    topic: list[str],
    words: list[str],
) -> None:
    ran = answering(monkeypatch, '{"findings": [{"name": "clock", "level": "ok", "evidence": "noon"}]}')
    assert main(["--socket", str(path), "doctor", *topic]) == 1
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("fail  daemon: no daemon: there is no socket")
    assert first.endswith("what follows was seen without the daemon, with your own rights")
    assert second.startswith("      next: Start it: 'sudo systemctl start roamd'")
    assert rest == ["ok    clock: noon", "1 ok, 0 warnings, 1 failure"]
    assert ran[0][1:] == ["--socket", str(path), *words]


def test_whoever_may_not_ask_the_daemon_looks_alone_too(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, '{"findings": []}')
    daemon.refusal = ControlError("permission.denied", "uid 1001 may not call doctor")
    assert main(["doctor"]) == 1
    assert "sudo usermod -aG roam $USER" in capsys.readouterr().out


@pytest.mark.parametrize("said", ["", "Traceback", '{"findings": 7}'])
def test_a_look_that_says_nothing_is_a_failure(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    answering(monkeypatch, said)
    assert main(["--socket", str(path), "doctor"]) == 1
    assert capsys.readouterr().err


def answering(monkeypatch: pytest.MonkeyPatch, said: str) -> list[list[str]]:
    """`roamd --doctor` says this; the commands that were run."""
    ran: list[list[str]] = []

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0, said)

    monkeypatch.setattr("ui.commands.doctor.subprocess.run", run)
    return ran
