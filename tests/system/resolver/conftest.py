"""The release whose resolvers a test meets: each of them, or the one that `--peer` names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client.lab.namespaces import Namespace
from tests.conftest import PEERS
from tests.netns.peers.releases import PeerUnavailable, Release
from tests.system.resolver.scene import AtHome, scene
from tests.system.resolver.workstation import Workstation, unpacked


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "distribution" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--peer")
        metafunc.parametrize("distribution", [chosen] if chosen else PEERS, indirect=True, scope="session")


@pytest.fixture(scope="session")
def distribution(request: pytest.FixtureRequest) -> Release:
    try:
        return unpacked(request.param)
    except PeerUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def workstation(distribution: Release) -> Iterator[Workstation]:
    namespace = Namespace.create("laptop")
    try:
        with Workstation(distribution, namespace) as made:
            yield made
    finally:
        namespace.close()


@pytest.fixture
def laptop(workstation: Workstation) -> Iterator[AtHome]:
    """At home, with systemd-resolved, whom the home's name server was told for `wlan0`."""
    with scene(workstation.namespace) as base:
        workstation.start("bus", "resolved")
        workstation.run("/usr/bin/resolvectl", "dns", "wlan0", "192.168.1.1")
        workstation.run("/usr/bin/resolvectl", "domain", "wlan0", "home.lan")
        (workstation.place / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
        yield AtHome(
            base.laptop, base.home, base.inside, base.questions, base.sockets, workstation=workstation
        )
