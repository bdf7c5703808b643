"""A laptop whose `wlan0` leads to a gateway, in two namespaces of the test's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface
from pathlib import Path

from client.ike.events import Assigned, Selector
from client.lab.links import Hop, add_addresses, add_routes, connect, set_link, settle, sysctl
from client.lab.namespaces import Namespace
from client.net.netlink import snapshot as read_network
from client.system.reconcile import System
from client.system.tun import open_tun
from client.tunnel.merge import system_config
from client.tunnel.model import SystemConfig, TunnelConfig, TunnelUp, Underlay

NOBODY = 65534
GATEWAY = "192.0.2.1"
GATEWAY_V6 = "2001:db8:2::1"
LAPTOP = "192.168.1.5"
LAPTOP_V6 = "2001:db8:1::5"
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
    changes: int = 0
    """How often the machine was made another one."""

    def make_link(self, name: str = "roam0") -> None:
        self.descriptors.append(open_tun(name, 1500))

    def lose_link(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())

    def config(self, up: TunnelUp | None, tunnel: TunnelConfig = FULL) -> SystemConfig:
        path = Underlay("wlan0", ip_address(LAPTOP), ip_address(GATEWAY))
        return system_config({"work": (tunnel, up)}, read_network(), [path])

    def using(self, body: Callable[[System], Awaitable[None]]) -> None:
        self.changes += 1

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
        self.sweep_but(SystemConfig())

    def sweep_but(self, keep: SystemConfig) -> None:
        async def body(system: System) -> None:
            assert [str(problem) for problem in (await system.sweep(keep)).problems] == []

        self.using(body)


@contextmanager
def played(state_dir: Path) -> Iterator[Scene]:
    """The scene, with the calling thread in the laptop."""
    with ExitStack() as stack:
        laptop, gateway = Namespace.create("laptop"), Namespace.create("gateway")
        stack.callback(laptop.close)
        stack.callback(gateway.close)
        connect(laptop, "wlan0", gateway, "wan")
        gateway.run(furnish_gateway)
        stack.enter_context(laptop.entered())
        furnish_laptop()
        scene = Scene(laptop, gateway, state_dir)
        stack.callback(scene.lose_link)
        yield scene


@contextmanager
def wired(state_dir: Path) -> Iterator[Scene]:
    """The scene with IPv6 on both ends, a local network in both families, and ping for everybody."""
    with played(state_dir) as scene:
        scene.gateway.run(furnish_gateway_more)
        furnish_laptop_more()
        yield scene


def furnish_gateway() -> None:
    for link in ("lo", "wan"):
        set_link(link, up=True)
    add_addresses("wan", [ip_interface("192.168.1.1/24"), ip_interface(f"{GATEWAY}/32")])


def furnish_laptop() -> None:
    for which in ("default", "wlan0"):  # no address comes later than it is asked for
        sysctl(f"net.ipv6.conf.{which}.accept_dad", 0)
    for link in ("lo", "wlan0"):
        set_link(link, up=True)
    add_addresses("wlan0", [ip_interface(f"{LAPTOP}/24"), ip_interface("2001:db8:1::5/64")])
    add_routes("wlan0", [Hop("0.0.0.0/0", "192.168.1.1"), Hop("::/0", "2001:db8:1::1")])
    settle("wlan0")


def furnish_gateway_more() -> None:
    sysctl("net.ipv6.conf.wan.accept_dad", 0)
    more = ("2001:db8:1::1/64", "fd00:1::1/64", f"{GATEWAY_V6}/128")
    add_addresses("wan", [ip_interface(text) for text in more])


def furnish_laptop_more() -> None:
    add_addresses("wlan0", [ip_interface("fd00:1::5/64")])
    sysctl("net.ipv4.ping_group_range", "0 2147483647")
