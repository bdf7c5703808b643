"""With --json every command says one line that a program can take apart, whatever it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client.control.affairs import DaemonInfo, LogLine, LogReport, ReportData
from client.control.diagnosis import Diagnosis
from client.control.evidence import Evidence, Explanation, Verdict
from client.control.messages import SecretNeeded, StatusReport, Traffic, TunnelStatus
from client.control.probing import Probed
from client.control.verification import Proof, Verified
from tests.control.fake import NOW, FakeDaemon
from tests.ui.conftest import MemoryKeyring
from ui.cli import COMMANDS, main

SAMPLE = Path(__file__).parents[1] / "profiles" / "samples" / "04-eap.sswan"
OFFICE = TunnelStatus("office", "up", serial=1, session=1, traffic=Traffic(packets_in=1))
INFO = DaemonInfo("0.1", 1, "boot-1", 42, 990, NOW - 90, NOW)
NEW = ["new", "branch", "--server", "vpn.example.com", "--user", "alice", "--yes", "--no-probe"]

VERBS: dict[str, tuple[str, list[str]]] = {
    # kind of the envelope: (command, its words)
    "up": ("up", ["up", "office"]),
    "down": ("down", ["down"]),
    "status": ("status", ["status"]),
    "wait": ("wait", ["wait", "--for", "traffic"]),
    "snapshot": ("watch", ["watch"]),
    "answer": ("answer", ["answer", "7", "--cancel"]),
    "rekey": ("rekey", ["rekey"]),
    "reauth": ("reauth", ["reauth"]),
    "verify": ("verify", ["verify"]),
    "cleanup": ("cleanup", ["cleanup"]),
    "lockdown": ("lockdown", ["lockdown", "on"]),
    "portal": ("portal", ["portal"]),
    "explain": ("explain", ["explain"]),
    "probe": ("probe", ["probe", "vpn.example.com"]),
    "doctor": ("doctor", ["doctor"]),
    "log": ("log", ["log"]),
    "report": ("report", ["report", "--output", "report.txt"]),
    "rpc": ("rpc", ["rpc", "daemon.info"]),
    "profiles": ("profiles", ["profiles"]),
    "profiles.check": ("profiles", ["profiles", "--check"]),
    "profiles.show": ("profiles", ["profiles", "office", "--show"]),
    "profiles.set": ("profiles", ["profiles", "office", "--set", "routing.mtu=1380"]),
    "new": ("new", NEW),
    "import": ("import", ["import", str(SAMPLE), "--dry-run"]),
    "export": ("export", ["export", "office", "--to", "swanctl"]),
    "version": ("version", ["version"]),
    "error": ("signer", ["signer", "office"]),  # whose profile has no key to sign with
}
ELSEWHERE = frozenset({"tui", "demo", "selftest"})
"""They are no matter of one line, or have tests of their own."""


@pytest.fixture
def office(daemon: FakeDaemon, directory: Path, ring: MemoryKeyring) -> FakeDaemon:
    text = (directory / "office.toml").read_text()
    (directory / "office.toml").write_text(text.replace('ca = ["file:ca.pem"]', "system_store = true"))
    ring.set_password("roam", "office/eap", "hunter2")
    daemon.tunnels["office"] = OFFICE
    daemon.secrets = (SecretNeeded("7", "office", "otp", "Code", NOW + 60),)
    daemon.results |= {
        "daemon.info": INFO,
        "daemon.log": LogReport(1, "boot-1", (LogLine(0, NOW, "info", "roam", "ready"),)),
        "daemon.report": ReportData(INFO, StatusReport(NOW)),
        "doctor": Diagnosis(),
        "explain": Explanation(Verdict("working", "Nothing is wrong.", (), ()), Evidence()),
        "probe": Probed("vpn.example.com"),
        "tunnel.verify": Verified("office", "", Proof(1.0, 1, 1)),
    }
    return daemon


def test_every_command_is_looked_at() -> None:
    assert {command for command, _words in VERBS.values()} | ELSEWHERE == set(COMMANDS)


@pytest.mark.parametrize("kind", VERBS)
def test_what_a_command_says_to_programs_is_one_envelope(
    office: FakeDaemon,
    kind: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "snapshot":
        monkeypatch.setattr("client.control.client.Client.next_event", interrupted)
    main(["--json", *VERBS[kind][1]])
    lines = capsys.readouterr().out.splitlines()
    (envelope,) = [json.loads(line) for line in lines]
    assert envelope.keys() == {"version", "kind", "data"}
    assert (envelope["version"], envelope["kind"]) == (1, kind)


def interrupted(_client: object, _deadline: float | None = None) -> None:
    """Control-C, as soon as there is nothing to tell."""
    raise KeyboardInterrupt
