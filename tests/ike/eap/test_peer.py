"""The order of an EAP dialogue: what is answered when, and what ends it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.eap.identity import notification_text
from client.ike.eap.method import EapFailed
from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import ROUNDS, EapPeer
from client.ike.errors import InvalidSyntax, ProtocolError
from client.ike.events import Kind
from client.ike.registry import EapCode, EapType
from tests.ike.eap.dialogue import (
    FAILURE,
    SUCCESS,
    USER,
    answered,
    challenge,
    failure,
    peer,
    proof_for,
    request,
    success,
)
from tests.ike.eap.states import EAP_MD5, challenged, convinced, finished, fresh, naked, named

EAP_TLS = 13
IDENTITY = request(EapType.IDENTITY)


STATES: list[Callable[[], EapPeer]] = [fresh, named, naked, challenged, convinced, finished]


def test_a_whole_dialogue_ends_with_a_key() -> None:
    there = peer()
    # <-- Request Identity, --> Response Identity
    assert answered(there, IDENTITY) == EapPacket(EapCode.RESPONSE, 1, 1, USER.encode()).push()
    # <-- Challenge, --> Response with the same EAP identifier
    answer = answered(there, challenge())
    assert EapPacket.pull(answer).identifier == 2
    # <-- Success "S=…", --> six octets
    assert answered(there, success(answer)) == bytes.fromhex("0203 0006 1a03")
    assert not there.finished
    # <-- EAP-Success
    assert there.handle(SUCCESS) is None
    assert there.msk is not None
    assert len(there.msk) == 64


def test_the_identity_round_may_be_missing() -> None:
    there = peer()
    answered(there, success(answered(there, challenge())))
    assert there.handle(SUCCESS) is None


@pytest.mark.parametrize("state", STATES[:4])
def test_early_success_fails(state: Callable[[], EapPeer]) -> None:
    there = state()
    with pytest.raises(EapFailed) as raised:
        there.handle(SUCCESS)
    assert kind_of(raised.value) is Kind.PEER_PROTOCOL
    assert not there.finished
    assert there.msk is None


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (fresh, Kind.AUTH_REJECTED),
        (named, Kind.AUTH_REJECTED),
        (naked, Kind.AUTH_METHOD),
        (challenged, Kind.AUTH_REJECTED),
        (convinced, Kind.AUTH_REJECTED),
        (finished, Kind.PEER_PROTOCOL),
    ],
)
def test_failure_ends_it_in_every_state(state: Callable[[], EapPeer], kind: Kind) -> None:
    there = state()
    with pytest.raises(EapFailed) as raised:
        there.handle(FAILURE)
    assert kind_of(raised.value) is kind


@pytest.mark.parametrize("state", STATES)
def test_a_response_is_never_taken_for_a_request(state: Callable[[], EapPeer]) -> None:
    with pytest.raises(EapFailed):
        state().handle(EapPacket(EapCode.RESPONSE, 1, EapType.IDENTITY, b"x").push())


@pytest.mark.parametrize("state", STATES[:5])
def test_a_repeated_request_gets_the_same_octets(state: Callable[[], EapPeer]) -> None:
    there = state()
    packet = request(EapType.NOTIFICATION, b"one moment", 77)
    assert answered(there, packet) == answered(there, packet)
    assert there.notices == ("one moment",)  # processed once


def test_what_the_server_wants_the_user_to_read_is_a_remark_or_stands_in_the_refusal() -> None:
    expiring = b"Your password expires in 3 days.\x1b[2J"
    good, bad = challenged(), challenged()
    answered(bad, request(EapType.NOTIFICATION, b"Your account is locked."))
    with pytest.raises(EapFailed, match=r"the server says: Your account is locked\."):
        bad.handle(FAILURE)
    answered(good, request(EapType.NOTIFICATION, expiring))
    (remark,) = good.remarks
    assert remark.startswith("the login server says: Your password expires in 3 days.")
    assert "\x1b" not in remark


def test_a_repeated_challenge_is_not_answered_anew() -> None:
    there = named()
    first = answered(there, challenge())
    assert answered(there, challenge()) == first
    answered(there, success(first))


def test_another_challenge_after_the_response_fails() -> None:
    with pytest.raises(EapFailed):
        challenged().handle(challenge(identifier=5))


def test_a_wrong_proof_of_the_server_is_not_answered() -> None:
    there = named()
    answer = answered(there, challenge())
    good = success(answer)
    proof = proof_for(answer)
    with pytest.raises(EapFailed) as raised:
        there.handle(good.replace(proof, proof[::-1]))
    assert kind_of(raised.value) is Kind.TRUST_NO_PROOF
    with pytest.raises(EapFailed):
        there.handle(SUCCESS)


def test_a_refused_password_says_so() -> None:
    with pytest.raises(EapFailed, match="user name or password is wrong") as raised:
        challenged().handle(failure())
    assert kind_of(raised.value) is Kind.AUTH_REJECTED


@pytest.mark.parametrize("state", [fresh, named])
def test_an_unwanted_method_is_answered_with_what_we_want(state: Callable[[], EapPeer]) -> None:
    there = state()
    nak = EapPacket.pull(answered(there, request(EAP_MD5, bytes(17), 8)))
    assert nak == EapPacket(EapCode.RESPONSE, 8, EapType.NAK, bytes([EapType.MSCHAPV2]))
    answered(there, success(answered(there, challenge())))
    assert there.handle(SUCCESS) is None


def test_an_expanded_method_is_answered_in_kind() -> None:
    vendor_method = bytes.fromhex("00372a 00000001")
    nak = EapPacket.pull(answered(peer(), request(EapType.EXPANDED, vendor_method + b"data")))
    assert nak.type == EapType.EXPANDED
    assert nak.data == bytes.fromhex("000000 00000003 fe 000000 0000001a")


@pytest.mark.parametrize("size", range(7))
def test_a_truncated_expanded_method_is_invalid(size: int) -> None:
    with pytest.raises(InvalidSyntax):
        peer().handle(request(EapType.EXPANDED, bytes(size)))


def test_insisting_on_a_refused_method_ends_it() -> None:
    there = naked()
    answered(there, request(EAP_TLS, b"\x20", 2))
    with pytest.raises(EapFailed, match="insists on EAP-MD5, the profile allows EAP-MSCHAPv2") as raised:
        there.handle(request(EAP_MD5, bytes(16), 3))
    assert kind_of(raised.value) is Kind.AUTH_METHOD


@pytest.mark.parametrize("kind", [EapType.IDENTITY, EapType.NAK, EAP_MD5, EAP_TLS, EapType.EXPANDED, 0, 255])
@pytest.mark.parametrize("state", [challenged, convinced])
def test_no_other_method_once_one_has_begun(state: Callable[[], EapPeer], kind: int) -> None:
    with pytest.raises(EapFailed, match="in the middle of EAP-MSCHAPv2"):
        state().handle(request(kind, bytes(20), 9))


def test_notifications_are_acknowledged_and_kept_without_control_characters() -> None:
    there = peer()
    answer = answered(there, request(EapType.NOTIFICATION, b"Bye\x1b[2J\xff", 4))
    assert answer == EapPacket(EapCode.RESPONSE, 4, EapType.NOTIFICATION).push()
    assert there.notices == ("Bye\ufffd[2J\ufffd",)
    assert len(notification_text(b"x" * 5000)) == 200


def test_a_server_that_goes_on_for_ever_is_left() -> None:
    there = peer()
    for _ in range(ROUNDS):
        answered(there, IDENTITY)
    with pytest.raises(EapFailed):
        there.handle(IDENTITY)


@pytest.mark.parametrize("offset", [2, 7], ids=["EAP length", "MS-Length"])
@pytest.mark.parametrize("packet", [challenge(), failure(), SUCCESS], ids=["challenge", "failure", "success"])
def test_a_wrong_length_in_any_packet_raises_one_family_only(packet: bytes, offset: int) -> None:
    good = int.from_bytes(packet[offset : offset + 2])
    for length in set(range(601)) - {good}:
        with pytest.raises(ProtocolError):
            challenged().handle(packet[:offset] + length.to_bytes(2) + packet[offset + 2 :])


@pytest.mark.parametrize("kind", [EapType.MSCHAPV2, EapType.EXPANDED])
def test_requests_of_every_size_raise_one_family_only(kind: EapType) -> None:
    for size in range(601):
        with suppress(ProtocolError):
            peer().handle(request(kind, b"\x01" * size))


@given(st.lists(st.one_of(st.binary(max_size=40), st.just(IDENTITY), st.just(challenge())), max_size=6))
def test_no_sequence_without_the_password_finishes(packets: list[bytes]) -> None:
    there = peer()
    for packet in packets:
        with suppress(ProtocolError):
            there.handle(packet)
    assert not there.finished
    assert there.msk is None


def kind_of(error: EapFailed) -> Kind:
    assert error.failure is not None
    return error.failure.kind
