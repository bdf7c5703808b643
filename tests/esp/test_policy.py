"""Traffic selectors in both directions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.esp.policy import Policy
from client.ike.events import Selector
from tests.esp.children import ANY, selectors
from tests.esp.packets import ip_packet, tcp_packet, udp_packet

LOCAL, REMOTE = selectors("10.0.0.1/32", "fd07::1/128"), selectors("10.77.0.0/24", "fd77::/64")


def with_ports(selector: Selector, protocol: int, first: int, last: int) -> Selector:
    return replace(selector, protocol=protocol, first_port=first, last_port=last)


@pytest.mark.parametrize(
    ("source", "destination", "permitted"),
    [
        ("10.0.0.1", "10.77.0.5", True),
        ("10.0.0.1", "10.77.1.5", False),
        ("10.0.0.2", "10.77.0.5", False),
        ("10.77.0.5", "10.0.0.1", False),
        ("fd07::1", "fd77::5", True),
        ("fd07::1", "fd78::5", False),
    ],
)
def test_addresses_decide_and_directions_mirror(source: str, destination: str, permitted: bool) -> None:
    policy = Policy(LOCAL, REMOTE)
    for _ in range(2):  # the second time from memory
        assert policy.permits_outbound(udp_packet(source, destination)) is permitted
        assert policy.permits_inbound(udp_packet(destination, source)) is permitted


def test_a_verdict_of_one_direction_is_not_taken_for_the_other() -> None:
    policy = Policy(LOCAL, REMOTE)
    assert policy.permits_outbound(udp_packet("10.0.0.1", "10.77.0.5"))
    assert not policy.permits_inbound(udp_packet("10.0.0.1", "10.77.0.5"))


def test_ports_and_protocols_decide_where_selectors_name_them() -> None:
    policy = Policy(ANY, (with_ports(REMOTE[0], 17, 2000, 3000),))
    assert policy.permits_outbound(udp_packet(ports=(1, 2222)))
    assert not policy.permits_outbound(udp_packet(ports=(2222, 1)))
    assert policy.permits_inbound(udp_packet("10.77.0.1", "10.0.0.1", ports=(2222, 1)))
    assert not policy.permits_outbound(tcp_packet())


def test_packets_without_ports_need_any_or_opaque() -> None:
    fragment = ip_packet("10.0.0.1", "10.77.0.1", 17, bytes(50), fragment=0x2002)
    assert Policy(ANY, ANY).permits_outbound(fragment)
    assert Policy(ANY, (with_ports(REMOTE[0], 17, 65535, 0), *ANY[1:])).permits_outbound(fragment)
    assert not Policy(ANY, (with_ports(REMOTE[0], 17, 0, 5000),)).permits_outbound(fragment)
    assert not Policy(ANY, (with_ports(REMOTE[0], 17, 65535, 0),)).permits_outbound(udp_packet())


def test_icmp_types_are_selected_by_type_and_code() -> None:
    echo = ip_packet("10.0.0.1", "10.77.0.1", 1, b"\x08\x00" + bytes(6))
    other = ip_packet("10.0.0.1", "10.77.0.1", 1, b"\x03\x01" + bytes(6))
    policy = Policy((with_ports(ANY[0], 1, 0x0800, 0x08FF),), (with_ports(ANY[0], 1, 0x0800, 0x08FF),))
    assert policy.permits_outbound(echo)
    assert not policy.permits_outbound(other)


def test_a_scan_of_addresses_does_not_fill_the_memory() -> None:
    policy = Policy(ANY, REMOTE)
    for number in range(10_000):
        policy.permits_outbound(udp_packet("10.0.0.1", f"10.{number >> 8}.{number & 255}.1"))
    assert len(policy._verdicts) <= 4096
    assert policy.permits_outbound(udp_packet("10.0.0.1", "10.77.0.9"))
