"""Logins by a subscription: EAP-AKA and EAP-AKA' with hostapd behind strongSwan, with and without a certificate."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.lab.echo import ping
from client.lab.laptop import Laptop
from client.lab.topology import SERVER, Topology
from tests.netns.conftest import Logins
from tests.netns.peers.auc import CardServer, card_text, identity
from tests.netns.peers.radius import SHARED_SECRET, radius_release
from tests.netns.peers.releases import PeerUnavailable, Release
from tests.netns.peers.roadwarrior import GATEWAY_NAME, USER, Method, Road, make_credentials, serve
from tests.netns.peers.strongswan import Settings, StrongSwan
from tests.netns.peers.vici import Value
from tests.netns.profiles import NAME, profile

pytestmark = [pytest.mark.netns, pytest.mark.slow]

SETTINGS = Settings(plugin_options={"eap-radius": {"server": "127.0.0.1", "secret": SHARED_SECRET}})
TITLES = {"aka": "EAP-AKA", "aka-prime": "EAP-AKA'"}
WRONG = f"{'00' * 16}:{'00' * 16}"


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


def road(method: str, *, alone: bool) -> Road:
    """The gateway asks the login server; `alone`: nothing but EAP proves the gateway (RFC 5998)."""
    sections: dict[str, Value] = {"remote-1": {"auth": "eap-radius", "eap_id": "%any"}}
    if alone:
        sections["local-1"] = {"auth": "eap", "id": GATEWAY_NAME}
    return Road(Method.EAP, make_credentials("ecdsa"), connection=sections)


def texts(method: str, which: Road, *, alone: bool) -> tuple[str, dict[str, str | bytes]]:
    text, files = profile(which)
    text = text.replace('eap_methods = ["mschapv2"]', f'eap_methods = ["{method}"]')
    text = text.replace(f'identity = "{USER}"', f'identity = "{identity(method)}"')
    if alone:
        text = text.replace('method = "cert"', 'method = "eap"').replace('ca = ["file:ca.pem"]', "")
    return text, {**files, "password": card_text()}


@pytest.mark.parametrize("alone", [False, True], ids=["certificate", "EAP-only"])
@pytest.mark.parametrize("method", TITLES)
def test_a_subscription_logs_in_and_a_wrong_one_does_not(
    strongswan: Release, lab: Topology, directory: Path, logins: Logins, method: str, alone: bool
) -> None:
    try:
        server = CardServer(radius_release(strongswan.suite), lab.gateway, method)
    except PeerUnavailable as error:
        pytest.skip(str(error).partition("\n")[0])
    which = road(method, alone=alone)
    with server, StrongSwan(strongswan, lab.gateway, SETTINGS) as gateway:
        serve(gateway, which)
        laptop = Laptop(lab.laptop, directory, None)
        laptop.start()
        text, files = texts(method, which, alone=alone)
        laptop.write_profile(NAME, text, {**files, "password": WRONG})
        done = laptop.run("up", NAME)
        assert done.returncode == 8, done.stderr
        assert "does not know the subscription" in done.stderr
        laptop.write_profile(NAME, text, files)
        laptop.roam("up", NAME)
        assert lab.laptop.run(lambda: ping(SERVER, 2.0)) is not None
        assert [sa.state for sa in gateway.ike_sas()].count("ESTABLISHED") == 1
        said = done.stderr + laptop.log.read_text()
        assert card_text().partition(":")[0] not in said
        laptop.roam("down", NAME)
        laptop.stop()
        title = TITLES[method] + (", EAP-only" if alone else "")
        logins.shown(title, f"hostapd {server.version} behind strongSwan {gateway.version}")
