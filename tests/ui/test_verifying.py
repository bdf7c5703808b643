"""`roam verify`: what was found in words and in JSON, and the exit code of the worst of it."""

from __future__ import annotations

import json

import pytest

from client.control.messages import ControlError
from client.control.verification import Deviation, Proof, Verified, Verify
from tests.control.fake import FakeDaemon
from ui.cli import main

BOTH = Proof(0.3, sent=2, received=1, ike=True, asked=("10.77.0.53",), answered="10.77.0.53", how="answers")
SILENT = Proof(3.0, sent=6, asked=("10.77.0.1",))
RULE = Deviation("rule IPv4 7301: lookup 29440", "present", "missing")

FOUND = [
    (
        Verified("office", "", BOTH),
        0,
        [
            "office: verified",
            "  machine   as it should be: links, addresses, routes, rules, packet filter, names, SAs, policies",
            "  proven    packets pass both ways: 1 authentic ESP packets came in, 2 went out, within 0.3 s",
            "  inside    10.77.0.53 answers",
            "  gateway   answers over IKE",
        ],
    ),
    (
        Verified("office", "verify.unproven", SILENT),
        6,
        [
            "office: not verified",
            "  unproven  that packets pass both ways: 0 authentic ESP packets came in, 6 went out, within 3.0 s",
            "  inside    nobody answers; asked: 10.77.0.1",
            "  gateway   no answer over IKE was seen",
            "  next      Name a host that answers: 'roam verify --target ADDRESS'; or ask whether",
        ],
    ),
    (
        Verified("office", "verify.unproven", Proof(3.0)),
        6,
        ["  inside    nobody was asked: the gateway names no host behind it"],
    ),
    (
        Verified("office", "verify.deviation", BOTH, (RULE,), "stubborn (process 7) keeps undoing it"),
        1,
        [
            "  deviates  rule IPv4 7301: lookup 29440: missing, should be present",
            "  others    stubborn (process 7) keeps undoing it",
        ],
    ),
    (
        Verified("office", "verify.deviation", BOTH, (Deviation("rule \x1b[2J", "present", "missing"),)),
        1,
        ["  deviates  rule �[2J: missing", "  next      Another program has changed it"],
    ),
]


@pytest.mark.parametrize(
    ("found", "code", "lines"), FOUND, ids=["all well", "silence", "nobody", "fight", "odd"]
)
def test_it_is_told_what_was_proven_and_what_was_not(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str], found: Verified, code: int, lines: list[str]
) -> None:
    daemon.results["tunnel.verify"] = found
    assert main(["verify", "office"]) == code
    said = capsys.readouterr().out.splitlines()
    for line in lines:
        assert any(heard.startswith(line) for heard in said), (line, said)


def test_programs_get_all_of_it(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.results["tunnel.verify"] = Verified("office", "verify.deviation", BOTH, (RULE,))
    assert main(["--json", "verify", "--target", "10.77.0.9", "--timeout", "0.5"]) == 1
    message = json.loads(capsys.readouterr().out)
    assert (message["version"], message["kind"]) == (1, "verify")
    assert message["data"]["verdict"] == "verify.deviation"
    assert message["data"]["deviations"] == [
        {"what": "rule IPv4 7301: lookup 29440", "wanted": "present", "actual": "missing"}
    ]
    assert message["data"]["proof"]["received"] == 1
    assert daemon.calls[-1] == ("tunnel.verify", Verify(None, "10.77.0.9", 0.5))


def test_what_is_not_connected_is_exit_code_3(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.refusal = ControlError("tunnel.not_connected", "office is waiting")
    assert main(["verify", "office"]) == 3
    assert "office is waiting" in capsys.readouterr().err


@pytest.mark.parametrize("timeout", ["0", "31", "nan", "soon"])
def test_nobody_waits_longer_than_the_daemon_allows(daemon: FakeDaemon, timeout: str) -> None:
    assert main(["verify", "--timeout", timeout]) == 2
    assert daemon.calls == []
