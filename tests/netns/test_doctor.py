"""`roam doctor` on a laptop of the lab: with its daemon, without it, and beside another VPN."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from client.lab.laptop import Laptop, daemon_account
from client.lab.snapshot import difference
from client.lab.topology import topology

pytestmark = [pytest.mark.netns, pytest.mark.slow]

Findings = dict[str, dict[str, str]]


@pytest.fixture
def laptop() -> Iterator[Laptop]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name, topology() as lab:
        made = Laptop(lab.laptop, Path(name), daemon_account())
        try:
            yield made
        finally:
            made.kill()


def look(laptop: Laptop, *topic: str) -> tuple[int, Findings]:
    """Exit code, and what was found by its name."""
    done = laptop.run("--json", "doctor", *topic)
    findings = json.loads(done.stdout)["data"]["findings"]
    return done.returncode, {finding["name"]: finding for finding in findings}


def test_the_machine_is_looked_at_with_a_daemon_and_without_one(laptop: Laptop) -> None:
    before = laptop.snapshot()
    code, alone = look(laptop)
    assert (code, alone["daemon"]["level"]) == (1, "fail")
    assert "no daemon" in alone["daemon"]["evidence"]
    laptop.start()
    _, asked = look(laptop)
    assert asked["daemon"]["level"] == "ok"
    assert alone.keys() <= asked.keys()  # and the directory of the daemon's state
    for found in (alone, asked):
        for name in ("kernel.tun", "kernel.nftables", "interfaces", "firewall", "vpns", "forwarding"):
            assert found[name]["level"] == "ok", found[name]
    assert "CAP_NET_ADMIN" in asked["rights"]["evidence"]
    assert difference(before, laptop.snapshot()) == ()


def test_another_vpn_that_takes_our_packets_is_named(laptop: Laptop) -> None:
    def settle() -> None:
        with IPRoute() as netlink:
            netlink.rule("add", priority=32764, table=51820, fwmark=0xCA6C, flags=2)  # as wg-quick does

    laptop.namespace.run(settle)
    laptop.start()
    _, found = look(laptop)
    assert found["vpns"]["level"] == "warn"
    assert "not fwmark 0xca6c/0xffffffff lookup 51820" in found["vpns"]["evidence"]


def test_a_network_whose_server_is_silent_is_a_failure(laptop: Laptop) -> None:
    """Nobody answers at 192.168.1.1 here; the question has left for it all the same."""
    laptop.start()
    code, found = look(laptop, "dns")
    assert code == 1
    outside = found["dns.outside"]
    assert (outside["level"], outside["hint"]) == ("fail", "Reconnect to this network.")
    assert outside["evidence"].startswith("a name in example.com was asked of 192.168.1.1 over wlan0")
