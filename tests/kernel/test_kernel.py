"""Roam on a distribution's kernel, in a virtual machine: one boot for all cases.

`--peer` chooses the Debian release whose kernel it is; the older one otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.evidence import KERNEL
from tests.netns.peers.releases import PeerUnavailable, release

from .cases import load, names
from .guest import WANTED
from .machine import Kernel, start
from .office import IPERF, PEER
from .report import Report

pytestmark = [
    pytest.mark.netns,
    pytest.mark.slow,
    pytest.mark.xdist_group("kernel"),
    pytest.mark.timeout(600),
]

_LIFETIME = 570.0  # seconds for all verdicts; where nothing else runs some 110 are enough


@pytest.fixture(scope="session")
def booted(distribution: Kernel) -> Kernel:
    try:
        for packages in PEER, IPERF:
            release(*packages)  # the machine itself has no network to fetch them from
    except PeerUnavailable as error:
        pytest.skip(f"no virtual machine: {error}")
    return distribution


@pytest.fixture(scope="session")
def report(
    booted: Kernel, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Report]:
    """The machine runs all cases that were selected in one boot, while the tests wait for one after another."""
    shared = tmp_path_factory.mktemp("machine")
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen = [str(item.callspec.params["name"]) for item in items if item.function is test_on_a_real_kernel]
    (shared / WANTED).write_text("\n".join(chosen))
    with start(booted, "tests.kernel.guest", shared) as machine:
        found = Report(booted.version, machine, shared, time.monotonic() + _LIFETIME)
        yield found


def _in_the_order_of_their_ends() -> list[str]:
    """The first groups begin first and take longest."""
    groups = load()
    return [*names(groups[2:]), *names(groups[:2])]


@pytest.mark.parametrize("name", _in_the_order_of_their_ends())
def test_on_a_real_kernel(report: Report, name: str, request: pytest.FixtureRequest) -> None:
    verdict = report.wait_for(name)
    assert verdict is not None, f"the machine did not come so far:\n{report.machine.console()}"
    assert not verdict.trouble, verdict.trouble
    said = f"{verdict.seconds:5.1f} s  {verdict.evidence}"
    request.node.user_properties.append((KERNEL, (f"Linux {report.version}", name, said)))
