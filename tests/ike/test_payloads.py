"""Payload bodies: golden octets of the RFC's figures, round trips, and octets that nobody should send."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ike.buffer import Reader, Writer
from client.ike.errors import InvalidSyntax, ProtocolError
from client.ike.events import Selector
from client.ike.payloads import (
    PAYLOADS,
    Authentication,
    CertificateRequest,
    Delete,
    Eap,
    IdInitiator,
    IdResponder,
    Notify,
    Payload,
    Proposal,
    SecurityAssociation,
    Transform,
    TsInitiator,
    TsResponder,
    UnknownPayload,
)
from client.ike.registry import NotifyType, PayloadType, ProtocolId, TransformType
from tests.ike.strategies import PAYLOADS_OF_ANY_KIND
from tests.ike.wire import CHACHA20, SAMPLES, Sample, spoiled

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)


def pull(kind: int, octets: bytes) -> Payload:
    return PAYLOADS[kind].pull_body(octets)


def push(payload: Payload) -> bytes:
    writer = Writer()
    payload.push(writer)
    return writer.bytes()


def kind_of(payload: Payload) -> int:
    assert not isinstance(payload, UnknownPayload)
    return payload.TYPE


@every_sample
def test_a_payload_is_written_as_its_figure_has_it(sample: Sample) -> None:
    assert push(sample.payload) == bytes.fromhex(sample.octets)


@every_sample
def test_a_payload_is_read_from_its_figure(sample: Sample) -> None:
    assert pull(kind_of(sample.payload), bytes.fromhex(sample.octets)) == sample.payload


def test_the_table_has_each_payload_of_rfc_7296_but_the_encrypted_ones() -> None:
    encrypted = {PayloadType.NONE, PayloadType.SK, PayloadType.SKF}
    assert set(PAYLOADS) == set(PayloadType) - encrypted
    assert {kind_of(sample.payload) for sample in SAMPLES} == set(PAYLOADS)


def test_only_what_ike_sa_init_carries_is_allowed_in_clear() -> None:
    clear = {kind for kind, row in PAYLOADS.items() if row.in_clear}
    assert clear == {
        PayloadType.SA,
        PayloadType.KE,
        PayloadType.NONCE,
        PayloadType.CERTREQ,
        PayloadType.NOTIFY,
        PayloadType.VENDOR,
    }


IP4_SELECTOR = "07 00 0010 0000 ffff 0a4d0001 0a4d0001"

RESERVED = [
    ("KE", PayloadType.KE, "001f 0000 aabb", "001f ffff aabb"),
    ("AUTH", PayloadType.AUTH, "02 000000 aabb", "02 ffffff aabb"),
    ("TS", PayloadType.TSI, "01 000000" + IP4_SELECTOR, "01 ffffff" + IP4_SELECTOR),
    ("CP", PayloadType.CP, "02 000000 0001 0000", "02 ffffff 8001 0000"),
    (
        "SA",
        PayloadType.SA,
        "00 00 0010 01030001 00 00 0008 05 00 0000",
        "00 ff 0010 01030001 00 ff 0008 05 ff 0000",
    ),
]


@pytest.mark.parametrize(
    ("kind", "zero", "filled"), [row[1:] for row in RESERVED], ids=[row[0] for row in RESERVED]
)
def test_reserved_octets_are_ignored_on_receipt(kind: int, zero: str, filled: str) -> None:
    zero, filled = zero.replace("01030001", "01040001"), filled.replace("01030001", "01040001")
    assert pull(kind, bytes.fromhex(filled)) == pull(kind, bytes.fromhex(zero))


@pytest.mark.parametrize("kind", [PayloadType.IDI, PayloadType.IDR])
def test_reserved_octets_of_an_identity_are_signed_as_received(kind: int) -> None:
    octets = bytes.fromhex("02 a1b2c3") + b"vpn.example"
    identification = pull(kind, octets)
    assert isinstance(identification, IdInitiator | IdResponder)
    assert identification.body == octets
    assert push(identification) == octets


# Bodies of SA: proposal = more, RESERVED, length | number, protocol, SPI size, transforms | SPI;
# transform = more, RESERVED, length | type, RESERVED, ID.  Protocol 4 takes an SPI of any size.
MALFORMED = [
    ("SA without a proposal", PayloadType.SA, ""),
    ("SA whose proposal is shorter than its header", PayloadType.SA, "00000003 01040000"),
    ("SA whose proposal exceeds the payload", PayloadType.SA, "00000009 01040000"),
    ("SA whose last proposal announces another", PayloadType.SA, "02000008 01040000"),
    ("SA whose first proposal hides the second", PayloadType.SA, "00000008 01040000 00000008 02040000"),
    ("SA with fewer transforms than announced", PayloadType.SA, "00000010 01040002 00000008 05000000"),
    ("SA with more transforms than announced", PayloadType.SA, "00000010 01040000 00000008 05000000"),
    ("SA whose last transform announces another", PayloadType.SA, "00000010 01040001 03000008 05000000"),
    ("SA whose transform has no ID", PayloadType.SA, "0000000e 01040001 00000006 0500"),
    ("SA whose transform is shorter than its header", PayloadType.SA, "00000010 01040001 00000003 05000000"),
    ("SA with two key lengths", PayloadType.SA, "00000018 01040001 00000010 0100000c 800e0100 800e0080"),
    (
        "SA whose attribute exceeds its transform",
        PayloadType.SA,
        "00000014 01040001 0000000c 0100000c 000e0001",
    ),
    ("SA with half an attribute", PayloadType.SA, "00000012 01040001 0000000a 0100000c 800e"),
    ("SA with an ESP SPI of 3 octets", PayloadType.SA, "0000000b 01030300 c1c2c3"),
    ("SA with an IKE SPI of 4 octets", PayloadType.SA, "0000000c 01010400 c1c2c3c4"),
    ("SA whose SPI exceeds the proposal", PayloadType.SA, "00000008 01040400"),
    ("KE without RESERVED", PayloadType.KE, "001f00"),
    ("ID without RESERVED", PayloadType.IDI, "0200"),
    ("CERT without an encoding", PayloadType.CERT, ""),
    ("CERTREQ without an encoding", PayloadType.CERTREQ, ""),
    ("AUTH without RESERVED", PayloadType.AUTH, "020000"),
    ("Nonce of 15 octets", PayloadType.NONCE, "00" * 15),
    ("Nonce of 257 octets", PayloadType.NONCE, "00" * 257),
    ("Notify without a type", PayloadType.NOTIFY, "000040"),
    ("Notify whose SPI exceeds the payload", PayloadType.NOTIFY, "03044009 c1c2c3"),
    ("Delete with an SPI too few", PayloadType.DELETE, "03040002 c1c2c3c4"),
    ("Delete with an SPI too many", PayloadType.DELETE, "03040001 c1c2c3c4 d1d2d3d4"),
    ("Delete of ESP with SPIs of 8 octets", PayloadType.DELETE, "03080001 c1c2c3c4d1d2d3d4"),
    ("Delete of the IKE SA with an SPI", PayloadType.DELETE, "01080001 a1a2a3a4a5a6a7a8"),
    ("Delete of ESP with SPIs of no octets", PayloadType.DELETE, "0300ffff"),
    ("TS with a selector too few", PayloadType.TSI, "02000000" + IP4_SELECTOR),
    ("TS with a selector too many", PayloadType.TSI, "01000000" + IP4_SELECTOR * 2),
    (
        "TS whose range of addresses runs backwards",
        PayloadType.TSR,
        "01000000 07000010 0000ffff 00000002 00000001",
    ),
    (
        "TS whose range of ports runs backwards",
        PayloadType.TSR,
        "01000000 07000010 00020001 00000001 00000001",
    ),
    ("TS of IPv4 with the length of IPv6", PayloadType.TSI, "01000000 07000028 0000ffff" + "00" * 32),
    ("TS of IPv6 with the length of IPv4", PayloadType.TSI, "01000000 08000010 0000ffff" + "00" * 8),
    ("TS of an unknown type shorter than its header", PayloadType.TSI, "01000000 0a000003 00"),
    ("CP with half a header", PayloadType.CP, "010000"),
    ("CP whose attribute exceeds the payload", PayloadType.CP, "01000000 00010001"),
    ("CP with half an attribute", PayloadType.CP, "01000000 0001"),
]


@pytest.mark.parametrize(
    ("kind", "octets"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED]
)
def test_a_malformed_body_is_invalid_syntax(kind: int, octets: str) -> None:
    with pytest.raises(InvalidSyntax):
        pull(kind, bytes.fromhex(octets))


TIGHT = (PayloadType.SA, PayloadType.TSI, PayloadType.TSR, PayloadType.DELETE)


@pytest.mark.parametrize(
    "sample",
    [sample for sample in SAMPLES if kind_of(sample.payload) in TIGHT],
    ids=lambda sample: sample.name,
)
def test_every_truncation_of_a_body_that_counts_its_parts_is_invalid_syntax(sample: Sample) -> None:
    octets = bytes.fromhex(sample.octets)
    for size in range(len(octets)):
        with pytest.raises(InvalidSyntax):
            pull(kind_of(sample.payload), octets[:size])


def canonical(payload: Payload) -> Payload:
    """The payload without what is skipped when it is read and therefore cannot be written."""
    if isinstance(payload, TsInitiator | TsResponder):
        return type(payload)(payload.selectors)
    if isinstance(payload, SecurityAssociation):
        return SecurityAssociation(tuple(_writable(proposal) for proposal in payload.proposals))
    return payload


def _writable(proposal: Proposal) -> Proposal:
    transforms = tuple(Transform(each.type, each.id, each.key_length) for each in proposal.transforms)
    return Proposal(proposal.number, proposal.protocol, proposal.spi, transforms)


@every_sample
def test_spoiled_octets_raise_protocol_errors_alone_or_give_a_payload_that_can_be_written(
    sample: Sample,
) -> None:
    kind = kind_of(sample.payload)
    for octets in spoiled(bytes.fromhex(sample.octets)):
        try:
            payload = canonical(pull(kind, octets))
        except ProtocolError:
            continue
        assert pull(kind, push(payload)) == payload


@pytest.mark.parametrize("kind", PAYLOADS)
@settings(max_examples=200)
@given(octets=st.binary(max_size=120))
def test_random_octets_raise_protocol_errors_alone(kind: int, octets: bytes) -> None:
    try:
        payload = pull(kind, octets)
    except ProtocolError:
        return
    assert kind_of(payload) == kind


@settings(max_examples=200)
@given(payload=PAYLOADS_OF_ANY_KIND)
def test_what_is_written_is_read_again(payload: Payload) -> None:
    assert pull(kind_of(payload), push(payload)) == payload


def test_unknown_numbers_in_a_proposal_are_kept_for_the_negotiation() -> None:
    octets = bytes.fromhex("0000001e 01630202 abcd 0300000c fa00fffe 800f0001 00000008 0600002a")
    sa = pull(PayloadType.SA, octets)
    assert sa == SecurityAssociation(
        (Proposal(1, 99, b"\xab\xcd", (Transform(250, 65534, unknown_attributes=True), Transform(6, 42))),)
    )


@pytest.mark.parametrize("attribute", ["800f 0100", "000e 0002 0100", "0001 0000"])
def test_another_attribute_than_the_short_key_length_is_told_to_the_negotiation(attribute: str) -> None:
    attributes = bytes.fromhex("800e 0100" + attribute)
    transform = Transform.pull(Reader(bytes.fromhex("0100000c") + attributes))
    assert transform == Transform(TransformType.ENCR, 12, 256, unknown_attributes=True)


def test_a_transform_with_unknown_attributes_cannot_be_sent() -> None:
    with pytest.raises(AssertionError):
        Transform(1, 12, unknown_attributes=True).push(Writer(), more=False)


def test_a_proposal_lists_its_transforms_by_type_in_order() -> None:
    first, other, second = Transform(1, 20, 256), Transform(2, 5), CHACHA20
    proposal = Proposal(1, ProtocolId.IKE, b"", (first, other, second))
    assert proposal.ids(TransformType.ENCR) == (first, second)
    assert proposal.ids(TransformType.SN) == ()


def test_selectors_of_unknown_types_are_skipped_and_counted() -> None:
    octets = bytes.fromhex("03000000 09000008 00000000" + IP4_SELECTOR + "0a000004")
    address = IPv4Address("10.77.0.1")
    assert pull(PayloadType.TSR, octets) == TsResponder((Selector(address, address),), unknown=2)


def test_a_certificate_request_of_odd_size_is_one_authority() -> None:
    assert pull(PayloadType.CERTREQ, b"\x04" + bytes(21)) == CertificateRequest(4, (bytes(21),))


def test_an_unknown_protocol_may_delete_spis_of_any_size() -> None:
    assert pull(PayloadType.DELETE, bytes.fromhex("63020002 aabb ccdd")) == Delete(
        99, (b"\xaa\xbb", b"\xcc\xdd")
    )


def test_a_count_without_spis_in_a_delete_of_the_ike_sa_is_tolerated() -> None:
    assert pull(PayloadType.DELETE, bytes.fromhex("01000001")) == Delete(ProtocolId.IKE)


@pytest.mark.parametrize(("kind", "is_error"), [(1, True), (16383, True), (16384, False), (40000, False)])
def test_the_error_range_of_notifies_ends_below_16384(kind: int, is_error: bool) -> None:
    assert Notify(kind).is_error is is_error
    assert Notify(NotifyType.AUTHENTICATION_FAILED).is_error


def test_payloads_that_carry_secrets_do_not_show_them() -> None:
    shown = repr((Authentication(2, b"SECRET"), Eap(b"SECRET")))
    assert "SECRET" not in shown
