"""The configuration payload: what is asked, and what may come of a reply, hostile ones included."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.configuration import MAX_VALUES, build_request, parse_reply
from client.ike.events import Assigned
from client.ike.payloads import Attribute, Configuration
from client.ike.registry import CfgAttribute, CfgType

ADDRESS, ADDRESS6 = CfgAttribute.INTERNAL_IP4_ADDRESS, CfgAttribute.INTERNAL_IP6_ADDRESS
DNS, DNS6 = CfgAttribute.INTERNAL_IP4_DNS, CfgAttribute.INTERNAL_IP6_DNS
SUBNET, SUBNET6 = CfgAttribute.INTERNAL_IP4_SUBNET, CfgAttribute.INTERNAL_IP6_SUBNET
DOMAIN = CfgAttribute.INTERNAL_DNS_DOMAIN


def reply(*attributes: tuple[int, bytes], cfg_type: int = CfgType.REPLY) -> Configuration:
    return Configuration(cfg_type, tuple(Attribute(*attribute) for attribute in attributes))


def parsed(*attributes: tuple[int, bytes], ipv4: bool = True, ipv6: bool = True) -> Assigned:
    return parse_reply(reply(*attributes), ipv4=ipv4, ipv6=ipv6)


def packed(text: str) -> bytes:
    return ip_address(text).packed


# Requests


def test_a_request_asks_for_the_families_wanted_with_empty_values() -> None:
    request = build_request(ipv4=True, ipv6=False)
    assert request.cfg_type == CfgType.REQUEST
    kinds = [attribute.type for attribute in request.attributes]
    assert kinds == [ADDRESS, CfgAttribute.INTERNAL_IP4_NETMASK, DNS, SUBNET, DOMAIN]
    assert all(attribute.value == b"" for attribute in request.attributes)
    assert [a.type for a in build_request(ipv4=False, ipv6=True).attributes] == [
        ADDRESS6,
        DNS6,
        SUBNET6,
        DOMAIN,
    ]


def test_earlier_addresses_are_a_wish_of_the_families_wanted_alone() -> None:
    wish = (ip_interface("10.99.0.10/32"), ip_interface("fd99::a/64"))
    request = build_request(ipv4=True, ipv6=True, wish=wish)
    assert request.attributes[0] == Attribute(ADDRESS, packed("10.99.0.10"))
    assert request.attributes[1] == Attribute(ADDRESS6, packed("fd99::a") + b"\x40")
    kinds = [attribute.type for attribute in request.attributes]
    assert len(set(kinds)) == len(kinds)
    assert build_request(ipv4=False, ipv6=True, wish=wish).attributes[0].type == ADDRESS6


# Replies


def test_a_plain_reply_is_read_whole() -> None:
    assert parsed(
        (ADDRESS, packed("10.99.0.10")),
        (ADDRESS6, packed("fd99::a") + bytes([64])),
        (DNS, packed("10.77.0.53")),
        (DNS6, packed("fd77::53")),
        (SUBNET, packed("10.77.0.0") + packed("255.255.255.0")),
        (SUBNET6, packed("fd77::") + bytes([64])),
        (DOMAIN, b"Corp.Example.com."),
    ) == Assigned(
        addresses=(ip_interface("10.99.0.10/32"), ip_interface("fd99::a/64")),
        dns=(ip_address("10.77.0.53"), ip_address("fd77::53")),
        domains=("corp.example.com",),
        subnets=(ip_network("10.77.0.0/24"), ip_network("fd77::/64")),
    )


@pytest.mark.parametrize("cfg_type", [CfgType.REQUEST, CfgType.SET, CfgType.ACK, 0, 255])
def test_only_a_reply_is_a_reply(cfg_type: int) -> None:
    configuration = reply((ADDRESS, packed("10.99.0.10")), cfg_type=cfg_type)
    assert parse_reply(configuration, ipv4=True, ipv6=True) == Assigned()
    assert parse_reply(None, ipv4=True, ipv6=True) == Assigned()


def test_addresses_of_a_family_that_was_not_asked_for_are_left_out() -> None:
    both = ((ADDRESS, packed("10.99.0.10")), (ADDRESS6, packed("fd99::a")))
    assert parsed(*both, ipv6=False).addresses == (ip_interface("10.99.0.10/32"),)
    assert parsed(*both, ipv4=False).addresses == (ip_interface("fd99::a/128"),)


def test_a_reply_to_nothing_is_nothing() -> None:
    assert (
        parsed((ADDRESS, packed("10.99.0.10")), (DNS, packed("10.77.0.53")), ipv4=False, ipv6=False)
        == Assigned()
    )


def test_of_several_addresses_of_a_family_the_first_usable_counts() -> None:
    assert parsed(
        (ADDRESS, b""),
        (ADDRESS, packed("0.0.0.0")),
        (ADDRESS, packed("10.99.0.10")),
        (ADDRESS, packed("10.99.0.11")),
    ).addresses == (ip_interface("10.99.0.10/32"),)


def test_thousands_of_dns_servers_are_a_few() -> None:
    servers = [(DNS, (0x0A000000 + number).to_bytes(4)) for number in range(1, 8000)]
    servers6 = [(DNS6, (0xFD00 << 112 | number).to_bytes(16)) for number in range(1, 3000)]
    assert len(parsed(*servers, *servers6).dns) == 2 * MAX_VALUES


def test_repeated_values_count_once() -> None:
    assert parsed(*[(DNS, packed("10.77.0.53"))] * 500).dns == (ip_address("10.77.0.53"),)


@pytest.mark.parametrize("kind", [ADDRESS, ADDRESS6, DNS, DNS6, SUBNET, SUBNET6])
def test_values_of_odd_length_are_left_out_and_the_others_stay(kind: CfgAttribute) -> None:
    usual = {ADDRESS: (4,), ADDRESS6: (16, 17), DNS: (4,), DNS6: (16, 17), SUBNET: (8,), SUBNET6: (17,)}[kind]
    odd = [(kind, b"\x20" * size) for size in range(64) if size not in usual]
    assert parsed(*odd) == Assigned()
    good = (DOMAIN, b"example.com")
    assert parsed(*odd, good).domains == ("example.com",)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"]
)
def test_addresses_that_no_host_has_are_left_out(address: str) -> None:
    octets = packed(address)
    kinds = (ADDRESS, DNS) if len(octets) == 4 else (ADDRESS6, DNS6)
    assert parsed(*[(kind, octets) for kind in kinds]) == Assigned()


@pytest.mark.parametrize(
    ("mask", "network"),
    [
        ("0.0.0.0", "0.0.0.0/0"),
        ("255.0.0.0", "10.0.0.0/8"),
        ("255.255.255.255", "10.77.1.9/32"),
        ("255.255.255.254", "10.77.1.8/31"),
        ("0.0.0.255", None),
        ("255.0.255.0", None),
        ("127.255.255.255", None),
        ("0.0.0.1", None),
    ],
)
def test_a_netmask_is_a_run_of_ones_or_nothing(mask: str, network: str | None) -> None:
    found = parsed((SUBNET, packed("10.77.1.9") + packed(mask))).subnets
    assert found == (() if network is None else (ip_network(network),))


@pytest.mark.parametrize(
    ("prefix", "usable"), [(0, True), (64, True), (128, True), (129, False), (255, False)]
)
def test_an_ipv6_prefix_has_at_most_128_bits(prefix: int, usable: bool) -> None:
    value = packed("fd77::1") + bytes([prefix])
    assert bool(parsed((ADDRESS6, value)).addresses) is usable
    assert bool(parsed((SUBNET6, value)).subnets) is usable


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b".",
        b"..",
        b"a..b",
        b".example.com",
        b"a" * 64 + b".com",
        b".".join([b"a" * 60] * 5),
        b"corp example.com",
        b"corp\nsearch evil",
        b"corp\0",
        b"corp;rm",
        b"$(reboot)",
        "m\N{LATIN SMALL LETTER U WITH DIAERESIS}nchen.example".encode(),
        b"\xff\xfe",
        b"../../etc",
        b"a/b",
    ],
)
def test_what_is_no_domain_name_is_left_out(name: bytes) -> None:
    assert parsed((DOMAIN, name)).domains == ()


@pytest.mark.parametrize(
    "name", [b"example.com", b"a", b"xn--mnchen-3ya.example", b"_tcp.example.com", b"a-b.c1"]
)
def test_domain_names_are_kept(name: bytes) -> None:
    assert parsed((DOMAIN, name)).domains == (name.decode(),)


def test_twenty_odd_attributes_around_a_good_one_do_no_harm() -> None:
    odd = [
        (number, bytes(number % 40))
        for number in (2, 4, 5, 6, 7, 9, 11, 12, 14, 16, 17, 18, 19, 20, 21, 22, 23)
    ]
    vendor = [(number, b"x" * 200) for number in (16384, 23456, 23457, 25000, 28672, 32767)]
    assert parsed(*odd, (ADDRESS, packed("10.99.0.10")), *vendor).addresses == (
        ip_interface("10.99.0.10/32"),
    )


@given(st.lists(st.tuples(st.integers(0, 0x7FFF) | st.sampled_from(CfgAttribute), st.binary(max_size=40))))
def test_no_reply_raises_and_no_list_is_long(attributes: list[tuple[int, bytes]]) -> None:
    assigned = parsed(*attributes)
    assert len(assigned.addresses) <= 2
    assert max(len(assigned.dns), len(assigned.subnets)) <= 2 * MAX_VALUES
    assert len(assigned.domains) <= MAX_VALUES
