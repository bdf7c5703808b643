"""`roam demo --tui` on a terminal: the roam is seen in the terminal UI, and the terminal is left as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import tempfile
import termios
from pathlib import Path

import pytest

from client.lab.laptop import PROGRAM, program_environment

ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"  # the terminal's second screen


@pytest.mark.netns
@pytest.mark.slow
def test_the_roam_is_seen_and_the_terminal_left_as_it_was() -> None:
    with tempfile.TemporaryDirectory(prefix="roam-test-") as directory:
        code, seen = on_a_terminal([*PROGRAM, "demo", "--tui", "--keep", f"{directory}/kept"])
        assert code == 0, seen[-2000:]
        assert (Path(directory) / "kept" / "demo.json").exists()
    before, _, rest = seen.partition(ENTERED)
    screen, _, after = rest.partition(LEFT)
    assert b"network   a laptop" in before
    assert b"wlan0 is gone" in screen
    assert b"packets answered" not in screen  # the demo's own lines wait until the terminal is free
    for word in (b"up", b"traffic", b"roam", b"return", b"restart", b"down"):
        assert word.ljust(10) in after
    assert ENTERED not in after


def test_without_a_terminal_there_is_only_advice() -> None:
    done = subprocess.run(
        [*PROGRAM, "demo", "--tui"],
        env=program_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "this is no terminal" in done.stderr


def on_a_terminal(command: list[str]) -> tuple[int, bytes]:
    """Exit code, and everything that went to the terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = {**program_environment(), "TERM": "xterm-256color"}
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment
    ) as process:
        os.close(slave)
        seen = b""
        try:
            while chunk := os.read(master, 65536):
                seen += chunk
        except OSError:  # the terminal's last user is gone
            pass
        os.close(master)
        return process.wait(), seen
