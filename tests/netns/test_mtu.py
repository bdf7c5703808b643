"""A hop that drops large packets and says nothing is found, and the tunnel made to fit (userspace data path)."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_interface
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from client.lab.laptop import Laptop, wait_for
from client.lab.nat import swallow
from client.lab.topology import SERVER, Topology
from tests.netns.conftest import Interop
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import Road, serve
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.profiles import NAME, profile
from tests.netns.transfer import MEGABYTE, Transfer

pytestmark = [pytest.mark.netns, pytest.mark.slow]

CARRIED = 1400
"""Octets of an IP packet that the way carries; what a full inner packet becomes has some 1460."""


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


@contextmanager
def connected(lab: Topology, strongswan: Release, directory: Path) -> Iterator[Laptop]:
    lab.laptop.run(_no_trains)
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, Road())
        laptop = Laptop(lab.laptop, directory, None)
        laptop.write_profile(NAME, *profile(Road()))
        laptop.start()
        try:
            laptop.roam("up", NAME)
            yield laptop
        finally:
            laptop.stop()


def _no_trains() -> None:
    """Each datagram is a packet of its own on the wire, as behind a real network card."""
    with IPRoute() as netlink:
        netlink.link("set", index=netlink.link_lookup(ifname="wlan0")[0], gso_max_segs=1)


def fits(laptop: Laptop) -> bool:
    return link_mtu(laptop) < CARRIED - 60


def is_known(laptop: Laptop) -> bool:
    return CARRIED - 70 <= link_mtu(laptop) < CARRIED - 60


def link_mtu(laptop: Laptop) -> int:
    def inside() -> int:
        with IPRoute() as netlink:
            (link,) = netlink.link("get", ifname="roam0")
            return int(link.get_attr("IFLA_MTU"))

    return laptop.namespace.run(inside)


def test_a_black_hole_on_the_way_is_found_before_anybody_hangs(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop
) -> None:
    lab.wifi.router.run(partial(swallow, CARRIED))
    with connected(lab, strongswan, directory) as laptop:
        began = time.monotonic()
        wait_for(partial(fits, laptop), "the link is as large as ever", laptop.log)
        took = time.monotonic() - began
        with Transfer(lab.laptop, lab.server, SERVER, 2 * MEGABYTE) as download:
            assert download.finish()
        wait_for(partial(is_known, laptop), "the search does not end", laptop.log)
        status = laptop.status(NAME)
        assert status["mtu_reason"] == "larger packets vanish on the way to the gateway"
        assert "[net.mtu_reduced]" in laptop.roam("explain", NAME)
        interop.shown(
            f"strongSwan {strongswan.suite}",
            "black hole before connect",
            f"MTU {status['mtu']} in {took:.1f} s",
        )


def test_a_black_hole_that_appears_under_an_upload_is_found(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop
) -> None:
    with connected(lab, strongswan, directory) as laptop:
        assert link_mtu(laptop) == 1400
        inside = next(ip_interface(text).ip for text in laptop.status(NAME)["addresses"] if "." in text)
        upload = Transfer(lab.server, lab.laptop, inside, 20 * MEGABYTE)
        with upload:
            wait_for(lambda: upload.received > MEGABYTE, "no upload", laptop.log)
            lab.wifi.router.run(partial(swallow, CARRIED))
            began = time.monotonic()
            wait_for(partial(fits, laptop), "the link is as large as ever", laptop.log)
            took = time.monotonic() - began
            assert upload.finish()
        interop.shown(
            f"strongSwan {strongswan.suite}", "black hole under an upload", f"MTU lowered in {took:.1f} s"
        )
