"""Inner packets: their true length, their flow, and congestion marks.

Everything here takes octets that nobody has checked yet and raises `EspRejected(INNER)` where they are no IP
packet.
"""

from __future__ import annotations

from typing import NamedTuple

from .protection import Octets
from .rejected import EspRejected, Reason

IPV4 = 4  # next header of an inner IPv4 packet (RFC 4303 section 2.6)
IPV6 = 41
NO_NEXT_HEADER = 59  # a dummy packet

_ICMP = 1
_ICMPV6 = 58
_MOBILITY = 135
_FRAGMENT = 44
_AUTHENTICATION = 51
_WITH_PORTS = frozenset({6, 17, 33, 132, 136})  # TCP, UDP, DCCP, SCTP, UDP-Lite
_EXTENSIONS = frozenset(
    {0, 43, _FRAGMENT, _AUTHENTICATION, 60, 139, 140}
)  # what may stand before the upper layer
_MOST_EXTENSIONS = 8  # more are no sign of honest traffic


class Flow(NamedTuple):
    """What traffic selectors look at.  Ports are None where the packet does not show them (fragments).

    ICMP has type and code for both ports, Mobility Header its type (RFC 7296 section 3.13.1).
    """

    version: int
    source: int
    destination: int
    protocol: int
    source_port: int | None
    destination_port: int | None


def ip_size(octets: Octets) -> int:
    """How long the IP packet at the start of `octets` says it is: what follows it is TFC padding."""
    available = len(octets)
    version = octets[0] >> 4 if available else 0
    if version == 4 and available >= 20:
        size = octets[2] << 8 | octets[3]
        header = (octets[0] & 15) * 4
        if 20 <= header <= size <= available:
            return size
    elif version == 6 and available >= 40:
        size = 40 + (octets[4] << 8 | octets[5])
        if size <= available:
            return size
    raise EspRejected(Reason.INNER)


def next_header_of(packet: Octets) -> int:
    """The ESP next header for an IP packet."""
    return IPV4 if packet[0] >> 4 == 4 else IPV6


def traffic_class(packet: Octets) -> int:
    """DSCP and ECN of an IP packet: TOS or Traffic Class."""
    if packet[0] >> 4 == 4:
        return packet[1]
    return (packet[0] & 15) << 4 | packet[1] >> 4


def flow_of(packet: Octets) -> Flow:
    """The flow of a packet that `ip_size` has found whole."""
    return _flow_of_ipv4(packet) if packet[0] >> 4 == 4 else _flow_of_ipv6(packet)


def _flow_of_ipv4(packet: Octets) -> Flow:
    protocol = packet[9]
    first = not (packet[6] << 8 | packet[7]) & 0x1FFF
    ports = _ports(packet, (packet[0] & 15) * 4, protocol) if first else (None, None)
    source, destination = int.from_bytes(packet[12:16]), int.from_bytes(packet[16:20])
    return Flow(4, source, destination, protocol, *ports)


def _flow_of_ipv6(packet: Octets) -> Flow:
    protocol, offset, first = _upper_layer(packet)
    ports = _ports(packet, offset, protocol) if first else (None, None)
    source, destination = int.from_bytes(packet[8:24]), int.from_bytes(packet[24:40])
    return Flow(6, source, destination, protocol, *ports)


def _upper_layer(packet: Octets) -> tuple[int, int, bool]:
    """Protocol, its offset, and whether its header is there: not in a later fragment (RFC 8200 section 4)."""
    protocol, offset = packet[6], 40
    for _ in range(_MOST_EXTENSIONS):
        if protocol not in _EXTENSIONS:
            return protocol, offset, True
        if offset + 8 > len(packet):
            break
        following = packet[offset]
        if protocol == _FRAGMENT:
            if (packet[offset + 2] << 8 | packet[offset + 3]) & 0xFFF8:
                return following, offset + 8, False
            offset += 8
        elif protocol == _AUTHENTICATION:
            offset += (packet[offset + 1] + 2) * 4
        else:
            offset += (packet[offset + 1] + 1) * 8
        protocol = following
    raise EspRejected(Reason.INNER)


def _ports(packet: Octets, offset: int, protocol: int) -> tuple[int | None, int | None]:
    if protocol in _WITH_PORTS:
        if offset + 4 > len(packet):
            raise EspRejected(Reason.INNER)
        return packet[offset] << 8 | packet[offset + 1], packet[offset + 2] << 8 | packet[offset + 3]
    if protocol in (_ICMP, _ICMPV6):
        if offset + 2 > len(packet):
            raise EspRejected(Reason.INNER)
        both = packet[offset] << 8 | packet[offset + 1]
        return both, both
    if protocol == _MOBILITY:
        if offset + 3 > len(packet):
            raise EspRejected(Reason.INNER)
        return packet[offset + 2] << 8, packet[offset + 2] << 8
    return None, None


NOT_ECT, ECT_1, ECT_0, CE = range(4)  # RFC 3168 section 5


def ecn_after_tunnel(inner: int, outer: int) -> int:
    """The inner field after decapsulation (RFC 6040 section 4.2); a drop where it cannot carry congestion."""
    if outer == CE:
        if inner == NOT_ECT:
            raise EspRejected(Reason.CONGESTION)
        return CE
    if outer == ECT_1 and inner == ECT_0:
        return ECT_1
    return inner


def mark_congestion(packet: bytearray | memoryview, outer: int) -> None:
    """Carry the outer header's ECN field over to an inner packet, in place."""
    inner = traffic_class(packet) & 3
    outcome = ecn_after_tunnel(inner, outer)
    if outcome == inner:
        return
    if packet[0] >> 4 == 4:
        packet[1] = packet[1] & 0xFC | outcome
        _adjust_header_checksum(packet, inner, outcome)
    else:
        packet[1] = packet[1] & 0xCF | outcome << 4


def _adjust_header_checksum(packet: bytearray | memoryview, old: int, new: int) -> None:
    """RFC 1624, equation 3, for two bits of the header."""
    total = (~int.from_bytes(packet[10:12]) & 0xFFFF) + (~old & 0xFFFF) + new
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    packet[10:12] = (~total & 0xFFFF).to_bytes(2)
