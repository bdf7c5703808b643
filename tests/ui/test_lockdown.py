"""`roam lockdown` and `roam portal`, and what status says of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client.control.messages import LockdownSet, LockdownStatus, PortalOpen, StatusReport, TunnelStatus
from tests.control.fake import NOW, FakeDaemon
from ui import render
from ui.cli import main

FILTERED = "guard: by a packet filter (nftables) and by routing"
LOCKED = "lockdown: on, by uid 0; nothing leaves outside a tunnel, reachable beside it: the local network"


def test_lockdown_is_turned_on_told_and_turned_off(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, told in (
        (["on"], LOCKED),
        (["status"], LOCKED),
        (["on", "--no-lan"], LOCKED.replace("the local network", "nothing else")),
        (["off"], "lockdown: off"),
        (["status"], "lockdown: off"),
    ):
        assert main(["lockdown", *words]) == 0
        assert capsys.readouterr().out == f"{told}\n{FILTERED}\n"
    assert daemon.calls == [
        ("lockdown", LockdownSet(True)),
        ("lockdown", LockdownSet(True, allow_lan=False)),
        ("lockdown", LockdownSet(False)),
    ]


def test_lockdown_as_json(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "lockdown", "on"]) == 0
    message = json.loads(capsys.readouterr().out)
    assert (message["kind"], message["data"]["on"]) == ("lockdown", True)


def test_a_portal_is_opened_and_closed(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["portal", "--seconds", "90"]) == 0
    assert "open for the browser of uid 0, for 1 min 30 s more" in capsys.readouterr().out
    assert main(["portal", "--close"]) == 0
    assert "portal" not in capsys.readouterr().out
    assert daemon.calls == [("portal", PortalOpen(90.0)), ("portal", PortalOpen(0.0))]


def test_a_portal_for_hours_is_refused(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["portal", "--seconds", "3600"]) == 2
    assert "'3600' is more than 300 seconds" in capsys.readouterr().err
    assert daemon.calls == []


def test_without_a_daemon_root_can_turn_it_off_and_nobody_on(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], check: bool) -> object:
        ran.append(command)
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr("ui.commands.tunnels.subprocess.run", run)
    assert main(["--socket", str(path), "lockdown", "on"]) == 7
    assert ran == []
    assert main(["--socket", str(path), "lockdown", "off", "--state-dir", "/somewhere"]) == 0
    assert ran[0][1:] == ["--disarm", "--socket", str(path), "--state-dir", "/somewhere"]


def test_status_ends_with_how_the_machine_stands() -> None:
    locked = LockdownStatus(True, guard="nftables")
    assert render.status(StatusReport(NOW, lockdown=locked)).splitlines()[1:] == [LOCKED, FILTERED]
    plain = LockdownStatus(False, guard="routing", guard_reason="no nftables")
    assert render.status(StatusReport(NOW, lockdown=plain)).splitlines()[1:] == []
    guarded = (TunnelStatus("a", "up", guard=True), TunnelStatus("b", "up"))
    assert render.status(StatusReport(NOW, tunnels=guarded, lockdown=plain)).splitlines()[2:] == [
        "lockdown: off",
        "guard: by routing only, without a packet filter: no nftables",
    ]
