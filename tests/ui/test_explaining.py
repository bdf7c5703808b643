"""`roam explain` and `roam probe`: in words, in JSON, from a file, and without a daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client.control.evidence import Evidence, Explanation, NeighbourRecord, Verdict
from client.control.messages import ControlError, Named
from client.control.probing import AddressFound, PortFound, Probe, Probed
from client.control.wire import plain
from tests.control.fake import FakeDaemon
from tests.explain.golden import GOLDEN
from ui.cli import main

EVIDENCE = GOLDEN["wrong password"].build()
VERDICT = Verdict(
    "login.password",
    "The user name or the password is wrong.",
    ("error 691", "on the second line \x1b[2J"),
    ("Ask again.",),
    "likely",
    (NeighbourRecord("login.account_disabled", "The account is disabled.", "it would show error 647"),),
    ("what to look at",),
    ("FortiGate: no MOBIKE",),
)
SEEN = AddressFound(
    "192.0.2.1",
    "wlan0",
    ports=(PortFound("udp 500", "answered"), PortFound("tcp 4500", "refused")),
    cookie=False,
    fragmentation=True,
    nat_local=True,
    vendor="strongSwan",
    groups=("x25519", "ecp256"),
    groups_refused=("ecp521",),
    eap=("request Identity", "request EAP-MSCHAPv2"),
)


def test_a_verdict_reads_from_what_happened_to_what_it_is_not(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.results["explain"] = Explanation(VERDICT, EVIDENCE)
    assert main(["explain", "office"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "office: The user name or the password is wrong. [login.password]",
        "  seen: error 691",
        "        on the second line \N{REPLACEMENT CHARACTER}[2J",
        "  do: Ask again.",
        "  find out: what to look at",
        "  rather than: The account is disabled. [login.account_disabled]: it would show error 647",
        "  gateway: FortiGate: no MOBIKE",
        "  (likely: the evidence fits, and does not rule out everything else)",
    ]
    assert daemon.calls == [("explain", Named("office"))]


def test_of_several_causes_that_look_alike_the_nearest_is_told_unless_nothing_is_certain(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    other = NeighbourRecord("login.hours", "Not at this hour.", "it would show error 646")
    both = VERDICT.replace(neighbours=(*VERDICT.neighbours, other))
    daemon.results["explain"] = Explanation(both, EVIDENCE)
    assert main(["explain", "office"]) == 0
    assert "login.hours" not in capsys.readouterr().out
    daemon.results["explain"] = Explanation(both.replace(cause="unknown", confidence="none"), EVIDENCE)
    assert main(["explain", "office"]) == 0
    assert "login.hours" in capsys.readouterr().out


def test_what_json_prints_is_explained_again_from_its_file(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    daemon.results["explain"] = Explanation(VERDICT, EVIDENCE)
    assert main(["explain", "office", "--json"]) == 0
    file = tmp_path / "evidence.json"
    file.write_text(capsys.readouterr().out)
    daemon.calls.clear()
    assert main(["explain", "--file", str(file), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["kind"] == "explain"
    assert answer["data"]["verdict"]["cause"] == "login.password"
    assert answer["data"]["evidence"] == plain(EVIDENCE)
    assert daemon.calls == []


def test_the_record_alone_will_do_also_without_a_daemon(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROAM_SOCKET", str(tmp_path / "nobody.sock"))
    file = tmp_path / "record.json"
    file.write_text(json.dumps(plain(GOLDEN["expired"].build())))
    assert main(["explain", "--file", str(file)]) == 0
    assert "[trust.expired]" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "7", '{"format": 2}', '{"attempts": 7}', "[" * 100_000, '{"data": {"evidence": 1}}'],
)
def test_what_is_no_evidence_is_refused_in_a_sentence(
    text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "evidence.json"
    file.write_text(text)
    code = main(["explain", "--file", str(file)])
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    assert (code, "[evidence.unreadable]" in shown.err) == (2, True) or "no evidence" in shown.out


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["explain", "--file", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err


def test_nothing_to_explain_is_said(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.refusal = ControlError("tunnel.unknown", "no tunnel is wanted")
    assert main(["explain"]) == 3
    assert "no tunnel is wanted" in capsys.readouterr().err


def test_a_gateway_is_shown_with_a_profile_to_start_from(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.results["probe"] = Probed(
        "vpn.example.com", addresses=(SEEN,), preset="strongswan", profile="schema = 1\n", notes=("a note",)
    )
    assert main(["probe", "vpn.example.com"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "vpn.example.com, port 500",
        "  192.0.2.1 over wlan0",
        "  ports        udp 500 answered, tcp 4500 refused",
        "  vendor       strongSwan",
        "  groups       x25519 ecp256 (not: ecp521)",
        "  cookie       not asked for",
        "  fragments    taken",
        "  NAT          in front of us",
        "  login        Identity, EAP-MSCHAPv2",
        "note: a note",
        "preset: strongswan",
        "",
        "schema = 1",
    ]
    assert daemon.calls == [("probe", Probe("vpn.example.com"))]


def test_a_gateway_that_does_not_answer_has_an_exit_code(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.results["probe"] = Probed("vpn.example.com", notes=("nothing answers",))
    assert main(["probe", "vpn.example.com", "--port", "4500", "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["data"]["notes"] == ["nothing answers"]
    assert daemon.calls == [("probe", Probe("vpn.example.com", 4500))]


@pytest.mark.parametrize("arguments", [["two words"], ["x" * 300], ["gw", "--port", "70000"], [""]])
def test_what_cannot_be_a_gateway_is_refused_before_anybody_is_asked(
    daemon: FakeDaemon, arguments: list[str]
) -> None:
    assert main(["probe", *arguments]) == 2
    assert daemon.calls == []


def test_a_failure_of_up_points_to_explain(daemon: FakeDaemon) -> None:
    from ui.commands.up import _with_more

    more = _with_more(ControlError("auth.rejected", "no", "Check it."), "office")
    assert more.hint == "Check it. 'roam explain office' tells more."
    kept = ControlError("permission.denied", "no", "Use sudo.")
    assert _with_more(kept, "office") is kept
    assert Evidence().objection() == ""
