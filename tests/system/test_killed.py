"""Killed before every call that the wrappers of netlink, nftables and files make: closed meanwhile, then swept.

The lives run in `tests.system.killing`, several at a time: most of theirs is waiting for the kernel to take a link
down.  That a kill before any message to a resolver's bus does no harm is shown in tests/system/resolver.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from tests.conftest import Record
from tests.evidence import KILLED
from tests.system.killing import STAGES

pytestmark = [pytest.mark.netns, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2  # more would wait for each other: the kernel changes one namespace's links at a time
PATIENCE = 180.0  # seconds
HALVES = (0, 1)


@pytest.mark.parametrize("half", HALVES)
def test_a_kill_before_any_call_leaves_the_guard_closed_and_nothing_after_the_sweep(
    tmp_path: Path, half: int, record_property: Record
) -> None:
    """More than 200 points in both halves together."""
    stages = list(STAGES)[half :: len(HALVES)]
    workers = [start(tmp_path / str(number), stages[number::WORKERS]) for number in range(WORKERS)]
    deadline = monotonic() + PATIENCE
    try:
        told = [json.loads(worker.communicate(timeout=deadline - monotonic())[0]) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(10)
    assert [line for each in told for line in each["wrong"]] == []
    assert sum(sum(each["points"].values()) for each in told) > 100
    assert sum(sum(each["armed"].values()) for each in told) > 60
    for each in told:
        for what, column in ((each["points"], "swept"), (each["armed"], "closed until then")):
            for stage, kills in what.items():
                record_property(KILLED, (stage, column, 0, kills))


def start(directory: Path, stages: list[str]) -> subprocess.Popen[bytes]:
    directory.mkdir()
    command = [sys.executable, "-m", "tests.system.killing", str(directory), *stages]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
