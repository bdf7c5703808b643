"""What a `roam` that holds secrets leaves to others of its memory: nothing, also when it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ui.cli import COMMANDS, SECRETIVE

PR_GET_DUMPABLE = 3
PROGRAM = """
import ctypes, resource, sys
from ui import cli
sys.argv = ["roam", *sys.argv[1:]]
code = cli.main()
limits = resource.getrlimit(resource.RLIMIT_CORE)
print(ctypes.CDLL(None).prctl({get}, 0, 0, 0, 0), limits[0], limits[1], code)
"""
DYING = """
import os, resource, signal
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
from ui.hardening import harden
harden()
secret = "a secret of this process alone"
os.kill(os.getpid(), signal.SIGABRT)
"""


def left_by(tmp_path: Path, *words: str) -> list[str]:
    """Dumpable, both limits of core files and the exit code, after a command that found no daemon."""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": os.getcwd()}
    program = PROGRAM.format(get=PR_GET_DUMPABLE)
    done = subprocess.run(
        [sys.executable, "-c", program, "--socket", str(tmp_path / "none"), *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("words", [("up", "office"), ("answer",), ("signer", "office")], ids=" ".join)
def test_commands_that_hold_secrets_cannot_be_dumped_or_read(words: tuple[str, ...], tmp_path: Path) -> None:
    dumpable, soft, hard, code = left_by(tmp_path, *words)
    assert (dumpable, soft, hard) == ("0", "0", "0")
    assert code != "0"


def test_others_stay_as_they_were(tmp_path: Path) -> None:
    assert left_by(tmp_path, "status")[0] == "1"


def test_only_commands_that_exist_are_meant() -> None:
    assert {name for name in SECRETIVE if name is not None} <= set(COMMANDS)


def test_a_process_that_dies_leaves_no_core(tmp_path: Path) -> None:
    done = subprocess.Popen(
        [sys.executable, "-c", DYING], cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    _, status = os.waitpid(done.pid, 0)
    done.returncode = os.waitstatus_to_exitcode(status)
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)
    assert not list(tmp_path.iterdir())
