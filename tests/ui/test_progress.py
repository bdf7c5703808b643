"""Live steps and colours: on a terminal only, and never the only bearer of a meaning."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import threading

import pytest

from client.control.messages import Fault, OuterPath, StatusReport, Traffic, TunnelStatus
from tests.control.fake import NOW, FakeDaemon
from ui import render
from ui.cli import main
from ui.painting import painted_problem, painted_status
from ui.progress import Steps

REPORT = StatusReport(
    NOW,
    tunnels=(
        TunnelStatus("office", "blocked", failure=Fault("auth.rejected", "AUTHENTICATION_FAILED", "Ask.")),
        TunnelStatus("home", "up", since=NOW - 5),
    ),
)


PSK = """
schema = 1
id = "office"
[gateway]
addresses = ["192.0.2.1"]
[identity]
local = "alice@example.com"
[[auth.local]]
method = "psk"
secret = "file:psk"
"""


class Screen(io.StringIO):
    """What a terminal gets."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Screen()


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", text)


def test_a_status_has_colours_on_a_terminal(screen: Screen) -> None:
    text = render.status(REPORT)
    painted = painted_status(text, screen)
    assert "\x1b[1moffice\x1b[0m: \x1b[31mblocked\x1b[0m" in painted
    assert "\x1b[1mhome\x1b[0m: \x1b[32mup\x1b[0m for 5 s" in painted
    assert "  \x1b[31mproblem\x1b[0m" in painted
    two_words = painted_status("  data path xfrm\n  last path wlan0\n            and more", screen).split(
        "\n"
    )
    assert two_words == [
        "  \x1b[2mdata path\x1b[0m xfrm",
        "  \x1b[2mlast path\x1b[0m wlan0",
        "            and more",
    ]
    assert without_colours(painted) == text


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_turned_off(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert painted_status(render.status(REPORT), screen) == render.status(REPORT)
    assert painted_problem("roam: no\n  seen: it", screen) == "roam: no\n  seen: it"


def test_what_goes_into_a_pipe_has_no_colours(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.tunnels |= {entry.name: entry for entry in REPORT.tunnels}
    assert main(["status"]) == 0
    assert main(["status", "nothing"]) == 3
    output = capsys.readouterr()
    assert "\x1b" not in output.out + output.err


def test_a_failure_stands_out(screen: Screen) -> None:
    assert painted_problem("roam: no\n  seen: it", screen) == "\x1b[31mroam: no\x1b[0m\n  seen: it"


def test_steps_are_written_over_and_stay_with_a_mark(screen: Screen) -> None:
    steps = Steps(screen)
    steps.begin("looking up")
    steps.tick()
    steps.begin("logging in")
    steps.end(ok=False)
    steps.end()
    lines = [line.rpartition("\r\x1b[2K")[2] for line in without_colours(screen.getvalue()).split("\n")[:-1]]
    assert [re.sub(r"  \d+\.\d s$", "", line) for line in lines] == ["✓ looking up", "✗ logging in"]


def test_a_question_gets_a_line_of_its_own(screen: Screen) -> None:
    steps = Steps(screen)
    steps.begin("logging in")
    steps.pause()
    assert screen.getvalue().endswith("… logging in\n")


def test_a_step_never_wraps(screen: Screen) -> None:
    steps = Steps(screen)
    steps.begin("x" * 500)
    assert len(without_colours(screen.getvalue()).rpartition("\r\x1b[2K")[2]) <= 80


def test_without_a_terminal_a_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(sys.stderr)
    steps.begin("looking up")
    steps.tick()
    steps.end()
    assert capsys.readouterr().err == "looking up\n"


def test_up_shows_its_steps_live(daemon: FakeDaemon, directory: object) -> None:
    """On a terminal of its own."""
    daemon.script = [
        TunnelStatus("office", "connecting", serial=1, detail="looking up vpn.example.com"),
        TunnelStatus("office", "connecting", serial=1, detail="logging in"),
        TunnelStatus("office", "up", serial=1, addresses=("10.99.0.10/32",)),
    ]
    home = f"{directory}/../.."
    with open(f"{directory}/office.toml", "w") as file:
        file.write(PSK)
    with open(os.open(f"{directory}/psk", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write("a long enough key")
    shown = on_a_terminal(["up", "office"], {"XDG_CONFIG_HOME": os.path.abspath(home)})
    assert "✓ office: connecting: looking up vpn.example.com" in shown
    assert "✓ office: connecting: logging in" in shown
    assert "office: up as 10.99.0.10/32" in shown


def on_a_terminal(words: list[str], environment: dict[str, str]) -> str:
    """What `roam` shows there."""
    leader, follower = pty.openpty()
    program = "import sys; from ui.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "TERM": "xterm", **environment},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    watchdog = threading.Timer(30, process.kill)
    watchdog.start()
    shown = b""
    try:
        while octets := os.read(leader, 4096):
            shown += octets
    except OSError:  # how Linux tells that nobody has the other end
        pass
    watchdog.cancel()
    assert process.wait(timeout=30) == 0, shown
    os.close(leader)
    return without_colours(shown.decode())


def test_a_full_status_fits_one_screen() -> None:
    """A tunnel with everything that it can have, on 80 columns and 24 lines."""
    tunnel = TunnelStatus(
        "office",
        "up",
        since=NOW - 60,
        gateway="vpn.example.com",
        identity="vpn.example.com",
        path=OuterPath("wlan0", "192.0.2.7:51312", "203.0.113.1:4500", nat_local=True),
        link="roam0",
        addresses=("10.99.0.10/32", "fd99::a/128"),
        routes=("0.0.0.0/0", "::/0"),
        dns=("10.77.0.53",),
        domains=("example.com",),
        resolver="systemd-resolved",
        ike_suite="AES_GCM_16-256/PRF_HMAC_SHA2_384/X25519",
        esp_suite="AES_GCM_16-256",
        ike_rekey_at=NOW + 9000,
        child_rekey_at=NOW + 2000,
        data_path="xfrm",
        mobike=True,
        guard=True,
        traffic=Traffic(1, 100, 2, 200),
    )
    lines = render.status(StatusReport(NOW, tunnels=(tunnel,)), 80).splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
