"""Every way to log in that a real gateway can show: with the right credentials, and with wrong ones.

What passes here is what docs/authentication.md says; `make docs-tables` writes it down.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.lab.echo import ping
from client.lab.laptop import Laptop
from client.lab.topology import SERVER, Topology
from tests.netns.conftest import Logins
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import PASSWORD, SHARED_KEY, Method, Road, make_credentials, serve
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.profiles import NAME, profile

pytestmark = [pytest.mark.netns, pytest.mark.slow]

Text = tuple[str, dict[str, str]]
WRONG = "not-the-secret-of-anybody"


@dataclass(frozen=True)
class Login:
    """One way to log in, and how to do it wrongly."""

    road: Callable[[], Road]
    spoil: Callable[[str, dict[str, str]], Text]
    exit_code: int = 5


def other_file(name: str, content: str = WRONG) -> Callable[[str, dict[str, str]], Text]:
    return lambda text, files: (text, {**files, name: content})


def by_eap(method: Method) -> Callable[[], Road]:
    return lambda: Road(method, make_credentials("ecdsa"))


LOGINS = {
    "PSK": Login(Road, other_file("psk")),
    "EAP-MSCHAPv2": Login(by_eap(Method.EAP), other_file("password")),
    "EAP-MD5": Login(by_eap(Method.EAP_MD5), other_file("password")),
    "EAP-GTC": Login(by_eap(Method.EAP_GTC), other_file("password")),
}


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


@pytest.mark.parametrize("method", LOGINS)
def test_logs_in_and_carries_traffic(
    strongswan: Release, lab: Topology, directory: Path, logins: Logins, method: str
) -> None:
    road = LOGINS[method].road()
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, road)
        laptop = Laptop(lab.laptop, directory, None)
        laptop.write_profile(NAME, *profile(road))
        laptop.start()
        laptop.roam("up", NAME)
        assert lab.laptop.run(lambda: ping(SERVER, 2.0)) is not None
        assert len(gateway.ike_sas()) == 1
        laptop.roam("down", NAME)
        laptop.stop()
        logins.shown(method, f"strongSwan {gateway.version}")


@pytest.mark.parametrize("method", LOGINS)
def test_wrong_credentials_are_refused_and_not_tried_again(
    strongswan: Release, lab: Topology, directory: Path, logins: Logins, method: str
) -> None:
    login = LOGINS[method]
    road = login.road()
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, road)
        laptop = Laptop(lab.laptop, directory, None)
        laptop.write_profile(NAME, *login.spoil(*profile(road)))
        laptop.start()
        done = laptop.run("up", NAME)
        said = done.stderr + done.stdout + laptop.log.read_text()
        assert done.returncode == login.exit_code, done.stderr
        for secret in (PASSWORD, SHARED_KEY, WRONG):
            assert secret not in said
        assert all(sa.state != "ESTABLISHED" for sa in gateway.ike_sas())
        assert gateway.log.count("parsed IKE_SA_INIT request") <= 2  # one retry at most
        laptop.stop()
        logins.refused(method, f"strongSwan {gateway.version}")
