"""`roam reauth`, `log`, `rpc` and `report`."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

from client.control.affairs import (
    DaemonInfo,
    LogLevel,
    LogLine,
    LogQuery,
    LogReport,
    ReportData,
    ReportedProfile,
)
from client.control.diagnosis import Diagnosis, Finding
from client.control.messages import Fault, StatusReport, TunnelStatus
from tests.control.fake import NOW, FakeDaemon
from ui.cli import main

UP = TunnelStatus("office", "up", session=1)
LINES = (
    LogLine(7, NOW, "info", "roam.tunnel", "office: up", "office"),
    LogLine(9, NOW, "warning", "roam", "our filter was changed \x1b[31m"),
)
INFO = DaemonInfo("0.1", 1, "boot-1", 4711, 990, NOW, NOW)


def test_reauth_waits_for_the_new_session(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.tunnels["office"] = UP
    assert main(["reauth"]) == 0
    assert capsys.readouterr().out == "office: logged in anew\n"


def test_a_refused_reauth_says_that_the_tunnel_is_still_there(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.tunnels["office"] = UP
    daemon.script = [UP.replace(renewal=Fault("auth.rejected", "AUTHENTICATION_FAILED"))]
    assert main(["reauth", "office", "--json"]) == 5
    answer = json.loads(capsys.readouterr().out)
    assert answer["data"]["evidence"].endswith("the session from before is in use")


def test_a_reauth_that_ends_the_tunnel_fails(daemon: FakeDaemon) -> None:
    daemon.tunnels["office"] = UP
    daemon.script = [UP.replace(state="waiting")]
    assert main(["reauth", "office"]) == 3


def test_log_prints_lines_that_cannot_steer_a_terminal(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.results["daemon.log"] = LogReport(9, "boot-1", LINES)
    assert main(["log", "--lines", "5", "--level", "info", "office"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("info    roam.tunnel: office: up")
    assert second.endswith("warning roam: our filter was changed \N{REPLACEMENT CHARACTER}[31m")
    assert daemon.calls == [("daemon.log", LogQuery(lines=5, level="info", tunnel="office"))]


def test_log_follows_from_where_it_was(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.results["daemon.log"] = LogReport(9, "boot-1", LINES)

    class Enough(Exception):
        """The test has seen the second answer."""

    def second_time(*_values: object) -> None:
        if len(daemon.calls) > 1:
            raise Enough

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ui.commands.logs._tell", second_time)
        with pytest.raises(Enough):
            main(["log", "-f"])
    (_name, again) = daemon.calls[1]
    assert isinstance(again, LogQuery)
    assert (again.after, again.boot, again.wait) == (9, "boot-1", 60.0)


def test_log_sets_the_level(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.results["daemon.set_log_level"] = INFO.replace(log_level="debug")
    assert main(["log", "--set-level", "debug"]) == 0
    assert capsys.readouterr().out == "the daemon logs from debug on\n"
    assert daemon.calls == [("daemon.set_log_level", LogLevel("debug"))]


@pytest.mark.parametrize("words", [["log", "--lines", "many"], ["log", "--level", "loud"]])
def test_a_log_that_makes_no_sense_is_usage(daemon: FakeDaemon, words: list[str]) -> None:
    assert main(words) == 2


def test_rpc_calls_any_method(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.tunnels["office"] = UP
    assert main(["rpc", "tunnel.status", '{"name": "office"}']) == 0
    assert json.loads(capsys.readouterr().out)["tunnels"][0]["name"] == "office"
    assert main(["--json", "rpc", "hello"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["kind"], answer["data"]["protocol"]) == ("rpc", 1)


def test_rpc_reads_its_parameters_from_stdin(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.tunnels["office"] = UP
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"name": "office"}'))
    assert main(["rpc", "tunnel.status", "-"]) == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [(["no.such"], 1), (["hello", "{"], 2), (["hello", "[1]"], 2), (["tunnel.status", '{"name": "x"}'], 3)],
)
def test_rpc_fails_as_the_method_does(daemon: FakeDaemon, words: list[str], code: int) -> None:
    assert main(["rpc", *words]) == code


def unpacked(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        return {
            member.name.rpartition("/")[2]: archive.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in archive.getmembers()
        }


def test_a_report_has_everything_but_people_places_and_secrets(
    daemon: FakeDaemon, directory: Path, tmp_path: Path
) -> None:
    tunnel = TunnelStatus(
        "office", "up", title="Jane's office", gateway="vpn.example.com", identity="gw.example.com"
    )
    log = (
        LogLine(
            1, NOW, "info", "roam", "alice@example.com logs in at 198.51.101.7 and 10.0.0.7, password=hunter2"
        ),
        LogLine(2, NOW, "info", "roam", "vpn.example.com has 2a01:db8::7 and key " + "ab" * 32),
    )
    daemon.results["daemon.report"] = ReportData(
        INFO, StatusReport(NOW, tunnels=(tunnel,)), log, (ReportedProfile("office", '{"schema": 1}'),)
    )
    daemon.results["doctor"] = Diagnosis((Finding("clock", "ok", "in step with Jane's office"),))
    file = tmp_path / "report.tar.gz"
    assert main(["report", "--output", str(file)]) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    parts = unpacked(file)
    assert set(parts) == {
        "README", "machine.json", "daemon.json", "status.json", "profiles.json", "log.txt", "doctor.json"
    }  # fmt: skip
    told = "".join(parts.values())
    for private in ("hunter2", "alice", "Jane", "vpn.example.com", "198.51.101.7", "2a01:db8::7", "abab"):
        assert private not in told, private
    assert "10.0.0.7" in told
    assert json.loads(parts["profiles.json"]) == {"office": {"schema": 1}}


def test_a_report_never_overwrites(daemon: FakeDaemon, tmp_path: Path) -> None:
    file = tmp_path / "report.tar.gz"
    file.write_text("something else")
    assert main(["report", "--output", str(file)]) == 2
    assert file.read_text() == "something else"


def test_a_report_says_what_it_could_not_learn(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.tar.gz"
    assert main(["--socket", str(path), "report", "--output", str(file)]) == 0
    parts = unpacked(file)
    assert "daemon.absent" in parts["problems.txt"]
    assert "roam-vpn" in parts["machine.json"]


def test_a_report_can_go_into_a_pipe(
    daemon: FakeDaemon, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["report", "-o", "-"]) == 0
    assert capfdbinary.readouterr().out[:2] == b"\x1f\x8b"


@pytest.mark.parametrize("command", ["rekey", "reauth"])
def test_what_takes_a_while_can_be_left_to_the_daemon(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    daemon.tunnels["office"] = UP
    daemon.renews = False
    assert main([command, "--no-wait"]) == 0
    assert capsys.readouterr().out == "office: asked for\n"
