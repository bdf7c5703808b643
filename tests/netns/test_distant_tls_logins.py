"""EAP with TLS at real servers, with a key that never leaves its card or agent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.lab import pki
from client.lab.echo import ping
from client.lab.laptop import Laptop
from client.lab.topology import SERVER, Topology
from tests.netns.conftest import Logins
from tests.netns.peers.radius import FreeRadius, LoginServer
from tests.netns.peers.releases import PeerUnavailable, Release
from tests.netns.peers.roadwarrior import USER
from tests.netns.profiles import NAME
from tests.netns.test_signer_logins import OnCard, keys_of
from tests.netns.tls_gateways import Case, Papers, Running, Spoilt, profile, serving, why_not
from tests.ui.signers import agents
from tests.ui.signers.softhsm import PIN

pytestmark = [pytest.mark.netns, pytest.mark.slow, pytest.mark.xdist_group("tls")]

WRONG_PIN = "135790"


@dataclass(frozen=True)
class Held:
    """A key of one kind with one holder, and the server that it is for."""

    place: str
    kind: pki.KeyKind
    server: type[LoginServer] | None
    version: str
    method: str = "tls"
    inner: str = ""

    @property
    def case(self) -> Case:
        return Case(self.server, self.method, self.inner, "tls" if self.inner else "mschapv2", self.version)

    @property
    def title(self) -> str:
        """As the page of ways to log in names it."""
        kind = {"rsa": "RSA", "ecdsa": "ECDSA P-256", "ed25519": "Ed25519"}[self.kind]
        place = "in the SSH agent" if self.place == "SSH agent" else "on a card (PKCS #11)"
        return f"{self.case.title}, {kind}, key {place}"


CASES = {
    f"{held.server.NAME if held.server else 'strongSwan'}, {held.title}": held
    for held in (
        Held("SSH agent", "rsa", None, "1.2"),
        Held("card (PKCS #11)", "ecdsa", None, "1.3"),
        Held("SSH agent", "ed25519", FreeRadius, "1.2"),
        Held("card (PKCS #11)", "rsa", FreeRadius, "1.3"),
        Held("card (PKCS #11)", "rsa", FreeRadius, "1.3", "peap", "eap-tls"),
    )
}


@pytest.fixture(scope="module")
def papers() -> Papers:
    return Papers()


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


@pytest.fixture
def agent() -> Iterator[Path]:
    if why := agents.missing():
        pytest.skip(why)
    with agents.ssh_agent() as path:
        yield path


@pytest.fixture
def running(
    strongswan: Release, lab: Topology, papers: Papers, request: pytest.FixtureRequest
) -> Iterator[Running]:
    case = CASES[request.param].case
    if reason := why_not(case, strongswan.suite):
        pytest.skip(reason)
    try:
        with serving(strongswan, lab.gateway, case, papers) as started:
            yield started
    except PeerUnavailable as error:
        pytest.skip(str(error).partition("\n")[0])


def user_of(authority: pki.Authority, held: Held) -> Spoilt:
    return Spoilt(user=authority.issue(f"CN={USER}", emails=[USER], server=False, key=held.kind))


def attempts(running: Running) -> int:
    return running.gateway.logins


def refused(laptop: Laptop, running: Running) -> str:
    """What the user reads, and the exit code in front; the gateway has no tunnel, and one retry at most."""
    before = attempts(running)
    done = laptop.run("up", NAME)
    laptop.run("down", NAME)
    said = done.stderr + done.stdout + laptop.log.read_text()
    assert "Traceback" not in said
    assert PIN not in said
    assert all(sa.state != "ESTABLISHED" for sa in running.gateway.ike_sas())
    assert attempts(running) - before <= 2
    return f"{done.returncode}: {done.stderr}"


@pytest.mark.parametrize(
    ("running", "name"), [(name, name) for name in CASES], indirect=["running"], ids=CASES
)
def test_a_key_elsewhere_logs_in_by_tls_and_a_strangers_does_not(
    running: Running,
    name: str,
    lab: Topology,
    directory: Path,
    papers: Papers,
    agent: Path,
    logins: Logins,
) -> None:
    held = CASES[name]
    laptop = Laptop(lab.laptop, directory, None)
    keys = keys_of(held.place, laptop, agent)
    laptop.start()
    text, files = profile(held.case, papers, user_of(pki.make_authority("Strangers"), held))
    keys.keep(text, files, "stranger")
    assert refused(laptop, running).startswith("5: ")
    text, files = profile(held.case, papers, user_of(papers.logins, held))
    keys.keep(text, files, "alice")
    laptop.roam("up", NAME)  # both ends have the same MSK, or AUTH would not have fitted
    assert lab.laptop.run(lambda: ping(SERVER, 2.0)) is not None
    assert [sa.state for sa in running.gateway.ike_sas()].count("ESTABLISHED") == 1
    laptop.roam("down", NAME)
    if isinstance(keys, OnCard) and held.server is None:
        check_wrong_pin(laptop, running)
    laptop.stop()
    logins.shown(held.title, running.peer)


def check_wrong_pin(laptop: Laptop, running: Running) -> None:
    """The card refuses it, and the gateway is not even called."""
    (laptop.profiles / "password").write_text(WRONG_PIN)
    before = attempts(running)
    said = refused(laptop, running)
    assert "refuses the PIN" in said
    assert attempts(running) == before
