"""Our messages, octet by octet those of iproute2."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from client.ike.keys import Secret
from client.system import xfrm_messages as messages
from client.system.xfrm_messages import Request
from client.system.xfrm_model import (
    Aead,
    CipherWithHmac,
    Device,
    Direction,
    Encapsulation,
    Flow,
    Limits,
    Mark,
    Offload,
    Policy,
    Ports,
    Replay,
    Sa,
    SaId,
    Template,
)

GOLDENS = tomllib.loads((Path(__file__).parent / "vectors/ip_xfrm.toml").read_text())
PACKET_GOLDENS = tomllib.loads((Path(__file__).parent / "vectors/ip_xfrm_packet.toml").read_text())
HERE, THERE = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
HERE6, THERE6 = IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2")
IF_ID = 0x73000001
MARK = Mark(0x7300, 0xFF00)
WIDE = Replay(1024)

GCM = Aead("rfc4106(gcm(aes))", Secret(bytes(range(36))), 16)
CHACHA = Aead("rfc7539esp(chacha20,poly1305)", Secret(bytes(range(36))), 16)
CBC = CipherWithHmac("cbc(aes)", Secret(bytes(range(32))), "hmac(sha256)", Secret(bytes(range(32, 64))), 16)
PLAIN = Sa(HERE, THERE, 0x11223344, 7, IF_ID, GCM, output_mark=MARK)
PLAIN6 = Sa(HERE6, THERE6, 0x55667788, 8, IF_ID, CBC)
FLOW = Flow(IPv4Network("10.77.1.5/32"), IPv4Network("10.77.0.0/24"))
FLOW6 = Flow(IPv6Network("fd07::5/128"), IPv6Network("::/0"))
PORTS = replace(FLOW, protocol=6, source_ports=Ports(1024, 0xFFFF), destination_ports=Ports(443, 0xFFFF))
TEMPLATE = Template(HERE, THERE, reqid=7)

SAME: dict[str, Request] = {
    "newsa_esn_encap": messages.new_sa(
        replace(
            PLAIN,
            replay=WIDE,
            esn=True,
            encapsulation=Encapsulation(61440, 4500),
            limits=Limits(1000, 2000, 300, 400, 3000, 3600),
        )
    ),
    "newsa_replay": messages.new_sa(
        replace(PLAIN, replay=Replay(1024, 2 << 32 | 9, 1 << 32 | 5), esn=True, output_mark=None)
    ),
    "delsa": messages.delete_sa(PLAIN.id),
    "getsa_v6": messages.get_sa(PLAIN6.id),
    "allocspi": messages.allocate_spi(HERE, THERE, 7, 0xC0000000, 0xCFFFFFFF),
    "newpolicy_out": messages.new_policy(
        Policy(FLOW, Direction.OUT, IF_ID, 100, replace(TEMPLATE, spi=0x11223344))
    ),
    "newpolicy_ports": messages.new_policy(Policy(PORTS, Direction.IN, IF_ID, 100, TEMPLATE)),
    "newpolicy_v6": messages.new_policy(Policy(FLOW6, Direction.FORWARD, IF_ID, 100, TEMPLATE)),
    "updpolicy_block": messages.put_policy(Policy(FLOW, Direction.OUT, IF_ID, 100, None)),
    "delpolicy": messages.delete_policy(FLOW, Direction.OUT, IF_ID),
    "dump_sas": messages.dump_sas(),
    "dump_policies": messages.dump_policies(),
}

WITHOUT_REPLAY: dict[str, Request] = {
    "newsa_aead": messages.new_sa(PLAIN),
    "newsa_cbc_v6": messages.new_sa(PLAIN6),
    "newsa_chacha": messages.new_sa(replace(PLAIN6, protection=CHACHA)),
    "newsa_offload_out": messages.new_sa(replace(PLAIN, device=Device(1, inbound=False))),
    "newsa_offload_in": messages.new_sa(replace(PLAIN, output_mark=None, device=Device(1, inbound=True))),
    "updsa": messages.update_sa(PLAIN),
}
_OUT, _IN = (Device(1, inbound=inbound, work=Offload.PACKET) for inbound in (False, True))
PACKET: dict[str, Request] = {
    "newsa_out": messages.new_sa(replace(PLAIN, device=_OUT)),
    "newsa_in": messages.new_sa(replace(PLAIN, output_mark=None, device=_IN)),
    "newpolicy_out": messages.new_policy(
        Policy(FLOW, Direction.OUT, IF_ID, 100, replace(TEMPLATE, spi=0x11223344), _OUT)
    ),
    "newsa_out_encap": messages.new_sa(
        replace(PLAIN, replay=WIDE, esn=True, encapsulation=Encapsulation(61440, 4500), device=_OUT)
    ),
    "updpolicy_out": messages.put_policy(
        Policy(FLOW, Direction.OUT, IF_ID, 100, replace(TEMPLATE, spi=0x11223344), _OUT)
    ),
    "updpolicy_out_v6": messages.put_policy(
        Policy(FLOW6, Direction.OUT, IF_ID, 100, replace(TEMPLATE, spi=0x11223344), _OUT)
    ),
}
DIRECTION = re.compile("05002100 0[12]000000".replace(" ", ""))
REPLAY_ATTRIBUTE = bytes.fromhex("1c001700 01000000") + bytes(16) + bytes.fromhex("20000000")


@pytest.mark.parametrize("name", SAME)
def test_messages_are_those_of_iproute2(name: str) -> None:
    assert SAME[name].packed(0).hex() == GOLDENS[name]["sent"]


@pytest.mark.parametrize("name", WITHOUT_REPLAY)
def test_messages_without_a_window_are_those_of_iproute2_but_for_our_window(name: str) -> None:
    """iproute2 asks for none unless told; we always give one, with a bitmap of any size."""
    ours = WITHOUT_REPLAY[name].packed(0)
    assert ours.count(REPLAY_ATTRIBUTE) == 1
    rest = ours.replace(REPLAY_ATTRIBUTE, b"")
    assert (len(rest).to_bytes(4, "little") + rest[4:]).hex() == GOLDENS[name]["sent"]


@pytest.mark.parametrize("name", PACKET)
def test_whole_packets_are_handed_to_a_device_as_iproute2_does_it(name: str) -> None:
    """What a later iproute2 adds (XFRMA_SA_DIR) kernels before 6.10 do not know."""
    ours, theirs = (
        bytes.fromhex(DIRECTION.sub("", text))[4:]
        for text in (PACKET[name].packed(0).hex(), PACKET_GOLDENS[name]["sent"])
    )
    assert ours.replace(REPLAY_ATTRIBUTE, b"") == theirs
    assert PACKET.keys() == PACKET_GOLDENS.keys()


def test_every_golden_is_compared() -> None:
    assert SAME.keys() | WITHOUT_REPLAY.keys() == GOLDENS.keys()


def test_keys_are_in_no_representation() -> None:
    assert "00010203" not in f"{PLAIN}{messages.new_sa(PLAIN)}{SaId(HERE, 1)}"
