"""A password that a real gateway refuses, and lets its user type once more in the same login (RFC 2759, R=1)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.control.client import Client
from client.control.messages import SecretAnswer, SecretNeeded, SecretText, Subscribe
from client.lab.echo import ping
from client.lab.laptop import Laptop, wait_for
from client.lab.topology import SERVER, Topology
from tests.netns.conftest import Logins
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import PASSWORD, Method, Road, make_credentials, serve
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.profiles import NAME, profile
from tests.secrecy.scanner import kept_secret

pytestmark = [pytest.mark.netns, pytest.mark.slow]

WRONG = kept_secret("not-the-secret-of-anybody-here")


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


def question_of(client: Client) -> SecretNeeded:
    """What the daemon asks, once it does."""

    def asked() -> tuple[SecretNeeded, ...]:
        return client.subscribe(Subscribe(("secret",))).secrets

    wait_for(asked, "the gateway did not let the user try again")
    (needed,) = asked()
    return needed


def test_the_right_password_after_a_wrong_one_logs_in_without_a_new_connection(
    strongswan: Release, lab: Topology, directory: Path, logins: Logins
) -> None:
    road = Road(Method.EAP, make_credentials("ecdsa"))
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, road)
        laptop = Laptop(lab.laptop, directory, None)
        laptop.start()
        text, files = profile(road)
        laptop.write_profile(NAME, text, {**files, "password": WRONG})
        laptop.roam("up", "--no-wait", NAME)
        with Client(str(laptop.socket)) as client:
            needed = question_of(client)
            assert (needed.kind, needed.reference) == ("password", "file:password")
            assert "user name or password is wrong (E=691)" in needed.prompt
            client.answer_secret(SecretAnswer(needed.id, SecretText(PASSWORD)))
        wait_for(lambda: laptop.status(NAME)["state"] == "up", "it did not log in", laptop.log)
        assert lab.laptop.run(lambda: ping(SERVER, 2.0)) is not None
        assert gateway.logins == 1
        laptop.roam("down", NAME)
        laptop.stop()
        logins.shown("EAP-MSCHAPv2, another password in the same login", f"strongSwan {gateway.version}")
