"""Lockdown with `roamd` as a process and an ordinary user: over restarts, kills, cleanups and other programs."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import pytest

from client.lab.capture import Capture
from client.lab.echo import EchoServer, ping
from client.lab.laptop import Laptop, daemon_account, program_environment, wait_for
from client.lab.namespaces import Surroundings
from client.lab.plan import GatewayPlan
from client.lab.snapshot import difference, snapshot
from client.lab.topology import GATEWAY, SERVER, Topology, topology
from client.system.nft import Nftables
from client.system.plan import plan_sweep
from client.system.routes import Kernel
from client.tunnel.model import TABLE
from tests.daemon.test_roamd import PASSWORD, PROFILE
from tests.lab_gateway import enrol, start_gateway
from tests.system.ledger import leaks, probes, seen, send_all, settle

pytestmark = [pytest.mark.netns, pytest.mark.slow]

OURS = {4: "192.168.1.23", 6: "2001:db8:1::23"}
FULL = PROFILE.replace('mode = "split"', 'mode = "full"').replace(
    'include = ["10.77.0.0/24", "fd77::/64"]', ""
)
EVERYTHING = ("0.0.0.0/0", "::/0")


@dataclass
class Scene:
    """A laptop, and a gateway that carries everything."""

    lab: Topology
    laptop: Laptop

    @contextmanager
    def nothing_leaves(self) -> Iterator[None]:
        """But what goes to the gateway, while the block runs and every kind of packet is tried."""
        with Capture([(self.lab.laptop, "wlan0"), (self.lab.laptop, "wwan0")]) as capture:
            self.lab.laptop.run(lambda: send_all(probes(), OURS))
            yield
            self.lab.laptop.run(lambda: send_all(probes(), OURS))
            settle()
        found = leaks(capture, lambda flow: flow.destination == str(GATEWAY))
        assert not found, "\n".join(found)

    def start(self) -> None:
        """The daemon again: its dead predecessor's socket says nothing."""
        self.laptop.start()
        wait_for(lambda: self.laptop.run("lockdown", "status").returncode == 0, "no daemon", self.laptop.log)

    def reaches_server(self) -> bool:
        return self.lab.laptop.run(lambda: ping(SERVER, 1.0)) is not None

    def is_open(self) -> bool:
        with Capture([(self.lab.laptop, "wlan0")]) as capture:
            self.lab.laptop.run(lambda: send_all(probes(), OURS))
            settle()
        return bool(leaks(capture))

    def roamd(self, *options: str) -> str:
        """`roamd` for one thing alone, as the daemon's user."""
        around = Surroundings(
            account=self.laptop.account, environment=program_environment(), output=subprocess.PIPE
        )
        process = self.lab.laptop.start([*self.laptop.daemon_command(), *options], around)
        output = process.communicate(timeout=30)[0].decode()
        assert process.returncode == 0, output
        return output


@pytest.fixture
def scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name, topology() as lab:
        laptop = Laptop(lab.laptop, Path(name), daemon_account())
        lab.laptop.run(lambda: Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647\n"))
        try:
            yield Scene(lab, laptop)
        finally:
            laptop.kill()


@contextmanager
def gateway(scene: Scene) -> Iterator[None]:
    """Serves the profile `office`, which wants everything through the tunnel."""
    plan = enrol(scene.laptop, FULL, PASSWORD, GatewayPlan(selectors=EVERYTHING))
    process = start_gateway(scene.lab, plan)
    try:
        yield
    finally:
        scene.lab.gateway.stop(process)


def test_lockdown_holds_over_everything_but_its_end(scene: Scene) -> None:
    before = snapshot(scene.lab.laptop)
    scene.laptop.start()
    assert scene.is_open()
    scene.laptop.roam("lockdown", "on")
    with scene.nothing_leaves():
        scene.laptop.kill()
    with scene.nothing_leaves():
        assert "lockdown is on and stays" in scene.roamd("--sweep")
    with scene.nothing_leaves():
        scene.start()
    with scene.nothing_leaves():
        scene.laptop.roam("cleanup")
        scene.laptop.stop()
    scene.start()
    scene.laptop.roam("lockdown", "off")
    assert scene.is_open()
    assert difference(before, snapshot(scene.lab.laptop)) == ()


def test_a_boot_begins_closed(scene: Scene) -> None:
    """The early unit runs `roamd --arm`; nothing of the last boot is left then but the wish."""
    before = snapshot(scene.lab.laptop)
    scene.laptop.start()
    scene.laptop.roam("lockdown", "on")
    scene.laptop.roam("down")
    scene.laptop.stop()
    scene.lab.laptop.run(forget_everything)
    assert difference(before, snapshot(scene.lab.laptop)) == ()
    assert "filter set" in scene.roamd("--arm")
    with scene.nothing_leaves():
        scene.start()
    scene.laptop.stop()
    scene.roamd("--disarm")
    assert scene.is_open()
    assert difference(before, snapshot(scene.lab.laptop)) == ()
    assert "lockdown is off" in scene.roamd("--arm")


def forget_everything() -> None:
    """As a reboot does."""
    nftables = Nftables()
    nftables.remove()
    nftables.close()
    with Kernel() as kernel:
        for step in plan_sweep(kernel.read(TABLE), {}):
            kernel.perform(step, TABLE)


def test_a_tunnel_for_everything_comes_up_roams_and_dies_under_lockdown(scene: Scene) -> None:
    with gateway(scene), EchoServer(scene.lab.server, SERVER):
        scene.laptop.start()
        scene.laptop.roam("lockdown", "on")
        with scene.nothing_leaves():
            scene.laptop.roam("up", "office")
            assert scene.reaches_server()
        with scene.nothing_leaves():
            scene.lab.wifi.down()
            wait_for(scene.reaches_server, "no traffic over LTE", scene.laptop.log)
            scene.lab.wifi.up()
        with scene.nothing_leaves():
            scene.laptop.kill()
        with scene.nothing_leaves():
            scene.start()
            scene.laptop.roam("up", "office")
            assert scene.reaches_server()
            scene.laptop.roam("down")
        assert not scene.reaches_server()
        scene.laptop.roam("lockdown", "off")


def test_who_takes_the_filter_away_is_repaired_within_a_second(scene: Scene) -> None:
    scene.laptop.start()
    scene.laptop.roam("lockdown", "on")
    for _ in range(2):
        scene.lab.laptop.run(remove_filter)
        began = monotonic()
        wait_for(lambda: scene.lab.laptop.run(is_filter_there), "no filter", scene.laptop.log)
        assert monotonic() - began < 1.0
    with scene.nothing_leaves():
        pass


def remove_filter() -> None:
    nftables = Nftables()
    nftables.remove()
    nftables.close()


def is_filter_there() -> bool:
    nftables = Nftables()
    try:
        return nftables.read() is not None
    finally:
        nftables.close()


def test_the_portal_lets_the_askers_browser_out_alone(scene: Scene) -> None:
    scene.laptop.start()
    scene.laptop.roam("lockdown", "on")
    scene.laptop.roam("portal", "--seconds", "60")  # asked by root
    browser = [replace(probe, port=443) for probe in probes(kinds=("tcp",)) if probe.version == 4]
    with scene.nothing_leaves():  # an ordinary user's packets
        scene.lab.laptop.run(lambda: send_all(browser, OURS))
    with Capture([(scene.lab.laptop, "wlan0")]) as capture:
        scene.lab.laptop.run(lambda: send_all(browser, OURS, uid=0))
        assert seen(capture, browser)
    scene.laptop.roam("portal", "--close")
    with Capture([(scene.lab.laptop, "wlan0")]) as capture:
        scene.lab.laptop.run(lambda: send_all(browser, OURS, uid=0))
        settle()
    assert not leaks(capture)


def test_traffic_of_a_tunnel_for_everything_is_proven_though_nobody_inside_is_known(scene: Scene) -> None:
    scene.laptop.start()
    with gateway(scene):
        scene.laptop.roam("up", "office")
        assert scene.laptop.status("office")["dns"] == []
        assert "up as" in scene.laptop.roam("wait", "--for", "traffic", "--timeout", "20")
        said = scene.laptop.roam("verify")
        assert "packets pass both ways" in said
        assert f"{GATEWAY} is the first router there, and says so" in said, "its packets went no further"
