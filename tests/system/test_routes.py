"""The applier on the kernel, in namespaces of the test's own: what is there afterwards, and what gets through."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address, ip_interface
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pyroute2 import IPRoute

from client.ike.events import Assigned, Selector
from client.lab.links import Hop, add_addresses, add_routes, connect, set_link, sysctl
from client.lab.namespaces import Account, Namespace, Surroundings, in_own_thread
from client.lab.snapshot import difference, snapshot
from client.lab.syscalls import set_capabilities
from client.net.netlink import snapshot as read_network
from client.system.plan import DropLink, PutRule
from client.system.reconcile import System
from client.system.routes import Kernel
from client.system.tun import open_tun
from client.tunnel.merge import system_config
from client.tunnel.model import (
    MARK,
    SOURCE_PORTS,
    TABLE,
    SystemConfig,
    TunnelConfig,
    TunnelUp,
    Underlay,
)

pytestmark = pytest.mark.netns

NOBODY = 65534
GATEWAY = "192.0.2.1"
LAPTOP = "192.168.1.5"
FULL = TunnelConfig("work", ("gw.example.com",))
STANDING = TunnelUp(
    "roam0",
    Assigned(addresses=(ip_interface("10.8.0.2/24"), ip_interface("fd01::2/64"))),
    (
        Selector(ip_address("0.0.0.0"), ip_address("255.255.255.255")),
        Selector(ip_address("::"), ip_address(2**128 - 1)),
    ),
)


@dataclass
class Scene:
    """A laptop whose `wlan0` leads to the gateway; the test's thread is in the laptop."""

    laptop: Namespace
    gateway: Namespace
    state_dir: Path
    descriptors: list[int] = field(default_factory=list)

    def make_link(self, name: str = "roam0") -> None:
        self.descriptors.append(open_tun(name, 1500))

    def lose_link(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())

    def config(self, up: TunnelUp | None, tunnel: TunnelConfig = FULL) -> SystemConfig:
        path = Underlay("wlan0", ip_address(LAPTOP), ip_address(GATEWAY))
        return system_config({"work": (tunnel, up)}, read_network(), [path])

    def using(self, body: Callable[[System], Awaitable[None]]) -> None:
        async def main() -> None:
            system = System(self.state_dir)
            try:
                await body(system)
            finally:
                system.close()

        asyncio.run(main())

    def apply(self, config: SystemConfig) -> None:
        async def body(system: System) -> None:
            outcome = await system.apply(config, 1)
            assert [str(problem) for problem in outcome.problems] == []

        self.using(body)

    def sweep(self) -> None:
        async def body(system: System) -> None:
            assert [str(problem) for problem in (await system.sweep()).problems] == []

        self.using(body)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        laptop, gateway = Namespace.create("laptop"), Namespace.create("gateway")
        stack.callback(laptop.close)
        stack.callback(gateway.close)
        connect(laptop, "wlan0", gateway, "wan")
        gateway.run(furnish_gateway)
        stack.enter_context(laptop.entered())
        furnish_laptop()
        scene = Scene(laptop, gateway, tmp_path / "state")
        stack.callback(scene.lose_link)
        yield scene


def furnish_gateway() -> None:
    for link in ("lo", "wan"):
        set_link(link, up=True)
    add_addresses("wan", [ip_interface("192.168.1.1/24"), ip_interface(f"{GATEWAY}/32")])


def furnish_laptop() -> None:
    sysctl("net.ipv6.conf.default.accept_dad", 0)
    for link in ("lo", "wlan0"):
        set_link(link, up=True)
    add_addresses("wlan0", [ip_interface(f"{LAPTOP}/24"), ip_interface("2001:db8:1::5/64")])
    add_routes("wlan0", [Hop("0.0.0.0/0", "192.168.1.1"), Hop("::/0", "2001:db8:1::1")])


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


# --- what gets through


def test_selected_packets_go_into_the_tunnel_and_nowhere_when_it_vanishes(scene: Scene) -> None:
    scene.make_link()
    scene.apply(scene.config(STANDING))
    send("203.0.113.9", bound=False)
    assert destination_of_first(scene.descriptors[0]) == IPv4Address("203.0.113.9")
    scene.lose_link()
    for destination in ("203.0.113.9", GATEWAY, "2001:db8:9::1"):
        with pytest.raises(OSError) as caught:
            send(destination, bound=False)
        assert caught.value.errno in (errno.EINVAL, errno.ENETUNREACH)
    send("192.168.1.1", bound=False)  # the local network stays reachable


def destination_of_first(descriptor: int) -> IPv4Address:
    """Of the first packet of IPv4 behind its virtio-net header of ten octets."""
    while True:
        packet = os.read(descriptor, 2048)[10:]
        if packet[0] >> 4 == 4:
            return IPv4Address(packet[16:20])


def send(destination: str, *, bound: bool, mark: int = 0) -> None:
    family = socket.AF_INET if ip_address(destination).version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        if bound:
            sender.bind((LAPTOP, 0))
        sender.sendto(b"clear text", (destination, 4500))


def test_gateway_is_reached_with_our_mark_alone(scene: Scene) -> None:
    scene.apply(scene.config(None))
    send(GATEWAY, bound=True, mark=MARK)
    for action in (send_bound, send_unbound):
        with pytest.raises(OSError, match="in the child"):
            as_ordinary_user(action)


def send_bound() -> None:
    send(GATEWAY, bound=True)


def send_unbound() -> None:
    send(GATEWAY, bound=False)


def as_ordinary_user(action: Callable[[], None]) -> None:
    """In a child, because what root may do to its own replies' ports is not the point."""
    child = os.fork()
    if child == 0:
        status = 0
        try:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            action()
        except OSError as error:
            status = error.errno or 255
        finally:
            os._exit(status)
    _, result = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(result):
        raise OSError(os.waitstatus_to_exitcode(result), "in the child")


@pytest.mark.parametrize("strictness", [0, 1, 2])
@pytest.mark.parametrize("size", [100, 3000], ids=["one packet", "fragments"])
def test_answers_come_in_through_a_closed_guard(scene: Scene, strictness: int, size: int) -> None:
    for link in ("all", "wlan0"):
        sysctl(f"net.ipv4.conf.{link}.rp_filter", strictness)
    scene.apply(scene.config(None))
    with (
        scene.gateway.run(lambda: bound_to(GATEWAY, 4500)) as theirs,
        bound_to(LAPTOP, SOURCE_PORTS[0]) as ours,
    ):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        ours.sendto(bytes(size), (GATEWAY, 4500))
        question, laptop = theirs.recvfrom(4096)
        theirs.sendto(question, laptop)
        assert len(ours.recv(4096)) == size


def bound_to(address: str, port: int) -> socket.socket:
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.bind((address, port))
    endpoint.settimeout(2)
    return endpoint


# --- as an ordinary user

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
