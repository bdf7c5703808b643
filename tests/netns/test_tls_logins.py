"""Logins by EAP with TLS against real servers: right, wrong, and a login server that is not the one expected."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.lab import pki
from client.lab.echo import ping
from client.lab.laptop import Laptop, wait_for
from client.lab.snapshot import difference, snapshot
from client.lab.topology import SERVER, Topology
from tests.netns.conftest import Logins
from tests.netns.peers.releases import PeerUnavailable, Release
from tests.netns.peers.roadwarrior import PASSWORD
from tests.netns.profiles import NAME
from tests.netns.tls_gateways import (
    AAA_NAME,
    CASES,
    WRONG_PASSWORD,
    Case,
    Papers,
    Running,
    Spoilt,
    profile,
    serving,
    why_not,
    wrong_credentials,
)

pytestmark = [pytest.mark.netns, pytest.mark.slow, pytest.mark.xdist_group("tls")]

UNTRUSTED = [name for name in CASES if "1.3" in name and ("EAP-TLS, " in name or "with " in name)]


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


@pytest.fixture
def running(
    strongswan: Release, lab: Topology, papers: Papers, request: pytest.FixtureRequest
) -> Iterator[Running]:
    if reason := why_not(CASES[request.param], strongswan.suite):
        pytest.skip(reason)
    try:
        with serving(strongswan, lab.gateway, CASES[request.param], papers) as started:
            yield started
    except PeerUnavailable as error:
        pytest.skip(str(error).partition("\n")[0])


@pytest.fixture(scope="module")
def papers() -> Papers:
    return Papers()


def refused(laptop: Laptop, running: Running, case: Case, papers: Papers, spoilt: Spoilt) -> str:
    """What the user reads, and the exit code in front; no secret is in it, and the gateway has no tunnel."""
    laptop.write_profile(NAME, *profile(case, papers, spoilt))
    done = laptop.run("up", NAME)
    laptop.run("down", NAME)
    said = done.stderr + done.stdout + laptop.log.read_text()
    for secret in (PASSWORD, WRONG_PASSWORD):
        assert secret not in said
    assert "Traceback" not in said
    assert all(sa.state != "ESTABLISHED" for sa in running.gateway.ike_sas())
    return f"{done.returncode}: {done.stderr}"


@pytest.mark.parametrize(
    ("running", "name"), [(name, name) for name in CASES], indirect=["running"], ids=CASES
)
def test_the_right_credentials_are_accepted_and_wrong_ones_refused(
    running: Running, name: str, lab: Topology, directory: Path, papers: Papers, logins: Logins
) -> None:
    case = CASES[name]
    laptop = Laptop(lab.laptop, directory, None)
    before = snapshot(lab.laptop)
    laptop.start()
    laptop.write_profile(NAME, *profile(case, papers))
    laptop.roam("up", NAME)
    assert lab.laptop.run(lambda: ping(SERVER, 2.0)) is not None
    laptop.roam("down", NAME)
    wait_for(lambda: not running.gateway.ike_sas(), "the gateway was not told")
    tries = running.gateway.logins
    assert refused(laptop, running, case, papers, wrong_credentials(case)).startswith("5: ")
    assert running.gateway.logins - tries <= 2  # one retry at most
    assert difference(before, snapshot(lab.laptop)) == ()
    laptop.stop()
    logins.shown(case.title, running.peer)


@pytest.mark.parametrize(
    ("running", "name"), [(name, name) for name in UNTRUSTED], indirect=["running"], ids=UNTRUSTED
)
def test_a_login_server_that_is_not_the_one_expected_gets_nothing(
    running: Running, name: str, lab: Topology, directory: Path, papers: Papers
) -> None:
    case = CASES[name]
    laptop = Laptop(lab.laptop, directory, None)
    before = snapshot(lab.laptop)
    laptop.start()
    strangers = Spoilt(aaa=pki.make_authority("Strangers"), aaa_name=AAA_NAME)
    for spoilt, words in (
        (strangers, "not trusted here"),
        (Spoilt(aaa_name="other.example"), "other.example"),
    ):
        said = refused(laptop, running, case, papers, spoilt)
        assert said.startswith("8: ")
        assert "login server" in said
        assert words in said
    assert difference(before, snapshot(lab.laptop)) == ()
    laptop.stop()
