"""The applier on the kernel, in namespaces of the test's own: what is there afterwards."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from tempfile import TemporaryDirectory

import pytest
from pyroute2 import IPRoute

from client.lab.links import set_link, sysctl
from client.lab.namespaces import Account, Surroundings, in_own_thread
from client.lab.snapshot import difference, snapshot
from client.lab.syscalls import set_capabilities
from client.system.plan import DropLink, PutRule
from client.system.reconcile import System
from client.system.routes import Kernel
from client.tunnel.model import TABLE, SystemConfig, TunnelUp
from tests.system.scene import NOBODY, STANDING, Scene

pytestmark = pytest.mark.netns


def test_what_was_applied_is_what_is_there(scene: Scene) -> None:
    scene.make_link()
    config = scene.config(STANDING)
    scene.apply(config)
    with Kernel() as kernel:
        actual = kernel.read(TABLE)
    assert set(actual.routes) == set(config.routes)
    assert set(actual.rules) == set(config.rules)
    assert (actual.links, actual.down) == (config.links, frozenset())


def test_applying_again_changes_nothing(scene: Scene) -> None:
    scene.make_link()
    config = scene.config(STANDING)

    async def body(system: System) -> None:
        assert (await system.apply(config, 1)).steps
        assert (await system.apply(config, 2)).steps == ()
        assert (await system.repair()).steps == ()

    scene.using(body)


def test_main_and_the_local_table_stay_as_they_are(scene: Scene) -> None:
    before = routes_beside_ours(scene)
    scene.make_link()
    scene.apply(scene.config(STANDING))
    added = routes_beside_ours(scene) - before
    assert {line.partition(" dev ")[0] for line in added} <= {
        "local 10.8.0.2/32",
        "local fd01::2/128",
        "multicast ff00::/8",
    }


def routes_beside_ours(scene: Scene) -> set[str]:
    return {line for line in snapshot(scene.laptop).sections["routes"] if f"table {TABLE}" not in line}


@pytest.mark.parametrize("is_manifest_lost", [False, True], ids=["manifest", "lost manifest"])
@pytest.mark.parametrize("up", [None, STANDING], ids=["connecting", "standing"])
def test_sweep_after_apply_leaves_an_empty_difference(
    scene: Scene, up: TunnelUp | None, is_manifest_lost: bool
) -> None:
    before = snapshot(scene.laptop)
    scene.make_link()
    scene.apply(scene.config(up))
    assert difference(before, snapshot(scene.laptop))
    if is_manifest_lost:
        (scene.state_dir / "manifest.json").unlink()
    scene.sweep()
    assert difference(before, snapshot(scene.laptop)) == ()


def test_taking_the_tunnel_down_leaves_an_empty_difference(scene: Scene) -> None:
    before = snapshot(scene.laptop)
    scene.make_link()
    for config in (scene.config(None), scene.config(STANDING), scene.config(None), SystemConfig()):
        scene.apply(config)
    scene.lose_link()
    assert difference(before, snapshot(scene.laptop)) == ()


def test_sweep_spares_what_others_made(scene: Scene) -> None:
    with IPRoute() as netlink:
        netlink.rule("add", priority=7305, table=77, protocol=2)
        netlink.rule("add", priority=7301, table=TABLE, protocol=4)
        netlink.rule("add", priority=100, table=TABLE, protocol=2)
        netlink.link("add", ifname="tun9", kind="tuntap", mode="tun")
        netlink.link("add", ifname="roaming", kind="veth", peer="peer")
    before = snapshot(scene.laptop)
    scene.make_link()
    scene.apply(scene.config(STANDING))
    scene.sweep()
    assert difference(before, snapshot(scene.laptop)) == ()


def test_repair_puts_back_what_another_program_deleted(scene: Scene) -> None:
    config = scene.config(None)

    async def body(system: System) -> None:
        await system.apply(config, 1)
        await asyncio.to_thread(delete_rule)
        assert [type(step) for step in (await system.repair()).steps] == [PutRule]
        assert (await system.repair()).steps == ()

    scene.using(body)


def delete_rule() -> None:
    with IPRoute() as netlink:
        netlink.rule("del", priority=7301, family=10)


def test_sweep_deletes_a_link_that_outlived_its_daemon(scene: Scene) -> None:
    with IPRoute() as netlink:
        netlink.link("add", ifname="roam3", kind="tuntap", mode="tun")

    async def body(system: System) -> None:
        assert (await system.sweep()).steps == (DropLink("roam3"),)

    scene.using(body)


def test_ipv6_that_is_switched_off_is_no_failure(scene: Scene) -> None:
    for which in ("all", "default"):
        sysctl(f"net.ipv6.conf.{which}.disable_ipv6", 1)
    scene.make_link()
    scene.apply(scene.config(STANDING))
    scene.sweep()


def test_a_local_network_that_has_gone_meanwhile_is_no_failure(scene: Scene) -> None:
    config = scene.config(None)
    set_link("wlan0", up=False)
    scene.apply(config)
    assert {str(route) for route in routes()} == {
        "blackhole 0.0.0.0/0 metric 2000",
        "blackhole ::/0 metric 2000",
    }


def routes() -> set[object]:
    with Kernel() as kernel:
        return set(kernel.read(TABLE).routes)


def test_kernel_sends_nothing_of_its_own_into_the_tunnel(scene: Scene) -> None:
    scene.make_link()
    scene.apply(scene.config(STANDING))
    with pytest.raises(BlockingIOError):
        os.read(scene.descriptors[0], 2048)


ORDINARY = """
import asyncio, os, sys
from pathlib import Path
from ipaddress import IPv4Address, ip_address, ip_interface
from client.ike.events import Assigned
from client.net.netlink import snapshot
from client.system.reconcile import System
from client.tunnel.merge import system_config
from client.tunnel.model import TunnelConfig, TunnelUp, Underlay

up = TunnelUp("roam0", Assigned(addresses=(ip_interface("10.8.0.2/24"), ip_interface("fd01::2/64"))))
path = Underlay("wlan0", ip_address("192.168.1.5"), ip_address("192.0.2.1"))

async def main():
    network = await asyncio.to_thread(snapshot)
    config = system_config({"work": (TunnelConfig("work", ()), up)}, network, [path])
    system = System(Path(sys.argv[1]))
    applied = await system.apply(config, 1)
    again = await system.apply(config, 2)
    Path(sys.argv[1], "manifest.json").unlink()
    swept = await system.sweep()
    print(os.geteuid(), len(applied.steps) > 10, again.steps, applied.problems, swept.problems, end="")

asyncio.run(main())
"""


def test_an_ordinary_user_with_cap_net_admin_alone_leaves_an_empty_difference(scene: Scene) -> None:
    before = snapshot(scene.laptop)
    scene.make_link()
    assert ordinary(scene, Account(NOBODY, NOBODY)) == f"{NOBODY} True () () ()"
    assert difference(before, snapshot(scene.laptop)) == ()


def ordinary(scene: Scene, account: Account) -> str:
    """What the program says; its state directory lies where it may get at it."""
    with TemporaryDirectory() as state_dir:
        os.chown(state_dir, account.uid, account.gid)
        around = Surroundings(account=account, output=subprocess.PIPE)
        process = scene.laptop.start([sys.executable, "-c", ORDINARY, state_dir], around)
        return process.communicate(timeout=60)[0].decode()


def test_without_the_capability_the_problems_say_so(scene: Scene) -> None:
    config = scene.config(None)

    async def body(system: System) -> None:
        outcome = await system.apply(config, 1)
        assert {problem.reason for problem in outcome.problems} == {"Operation not permitted"}

    def without_capabilities() -> None:
        set_capabilities(frozenset())
        scene.using(body)

    in_own_thread(without_capabilities)
