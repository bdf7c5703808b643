"""Logins at a real gateway with a key that never leaves its card or agent, and what happens when nobody signs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from client.ike.authentication import PrivateKey
from client.lab.echo import ping
from client.lab.laptop import Laptop, wait_for
from client.lab.pki import KeyKind
from client.lab.topology import SERVER, Topology
from tests.netns.conftest import Logins
from tests.netns.peers.releases import PeerUnavailable, Release
from tests.netns.peers.roadwarrior import Method, Road, make_credentials, serve
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.profiles import NAME, profile
from tests.netns.test_logins import octets, stranger
from tests.ui.signers import agents
from tests.ui.signers.softhsm import PIN, soft_hsm

pytestmark = [pytest.mark.netns, pytest.mark.slow]

KINDS: dict[str, KeyKind] = {"RSA": "rsa", "ECDSA P-256": "ecdsa", "Ed25519": "ed25519"}
CASES = [
    ("SSH agent", "RSA"),
    ("SSH agent", "Ed25519"),
    ("card (PKCS #11)", "RSA"),
    ("card (PKCS #11)", "ECDSA P-256"),
]


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


class Keys:
    """Where the user's keys are: his own, and one that the gateway does not know."""

    def __init__(self, laptop: Laptop) -> None:
        self.laptop = laptop

    def keep(self, text: str, files: Mapping[str, str | bytes], whose: str) -> None:
        """Write the profile, its key not in a file but with its holder."""
        kept = dict(files)
        key = load_pem_private_key(octets(kept.pop("key.pem")), None)
        assert isinstance(key, PrivateKey)
        reference = self.hold(key, whose)
        text = text.replace('key = "file:key.pem"', f'key = "{reference}"\nsecret = "file:password"')
        if reference == "agent:":
            text = text.replace('\nsecret = "file:password"', "")
        self.laptop.write_profile(NAME, text, {**kept, "password": PIN})

    def hold(self, key: PrivateKey, whose: str) -> str:
        """Give the key away, and say what a profile calls it then."""
        raise NotImplementedError


class InAgent(Keys):
    """A real ssh-agent."""

    def __init__(self, laptop: Laptop, agent: Path) -> None:
        super().__init__(laptop)
        self.agent = agent
        laptop.session["SSH_AUTH_SOCK"] = str(agent)

    def hold(self, key: PrivateKey, whose: str) -> str:
        agents.add_key(self.agent, key, whose)
        return "agent:"


class OnCard(Keys):
    """SoftHSM."""

    def __init__(self, laptop: Laptop, directory: Path) -> None:
        super().__init__(laptop)
        directory.mkdir()
        self.hsm = soft_hsm(directory)
        laptop.session.update(self.hsm.environment)

    def hold(self, key: PrivateKey, whose: str) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SOFTHSM2_CONF", str(self.hsm.configuration))
            self.hsm.make_token(whose, key)
        return self.hsm.reference(whose, ";id=%01")


@pytest.fixture
def agent() -> Iterator[Path]:
    if why := agents.missing():
        pytest.skip(why)
    with agents.ssh_agent() as path:
        yield path


def keys_of(place: str, laptop: Laptop, agent: Path) -> Keys:
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    try:
        return InAgent(laptop, agent) if place == "SSH agent" else OnCard(laptop, laptop.directory / "hsm")
    except PeerUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("place", "kind"), CASES)
def test_a_login_signed_elsewhere_goes_through_and_a_strangers_does_not(
    strongswan: Release, lab: Topology, directory: Path, agent: Path, logins: Logins, place: str, kind: str
) -> None:
    road = Road(Method.CERTIFICATE, make_credentials(KINDS[kind]))
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, road)
        laptop = Laptop(lab.laptop, directory, None)
        keys = keys_of(place, laptop, agent)
        laptop.start()
        text, files = stranger(*profile(road))
        keys.keep(text, files, "stranger")
        done = laptop.run("up", NAME)
        assert done.returncode == 5, done.stderr
        assert all(sa.state != "ESTABLISHED" for sa in gateway.ike_sas())
        assert gateway.logins <= 2  # one retry at most
        keys.keep(*profile(road), "alice")
        laptop.roam("up", NAME)
        assert lab.laptop.run(lambda: ping(SERVER, 2.0)) is not None
        assert [sa.state for sa in gateway.ike_sas()].count("ESTABLISHED") == 1
        laptop.roam("down", NAME)
        laptop.stop()
        logins.shown(
            f"certificate, {kind}, key in the {place}".replace("in the card", "on a card"),
            f"strongSwan {gateway.version}",
        )


def test_a_tunnel_waits_for_its_key_behind_the_guard_and_a_signer_brings_it_on(
    strongswan: Release, lab: Topology, directory: Path, agent: Path
) -> None:
    road = Road(Method.CERTIFICATE, make_credentials("ecdsa"))
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, road)
        laptop = Laptop(lab.laptop, directory, None)
        InAgent(laptop, agent).keep(*profile(road), "alice")
        laptop.start()
        laptop.roam("up", NAME)
        laptop.stop()
        laptop.start()  # the tunnel is still wanted, and nobody is there to sign
        wait_for(lambda: laptop.status(NAME)["asking"], "nobody was asked to sign")
        assert laptop.status(NAME)["guard"]
        assert lab.laptop.run(lambda: ping(SERVER, 1.0)) is None
        signer = laptop.begin("signer", NAME)
        try:
            wait_for(lambda: laptop.status(NAME)["state"] == "up", "the signer did not bring it on")
        finally:
            signer.terminate()
            signer.communicate(timeout=30)
        assert lab.laptop.run(lambda: ping(SERVER, 2.0)) is not None
        laptop.roam("down", NAME)
        laptop.stop()
