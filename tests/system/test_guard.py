"""What gets through the routing that was applied, and what does not."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address

import pytest

from client.lab.links import sysctl
from client.tunnel.model import MARK, SOURCE_PORTS
from tests.system.scene import GATEWAY, LAPTOP, NOBODY, STANDING, Scene

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
