"""Roam on a distribution's kernel, in a virtual machine: one boot for all cases.

`--peer` chooses the Debian release whose kernel it is; the older one otherwise.
"""

from __future__ import annotations

import platform

import pytest

from tests.netns.peers.releases import PeerUnavailable

from .cases import load
from .conftest import Report
from .guest import WANTED, read_verdicts
from .machine import Kernel, MachineFailed, kernel, run

pytestmark = [pytest.mark.netns, pytest.mark.slow]

_OLDEST = "bookworm"
_PATIENCE = 240.0  # seconds, on a machine that does other things too


@pytest.fixture(scope="session")
def booted(request: pytest.FixtureRequest) -> Kernel:
    if platform.machine() != "x86_64":
        pytest.skip("the virtual machine is made for x86-64")
    try:
        return kernel(request.config.getoption("--peer") or _OLDEST)
    except PeerUnavailable as error:
        pytest.skip(f"no virtual machine: {error}")


@pytest.fixture(scope="session")
def report(
    booted: Kernel, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    """What became of the cases that were selected, all in one boot."""
    shared = tmp_path_factory.mktemp("machine")
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen = [str(item.callspec.params["name"]) for item in items if item.function is test_on_a_real_kernel]
    (shared / WANTED).write_text("\n".join(chosen))
    try:
        console = run(booted, "tests.kernel.guest", shared, _PATIENCE)
    except MachineFailed as error:
        console = str(error)
    found = Report(booted.version, read_verdicts(shared), console)
    request.config.stash[Report.KEY] = found
    return found


@pytest.mark.parametrize("name", load())
def test_on_a_real_kernel(report: Report, name: str) -> None:
    verdict = report.verdicts.get(name)
    assert verdict is not None, f"the machine did not come so far:\n{report.console}"
    assert not verdict.trouble, verdict.trouble
