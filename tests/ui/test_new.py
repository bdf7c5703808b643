"""`roam new`: at a terminal it asks, in a script it does not; without a look at the gateway it says so."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from profiles.store import load_text
from ui.cli import main
from ui.gateway import seen

ROOT_OF_SOURCE = Path(__file__).parents[2]
AUTHORITY = ROOT_OF_SOURCE / "tests" / "profiles" / "containers" / "above.pem"
ENTERED = {
    b"Server (name": b"vpn.example.com",
    b"Name of the profile": b"work",
    b"Login by": b"",
    b"User name": b"alice",
    b"Who vouches": str(AUTHORITY).encode(),
    b"Write it": b"",
}
"""Question -> what a person types, before Return."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without profiles and without a daemon."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("ROAM_SOCKET", str(tmp_path / "nobody"))
    return tmp_path / "roam" / "profiles"


def converse(command: list[str], answers: dict[bytes, bytes]) -> tuple[int, bytes, list[bytes]]:
    """Run a command at a terminal of its own and answer each question once; exit code, output, what was asked."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT_OF_SOURCE)
    os.close(theirs)
    said, asked, seen = b"", [], 0
    try:
        while True:
            try:
                said += os.read(ours, 4096)
            except OSError:  # the other end is closed: it has ended
                break
            fresh = [question for question in answers if question not in asked and question in said[seen:]]
            if fresh and said.rstrip().endswith((b":", b"]")):
                asked.append(fresh[0])
                seen = len(said)
                os.write(ours, answers[fresh[0]] + b"\n")
        return process.wait(timeout=30), said, asked
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.timeout(60)
def test_a_person_is_asked_little_and_sees_what_is_written(home: Path) -> None:
    command = [sys.executable, "-c", "import sys; from ui.cli import main; sys.exit(main())", "new"]
    code, said, asked = converse(command, ENTERED)
    assert code == 0, said
    assert asked == list(ENTERED)
    assert b"vpn.example.com was not looked at: no daemon" in said
    profile = load_text((home / "work.toml").read_text())
    assert profile.auth.local[0].identity == "alice"
    assert profile.trust.ca == ("file:work-ca.pem",)
    assert (home / "work-ca.pem").read_bytes() == AUTHORITY.read_bytes()


@pytest.mark.timeout(60)
def test_no_at_the_end_writes_nothing(home: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "import sys; from ui.cli import main; sys.exit(main())",
        "new",
        "--no-probe",
    ]
    code, said, _ = converse(command, {**ENTERED, b"Write it": b"n"})
    assert code == 1, said
    assert not home.exists()


def test_a_script_is_asked_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["new", "work", "--server", "vpn.example.com", "--user", "alice", "--network", "10.0.0.0/8"]
    assert main([*words, "--ca", str(AUTHORITY), "--yes", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["kind"] == "new"
    assert answer["data"]["looked"] is False
    assert answer["data"]["paths"] == [str(home / "work.toml"), str(home / "work-ca.pem")]
    assert main([*words, "--yes"]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--yes"], "which server?"),
        (["--server", "a.example", "--yes"], "user: is missing"),
        (["--server", "a b", "--user", "x", "--yes"], "neither a host name nor an address"),
        (["--server", "a.example", "--user", "x", "--ca", "/nowhere", "--yes"], "/nowhere: No such file"),
        (["--server", "a.example", "--user", "x", "--preset", "azur", "--yes"], '"azur" is no preset'),
        (["--server", "a.example", "--login", "cert", "--yes"], "certificate: is missing"),
    ],
)
def test_what_is_missing_is_said(
    home: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "--no-probe", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_the_gateways_certificate_is_shown_with_its_names() -> None:
    certificate = {
        "subject": "CN=vpn.example.com",
        "issuer": "CN=Example VPN CA",
        "names": ["vpn.example.com"],
        "not_after": "2036-11-20T00:00:00Z",
        "pin": "sha256:" + "00ff" * 16,
    }
    address = {
        "address": "192.0.2.1",
        "vendor": "Fortinet FortiGate",
        "eap": ["request Identity", "request EAP-TTLS"],
    }
    lines = seen({"addresses": [{**address, "certificates": [certificate]}], "preset": "fortigate"})
    assert lines == [
        "  192.0.2.1, made by Fortinet FortiGate, asks for EAP-TTLS",
        "  certificate of CN=vpn.example.com",
        "    for vpn.example.com",
        "    issued by CN=Example VPN CA, valid until 2036-11-20",
        "    its key: sha256:00ff:00ff:00ff:00ff:00ff:00ff:00ff:00ff",
        "                    00ff:00ff:00ff:00ff:00ff:00ff:00ff:00ff",
        "  preset that suits: fortigate",
    ]
    assert seen({"addresses": "nonsense"}) == [
        "  nothing answers there: the profile is made from what you say alone"
    ]
