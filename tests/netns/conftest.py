"""The strongSwan release that a test runs against: each of them, or the one that `--peer` names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from client.lab.topology import Topology, topology
from tests.conftest import PEERS
from tests.evidence import INTEROP, LOGIN
from tests.netns.peers.releases import PeerUnavailable, Release, release


@dataclass(frozen=True)
class Interop:
    """Notes what a test shows against a peer; it counts if the test passes."""

    test: pytest.Item

    def shown(self, peer: str, what: str, result: str) -> None:
        """Add a row to the table that a run prints."""
        self.test.user_properties.append((INTEROP, (peer, what, result)))


@dataclass(frozen=True)
class Logins:
    """Notes what a test shows of a way to log in; it counts if the test passes."""

    test: pytest.Item

    def shown(self, method: str, peer: str) -> None:
        """Wrong credentials were refused, and with the right ones traffic went."""
        self.test.user_properties.append((LOGIN, (method, peer)))


@pytest.fixture
def interop(request: pytest.FixtureRequest) -> Interop:
    return Interop(request.node)


@pytest.fixture
def logins(request: pytest.FixtureRequest) -> Logins:
    return Logins(request.node)


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
