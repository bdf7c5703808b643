"""An exported swanctl.conf is loaded by the real swanctl of each release, and connects to a real strongSwan."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from client.lab.echo import ping
from client.lab.namespaces import Surroundings
from client.lab.topology import SERVER, Topology
from profiles.exporters import EXPORTERS
from profiles.store import load_text
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import PASSWORD, USER, Method, Road, make_credentials, serve
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.profiles import NAME, profile

pytestmark = [pytest.mark.netns, pytest.mark.slow]

ROADS = {
    "eap": lambda: Road(Method.EAP, make_credentials("ecdsa")),
    "certificate": lambda: Road(Method.CERTIFICATE, make_credentials("rsa")),
}


def exported(road: Road, directory: Path) -> None:
    """The folder that `roam export --to swanctl` writes, and the secret that a person adds."""
    text, files = profile(road, "[mobility]", "force_encap = true")  # the peer carries ESP in UDP only
    contents = {
        f"file:{name}": octets.encode() if isinstance(octets, str) else octets
        for name, octets in files.items()
    }
    found = load_text(text)
    made = EXPORTERS["swanctl"](found, contents)
    for name, octets in {"swanctl.conf": made.octets, **made.files}.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(octets)
    if road.method is Method.EAP:
        with (directory / "swanctl.conf").open("a") as file:
            file.write(f'secrets {{\n  eap-1 {{\n    id = {USER}\n    secret = "{PASSWORD}"\n  }}\n}}\n')


def load(client: StrongSwan) -> str:
    """`swanctl --load-all` in the client's own root; what it said."""
    output = client.directory / "swanctl.log"
    with output.open("wb") as log:
        around = Surroundings(
            prepare=lambda: client.release.enter(client.directory),
            environment={
                "STRONGSWAN_CONF": "/run/peer/strongswan.conf",
                "SWANCTL_DIR": "/run/peer/swanctl",
                "PATH": "/usr/sbin:/usr/bin",
            },
            output=log,
        )
        command = ["/usr/sbin/swanctl", "--load-all", "--noprompt", "--uri", "unix:///run/peer/vici"]
        process = client.namespace.start(command, around)
        try:
            status = process.wait(15)
        except subprocess.TimeoutExpired:
            client.namespace.stop(process)
            raise
    said = output.read_text()
    assert status == 0, said
    return said


@pytest.mark.parametrize("name", ROADS)
def test_swanctl_loads_what_was_exported_and_connects(strongswan: Release, lab: Topology, name: str) -> None:
    road = ROADS[name]()
    with StrongSwan(strongswan, lab.gateway) as gateway, StrongSwan(strongswan, lab.laptop) as client:
        serve(gateway, road)
        exported(road, client.directory / "swanctl")
        assert f"loaded connection '{NAME}'" in load(client)
        client.initiate(NAME)
        assert lab.laptop.run(lambda: ping(SERVER)) is not None
        (sa,) = client.ike_sas()
        assert (sa.name, sa.state) == (NAME, "ESTABLISHED")
