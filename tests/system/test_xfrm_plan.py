"""Child SAs as SAs and policies: pure."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest

from client.ike.events import ChildSa, Endpoint, EspAlgorithms, Selector
from client.ike.registry import Encr, Integ
from client.system.xfrm_model import (
    Aead,
    CipherWithHmac,
    Device,
    Direction,
    Encapsulation,
    Limits,
    Mark,
    Offload,
    Ports,
    Template,
)
from client.system.xfrm_plan import WINDOW, Outer, Pair, changes, flows, pair_of, policies
from tests.esp.children import AES_CBC_ESN, AES_GCM, ANY, child_pair, selectors

IF_ID = 0x73000001
OUTER = Outer(
    Endpoint(IPv4Address("192.0.2.1"), 61440), Endpoint(IPv4Address("192.0.2.2"), 4500), encapsulate=True
)
ELSEWHERE = Outer(
    Endpoint(IPv6Address("2001:db8::1"), 61441), Endpoint(IPv6Address("2001:db8::2"), 4500), encapsulate=False
)
HOST = selectors("10.7.0.1/32")
ALL = Ports()


def pair(child: ChildSa | None = None, reqid: int = 1) -> Pair:
    return pair_of(child or child_pair()[0], reqid, IF_ID, OUTER, Limits())


def test_an_aead_has_its_salt_in_the_key_and_its_whole_icv() -> None:
    made = pair()
    assert made.outbound.protection == Aead("rfc4106(gcm(aes))", made.child.keys.encr_out, 16)
    assert made.inbound.protection == Aead("rfc4106(gcm(aes))", made.child.keys.encr_in, 16)
    assert len(made.child.keys.encr_out) == 36


def test_an_hmac_is_cut_to_what_was_negotiated_and_not_to_the_kernels_default() -> None:
    made = pair(child_pair(AES_CBC_ESN)[0])
    protection = made.outbound.protection
    assert isinstance(protection, CipherWithHmac)
    assert (protection.cipher, protection.hmac, protection.icv_size) == ("cbc(aes)", "hmac(sha512)", 32)
    assert made.outbound.esn
    assert made.inbound.esn


def test_each_direction_has_its_addresses_ports_window_and_mark() -> None:
    made = pair()
    assert (made.outbound.source, made.outbound.destination) == (OUTER.local.address, OUTER.remote.address)
    assert (made.inbound.source, made.inbound.destination) == (OUTER.remote.address, OUTER.local.address)
    assert made.outbound.encapsulation == Encapsulation(61440, 4500)
    assert made.inbound.encapsulation == Encapsulation(4500, 61440)
    assert made.inbound.replay.window == WINDOW
    assert made.outbound.output_mark == Mark(0x7300, 0xFF00)
    assert made.inbound.output_mark is None


def test_a_move_changes_the_outer_ends_and_nothing_else() -> None:
    made = pair()
    moved = made.moved(ELSEWHERE)
    assert moved.outbound.encapsulation is None
    assert moved.outbound.destination == ELSEWHERE.remote.address
    assert moved.moved(OUTER) == made


def test_policies_go_to_the_device_that_takes_whole_packets_with_their_sa_and_no_others() -> None:
    """And not while the way out is closed: what drops packets needs no device."""
    made = pair()
    for work, closed, wanted in (
        (Offload.PACKET, False, Device(3, inbound=False, work=Offload.PACKET)),
        (Offload.PACKET, True, None),
        (Offload.CRYPTO, False, None),
    ):
        device = Device(3, inbound=False, work=work)
        taken = replace(made, outbound=replace(made.outbound, device=device))
        found = policies((taken,), (taken,), IF_ID, closed=closed)
        assert {policy.device for policy in found.values() if policy.direction is Direction.OUT} == {wanted}
        assert {policy.device for policy in found.values() if policy.direction is not Direction.OUT} == {None}
    assert made.moved(ELSEWHERE).outbound.device is None, "a device there has not been asked"


def test_unknown_transforms_are_refused() -> None:
    for unknown in (
        EspAlgorithms(99, 128, 0, esn=False),
        EspAlgorithms(Encr.AES_CBC, 128, Integ.NONE, esn=False),
    ):
        child = replace(child_pair(AES_GCM)[0], algorithms=unknown)
        with pytest.raises(OSError, match="unknown"):
            pair(child)


# Policies


def test_outbound_policies_name_the_sa_and_inbound_ones_any() -> None:
    child = child_pair(local=HOST, remote=selectors("10.77.0.0/24"))[0]
    made = pair(child, reqid=5)
    wanted = policies((made,), (made,), IF_ID)
    by_direction = {policy.direction: policy for policy in wanted.values()}
    assert by_direction[Direction.OUT].template == Template(
        OUTER.local.address, OUTER.remote.address, child.spi_out, 5
    )
    assert by_direction[Direction.IN].template == by_direction[Direction.FORWARD].template == Template()
    assert by_direction[Direction.OUT].flow.source == IPv4Network("10.7.0.1/32")
    assert by_direction[Direction.IN].flow.destination == IPv4Network("10.7.0.1/32")
    assert len(wanted) == 3


def test_the_best_sender_has_the_flow_and_others_what_it_leaves() -> None:
    wide = pair(child_pair(local=HOST, remote=selectors("10.77.0.0/24", "10.78.0.0/24"), spis=(1, 2))[0], 1)
    narrow = pair(child_pair(local=HOST, remote=selectors("10.77.0.0/24"), spis=(3, 4))[0], 2)
    wanted = policies((wide, narrow), (narrow, wide), IF_ID)
    outbound = {
        str(policy.flow.destination): (policy.template.spi if policy.template else 0, policy.priority)
        for policy in wanted.values()
        if policy.direction is Direction.OUT
    }
    assert outbound == {"10.77.0.0/24": (4, 1000), "10.78.0.0/24": (2, 1001)}


def test_for_the_time_of_a_move_outbound_policies_block_and_inbound_ones_stay() -> None:
    made = pair()
    open_, closed = (policies((made,), (made,), IF_ID, closed=closed) for closed in (False, True))
    assert all(policy.template is None for policy in closed.values() if policy.direction is Direction.OUT)
    put, gone = changes(open_, closed)
    assert {policy.direction for policy in put} == {Direction.OUT}
    assert gone == []


def test_inbound_is_put_first_and_nothing_is_put_twice() -> None:
    made = pair()
    wanted = policies((made,), (made,), IF_ID)
    put, _ = changes({}, wanted)
    assert [policy.direction is Direction.OUT for policy in put] == [False] * 4 + [True] * 2
    assert changes(wanted, wanted) == ([], [])
    assert set(changes(wanted, {})[1]) == set(wanted.values())


# Selectors


def test_families_do_not_mix() -> None:
    networks = [(str(flow.source), str(flow.destination)) for flow in flows(ANY, ANY)]
    assert networks == [("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0")]


def test_an_address_range_becomes_prefixes() -> None:
    some = Selector(IPv4Address("10.0.0.1"), IPv4Address("10.0.0.4"))
    assert [str(flow.source) for flow in flows((some,), HOST)] == [
        "10.0.0.1/32",
        "10.0.0.2/31",
        "10.0.0.4/32",
    ]


@pytest.mark.parametrize(
    ("first", "last", "masks"),
    [
        (0, 65535, [(0, 0)]),
        (443, 443, [(443, 0xFFFF)]),
        (1024, 65535, [(1 << bit, 0x10000 - (1 << bit)) for bit in range(10, 16)]),
        (5, 8, [(5, 0xFFFF), (6, 0xFFFE), (8, 0xFFFF)]),
    ],
)
def test_a_port_range_becomes_masks(first: int, last: int, masks: list[tuple[int, int]]) -> None:
    source = replace(HOST[0], protocol=6, first_port=first, last_port=last)
    found = flows((source,), selectors("10.77.0.0/24"))
    assert [(flow.source_ports.value, flow.source_ports.mask) for flow in found] == masks
    assert {flow.protocol for flow in found} == {6}
    assert {flow.destination_ports for flow in found} == {ALL}


def test_different_protocols_have_no_flow_and_one_that_is_open_takes_the_others() -> None:
    tcp, udp = (replace(HOST[0], protocol=protocol) for protocol in (6, 17))
    assert flows((tcp,), (udp,)) == ()
    assert [flow.protocol for flow in flows((tcp,), HOST)] == [6]


def test_icmp_has_its_type_and_code_in_both_ports() -> None:
    echo = replace(HOST[0], protocol=1, first_port=8 << 8, last_port=8 << 8 | 255)
    (flow,) = flows((echo,), HOST)
    assert (flow.source_ports, flow.destination_ports) == (Ports(8, 0xFF), ALL)


def test_hidden_ports_match_what_has_none() -> None:
    opaque = replace(HOST[0], first_port=65535, last_port=0)
    assert flows((replace(opaque, protocol=6),), HOST) == ()
    (flow,) = flows((replace(opaque, protocol=47),), HOST)
    assert (flow.source_ports, flow.destination_ports) == (ALL, ALL)


def test_selectors_beyond_measure_are_refused() -> None:
    scattered = Selector(IPv6Address(1), IPv6Address(2**128 - 2))
    with pytest.raises(OSError, match="more than 256 policies"):
        flows((scattered,), (scattered,))


def test_an_empty_range_has_no_flow() -> None:
    assert flows((Selector(ip_address("10.0.0.2"), ip_address("10.0.0.1")),), HOST) == ()


def test_flows_are_told_once() -> None:
    assert flows(HOST * 3, HOST) == flows(HOST, HOST)
    assert flows(selectors("fd07::1/128"), selectors("::/0"))[0].destination == IPv6Network("::/0")
