"""The sockets of a path in namespaces: what stands on the wire, and what is handed on."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

import pytest
from pyroute2 import IPRoute

from client.ike.events import Channel, Endpoint
from client.lab.links import add_addresses, connect, set_link
from client.lab.namespaces import Namespace
from client.net.udp import PathSockets, open_path
from client.tunnel.model import MARK, SOURCE_PORTS, TABLE, Underlay

pytestmark = pytest.mark.netns

V4 = Underlay("wlan0", ip_address("192.168.1.5"), ip_address("192.168.1.1"))
V6 = Underlay("wlan0", ip_address("2001:db8:1::5"), ip_address("2001:db8:1::1"))
EITHER = pytest.mark.parametrize("underlay", [V4, V6], ids=["IPv4", "IPv6"])
SO_BINDTODEVICE_SIZE = 16

Message = tuple[bytes, Channel, Endpoint]


@dataclass
class Scene:
    """The test's thread is in the laptop; the gateway's sockets are ordinary ones."""

    gateway: Namespace
    received: asyncio.Queue[Message]

    def open(self, underlay: Underlay, port: int = 500) -> PathSockets:
        return open_path(underlay, port, lambda *message: self.received.put_nowait(message))

    def listen(self, underlay: Underlay, port: int) -> socket.socket:
        return self.gateway.run(lambda: listener(str(underlay.remote), port))

    async def next(self) -> Message:
        async with asyncio.timeout(5):
            return await self.received.get()


def listener(address: str, port: int) -> socket.socket:
    family = socket.AF_INET if ":" not in address else socket.AF_INET6
    endpoint = socket.socket(family, socket.SOCK_DGRAM)
    endpoint.bind((address, port))
    endpoint.settimeout(5)
    return endpoint


@pytest.fixture
def gateway() -> Iterator[Namespace]:
    with ExitStack() as stack:
        laptop, gateway = Namespace.create("laptop"), Namespace.create("gateway")
        stack.callback(laptop.close)
        stack.callback(gateway.close)
        connect(laptop, "wlan0", gateway, "wan")
        gateway.run(lambda: furnish("wan", "192.168.1.1/24", "2001:db8:1::1/64"))
        stack.enter_context(laptop.entered())
        furnish("wlan0", "192.168.1.5/24", "2001:db8:1::5/64")
        yield gateway


def furnish(link: str, *addresses: str) -> None:
    set_link("lo", up=True)
    set_link(link, up=True)
    add_addresses(link, [ip_interface(address) for address in addresses])


def playing(gateway: Namespace, body: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        await body(Scene(gateway, asyncio.Queue()))

    asyncio.run(main())


@EITHER
def test_a_path_has_two_channels_from_our_ports(gateway: Namespace, underlay: Underlay) -> None:
    async def body(scene: Scene) -> None:
        with closing(scene.open(underlay)) as sockets:
            path = sockets.path
            assert (path.interface, path.local, path.remote) == ("wlan0", underlay.local, underlay.remote)
            assert path.remote_init == Endpoint(underlay.remote, 500)
            assert path.remote_natt == Endpoint(underlay.remote, 4500)
            assert path.local_init is not None
            for endpoint in (path.local_init, path.local_natt):
                assert SOURCE_PORTS[0] <= endpoint.port <= SOURCE_PORTS[1]

    playing(gateway, body)


@EITHER
def test_init_goes_bare_and_natt_with_the_marker(gateway: Namespace, underlay: Underlay) -> None:
    async def body(scene: Scene) -> None:
        with (
            closing(scene.open(underlay)) as sockets,
            scene.listen(underlay, 500) as init,
            scene.listen(underlay, 4500) as natt,
        ):
            sockets.send(b"first", Channel.INIT)
            sockets.send(b"second", Channel.NATT)
            sockets.keep_alive()
            bare, sender = init.recvfrom(99)
            assert (bare, sender[1]) == (b"first", sockets.path.ends(Channel.INIT)[0].port)
            assert [natt.recv(99), natt.recv(99)] == [bytes(4) + b"second", b"\xff"]

    playing(gateway, body)


@EITHER
def test_what_comes_in_is_handed_on_without_marker(gateway: Namespace, underlay: Underlay) -> None:
    async def body(scene: Scene) -> None:
        with (
            closing(scene.open(underlay)) as sockets,
            scene.listen(underlay, 500) as init,
            scene.listen(underlay, 4500) as natt,
        ):
            local_init, local_natt = (
                sockets.path.ends(channel)[0] for channel in (Channel.INIT, Channel.NATT)
            )
            init.sendto(b"answer", (str(local_init.address), local_init.port))
            assert await scene.next() == (b"answer", Channel.INIT, Endpoint(underlay.remote, 500))
            for datagram in (b"\xff", b"\x12\x34\x56\x78 an ESP packet", bytes(4), bytes(4) + b"message"):
                natt.sendto(datagram, (str(local_natt.address), local_natt.port))
            assert await scene.next() == (b"message", Channel.NATT, Endpoint(underlay.remote, 4500))
            assert scene.received.empty()

    playing(gateway, body)


def test_a_port_of_its_own_has_natt_alone(gateway: Namespace) -> None:
    async def body(scene: Scene) -> None:
        with closing(scene.open(V4, 7500)) as sockets, scene.listen(V4, 7500) as natt:
            assert (sockets.path.local_init, sockets.path.remote_init) == (None, None)
            sockets.send(b"message", Channel.NATT)
            assert natt.recv(99) == bytes(4) + b"message"
            with pytest.raises(AssertionError):
                sockets.send(b"message", Channel.INIT)

    playing(gateway, body)


def test_natt_once_left_is_the_data_paths(gateway: Namespace) -> None:
    async def body(scene: Scene) -> None:
        with closing(scene.open(V4)) as sockets, scene.listen(V4, 4500) as natt:
            sockets.leave_natt()
            local = sockets.path.local_natt
            natt.sendto(bytes(4) + b"for the pump", (str(local.address), local.port))
            with socket.socket(fileno=os.dup(sockets.natt_fd)) as pump:
                assert await asyncio.get_running_loop().sock_recv(pump, 99) == bytes(4) + b"for the pump"
            sockets.send(b"still sent by us", Channel.NATT)
            assert natt.recv(99) == bytes(4) + b"still sent by us"
            assert scene.received.empty()

    playing(gateway, body)


@EITHER
def test_packets_carry_our_mark(gateway: Namespace, underlay: Underlay) -> None:
    def trap_unmarked(family: int) -> None:
        with IPRoute() as netlink:
            netlink.rule(
                "add", family=family, priority=7301, table=TABLE, fwmark=MARK, fwmask=0xFF00, flags=2
            )
            netlink.route("add", family=family, dst="default", type="blackhole", table=TABLE)

    trap_unmarked(socket.AF_INET if underlay is V4 else socket.AF_INET6)

    async def body(scene: Scene) -> None:
        with closing(scene.open(underlay)) as sockets, scene.listen(underlay, 500) as init:
            sockets.send(b"through the guard", Channel.INIT)
            assert init.recv(99) == b"through the guard"
            with socket.socket(fileno=os.dup(sockets.natt_fd)) as natt:
                bound = natt.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, SO_BINDTODEVICE_SIZE)
                assert bound.rstrip(b"\0") == b"wlan0"

    playing(gateway, body)


def test_a_message_larger_than_the_link_goes_in_fragments(gateway: Namespace) -> None:
    async def body(scene: Scene) -> None:
        with closing(scene.open(V4)) as sockets, scene.listen(V4, 4500) as natt:
            sockets.send(bytes(4000), Channel.NATT)
            assert len(natt.recv(9999)) == 4004

    playing(gateway, body)


def test_refused_messages_are_counted_by_their_cause_and_raise_nothing(gateway: Namespace) -> None:
    async def body(scene: Scene) -> None:
        with closing(scene.open(V4)) as sockets:
            sockets.send(bytes(70000), Channel.NATT)
            set_link_in_thread = asyncio.to_thread(set_link, "wlan0", up=False)
            await set_link_in_thread
            sockets.send(b"nowhere", Channel.INIT)
            sockets.keep_alive()
            assert sockets.send_errors == {"EMSGSIZE": 1, "ENETUNREACH": 2}

    playing(gateway, body)


@pytest.mark.parametrize(
    "underlay",
    [
        Underlay("wlan0", ip_address("192.168.1.99"), ip_address("192.168.1.1")),
        Underlay("wlan9", ip_address("192.168.1.5"), ip_address("192.168.1.1")),
    ],
    ids=["address gone", "interface gone"],
)
def test_a_path_that_has_gone_is_an_error(gateway: Namespace, underlay: Underlay) -> None:
    async def body(scene: Scene) -> None:
        with pytest.raises(OSError, match=r"assign|No such device"):
            scene.open(underlay)

    playing(gateway, body)


def test_closing_twice_is_closing_once(gateway: Namespace) -> None:
    async def body(scene: Scene) -> None:
        sockets = scene.open(V4)
        sockets.close()
        sockets.close()

    playing(gateway, body)


def test_link_local_gateway_is_reached_by_its_interface(gateway: Namespace) -> None:
    furnish("wlan0", "fe80::5/64")
    gateway.run(lambda: furnish("wan", "fe80::1/64"))
    underlay = Underlay("wlan0", ip_address("fe80::5"), ip_address("fe80::1"))

    async def body(scene: Scene) -> None:
        with closing(scene.open(underlay)) as sockets, scene.gateway.run(any_listener) as init:
            sockets.send(b"first", Channel.INIT)
            assert init.recv(99) == b"first"

    playing(gateway, body)


def any_listener() -> socket.socket:
    return listener("::", 500)
