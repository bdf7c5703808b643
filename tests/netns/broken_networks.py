"""Networks that are really broken, one way for each tunnel, and the evidence that a real daemon records there.

One laptop with one daemon has a tunnel for each way: the gateway has an address for every tunnel, and what is
broken on the way there concerns no other.  What concerns the whole laptop comes after, one thing after the other.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address, ip_interface
from pathlib import Path

from pyroute2 import IPRoute

from client.control.client import Client
from client.control.evidence import Evidence
from client.control.messages import Up
from client.control.wire import ControlError, SecretText
from client.explain.explain import explain
from client.explain.sources import Source
from client.lab import links
from client.lab.laptop import Laptop
from client.lab.nat import Obstacle, obstruct
from client.lab.plan import GatewayPlan
from client.lab.topology import SERVER, Topology, topology
from client.system.tun import open_tun
from tests.lab_gateway import enrol, start_gateway
from tests.net.dnsserver import NameServer

PASSWORD = "an invented password"
PATIENCE = 60.0  # seconds until a cause must be found
NARROW = 1350
"""Octets of an IP packet that the narrow way carries."""

PROFILE = """
schema = 1
id = "{name}"
[gateway]
addresses = ["{address}"]
[identity]
remote = "vpn.example.com"
[[auth.local]]
method = "eap"
identity = "{user}"
secret = "file:password"
[trust]
ca = ["file:ca.pem"]
[routing]
mode = "split"
include = ["{inside}"]
use_ts_from_gateway = false
"""


@dataclass(frozen=True)
class Broken:
    """What must be found, the evidence that decides, and where the tunnel leads."""

    cause: str
    decides: Source
    address: str
    more: str = ""  # lines of [routing]


AT_ONCE: dict[str, Broken] = {
    "UDP 500 dropped": Broken("net.udp500_blocked", Source.CHECKS, "192.0.2.11"),
    "UDP 4500 dropped": Broken("net.udp4500_blocked", Source.CHECKS, "192.0.2.12"),
    "everything dropped": Broken("net.gateway_silent", Source.CHECKS, "192.0.2.13"),
    "a router that forbids it": Broken("net.filtered", Source.ICMP, "192.0.2.14"),
    "nothing listens there": Broken("net.port_closed", Source.ICMP, "192.0.2.15"),
    "no way there": Broken("net.unreachable", Source.ICMP, "192.0.2.16"),
    "ESP in UDP dropped": Broken("peer.no_return_traffic", Source.STANDING, "192.0.2.17"),
    "a narrow way": Broken("net.mtu_reduced", Source.CHECKS, "192.0.2.18"),
    "a narrow way, and mtu in the profile": Broken("net.mtu", Source.CHECKS, "192.0.2.19", "mtu = 1400"),
    "a name that does not exist": Broken("net.name_unknown", Source.LOOKUP, "vpn.exmaple.example"),
}
"""Each concerns its own tunnel alone."""
ONE_BY_ONE: dict[str, Broken] = {
    "no answer from a name server": Broken("net.no_name_server", Source.LOOKUP, "vpn.example.example"),
    "a VPN that takes everything": Broken("local.other_vpn", Source.OTHERS, "192.0.2.1"),
    "IPv6 alone": Broken("net.other_family", Source.LOOKUP, "192.0.2.1"),
    "no network at all": Broken("net.no_network", Source.LINKS, "192.0.2.1"),
}
"""Each changes the laptop, in this order."""

_LISTENING = ("192.0.2.1", "192.0.2.11", "192.0.2.12", "192.0.2.17", "192.0.2.18", "192.0.2.19")
_SILENT_HOST = "192.0.2.15"
_OBSTACLES = (
    Obstacle(IPv4Address("192.0.2.11"), port=500),
    Obstacle(IPv4Address("192.0.2.12"), port=4500),
    Obstacle(IPv4Address("192.0.2.17"), esp=True),
    Obstacle(IPv4Address("192.0.2.18"), larger_than=NARROW),
    Obstacle(IPv4Address("192.0.2.19"), larger_than=NARROW),
)
_ROUTES = {"192.0.2.13": "blackhole", "192.0.2.14": "prohibit", "192.0.2.16": "unreachable"}


class Stage:
    """The laptop, and what it is put through."""

    def __init__(self, lab: Topology, laptop: Laptop) -> None:
        self.lab = lab
        self.laptop = laptop
        self._known: dict[str, str] = {}  # id of its profile

    def begin(self, cases: dict[str, Broken]) -> None:
        """Want a tunnel for each case, all at once."""
        files = {"file:ca.pem": (self.laptop.profiles / "ca.pem").read_bytes()}
        secrets = {"file:password": SecretText(PASSWORD)}
        with Client(str(self.laptop.socket)) as client:
            for name, case in cases.items():
                self._known[name] = identifier = f"case-{len(self._known)}"
                inside = SERVER if case.cause == "peer.no_return_traffic" else SERVER + len(self._known)
                text = PROFILE.format(
                    name=identifier, user=identifier, address=case.address, inside=f"{inside}/32"
                )
                client.up(Up(profile=text + case.more, files=files, secrets=secrets))

    def evidence(self, name: str) -> Evidence | None:
        """What the daemon has recorded of it up to now."""
        with suppress(ControlError), Client(str(self.laptop.socket)) as client:
            return client.explain(self._known[name]).evidence
        return None

    def found(self, cases: dict[str, Broken]) -> dict[str, Evidence]:
        """The evidence of each, as soon as it tells; what there is of the others after a while."""
        left, told, deadline = dict(cases), {}, time.monotonic() + PATIENCE
        while left and time.monotonic() < deadline:
            for name, case in list(left.items()):
                evidence = self.evidence(name)
                if evidence is not None:
                    told[name] = evidence
                    if explain(evidence).cause == case.cause:
                        del left[name]
            time.sleep(0.2)
        return told

    def end(self, cases: dict[str, Broken]) -> None:
        """Nobody wants them any more."""
        with Client(str(self.laptop.socket)) as client:
            for name in cases:
                client.down(self._known[name], force=True)


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    """A lab whose gateway has an address for each case, with what is broken on the way to it."""
    with topology() as lab, ExitStack() as stack:
        laptop = Laptop(lab.laptop, directory, None)
        stack.callback(laptop.kill)
        own = [ip_interface(f"{address}/24") for address in (*_LISTENING[1:], _SILENT_HOST)]
        lab.gateway.run(lambda: links.add_addresses("wan", own))
        lab.internet.run(_close_roads)
        lab.internet.run(partial(obstruct, _OBSTACLES))
        start_gateway(lab, _enrolled(laptop))
        laptop.start()
        yield Stage(lab, laptop)


def _enrolled(laptop: Laptop) -> Path:
    """A user for each tunnel: a gateway gives one user one connection."""
    first = PROFILE.format(name="office", user="alice", address="192.0.2.1", inside="10.77.0.9/32")
    path = enrol(laptop, first, PASSWORD, GatewayPlan(addresses=_LISTENING))
    count = len(AT_ONCE) + len(ONE_BY_ONE)
    replace(GatewayPlan.read(path), users={f"case-{n}": PASSWORD for n in range(count)}).write(path)
    return path


def _close_roads() -> None:
    links.sysctl("net.ipv4.icmp_ratelimit", 0)  # nobody else's report keeps ours from being sent
    with IPRoute() as netlink:
        for address, kind in _ROUTES.items():
            netlink.route("add", dst=f"{address}/32", type=kind)


@contextmanager
def chatter(lab: Topology) -> Iterator[None]:
    """Packets into the tunnel that leads to the server, until the block ends."""
    over = threading.Event()
    endpoint = lab.laptop.run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def talk() -> None:
        while not over.wait(0.1):
            with suppress(OSError):
                endpoint.sendto(b"hello", (str(SERVER), 9))

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        endpoint.close()


@contextmanager
def name_server(lab: Topology) -> Iterator[None]:
    """In the home network: it knows no name at all."""

    def bound() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("192.168.1.1", 53))
        made.settimeout(0.2)
        return made

    over, endpoint, server = threading.Event(), lab.wifi.router.run(bound), NameServer({})

    def serve() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                question, asker = endpoint.recvfrom(4096)
                endpoint.sendto(server.answer(question, asker[1]), asker)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        endpoint.close()


@contextmanager
def another_vpn(lab: Topology) -> Iterator[None]:
    """It has the default route, lets nothing past itself, and nobody is at its other end."""
    descriptor = lab.laptop.run(lambda: open_tun("tun9", 1400))
    for uplink in (lab.wifi, lab.lte):
        uplink.lose(100)

    def configure() -> None:
        with IPRoute() as netlink:
            index = netlink.link_lookup(ifname="tun9")[0]
            netlink.link("set", index=index, state="up")
            netlink.addr("add", index=index, address="10.8.0.2", prefixlen=24)
            netlink.route("add", dst="0.0.0.0/0", oif=index, priority=10)

    lab.laptop.run(configure)
    try:
        yield
    finally:
        os.close(descriptor)
        for uplink in (lab.wifi, lab.lte):
            uplink.lose(0)
