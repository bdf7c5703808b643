"""EAP packets: round trips, and nothing but InvalidSyntax for what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.eap.packet import EapPacket, name_of
from client.ike.errors import InvalidSyntax
from client.ike.registry import EapCode, EapType

PACKETS = [
    (EapPacket(EapCode.REQUEST, 1, EapType.IDENTITY), "01 01 0005 01"),
    (EapPacket(EapCode.RESPONSE, 255, EapType.IDENTITY, b"anna"), "02 ff 0009 01 616e6e61"),
    (EapPacket(EapCode.SUCCESS, 7), "03 07 0004"),
    (EapPacket(EapCode.FAILURE, 0), "04 00 0004"),
]


@pytest.mark.parametrize(("packet", "octets"), PACKETS)
def test_packets_have_the_octets_of_rfc_3748(packet: EapPacket, octets: str) -> None:
    assert packet.push() == bytes.fromhex(octets)
    assert EapPacket.pull(bytes.fromhex(octets)) == packet


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "01",
        "01 01 00",
        "01 01 0004",
        "01 01 0006 01",
        "01 01 0004 01",
        "03 07 0005 00",
        "00 01 0005 01",
        "05 01 0004",
        "03 07 0003",
        "04 00 0000",
    ],
)
def test_what_is_no_packet_is_invalid_syntax(octets: str) -> None:
    with pytest.raises(InvalidSyntax):
        EapPacket.pull(bytes.fromhex(octets))


def test_the_length_must_be_that_of_the_payload() -> None:
    good = EapPacket(EapCode.REQUEST, 1, EapType.IDENTITY, bytes(300))
    octets = good.push()
    assert EapPacket.pull(octets) == good
    for length in set(range(601)) - {len(octets)}:
        with pytest.raises(InvalidSyntax):
            EapPacket.pull(octets[:2] + length.to_bytes(2) + octets[4:])


@given(st.binary(max_size=64))
def test_any_octets_parse_to_themselves_or_raise_invalid_syntax(data: bytes) -> None:
    try:
        packet = EapPacket.pull(data)
    except InvalidSyntax:
        return
    assert packet.push() == data


def test_what_authenticates_us_is_not_shown() -> None:
    assert "secret" not in repr(EapPacket(EapCode.RESPONSE, 1, EapType.MSCHAPV2, b"secret"))


def test_methods_have_names_for_people() -> None:
    assert name_of(EapType.MSCHAPV2) == "EAP-MSCHAPv2"
    assert name_of(200) == "EAP type 200"
