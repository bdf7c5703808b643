"""Messages: the header, the chain of payloads, messages in clear, and unknown payloads."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from client.ike.errors import InvalidMajorVersion, UnsupportedCriticalPayload
from client.ike.message import (
    Decoded,
    Header,
    ProtectedError,
    Rejected,
    decode,
    encode_clear,
    encode_protected,
)
from client.ike.payloads import PAYLOADS, Nonce, Notify, Payload, UnknownPayload, VendorId
from client.ike.registry import NotifyType, PayloadType
from tests.ike.messages import (
    COOKIE,
    NONCE,
    SPI_I,
    auth,
    decoded,
    init,
    one,
    protection,
    relabelled,
    with_octet,
)
from tests.ike.wire import SAMPLES, Sample, spoiled

GOLDEN = bytes.fromhex(
    "1112131415161718 0000000000000000 29 20 22 08 00000000 0000003c"  # header, next: N
    "28 00 000c 00004006 c0c1c2c3"  # N(COOKIE), next: Nonce
    "00 00 0014 000102030405060708090a0b0c0d0e0f"  # Nonce, the last
)


def test_a_clear_message_is_written_as_its_figures_have_it() -> None:
    assert encode_clear(init(COOKIE, NONCE)) == GOLDEN


def test_a_clear_message_is_read_from_its_figures() -> None:
    outcome = decoded(GOLDEN)
    assert outcome.message == init(COOKIE, NONCE)
    assert outcome.header == Header(SPI_I, bytes(8), PayloadType.NOTIFY, 0x20, 34, 0x08, 0, 60)
    assert not outcome.protected


@pytest.mark.parametrize("is_response", [False, True])
def test_the_flags_tell_who_speaks_and_whether_it_answers(is_response: bool) -> None:
    message = init(NONCE, is_response=is_response)
    header = Header.pull(encode_clear(message))
    assert header.flags == (0x20 if is_response else 0x08)
    assert header.is_response is is_response
    assert header.from_initiator is not is_response


def test_the_initiator_of_the_sa_answers_with_both_flags() -> None:
    message = replace(auth(is_response=True), from_initiator=True)
    assert Header.pull(encode_clear(message)).flags == 0x28


def test_a_message_may_have_no_payload() -> None:
    assert decoded(encode_clear(init())).message.payloads == ()


def test_a_higher_minor_version_is_accepted() -> None:
    assert decoded(with_octet(GOLDEN, 17, 0x2F)).message == init(COOKIE, NONCE)


def test_a_higher_major_version_is_rejected_with_what_to_answer() -> None:
    outcome = decode(with_octet(GOLDEN, 17, 0x30), None)
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, InvalidMajorVersion)


def test_a_message_of_ikev1_is_rejected() -> None:
    outcome = decode(with_octet(GOLDEN, 17, 0x10), None)
    assert isinstance(outcome, Rejected)
    assert not isinstance(outcome.error, InvalidMajorVersion)


def test_unknown_flags_and_the_version_flag_are_ignored() -> None:
    assert decoded(with_octet(GOLDEN, 19, 0x08 | 0xD7)).message == init(COOKIE, NONCE)


def test_reserved_bits_and_the_critical_bit_of_known_payloads_are_ignored() -> None:
    assert decoded(with_octet(GOLDEN, 29, 0xFF)).message == init(COOKIE, NONCE)


@pytest.mark.parametrize("length", [0, 27, 28, 59, 61, 0xFFFFFFFF])
def test_a_message_of_another_length_than_its_header_says_is_rejected(length: int) -> None:
    assert isinstance(decode(GOLDEN[:24] + length.to_bytes(4) + GOLDEN[28:], None), Rejected)


def test_every_truncation_and_octets_too_many_are_rejected() -> None:
    for size in range(len(GOLDEN)):
        assert isinstance(decode(GOLDEN[:size], None), Rejected)
    assert isinstance(decode(GOLDEN + b"\x00", None), Rejected)


@pytest.mark.parametrize("surplus", [b"\x00", bytes(4), bytes.fromhex("2900000800004006")])
def test_octets_after_the_last_payload_are_rejected(surplus: bytes) -> None:
    assert isinstance(decode(relabelled(GOLDEN + surplus), None), Rejected)


@pytest.mark.parametrize("size", [0, 1, 3, 13, 0xFFFF])
def test_a_payload_whose_length_does_not_fit_is_rejected(size: int) -> None:
    assert isinstance(decode(GOLDEN[:30] + size.to_bytes(2) + GOLDEN[32:], None), Rejected)


def test_any_order_of_payloads_is_accepted() -> None:
    payloads: tuple[Payload, ...] = (
        COOKIE,
        NONCE,
        VendorId(b"v"),
        Notify(40000),
        UnknownPayload(200, False, b"u"),
    )
    for order in itertools.permutations(payloads):
        assert decoded(encode_clear(init(*order))).message.payloads == order


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_only_what_ike_sa_init_carries_is_read_in_clear(sample: Sample) -> None:
    assert not isinstance(sample.payload, UnknownPayload)
    outcome = decode(encode_clear(init(sample.payload)), None)
    assert isinstance(outcome, Decoded if PAYLOADS[sample.payload.TYPE].in_clear else Rejected)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_payload_stands_twice_only_where_it_may_be_repeated(sample: Sample) -> None:
    assert not isinstance(sample.payload, UnknownPayload)
    sealer, opener = protection()
    data = one(encode_protected(auth(sample.payload, sample.payload), sealer))
    repeatable = PAYLOADS[sample.payload.TYPE].repeatable
    assert isinstance(decode(data, opener), Decoded if repeatable else ProtectedError)


@pytest.mark.parametrize("exchange", [35, 36, 37, 38, 43, 0, 255])
@pytest.mark.parametrize("has_keys", [False, True])
def test_everything_after_ike_sa_init_must_be_protected(exchange: int, has_keys: bool) -> None:
    message = replace(auth(Notify(NotifyType.INVALID_IKE_SPI)), exchange=exchange)
    outcome = decode(encode_clear(message), protection()[1] if has_keys else None)
    assert isinstance(outcome, Rejected)
    assert outcome.hint == Notify(NotifyType.INVALID_IKE_SPI)


def test_an_unprotected_message_without_an_error_notify_is_no_hint() -> None:
    outcome = decode(encode_clear(auth(Notify(NotifyType.INITIAL_CONTACT))), None)
    assert isinstance(outcome, Rejected)
    assert outcome.hint is None


def test_ike_sa_init_is_read_in_clear_also_when_there_are_keys() -> None:
    assert decoded(GOLDEN, protection()[1]).protected is False


def test_spoiled_clear_messages_are_decoded_or_rejected() -> None:
    clear = [sample.payload for sample in SAMPLES if _stands_in_clear(sample.payload)]
    for payload in clear:
        data = encode_clear(init(payload))
        for octets in spoiled(data):
            assert isinstance(decode(octets, None), Decoded | Rejected)
            if len(octets) >= 28:
                assert isinstance(decode(relabelled(octets), None), Decoded | Rejected)


def _stands_in_clear(payload: Payload) -> bool:
    return not isinstance(payload, UnknownPayload) and PAYLOADS[payload.TYPE].in_clear


# --- unknown payloads (RFC 7296 section 2.5)

UNKNOWN_TYPES = (1, 32, 49, 200, 255)


@pytest.mark.parametrize("is_response", [False, True])
@pytest.mark.parametrize("kind", UNKNOWN_TYPES)
class TestUnknownPayloads:
    def test_one_that_is_not_critical_is_skipped_in_clear(self, kind: int, is_response: bool) -> None:
        message = init(UnknownPayload(kind, False, b"?"), NONCE, is_response=is_response)
        assert decoded(encode_clear(message)).message.first(Nonce) == NONCE

    def test_a_critical_one_in_clear_rejects_the_message(self, kind: int, is_response: bool) -> None:
        message = init(NONCE, UnknownPayload(kind, True, b"?"), is_response=is_response)
        outcome = decode(encode_clear(message), None)
        assert isinstance(outcome, Rejected)
        assert isinstance(outcome.error, UnsupportedCriticalPayload)
        assert outcome.error.data == bytes([kind])

    def test_one_that_is_not_critical_is_skipped_under_protection(self, kind: int, is_response: bool) -> None:
        sealer, opener = protection()
        message = auth(UnknownPayload(kind, False, b"?"), COOKIE, is_response=is_response)
        outcome = decoded(one(encode_protected(message, sealer)), opener)
        assert outcome.message == message

    def test_a_critical_one_under_protection_is_the_peers_fault(self, kind: int, is_response: bool) -> None:
        sealer, opener = protection()
        message = auth(COOKIE, UnknownPayload(kind, True, b"?"), is_response=is_response)
        outcome = decode(one(encode_protected(message, sealer)), opener)
        assert isinstance(outcome, ProtectedError)
        assert isinstance(outcome.error, UnsupportedCriticalPayload)
        assert outcome.error.data == bytes([kind])
        assert outcome.header.is_response is is_response


# --- looking into a message


def test_payloads_are_found_by_class_and_notifies_by_type() -> None:
    other = Notify(NotifyType.COOKIE, b"other")
    message = init(VendorId(b"v"), COOKIE, other, Notify(16383), Notify(NotifyType.AUTHENTICATION_FAILED))
    assert message.first(Notify) == COOKIE
    assert message.first(Nonce) is None
    assert message.all(VendorId) == (VendorId(b"v"),)
    assert message.notify(NotifyType.COOKIE) == COOKIE
    assert message.notifies(NotifyType.COOKIE) == (COOKIE, other)
    assert message.notify(NotifyType.REKEY_SA) is None
    assert message.error() == Notify(16383)
    assert init(COOKIE).error() is None
