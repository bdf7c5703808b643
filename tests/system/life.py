"""What tunnels bring in the course of a daemon's life."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface, ip_network

from client.net.netlink import snapshot as read_network
from tests.system.scene import FULL, STANDING

EXCLUDING = replace(FULL, exclude=(ip_network("198.51.100.0/24"),))
OTHER = replace(
    STANDING,
    assigned=replace(STANDING.assigned, addresses=(ip_interface("10.8.0.9/24"), ip_interface("fd01::9/64"))),
)


def has_link_local() -> bool:
    """Whether the kernel has done by itself what it does a second after a link is up."""
    return any(entry.interface.ip.is_link_local for entry in read_network().addresses)
