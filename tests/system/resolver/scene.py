"""A laptop between its home network and a tunnel, with a name server in each: who is asked what is written down.

`roam0` is a virtual cable instead of a tunnel: name resolution only cares which link leads to which server.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_interface
from typing import TypeVar

from pyroute2 import IPRoute

from client.ike.events import Address
from client.lab.links import add_addresses, connect, set_link, sysctl
from client.lab.namespaces import Namespace
from client.net.dnswire import BadAnswer, Query, Rcode, RecordType, decode_answer_untrusted, encode_query
from client.system.resolver.model import DnsConfig
from tests.net.dnsserver import NameServer
from tests.system.resolver.workstation import Workstation

Result = TypeVar("Result")

HOME = ip_address("192.168.1.1")
INSIDE = (ip_address("10.77.0.1"), ip_address("fd77::1"))
NAMES = {
    "public.example": ("198.51.100.7",),
    "host.corp.example": ("10.77.0.9",),
    "host.home.lan": ("192.168.1.9",),
}
FULL = DnsConfig("roam0", INSIDE)
SPLIT = DnsConfig("roam0", INSIDE, ("corp.example",), ("other.example",), default_route=False)
STUB = "127.0.0.53"


@dataclass
class Scene:
    """Three namespaces; `home` and `inside` have a server each."""

    laptop: Namespace
    home: Namespace
    inside: Namespace
    questions: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    sockets: dict[str, list[socket.socket]] = field(default_factory=dict)

    def run(self, body: Callable[[], Awaitable[Result]]) -> Result:
        """Run `body` on the laptop, with both servers answering."""

        async def main() -> Result:
            loop = asyncio.get_running_loop()
            transports = []
            for place, endpoints in self.sockets.items():
                for endpoint in endpoints:
                    server = NameServer(NAMES, asked=self.questions[place])
                    made = await loop.create_datagram_endpoint(partial(_same, server), sock=endpoint.dup())
                    transports.append(made[0])
            try:
                return await body()
            finally:
                for transport in transports:
                    transport.close()

        with self.laptop.entered():
            return asyncio.run(main())

    def asked(self) -> dict[str, set[str]]:
        """Which names each server was asked since the last call."""
        seen = {place: {name for name, _, _ in asked} for place, asked in self.questions.items()}
        for asked in self.questions.values():
            asked.clear()
        return seen

    async def who_is_asked(self, name: str) -> set[str]:
        """Resolve a name as a program does, over the stub; which servers that made."""
        self.asked()
        await query(name)
        return {place for place, names in self.asked().items() if name in names}


@dataclass
class AtHome(Scene):
    """The laptop is a workstation with its daemons."""

    workstation: Workstation = field(kw_only=True)


def asked_by_a_program(scene: Scene, name: str) -> set[str]:
    """Which servers are asked when a program resolves a name as programs do; it sees the mounts of this thread."""

    async def body() -> set[str]:
        scene.asked()
        command = (sys.executable, "-c", f"import socket; socket.getaddrinfo({name!r}, 443, socket.AF_INET)")
        await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
        return {place for place, names in scene.asked().items() if name in names}

    return scene.run(body)


async def query(name: str, server: str = STUB) -> tuple[Address, ...]:
    """Ask a server for IPv4 addresses; none where the name does not exist."""
    loop = asyncio.get_running_loop()
    question = Query(secrets.randbits(16), name, RecordType.A)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as endpoint:
        await loop.sock_connect(endpoint, (server, 53))
        await loop.sock_sendall(endpoint, encode_query(question))
        try:
            async with asyncio.timeout(5):
                answer = decode_answer_untrusted(await loop.sock_recv(endpoint, 4096), question)
        except (TimeoutError, BadAnswer, ConnectionError):
            return ()
    return answer.addresses if answer.rcode == Rcode.NOERROR else ()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it is so; for how long is the caller's decision."""
    while not condition():  # noqa: ASYNC110 - what other programs do makes no event here
        await asyncio.sleep(0.01)


@contextmanager
def scene(laptop: Namespace) -> Iterator[Scene]:
    """Build it around a laptop."""
    with ExitStack() as stack:
        home, inside = Namespace.create("home"), Namespace.create("inside")
        stack.callback(home.close)
        stack.callback(inside.close)
        for namespace in (laptop, home, inside):
            namespace.run(_prepare)
        connect(laptop, "wlan0", home, "lan")
        home.run(lambda: _address("lan", f"{HOME}/24"))
        laptop.run(lambda: _address("wlan0", "192.168.1.23/24"))
        built = Scene(laptop, home, inside)
        add_tunnel(built)
        for place, namespace, addresses in (("home", home, (HOME,)), ("inside", inside, INSIDE)):
            built.questions[place] = []
            built.sockets[place] = [namespace.run(partial(_bound, address)) for address in addresses]
            for endpoint in built.sockets[place]:
                stack.callback(endpoint.close)
        yield built


def add_tunnel(built: Scene) -> None:
    """Make `roam0`, as it is while the tunnel stands."""
    connect(built.laptop, "roam0", built.inside, "net")
    built.inside.run(lambda: _address("net", *(f"{address}/{_length(address)}" for address in INSIDE)))
    built.laptop.run(tunnel_up)


def tunnel_up() -> None:
    """Up, with its inside addresses."""
    _address("roam0", "10.77.0.2/24", "fd77::2/64")


def remove_tunnel(built: Scene) -> None:
    """The link goes away."""

    def inside() -> None:
        with IPRoute() as netlink:
            netlink.link("del", index=netlink.link_lookup(ifname="net")[0])

    built.inside.run(inside)


def _same(server: NameServer) -> NameServer:
    return server


def _length(address: Address) -> int:
    return 24 if address.version == 4 else 64


def _prepare() -> None:
    sysctl("net.ipv6.conf.default.accept_dad", 0)
    set_link("lo", up=True)


def _address(link: str, *interfaces: str) -> None:
    set_link(link, up=True)
    add_addresses(link, [ip_interface(interface) for interface in interfaces])


def _bound(address: Address) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    endpoint = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    endpoint.bind((str(address), 53))
    return endpoint
