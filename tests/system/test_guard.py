"""What gets through the routing that was applied, and what does not."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address, ip_interface
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from client.lab.links import Hop, add_addresses, add_routes, connect, set_link, settle, sysctl
from client.net.netlink import snapshot as read_network
from client.tunnel.merge import system_config
from client.tunnel.model import MARK, SOURCE_PORTS, Underlay
from tests.system.scene import FULL, GATEWAY, LAPTOP, NOBODY, STANDING, Scene

pytestmark = pytest.mark.netns


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


@pytest.mark.parametrize("marked", [0, 1], ids=["", "src_valid_mark"])
@pytest.mark.parametrize("strictness", [0, 1, 2])
@pytest.mark.parametrize("size", [100, 3000], ids=["one packet", "fragments"])
def test_answers_come_in_through_a_closed_guard(
    scene: Scene, strictness: int, size: int, marked: int
) -> None:
    """Also where another program has the kernel look at marks: answers carry none, so that changes nothing."""
    for link in ("all", "wlan0"):
        sysctl(f"net.ipv4.conf.{link}.rp_filter", strictness)
    sysctl("net.ipv4.conf.all.src_valid_mark", marked)
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


SECOND = "10.64.0.5"


@pytest.fixture
def second_uplink(scene: Scene) -> Underlay:
    """`lte0` leads to the gateway too, though the network prefers `wlan0`."""
    connect(scene.laptop, "lte0", scene.gateway, "lte")
    scene.gateway.run(furnish_second_router)
    set_link("lte0", up=True)
    add_addresses("lte0", [ip_interface(f"{SECOND}/24")])
    add_routes("lte0", [Hop("0.0.0.0/0", "10.64.0.1", metric=5000)])
    settle("lte0")
    return Underlay("lte0", ip_address(SECOND), ip_address(GATEWAY))


def furnish_second_router() -> None:
    set_link("lte", up=True)
    add_addresses("lte", [ip_interface("10.64.0.1/24")])


def remove_second_router() -> None:
    with IPRoute() as netlink:
        netlink.link("del", index=socket.if_nametoindex("lte"))


@pytest.mark.parametrize("everywhere", [0, 1, 2])
@pytest.mark.parametrize("own", [0, 1, 2])
def test_answers_come_in_over_an_uplink_that_the_network_does_not_prefer(
    scene: Scene, second_uplink: Underlay, everywhere: int, own: int
) -> None:
    sysctl("net.ipv4.conf.all.rp_filter", everywhere)
    sysctl("net.ipv4.conf.lte0.rp_filter", own)
    before = settings()
    first = Underlay("wlan0", ip_address(LAPTOP), ip_address(GATEWAY))
    scene.apply(system_config({"work": (FULL, None)}, read_network(), [first, second_uplink]))
    assert is_answered(scene)
    scene.apply(system_config({"work": (FULL, None)}, read_network(), [first]))
    assert settings()["lte0"] == before["lte0"], "it is not in use any more"
    scene.apply(system_config({"work": (FULL, None)}, read_network(), [second_uplink]))
    assert is_answered(scene)
    scene.sweep()  # as after a crash: another process, which knows of it by the note alone
    assert settings() == before


def settings() -> dict[str, str]:
    found = Path("/proc/sys/net/ipv4/conf").glob("*/rp_filter")
    return {path.parent.name: path.read_text().strip() for path in found}


def is_answered(scene: Scene) -> bool:
    """Whether the gateway's answer reaches a socket of ours on the second uplink."""
    with (
        scene.gateway.run(lambda: bound_to(GATEWAY, 4500)) as theirs,
        bound_to(SECOND, SOURCE_PORTS[0]) as ours,
    ):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lte0")
        ours.sendto(b"question", (GATEWAY, 4500))
        question, laptop = theirs.recvfrom(4096)
        theirs.sendto(question, laptop)
        return ours.recv(4096) == b"question"


def test_a_link_that_goes_takes_its_setting_with_it(scene: Scene, second_uplink: Underlay) -> None:
    sysctl("net.ipv4.conf.all.rp_filter", 1)
    scene.apply(system_config({"work": (FULL, None)}, read_network(), [second_uplink]))
    assert settings()["lte0"] == "2"
    scene.gateway.run(remove_second_router)
    scene.apply(system_config({"work": (FULL, None)}, read_network()))
    scene.sweep()


def bound_to(address: str, port: int) -> socket.socket:
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.bind((address, port))
    endpoint.settimeout(2)
    return endpoint
