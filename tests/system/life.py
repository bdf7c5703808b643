"""What a daemon wants of the machine during its life, from the first tunnel to the last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

from client.net.netlink import snapshot as read_network
from client.tunnel.model import PortalPass, Stance, SystemConfig, TunnelUp
from tests.system.scene import FULL, STANDING, Scene
from tests.system.test_leaks import LOCKED, MOVED, SPLIT, config

EXCLUDING = replace(FULL, exclude=(ip_network("198.51.100.0/24"),))
OTHER = replace(
    STANDING,
    assigned=replace(STANDING.assigned, addresses=(ip_interface("10.8.0.9/24"), ip_interface("fd01::9/64"))),
)


def life(scene: Scene) -> Iterator[SystemConfig]:
    """One after the other; something is always guarded.  The link of the tunnel comes and goes."""
    yield config((FULL, None))
    scene.make_link()
    yield config((FULL, STANDING))
    yield config((FULL, STANDING), local=MOVED[4])
    yield config((EXCLUDING, STANDING), (SPLIT, None))
    yield config((FULL, OTHER))
    scene.lose_link()
    yield config((FULL, None))
    yield config((FULL, None), stance=Stance(portal=PortalPass(1, (ip_address("192.168.1.1"),), 0)))
    yield config((replace(FULL, allow_lan=False, forward="allowed"), None))
    yield config(stance=LOCKED)
    yield config((SPLIT, None), stance=LOCKED)
    scene.make_link()
    yield config((SPLIT, STANDING), stance=LOCKED)
    yield config((replace(FULL, mtu=1300), STANDING), stance=LOCKED)
    yield config((replace(FULL, mtu=1300, exclude=EXCLUDING.exclude), OTHER), (SPLIT, None))
    yield config((FULL, STANDING), local=MOVED[4])
    yield config((FULL, only_v4(STANDING)))
    scene.lose_link()
    yield config((FULL, None))


def only_v4(up: TunnelUp) -> TunnelUp:
    return replace(up, assigned=replace(up.assigned, addresses=up.assigned.addresses[:1]))


def has_link_local() -> bool:
    """Whether the kernel has done by itself what it does a second after a link is up."""
    return any(entry.interface.ip.is_link_local for entry in read_network().addresses)
