"""Receiving on an IKE SA: fragments, what does not parse under its keys, and notifies nobody asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike.events import Kind, Transmit
from client.ike.message import encode_protected
from client.ike.payloads import Delete, Notify, Payload, UnknownPayload, VendorId
from client.ike.registry import ExchangeType, NotifyType, ProtocolId
from client.ike.sa import IkeSaState
from client.ike.states import SessionState
from tests.ike.crossings import INFORMATIONAL, REKEYING_CHILD, asked, error_of, opened, outstanding, refuse
from tests.ike.phases import PHASES, Letter, Scene, answered_once, established

BIG = tuple(VendorId(bytes([number]) * 200) for number in range(5))


def fragments(at: Scene, payloads: tuple[Payload, ...], message_id: int = 0) -> tuple[bytes, ...]:
    """A request of the gateway in several datagrams."""
    assert at.theirs is not None
    message = at.message(Letter(INFORMATIONAL, message_id, is_response=False, payloads=payloads))
    packets = encode_protected(message, at.theirs.sealer, fragment_size=400)
    assert len(packets) > 2
    return packets


def answers_to(at: Scene, *packets: bytes) -> list[Transmit]:
    return [sent for packet in packets for sent in at.hear(packet)]


# Fragments


def test_a_request_in_fragments_is_answered_when_the_last_one_has_come_in_any_order() -> None:
    at = established()
    first, *others = fragments(at, BIG)
    assert answers_to(at, *reversed(others)) == []
    assert len(answers_to(at, first)) == 1


def test_only_its_first_fragment_asks_for_the_answer_again() -> None:
    at = established()
    first, *others = fragments(at, BIG)
    (answer,) = answers_to(at, first, *others)
    assert answers_to(at, *others, *others) == []
    assert answers_to(at, first, *others) == [answer]


def test_fragments_of_no_request_that_is_due_are_not_kept() -> None:
    at = established()
    for message_id in (1, 7, 2**32 - 1):
        assert answers_to(at, *fragments(at, BIG, message_id)) == []
    assert at.ours is not None
    assert not at.ours.requests._parts
    assert len(answers_to(at, *fragments(at, BIG, 0))) == 1


def test_a_changed_fragment_is_no_fragment() -> None:
    at = established()
    first, second, *others = fragments(at, BIG)
    assert answers_to(at, first[:-1] + bytes([first[-1] ^ 1]), second, *others) == []
    assert len(answers_to(at, first)) == 1


def test_what_parses_only_in_parts_is_the_peers_fault_as_a_whole() -> None:
    at = established()
    critical: tuple[Payload, ...] = (*BIG, UnknownPayload(200, critical=True, data=b""))
    (answer,) = answers_to(at, *fragments(at, critical))
    assert error_of(opened(at, answer.data)) == NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD


# Authentic and wrong


@pytest.mark.parametrize("kind", [1, 32, 49, 200, 255])
def test_an_unknown_payload_is_skipped_unless_it_is_critical(kind: int) -> None:
    at = established()
    assert asked(at, INFORMATIONAL, (UnknownPayload(kind, critical=False, data=b"x"),)).payloads == ()
    answer = asked(at, INFORMATIONAL, (UnknownPayload(kind, critical=True, data=b"x"),))
    assert answer.payloads == (Notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, bytes([kind])),)
    assert asked(at, INFORMATIONAL, ()).payloads == ()
    assert at.pair.client.state is SessionState.ESTABLISHED


def test_a_refused_critical_payload_is_refused_again_with_the_same_octets() -> None:
    at = established()
    letter = Letter(
        INFORMATIONAL, 0, is_response=False, payloads=(UnknownPayload(200, critical=True, data=b""),)
    )
    (first,) = at.hear(at.authentic(letter))
    assert at.hear(at.authentic(letter)) == [first]


def test_a_request_that_cannot_be_read_is_answered_and_ends_the_ike_sa() -> None:
    at = established()
    answer = asked(at, INFORMATIONAL, (UnknownPayload(42, critical=False, data=b"no Delete"),))
    assert error_of(answer) == NotifyType.INVALID_SYNTAX
    assert at.pair.client.state is SessionState.CLOSED
    assert at.pair.closed is not None
    assert at.pair.closed.failure.kind is Kind.PEER_PROTOCOL


def test_such_a_request_on_a_replaced_ike_sa_ends_only_that_one() -> None:
    at = PHASES["replaced"]()
    assert error_of(asked(at, INFORMATIONAL, (UnknownPayload(42, critical=False, data=b"no"),))) is not None
    assert at.pair.client.state is SessionState.ESTABLISHED
    assert at.ours not in at.pair.client._core.sas.values()


def test_an_answer_that_cannot_be_read_ends_the_session_with_a_delete() -> None:
    at = PHASES["moving"]()
    assert at.ours is not None
    assert at.ours.window.outstanding is not None
    message_id = at.ours.window.outstanding[0].message_id
    broken = (UnknownPayload(42, critical=False, data=b"no Delete"),)
    (farewell,) = at.hear(at.authentic(Letter(INFORMATIONAL, message_id, True, broken)))
    assert opened(at, farewell.data).payloads == (Delete(ProtocolId.IKE),)
    assert at.pair.client.state is SessionState.CLOSING


def test_a_gateway_that_cannot_read_our_request_has_dropped_the_ike_sa() -> None:
    at = REKEYING_CHILD()
    (farewell,) = refuse(at, NotifyType.INVALID_SYNTAX)
    assert farewell.payloads == (Delete(ProtocolId.IKE),)
    at.pair.fate = lambda flight: ()
    at.pair.run(10)
    assert at.pair.closed is not None
    assert at.pair.closed.failure.kind is Kind.PEER_PROTOCOL
    assert "could not read our request: RekeyChild" in at.pair.closed.failure.evidence


@pytest.mark.parametrize("exchange", [0, 33, ExchangeType.IKE_AUTH, 38, 43, 44, 255])
def test_an_exchange_that_nobody_expects_is_refused_and_the_ike_sa_stays(exchange: int) -> None:
    at = established()
    (sent,) = at.hear(at.authentic(Letter(exchange, 0, is_response=False)))
    assert error_of(opened(at, sent.data)) == NotifyType.INVALID_SYNTAX
    assert at.pair.client.state is SessionState.ESTABLISHED


# Notifies


@pytest.mark.parametrize("kind", [100, 8191, 16383, 16384, 40000, 65535, NotifyType.INVALID_SELECTORS])
def test_a_request_with_a_notify_that_means_nothing_here_is_answered_empty(kind: int) -> None:
    at = established()
    assert asked(at, INFORMATIONAL, (Notify(kind, b"data"),)).payloads == ()
    assert at.pair.client.state is SessionState.ESTABLISHED


def test_the_gateway_gets_its_cookie_back_once_and_nat_detection_in_kind() -> None:
    at = established()
    source = Notify(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20))
    cookie = Notify(NotifyType.COOKIE2, b"unpredictable")
    answer = asked(at, INFORMATIONAL, (source, cookie, replace(cookie, data=b"another one")))
    assert answer.notifies(NotifyType.COOKIE2) == (cookie,)
    assert len(answer.notifies(NotifyType.NAT_DETECTION_DESTINATION_IP)) == 1


def test_a_gateway_that_takes_our_authentication_back_has_ended_the_session() -> None:
    at = established()
    assert asked(at, INFORMATIONAL, (Notify(NotifyType.AUTHENTICATION_FAILED),)).payloads == ()
    assert at.pair.client.state is SessionState.CLOSED


# What waits on an IKE SA that goes away


def asking_on_the_old_one() -> Scene:
    """Our probe is under way on an IKE SA that the gateway replaces meanwhile."""
    at = established()
    pair = at.pair
    pair.client.probe(pair.now)
    pair.drain()
    pair.flights.clear()
    pair.gateway.rekey_ike(pair.now)
    pair.drain()
    while at.ours is not None and at.ours.state is not IkeSaState.REPLACED:
        pair.step()
    pair.flights.clear()
    return at


def test_what_the_gateway_did_not_answer_before_it_deleted_the_ike_sa_is_asked_on_the_successor() -> None:
    at = asking_on_the_old_one()
    old = at.ours
    asked(at, INFORMATIONAL, (Delete(ProtocolId.IKE),))
    core = at.pair.client._core
    assert core.current is not None
    assert core.current is not old
    assert [type(exchange).__name__ for exchange in outstanding(at.pair)] == ["Liveness"]
    assert core.current.window.outstanding is not None


def test_silence_on_a_replaced_ike_sa_ends_only_that_one() -> None:
    at = asking_on_the_old_one()
    pair, old = at.pair, at.ours
    assert old is not None
    pair.fate = lambda flight: (flight,) if flight.data[8:16] != old.spi_r else ()
    pair.run(80)
    assert pair.client.state is SessionState.ESTABLISHED
    assert old not in pair.client._core.sas.values()


def test_an_answer_is_repeated_however_often_its_request_comes_again() -> None:
    at = answered_once()
    assert at.ours is not None
    letter = Letter(INFORMATIONAL, at.ours.window.expected_request_id - 1, is_response=False)
    repeats = [at.hear(at.authentic(letter)) for _ in range(5)]
    assert all(len(sent) == 1 and sent[0].data == at.ours.window.last_response[0] for sent in repeats)
