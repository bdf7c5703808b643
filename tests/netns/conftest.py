"""The strongSwan release that a test runs against: each of them, or the one that `--peer` names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from client.lab.topology import Topology, topology
from tests.conftest import PEERS
from tests.netns.logins import Record, Row
from tests.netns.peers.releases import PeerUnavailable, Release, release


@dataclass
class Interop:
    """The table that a run prints: what was shown against which peer."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def shown(self, peer: str, what: str, result: str) -> None:
        """Add a row: only a test that has passed so far comes here."""
        self.rows.append((peer, what, result))


TABLE = Interop()
LOGINS = Record()


@dataclass(frozen=True)
class Logins:
    """Notes what a test has shown of a way to log in: only a test that has passed so far comes here."""

    test: str

    def shown(self, method: str, peer: str) -> None:
        """Wrong credentials were refused, and with the right ones traffic went."""
        LOGINS.rows.add(Row(method, peer, self.test))


@pytest.fixture
def interop() -> Interop:
    return TABLE


@pytest.fixture
def logins(request: pytest.FixtureRequest) -> Logins:
    return Logins(request.node.nodeid.removeprefix("tests/netns/"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    file = session.config.getoption("--record-logins")
    if file is not None:
        LOGINS.write(Path(file))
    elif LOGINS.unsaid():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.config.getoption("--record-logins") is None and (unsaid := LOGINS.unsaid()):
        terminalreporter.section("docs/authentication.md does not say what was shown: make docs-tables")
        for line in unsaid:
            terminalreporter.write_line(line)
    if TABLE.rows:
        terminalreporter.section("interoperability")
        for peer, what, result in sorted(TABLE.rows):
            terminalreporter.write_line(f"{peer:18} {what:48} {result}")


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
