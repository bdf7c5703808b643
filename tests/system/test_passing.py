"""What must pass the closed guard does, on the wire; and what is asked from outside is not answered."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from time import time

import pytest

from client.lab.capture import Capture, Flow
from client.lab.links import Hop, add_addresses, add_routes, connect, set_link, sysctl
from client.lab.namespaces import Namespace
from client.system.nft import Nftables
from client.tunnel.model import MARK, Forward, PortalPass, Stance
from tests.conftest import Record
from tests.evidence import CONTROLS, LEAKS
from tests.system.ledger import RESOLVER, UPLINK, leaks, probes, seen, send_all, settle
from tests.system.scene import FULL, GATEWAY, LAPTOP, LAPTOP_V6, NOBODY, STANDING, Scene
from tests.system.test_leaks import config

pytestmark = pytest.mark.netns

OURS = {4: LAPTOP, 6: LAPTOP_V6}
DAEMON = 990
INSIDE, INSIDE_V6 = "10.8.0.2", "fd01::2"
GUESTS = {4: "172.17.0.2", 6: "fd17::2"}
FLOOD = 2_000


def watched(scene: Scene) -> Capture:
    return Capture([(scene.laptop, UPLINK)])


def test_the_local_network_is_reached_and_its_resolver_is_not_asked(wire: Scene) -> None:
    wire.make_link()
    wire.apply(config((FULL, STANDING)))
    open_ones = probes(RESOLVER, ("tcp", "udp", "icmp"))
    questions = [
        *probes(RESOLVER, ("dns",)),
        *(replace(p, kind="tcp", port=53) for p in probes(RESOLVER, ("tcp",))),
    ]
    questions += [replace(probe, kind="tcp", port=853) for probe in probes(RESOLVER, ("tcp",))]
    with watched(wire) as capture:
        send_all([*questions, *open_ones], OURS)
        assert seen(capture, open_ones) == {str(probe) for probe in open_ones}
    assert not any(probe.is_seen_in(capture.flows) for probe in questions)


def test_control_without_the_guard_the_resolver_is_asked(wire: Scene) -> None:
    questions = probes(RESOLVER, ("dns",))
    with watched(wire) as capture:
        send_all(questions, OURS)
        assert seen(capture, questions) == {str(probe) for probe in questions}


@pytest.mark.parametrize(
    ("uid", "mark", "leaves"), [(DAEMON, MARK, True), (DAEMON, 0, False), (NOBODY, MARK, False)]
)
def test_marked_packets_of_the_daemon_leave_and_no_others(
    wire: Scene, uid: int, mark: int, leaves: bool
) -> None:
    wire.apply(config((FULL, None), stance=Stance(uid=DAEMON)))
    with watched(wire) as capture:
        send_as(uid, mark)
        settle()
    assert bool(leaks(capture)) is leaves


def send_as(uid: int, mark: int) -> None:
    """A datagram to the gateway from a socket that `uid` opens; marking it takes a capability."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(uid, uid, 0)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                os.setresuid(-1, 0, 0)
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
                sender.sendto(b"ike", (GATEWAY, 500))
        except PermissionError:
            pass  # that is how a local sender hears that a packet was dropped
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def test_the_portal_is_open_to_the_user_who_asked(wire: Scene) -> None:
    portal = PortalPass(NOBODY, (ip_address(RESOLVER[4]),), int(time()) + 60)
    wire.apply(config((FULL, None), stance=Stance(portal=portal)))
    browser = [replace(probe, port=443) for probe in probes(kinds=("tcp",)) if probe.version == 4]
    dns = [probe for probe in probes(RESOLVER, ("dns",)) if probe.version == 4]
    with watched(wire) as capture:
        send_all([*probes(), *browser, *dns], OURS)
        assert seen(capture, [*browser, *dns]) == {str(probe) for probe in (*browser, *dns)}
    allowed = {(probe.target, probe.port) for probe in (*browser, *dns)}
    assert not leaks(capture, lambda flow: (flow.destination, flow.destination_port) in allowed)


# --- what is forwarded


@contextmanager
def guest(scene: Scene) -> Iterator[Namespace]:
    """A container behind `docker0`."""
    with ExitStack() as stack:
        namespace = Namespace.create("guest")
        stack.callback(namespace.close)
        connect(scene.laptop, "docker0", namespace, "eth0")
        for setting in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            sysctl(f"net.{setting}", 1)
        sysctl("net.ipv6.conf.docker0.accept_dad", 0)
        set_link("docker0", up=True)
        add_addresses("docker0", [ip_interface("172.17.0.1/16"), ip_interface("fd17::1/64")])

        def furnish() -> None:
            sysctl("net.ipv4.ping_group_range", "0 2147483647")
            sysctl("net.ipv6.conf.eth0.accept_dad", 0)
            set_link("eth0", up=True)
            add_addresses("eth0", [ip_interface(f"{GUESTS[4]}/16"), ip_interface(f"{GUESTS[6]}/64")])
            add_routes("eth0", [Hop("0.0.0.0/0", "172.17.0.1"), Hop("::/0", "fd17::1")])

        namespace.run(furnish)
        yield namespace


FORWARDED = [probe for probe in probes() if probe.way == "plain"]


@pytest.mark.parametrize(
    ("word", "is_up", "outside", "inside"),
    [
        ("tunnelled", True, False, True),
        ("tunnelled", False, False, False),
        ("blocked", True, False, False),
        ("allowed", True, True, False),
    ],
)
def test_what_is_forwarded_goes(
    wire: Scene, word: Forward, is_up: bool, outside: bool, inside: bool, record_property: Record
) -> None:
    with guest(wire) as container:
        wire.make_link()
        wire.apply(config((replace(FULL, forward=word), STANDING if is_up else None)))
        with watched(wire) as capture:
            container.run(lambda: send_all(FORWARDED, GUESTS))
            found = seen(capture, FORWARDED) if outside else set()
            settle()
        assert bool(leaks(capture)) is outside
        assert len(found) == (len(FORWARDED) if outside else 0)
        wanted = {probe.target for probe in FORWARDED} if inside else set()
        assert arrived(wire.descriptors[0], wanted, 2.0 if inside else 0.0) == wanted
    state = f'forwarded, "{word}", {"up" if is_up else "connecting"}'
    for probe in FORWARDED:
        left = probe.is_seen_in(capture.flows)
        record_property(CONTROLS if outside else LEAKS, (state, probe.cell, int(left), 1))


def arrived(tun: int, wanted: set[str], patience: float) -> set[str]:
    """Where the packets in the tunnel's link go, until all that are wanted have come.

    Each stands behind ten octets of virtio-net header.
    """
    found: set[str] = set()
    targets = {probe.target for probe in FORWARDED}
    while found != (wanted or None) and select.select([tun], [], [], patience)[0]:
        packet = os.read(tun, 2048)[10:]
        octets = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
        found |= {str(ip_address(octets))} & targets
    return found


# --- weak host: nobody on the local network talks to, or learns, an inside address


@pytest.fixture
def attacked(wire: Scene) -> Iterator[Scene]:
    """The tunnel stands, a program listens on all addresses, and the neighbour has routes to the inside ones."""
    wire.make_link()
    wire.apply(config((FULL, STANDING)))
    wire.gateway.run(
        lambda: add_routes("wan", [Hop(f"{INSIDE}/32", LAPTOP), Hop(f"{INSIDE_V6}/128", LAPTOP_V6)])
    )
    with socket.create_server(("", 8080)), socket.create_server(("", 8081), family=socket.AF_INET6):
        yield wire


def attack(scene: Scene, count: int) -> int:
    """SYNs, echo requests and datagrams to closed ports, to the inside addresses; how many were answered."""
    with watched(scene) as capture:
        scene.gateway.run(lambda: knock(count))
        settle()
    return sum(number for flow, number in capture.flows.items() if is_answer(flow))


def is_answer(flow: Flow) -> bool:
    """SYN-ACKs and resets, echo replies, and "port unreachable" too."""
    return flow.outgoing and flow.source in {INSIDE, INSIDE_V6}


def knock(count: int) -> None:
    for version, (inside, port) in {4: (INSIDE, 8080), 6: (INSIDE_V6, 8081)}.items():
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        for _ in range(count):
            with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as caller:
                caller.connect_ex((inside, port))
        for kind, protocol, content in (
            (socket.SOCK_RAW, socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6, ping(version)),
            (socket.SOCK_DGRAM, 0, b"is anybody there?"),
        ):
            with socket.socket(family, kind, protocol) as sender:
                for _ in range(count):
                    sender.sendto(content, (inside, 9 if kind == socket.SOCK_DGRAM else 0))


def ping(version: int) -> bytes:
    if version == 6:
        return struct.pack("!BBHHH", 128, 0, 0, 1, 1)  # the kernel adds the checksum
    return struct.pack("!BBHHH", 8, 0, 0xF7FD, 1, 1)


def test_control_without_the_filter_inside_addresses_answer(attacked: Scene) -> None:
    nftables = Nftables()
    nftables.remove()
    nftables.close()
    with watched(attacked) as capture:
        attacked.gateway.run(lambda: knock(20))
        settle()
    assert {flow.protocol for flow in capture.flows if is_answer(flow)} >= {"tcp", "icmp", "icmp6"}
    assert asks_for(attacked, INSIDE)


def test_no_knock_at_an_inside_address_is_answered(attacked: Scene) -> None:
    assert attack(attacked, FLOOD) == 0


def test_nobody_learns_an_inside_address_by_arp(attacked: Scene) -> None:
    assert asks_for(attacked, LAPTOP)
    assert not asks_for(attacked, INSIDE)


def asks_for(scene: Scene, address: str) -> bool:
    """Whether an ARP request for it is answered."""
    return scene.gateway.run(lambda: _ask(address))


def _ask(address: str) -> bool:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as raw:
        raw.bind(("wan", 0x0806))
        raw.settimeout(0.2)
        ours = raw.getsockname()[4]
        request = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
        request += ours + ip_address("192.168.1.1").packed + bytes(6) + ip_address(address).packed
        raw.send(b"\xff" * 6 + ours + b"\x08\x06" + request)
        try:
            while True:
                frame = raw.recv(128)
                if frame[20:22] == b"\x00\x02" and frame[28:32] == ip_address(address).packed:
                    return True
        except TimeoutError:
            return False
