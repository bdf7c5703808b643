"""How large packets inside a tunnel may be: the user's word, what was found out, or what was computed.  Pure."""

from __future__ import annotations

from collections.abc import Collection

from .model import NetworkState, TunnelConfig, TunnelUp, Underlay

LARGEST_MTU = 1400  # what most clients and gateways converge on
SMALLEST_MTU = 1280  # of IPv6, RFC 8200 section 5

_IP_AND_TCP = {4: 40, 6: 60}  # octets of the headers that an MSS does not count (RFC 9293 section 3.7.1)


def carried_size(
    config: TunnelConfig, up: TunnelUp, network: NetworkState, underlays: Collection[Underlay]
) -> int:
    """Octets of the largest packet that a tunnel carries."""
    return config.mtu or up.mtu or inner_mtu(network, underlays)


def link_mtu(up: TunnelUp, size: int) -> int:
    """The MTU of the link of a tunnel that carries packets of this size.

    With an IPv6 address it is never below what IPv6 needs: the kernel would take the address away.  TCP is told
    to send less then (`largest_segment`).
    """
    has_v6 = any(address.version == 6 for address in up.assigned.addresses)
    return max(size, SMALLEST_MTU) if has_v6 else size


def largest_segment(size: int, version: int) -> int:
    """The MSS with which a TCP segment fits into a packet of this size."""
    return size - _IP_AND_TCP[version]


def inner_mtu(network: NetworkState, underlays: Collection[Underlay]) -> int:
    """The largest packet that fits into ESP in UDP on all `underlays`, whatever the algorithms.

    Outer header 20 or 40, UDP 8, ESP 8, IV at most 16, ICV at most 32; what remains is a multiple of 16, two
    octets of which are the ESP trailer's (RFC 4303 section 2).
    """
    sizes = {link.name: link.mtu for link in network.links}
    room = [
        sizes.get(path.interface, LARGEST_MTU + 100) - (20 if path.local.version == 4 else 40) - 64
        for path in underlays
    ]
    return max(SMALLEST_MTU, min((LARGEST_MTU, *(size // 16 * 16 - 2 for size in room))))
