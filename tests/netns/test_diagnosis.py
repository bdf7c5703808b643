"""Real gateways that are configured wrongly are recognised, and looked at from outside, by what they send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from client.daemon.explainer import address_found
from client.daemon.prober import check_tcp, probe_address
from client.explain.explain import explain
from client.ike.options import PskLogin, SessionConfig
from client.lab.laptop import Laptop
from client.lab.topology import GATEWAY, WIFI, Topology, topology
from client.tunnel.model import Underlay
from tests.conftest import PEERS
from tests.netns.misconfigured import CASES, Case, by_key, evidence_of
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import GATEWAY_NAME, Method, Road, make_credentials, serve
from tests.netns.peers.strongswan import Settings, StrongSwan
from tests.netns.profiles import NAME, profile

pytestmark = [pytest.mark.netns, pytest.mark.slow, pytest.mark.xdist_group("diagnosis")]

ADDRESS, CLOSED_PORT = 'addresses = ["192.0.2.1"]', "port = 999"
UNDERLAY = Underlay(WIFI.link, ip_address(str(WIFI.laptop[0].ip)), GATEWAY)

MANY_FAILURES = {"dos_protection": "no"}
"""Logins that we break off stay half-open with it, and it would not answer after the fifth."""


@pytest.fixture(scope="module")
def place() -> Iterator[Topology]:
    with topology() as built:
        yield built


@pytest.fixture(scope="module")
def gateway(strongswan: Release, place: Topology) -> Iterator[StrongSwan]:
    """One charon for all cases: starting one takes longer than all of them."""
    with StrongSwan(strongswan, place.gateway, Settings(MANY_FAILURES)) as running:
        yield running


def test_wrong_configurations_are_recognised(
    gateway: StrongSwan, strongswan: Release, place: Topology, request: pytest.FixtureRequest
) -> None:
    """Each release has every other of them, unless it is alone: they cost a second each."""
    share = 1 if request.config.getoption("--peer") else len(PEERS)
    wrong = {}
    for number, (name, case) in enumerate(CASES.items()):
        if share > 1 and number % share != PEERS.index(strongswan.suite):
            continue
        serve(gateway, case.gateway())
        evidence = place.laptop.run(lambda case=case: asyncio.run(evidence_of(case)))  # type: ignore[misc]
        verdict = explain(evidence)
        if verdict.cause != case.cause:
            wrong[name] = (verdict, evidence.attempts[-1])
    assert wrong == {}


def test_a_gateway_that_is_as_it_should_be_is_not_explained(gateway: StrongSwan, place: Topology) -> None:
    serve(gateway, Road())
    evidence = place.laptop.run(lambda: asyncio.run(evidence_of(Case("", good))))
    assert evidence.attempts[-1].standing is not None
    verdict = explain(evidence.replace(state="up"))
    assert (verdict.cause, verdict.evidence) == ("unknown", ()), "nobody has looked at what the path carries"
    assert verdict.title.startswith("The tunnel is up")


def good() -> SessionConfig:
    config = by_key()
    assert isinstance(config.login, PskLogin)
    return config


def test_a_gateway_is_looked_at_from_outside(gateway: StrongSwan, place: Topology) -> None:
    serve(gateway, Road(Method.EAP, make_credentials("ecdsa")))

    async def look() -> tuple[object, str]:
        return await probe_address(UNDERLAY, 500, host=GATEWAY_NAME), await check_tcp(UNDERLAY, 4500)

    probe, tcp = place.laptop.run(lambda: asyncio.run(look()))
    found = address_found(UNDERLAY, probe.findings)  # type: ignore[attr-defined]
    assert tcp == "refused"
    assert {port.what: port.outcome for port in found.ports} == {
        "udp 500": "answered",
        "udp 4500": "answered",
    }
    assert sorted(found.groups) == ["ecp256", "modp2048", "x25519"]
    assert set(found.groups_refused) == {"ecp384", "ecp521", "modp3072", "modp4096"}
    assert found.suites == ("aes256gcm16-prfsha384", "aes256-sha256", "aes128-sha256")
    assert "aes128-sha1" in found.suites_refused
    assert (found.fragmentation, found.nat_local, found.identity) == (True, True, GATEWAY_NAME)
    assert found.certificates[0].names == (GATEWAY_NAME,)
    assert found.eap[0].startswith("request ")
    assert "request EAP-MSCHAPv2" in found.eap


def test_a_stopped_gateway_is_told_by_its_host(gateway: StrongSwan, place: Topology) -> None:
    """The kernel of the gateway answers with ICMP where charon does not run: last, for it has to be stopped."""
    gateway.stop()
    case = Case("net.port_closed", looks=False)
    evidence = place.laptop.run(lambda: asyncio.run(evidence_of(case)))
    assert explain(evidence).cause == case.cause, evidence.attempts[-1]


def test_a_real_daemon_explains_also_after_its_restart_and_from_a_file(
    place: Topology, tmp_path: Path
) -> None:
    laptop = Laptop(place.laptop, tmp_path, None)
    text, files = profile(Road())
    assert CLOSED_PORT not in text
    laptop.write_profile(NAME, text.replace(ADDRESS, f"{ADDRESS}\n{CLOSED_PORT}"), files)
    file = tmp_path / "evidence.json"
    laptop.start()
    failed = laptop.run("up", NAME, "--timeout", "2")
    assert (failed.returncode, f"roam explain {NAME}" in failed.stderr) == (6, True), failed.stderr
    file.write_text(laptop.run("explain", "--json").stdout)
    laptop.stop()
    laptop.start()
    after = laptop.run("explain", NAME)
    laptop.stop()
    without = laptop.run("explain", "--file", str(file))
    for done in (after, without):
        assert "[net.port_closed]" in done.stdout.splitlines()[0], done.stdout + done.stderr
