"""What a user reads when it does not work: one sentence, the evidence, the next step, the right exit code.

The gateway is a real strongSwan; after each refusal the laptop's network is as it was before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.lab import pki
from client.lab.laptop import Laptop
from client.lab.snapshot import difference
from client.lab.topology import Topology
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import (
    GATEWAY_NAME,
    PASSWORD,
    SHARED_KEY,
    Method,
    Road,
    make_credentials,
    serve,
)
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.profiles import NAME, profile

pytestmark = [pytest.mark.netns, pytest.mark.slow]

Text = tuple[str, dict[str, str | bytes]]


@dataclass(frozen=True)
class Case:
    """How the profile differs from what the gateway expects, and what the user is told."""

    road: Callable[[], Road]
    spoil: Callable[[str, dict[str, str | bytes]], Text]
    exit_code: int
    words: tuple[str, ...]
    timeout: int = 60  # seconds that `roam up` may wait
    cause: str = ""  # what `roam explain` says afterwards, if it can


def eap() -> Road:
    return Road(Method.EAP, make_credentials("ecdsa"))


def other_file(name: str, content: str) -> Callable[[str, dict[str, str | bytes]], Text]:
    return lambda text, files: (text, {**files, name: content})


def other_text(old: str, new: str) -> Callable[[str, dict[str, str | bytes]], Text]:
    def spoil(text: str, files: dict[str, str | bytes]) -> Text:
        assert old in text
        return text.replace(old, new), files

    return spoil


def unknown_authority(text: str, files: dict[str, str | bytes]) -> Text:
    return text, {**files, "ca.pem": pki.pem(pki.make_authority("Somebody Else").certificate)}


CASES = {
    "wrong password": Case(
        eap, other_file("password", "not-the-password"), 5, ("password",), cause="login.password"
    ),
    "wrong pre-shared key": Case(
        Road,
        other_file("psk", "not-the-key-of-this-gateway"),
        5,
        ("AUTHENTICATION_FAILED", "roam explain"),
        cause="login.key_or_name",
    ),
    "unknown CA": Case(eap, unknown_authority, 8, ("Lab Root",), cause="trust.unknown_ca"),
    "wrong gateway name": Case(
        eap,
        other_text(f'"{GATEWAY_NAME}"', '"other.example"\nsend_idr = "never"'),
        8,
        ("other.example", GATEWAY_NAME),
        cause="trust.name_mismatch",
    ),
    # It is asked for by that name first and refuses; asked again without a name, it says what it is called.
    "a name that the gateway does not have": Case(
        eap, other_text(f'"{GATEWAY_NAME}"', '"other.example"'), 8, ("other.example", GATEWAY_NAME)
    ),
    "no common proposal": Case(
        Road,
        lambda text, files: (text + '[crypto]\nike = ["aes128-sha512-ecp521"]\n', files),
        1,
        ("NO_PROPOSAL_CHOSEN",),
        cause="crypto.ike_proposal",
    ),
    "no answer": Case(Road, other_text('"192.0.2.1"', '"192.0.2.99"'), 6, ("192.0.2.99",), timeout=3),
    "unreadable profile": Case(Road, other_text("include = ", "inclde = "), 2, ("inclde", "include")),
    "unknown name": Case(
        Road,
        other_text('"192.0.2.1"', '"gateway.invalid"'),
        6,
        ("gateway.invalid",),
        timeout=3,
        cause="net.no_name_server",
    ),
}


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


@pytest.mark.parametrize("name", CASES)
def test_the_user_is_told_why_and_nothing_is_left_behind(
    strongswan: Release, lab: Topology, directory: Path, name: str
) -> None:
    case = CASES[name]
    road = case.road()
    laptop = Laptop(lab.laptop, directory, None)
    before = laptop.snapshot()
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, road)
        laptop.write_profile(NAME, *case.spoil(*profile(road)))
        laptop.start()
        done = laptop.run("up", NAME, "--timeout", str(case.timeout))
        laptop.run("down", NAME)
        assert done.returncode == case.exit_code, done.stderr
        if case.cause:
            explained = laptop.run("explain", NAME)
            assert f"[{case.cause}]" in explained.stdout, explained.stdout + explained.stderr
        for word in case.words:
            assert word in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 12
        assert "Traceback" not in done.stderr + laptop.log.read_text()
        for secret in (PASSWORD, SHARED_KEY, "not-the-password", "not-the-key-of-this-gateway"):
            assert secret not in done.stderr + done.stdout + laptop.log.read_text()
        assert difference(before, laptop.snapshot()) == ()
        laptop.stop()
    assert difference(before, laptop.snapshot()) == ()
