"""What a kernel has said is read as it was meant."""

from __future__ import annotations

import tomllib
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

import pytest

from client.ike.keys import Secret
from client.system import xfrm_layout as layout
from client.system.xfrm_layout import Kind
from client.system.xfrm_messages import new_sa, put_policy
from client.system.xfrm_model import (
    Acquired,
    Aead,
    Device,
    Direction,
    Flow,
    MappingChanged,
    Offload,
    PoliciesTouched,
    Policy,
    PolicyReport,
    Ports,
    Replay,
    Report,
    Sa,
    SaDeleted,
    SaExpired,
    SaId,
    SaReport,
    Template,
    Usage,
)
from client.system.xfrm_reports import attributes_of, decode

VECTORS = tomllib.loads((Path(__file__).parent / "vectors/kernel_reports.toml").read_text())
HERE, THERE = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
IF_ID = 0x73000001
SPI_OUT, SPI_IN = 0x98FC1C14, 0xE3B0C442
FLOW = Flow(IPv4Network("10.7.0.1/32"), IPv4Network("10.77.0.0/24"))


def said(name: str) -> Report | None:
    """One of the kernel's messages."""
    return decode(VECTORS[name]["kind"], bytes.fromhex(VECTORS[name]["body"]))


def test_an_sa_is_told_with_its_usage_and_its_sequence_numbers() -> None:
    outbound, inbound = said("sa_outbound"), said("sa_inbound")
    assert outbound == SaReport(
        source=HERE,
        destination=THERE,
        spi=SPI_OUT,
        protocol=layout.ESP,
        reqid=1,
        if_id=IF_ID,
        usage=Usage(512, 4, 1795506670, 1795506670),
        replay=Replay(32, 4, 0, bytes(4)),
        dropped=0,
        larval=False,
    )
    assert isinstance(inbound, SaReport)
    assert inbound.id == SaId(HERE, SPI_IN, THERE)
    assert inbound.replay == Replay(1024, 0, 0, bytes(128))


@pytest.mark.parametrize(("name", "packets", "hard"), [("expired_soft", 3, False), ("expired_hard", 6, True)])
def test_an_expiry_says_whether_the_sa_is_gone(name: str, packets: int, hard: bool) -> None:
    expired = said(name)
    assert isinstance(expired, SaExpired)
    assert (expired.sa.spi, expired.sa.if_id, expired.sa.usage.packets) == (SPI_OUT, IF_ID, packets)
    assert expired.hard is hard
    assert not expired.sa.larval


def test_a_deleted_sa_is_told_with_its_last_state() -> None:
    deleted = said("deleted")
    assert isinstance(deleted, SaDeleted)
    assert deleted.last.id == SaId(HERE, 0xC0FFEE01, THERE)
    assert deleted.last.larval
    assert deleted.last.replay == Replay(32, 0, 0, bytes(4))


def test_another_peer_address_is_told_with_its_port() -> None:
    assert said("mapping") == MappingChanged(SPI_OUT, IPv4Address("198.51.100.1"), 37510)


def test_a_packet_that_waits_for_an_sa_is_told_with_the_outer_ends() -> None:
    assert said("acquired") == Acquired(HERE, THERE, 0)


def test_a_policy_is_told_with_its_flow_and_what_it_asks_for() -> None:
    anything = IPv6Network("::/0")
    asked = Template(HERE, THERE, SPI_OUT, 1)
    assert said("policy") == PolicyReport(Flow(anything, anything), Direction.OUT, IF_ID, 1000, asked)


def test_a_policy_that_somebody_has_made_looser_is_not_plain() -> None:
    """Of ours nothing is optional, and no packet is passed because of a limit, a mark or another action."""
    ours = Policy(FLOW, Direction.OUT, IF_ID, 1000, Template(HERE, THERE, SPI_OUT, 1))
    body = put_policy(ours).body
    at = layout.USER_POLICY.size + layout.ATTRIBUTE.size
    changes = {
        "as we put it": body,
        "optional": replaced(body, at + 50, b"\1"),
        "transport mode": replaced(body, at + 48, b"\0"),
        "expires": replaced(body, layout.FLOW.size + 32, b"\1"),
        "blocked all the same": replaced(body, 161, b"\1"),
        "with a mark": body + bytes.fromhex("0c001500 01000000 ffffffff"),
    }
    for what, changed in changes.items():
        report = decode(Kind.NEWPOLICY, changed)
        assert isinstance(report, PolicyReport)
        assert report.is_of(ours) is (what == "as we put it"), what


def replaced(body: bytes, at: int, octets: bytes) -> bytes:
    assert body[at : at + len(octets)] != octets
    return body[:at] + octets + body[at + len(octets) :]


def test_what_a_device_does_is_told_of_sas_and_policies() -> None:
    out, inbound = Device(3, inbound=False, work=Offload.PACKET), Device(4, inbound=True)
    policy = decode(
        Kind.NEWPOLICY, put_policy(Policy(FLOW, Direction.OUT, IF_ID, 1000, Template(), out)).body
    )
    assert isinstance(policy, PolicyReport)
    assert policy.device == out
    protection = Aead("rfc4106(gcm(aes))", Secret(bytes(20)), 16)
    sa = decode(Kind.NEWSA, new_sa(Sa(HERE, THERE, 1, 1, IF_ID, protection, device=inbound)).body)
    assert isinstance(sa, SaReport)
    assert sa.device == inbound


def test_deleted_policies_are_told_with_whoever_deleted_them() -> None:
    assert decode(Kind.DELPOLICY, b"", 77) == decode(Kind.FLUSHPOLICY, b"", 77) == PoliciesTouched(None, 77)


def test_a_policy_comes_back_from_our_own_octets() -> None:
    flow = Flow(
        IPv4Network("10.7.0.1/32"), IPv4Network("10.77.0.0/24"), 6, Ports(1024, 0xFC00), Ports(443, 0xFFFF)
    )
    body = put_policy(Policy(flow, Direction.IN, IF_ID, 1000, None)).body
    assert decode(Kind.UPDPOLICY, body) == PolicyReport(flow, Direction.IN, IF_ID, 1000)


def test_other_programs_policies_may_have_host_bits() -> None:
    flow = Flow(IPv4Network("10.7.0.1/32"), IPv4Network("10.77.0.0/24"))
    body = bytearray(put_policy(Policy(flow, Direction.IN, IF_ID, 1000, None)).body)
    body[43] = 24  # the source's prefix length
    report = decode(Kind.NEWPOLICY, bytes(body))
    assert isinstance(report, PolicyReport)
    assert report.flow.source == IPv4Network("10.7.0.0/24")


def test_other_messages_are_passed_over() -> None:
    assert decode(0x27, b"") is None


def test_attributes_that_are_cut_off_end_the_list() -> None:
    assert attributes_of(bytes.fromhex("08001f0001000073 0200"), 0) == {31: bytes.fromhex("01000073")}
    assert attributes_of(bytes.fromhex("00001f00"), 0) == {}
