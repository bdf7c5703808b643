"""A gateway that logs us in and then says what it likes: a real daemon keeps what is of use, and tells the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from client.ike.configuration import MAX_VALUES
from client.ike.registry import CfgAttribute
from client.lab.echo import ping
from client.lab.plan import GatewayPlan
from client.lab.snapshot import difference
from client.lab.topology import SERVER_V6
from tests.daemon.test_roamd import Scene, scene  # noqa: F401 - a fixture

pytestmark = [pytest.mark.netns, pytest.mark.slow]

ADDRESS, DNS, DOMAIN, SUBNET = (
    CfgAttribute.INTERNAL_IP4_ADDRESS,
    CfgAttribute.INTERNAL_IP4_DNS,
    CfgAttribute.INTERNAL_DNS_DOMAIN,
    CfgAttribute.INTERNAL_IP4_SUBNET,
)
EVIL = "evil.example\nnameserver 192.0.2.66\noptions timeout:30"
SERVERS = [f"10.77.{n // 250}.{n % 250 + 1}" for n in range(300)]


def attributes() -> Iterator[str]:
    for server in ("0.0.0.0", "224.0.0.1", *SERVERS):
        yield f"{int(DNS)}:{bytes(map(int, server.split('.'))).hex()}"
    for domain in (EVIL, "`touch /tmp/roam-was-here`", "$(reboot)", "inside.example"):
        yield f"{int(DOMAIN)}:{domain.encode().hex()}"
    for network in ("c0a80100ffffff00", "00000000" + "80000000", "80000000" + "80000000"):
        yield f"{int(SUBNET)}:{network}"
    yield "16391:" + "ff" * 200  # of nobody's range


def test_a_hostile_configuration_does_no_harm_and_is_explained(scene: Scene) -> None:  # noqa: F811
    before = scene.laptop.snapshot()
    scene.stop_gateway()
    replace(GatewayPlan.read(scene.plan), assigned=tuple(attributes())).write(scene.plan)
    scene.start_gateway()
    scene.start()
    scene.up_by_system_profile()
    assert scene.reaches_server()
    status = scene.laptop.status("office")
    assert status["dns"] == SERVERS[:3]
    behind = {"10.77.0.0/24", "fd77::/64", *(f"{server}/32" for server in SERVERS)}
    assert {"10.77.0.0/24", "fd77::/64"} <= set(status["routes"]) <= behind
    assert len(status["routes"]) <= MAX_VALUES + 2
    told = "\n".join(status["remarks"])
    for words in (
        "2 of the gateway's name servers make no sense",
        "the gateway gives 302 name servers: 64 are used",
        "3 of the gateway's domains make no sense",
        "the gateway claims 192.168.1.0/24, which is a local network here: it stays local",
        "the gateway claims everything of IPv4",
    ):
        assert words in told, told
    assert status["domains"] == ["inside.example"]
    for path in (scene.laptop.etc.resolv_conf, *(scene.laptop.directory / "state").rglob("*")):
        assert path.is_dir() or b"192.0.2.66" not in path.read_bytes(), path
    scene.laptop.roam("down")
    assert difference(before, scene.laptop.snapshot()) == ()


def test_an_inside_address_that_is_our_own_is_not_used(scene: Scene) -> None:  # noqa: F811
    ours = scene.lab.wifi.plan.laptop[0].ip
    scene.stop_gateway()
    pools, assigned = ("fd99::/64",), (f"{int(ADDRESS)}:{ours.packed.hex()}",)
    replace(GatewayPlan.read(scene.plan), pools=pools, assigned=assigned).write(scene.plan)
    scene.start_gateway()
    scene.start()
    scene.up_by_system_profile()
    status = scene.laptop.status("office")
    assert [address for address in status["addresses"] if address.startswith(str(ours))] == []
    assert f"the gateway assigns {ours}, which is this computer's own on wlan0: not used" in status["remarks"]
    assert scene.laptop.namespace.run(lambda: ping(SERVER_V6, 2.0)) is not None
