"""The strongSwan release that a test runs against: each of them, or the one that `--peer` names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client.lab.topology import Topology, topology
from tests.conftest import PEERS
from tests.netns.peers.releases import PeerUnavailable, Release, release


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "strongswan" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--peer")
        metafunc.parametrize("strongswan", [chosen] if chosen else PEERS, indirect=True, scope="session")


@pytest.fixture(scope="session")
def strongswan(request: pytest.FixtureRequest) -> Release:
    try:
        return release(request.param)
    except PeerUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def lab() -> Iterator[Topology]:
    with topology() as built:
        yield built
