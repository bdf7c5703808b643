"""Inner packets: length, flow, congestion marks."""

from __future__ import annotations

import contextlib
import random
from ipaddress import ip_address

import pytest

from client.esp.inner import (
    CE,
    ECT_0,
    ECT_1,
    NOT_ECT,
    Flow,
    ecn_after_tunnel,
    flow_of,
    ip_size,
    mark_congestion,
    traffic_class,
)
from client.esp.rejected import EspRejected, Reason
from tests.esp.packets import checksum, ip_packet, tcp_packet, udp_packet

V4 = ("10.0.0.1", "10.77.0.1")
V6 = ("fd07::1", "fd77::1")


@pytest.mark.parametrize("ends", [V4, V6])
def test_what_follows_the_packet_is_padding(ends: tuple[str, str]) -> None:
    packet = udp_packet(*ends)
    assert ip_size(packet) == len(packet)
    assert ip_size(packet + bytes(100)) == len(packet)


@pytest.mark.parametrize("ends", [V4, V6])
def test_a_truncated_packet_is_malformed(ends: tuple[str, str]) -> None:
    packet = udp_packet(*ends)
    for size in range(len(packet)):
        with pytest.raises(EspRejected) as rejected:
            ip_size(packet[:size])
        assert rejected.value.reason is Reason.INNER


@pytest.mark.parametrize("first", [0x00, 0x15, 0x44, 0x54, 0x75, 0xFF])
def test_other_versions_and_short_headers_are_malformed(first: int) -> None:
    with pytest.raises(EspRejected):
        ip_size(bytes((first,)) + udp_packet()[1:])


@pytest.mark.parametrize("ends", [V4, V6])
def test_flow_shows_addresses_protocol_and_ports(ends: tuple[str, str]) -> None:
    source, destination = (int(ip_address(end)) for end in ends)
    version = ip_address(ends[0]).version
    assert flow_of(udp_packet(*ends)) == Flow(version, source, destination, 17, 1111, 2222)


@pytest.mark.parametrize(("protocol", "ends"), [(1, V4), (58, V6)])
def test_icmp_has_type_and_code_for_both_ports(protocol: int, ends: tuple[str, str]) -> None:
    flow = flow_of(ip_packet(*ends, protocol, b"\x03\x04" + bytes(6)))
    assert (flow.protocol, flow.source_port, flow.destination_port) == (protocol, 0x0304, 0x0304)


def test_mobility_header_has_its_type_for_both_ports() -> None:
    flow = flow_of(ip_packet(*V6, 135, b"\x3b\x00\x05\x00" + bytes(4)))
    assert (flow.protocol, flow.source_port, flow.destination_port) == (135, 0x0500, 0x0500)


def test_later_fragments_show_no_ports() -> None:
    packet = ip_packet(*V4, 17, bytes(100), fragment=0x2003)
    assert flow_of(packet)[3:] == (17, None, None)
    first = ip_packet(*V4, 17, b"\x04\x57\x08\xae" + bytes(96), fragment=0x2000)
    assert flow_of(first)[3:] == (17, 1111, 2222)


def test_extension_headers_are_passed_over() -> None:
    body = udp_packet(*V6)[40:]
    hop_by_hop, options, authentication = (
        bytes((60, 0)) + bytes(6),
        bytes((51, 1)) + bytes(14),
        bytes((17, 1)),
    )
    extensions = hop_by_hop + options + authentication + bytes(10)
    assert flow_of(ip_packet(*V6, 0, body, extensions=extensions))[3:] == (17, 1111, 2222)


def test_later_ipv6_fragments_show_the_protocol_without_ports() -> None:
    body = bytes(64)
    first = ip_packet(*V6, 44, udp_packet(*V6)[40:], extensions=bytes((17, 0, 0, 1)) + bytes(4))
    later = ip_packet(*V6, 44, body, extensions=bytes((17, 0, 0, 9)) + bytes(4))
    assert flow_of(first)[3:] == (17, 1111, 2222)
    assert flow_of(later)[3:] == (17, None, None)


@pytest.mark.parametrize(
    "packet",
    [
        ip_packet(*V4, 17, b"\x01\x02\x03"),
        ip_packet(*V4, 1, b"\x08"),
        ip_packet(*V6, 135, b"\x3b"),
        ip_packet(*V6, 0, b"\x11"),
        ip_packet(*V6, 60, (bytes((60, 0)) + bytes(6)) * 12),
    ],
)
def test_missing_headers_are_malformed(packet: bytes) -> None:
    with pytest.raises(EspRejected):
        flow_of(packet)


@pytest.mark.parametrize("ends", [V4, V6])
def test_noise_is_a_flow_or_malformed_and_nothing_else(ends: tuple[str, str]) -> None:
    chance = random.Random(1)
    packet = tcp_packet(source=ends[0], destination=ends[1], data=bytes(60))
    for _ in range(5000):
        noisy = bytearray(packet[: chance.randrange(len(packet) + 1)])
        for _ in range(chance.randrange(4)):
            if noisy:
                noisy[chance.randrange(min(len(noisy), 64))] = chance.randrange(256)
        with contextlib.suppress(EspRejected):
            flow_of(bytes(noisy[: ip_size(noisy)]))


# Rows: inner field; columns: outer Not-ECT, ECT(1), ECT(0), CE.  RFC 6040 section 4.2, figure 4.
@pytest.mark.parametrize(
    ("inner", "outcomes"),
    [
        (NOT_ECT, (NOT_ECT, NOT_ECT, NOT_ECT, None)),
        (ECT_0, (ECT_0, ECT_1, ECT_0, CE)),
        (ECT_1, (ECT_1, ECT_1, ECT_1, CE)),
        (CE, (CE, CE, CE, CE)),
    ],
)
def test_congestion_marks_follow_rfc_6040(inner: int, outcomes: tuple[int | None, ...]) -> None:
    for outer, outcome in enumerate(outcomes):
        if outcome is None:
            with pytest.raises(EspRejected) as rejected:
                ecn_after_tunnel(inner, outer)
            assert rejected.value.reason is Reason.CONGESTION
        else:
            assert ecn_after_tunnel(inner, outer) == outcome


@pytest.mark.parametrize("ends", [V4, V6])
@pytest.mark.parametrize("traffic", range(256))
def test_marking_changes_two_bits_and_the_checksum(ends: tuple[str, str], traffic: int) -> None:
    packet = bytearray(udp_packet(*ends, traffic_class=traffic))
    assert traffic_class(packet) == traffic
    if traffic & 3 == NOT_ECT:
        return
    mark_congestion(packet, CE)
    assert traffic_class(packet) == traffic | CE
    if packet[0] >> 4 == 4:
        assert checksum(bytes(packet[:20])) == 0
    before = udp_packet(*ends, traffic_class=traffic)
    assert packet[20:] == before[20:]
