"""Message IDs, one request outstanding, and when it is sent again."""

from __future__ import annotations

import pytest

from client.ike.message import Header
from client.ike.registry import ExchangeType
from client.ike.window import LONGEST_PATIENCE, Request, RoundTrip, Schedule, Window
from tests.ike.phases import established

CONNECT = Schedule(first=1.0, factor=1.5, cap=5.0, give_up=60.0)


def request(now: float = 100.0, schedule: Schedule = CONNECT, message_id: int = 3) -> Request:
    return Request(message_id, ExchangeType.INFORMATIONAL, (b"octets",), schedule, now)


def header(message_id: int, *, is_response: bool, exchange: int = ExchangeType.INFORMATIONAL) -> Header:
    return Header(bytes(8), bytes(8), 46, 0x20, exchange, 0x20 if is_response else 0, message_id, 57)


def transmissions(request: Request) -> list[float]:
    """When it is sent if nobody answers."""
    times = [request.sent_at]
    while request.deadline < request.give_up_at:
        times.append(request.deadline)
        request.advance(request.deadline)
    return times


def test_a_request_is_sent_at_growing_intervals_up_to_the_cap() -> None:
    times = transmissions(request(now=0.0))
    assert times[:6] == pytest.approx([0.0, 1.0, 2.5, 4.75, 8.125, 13.125])
    assert len(times) == 15
    assert times[-1] < 60.0


def test_probes_follow_their_own_schedule() -> None:
    probe = Schedule(first=0.5, factor=2.0, cap=4.0, give_up=60.0)
    assert transmissions(request(0.0, probe))[:5] == pytest.approx([0.0, 0.5, 1.5, 3.5, 7.5])


def test_intervals_never_shrink_however_often_a_request_is_sent() -> None:
    waiting, last = request(now=0.0), 0.0
    for _ in range(10_000):
        waiting.advance(waiting.retransmit_at)
        assert waiting.interval >= last
        last = waiting.interval
    assert last == CONNECT.cap


def test_a_restart_makes_a_request_quick_and_patient_again_and_counts_as_sent() -> None:
    waiting = request(now=0.0)
    for _ in range(5):
        waiting.advance(waiting.retransmit_at)
    waiting.restart(50.0)
    assert waiting.retransmit_at == 51.0
    assert waiting.give_up_at == 110.0
    assert waiting.attempts == 7


def test_a_peer_that_shows_by_other_signs_that_it_is_there_is_waited_for_but_not_for_ever() -> None:
    waiting = request(now=0.0)
    waiting.extend(alive_at=30.0)
    assert waiting.give_up_at == 90.0
    waiting.extend(alive_at=10.0)  # news of old change nothing
    assert waiting.give_up_at == 90.0
    for at in range(0, 1000, 10):
        waiting.extend(float(at))
    assert waiting.give_up_at == LONGEST_PATIENCE


def test_request_ids_count_without_a_gap() -> None:
    window = Window()
    assert [window.take_request_id() for _ in range(4)] == [0, 1, 2, 3]


def test_only_the_next_request_of_the_peer_is_expected_and_only_the_last_one_repeated() -> None:
    window = Window()
    assert not window.is_repeated(0)
    assert window.expects(header(0, is_response=False))
    window.keep_response((b"answer 0",))
    window.keep_response((b"answer 1",))
    expected = [number for number in range(6) if window.expects(header(number, is_response=False))]
    assert expected == [2]
    assert [number for number in range(6) if window.is_repeated(number)] == [1]
    assert window.last_response == (b"answer 1",)


def test_an_answer_belongs_to_the_outstanding_request_alone() -> None:
    window = Window()
    assert not window.expects(header(3, is_response=True))
    window.outstanding = (request(message_id=3), object())  # type: ignore[assignment]
    assert window.expects(header(3, is_response=True))
    assert not window.expects(header(2, is_response=True))
    assert not window.expects(header(4, is_response=True))
    assert not window.expects(header(3, is_response=True, exchange=ExchangeType.CREATE_CHILD_SA))


def test_the_round_trip_is_learnt_from_requests_answered_at_once() -> None:
    trip = RoundTrip()
    assert trip.first_interval(most=1.0) == 1.0
    trip.measure(request(now=10.0), 10.1)
    assert trip.smoothed == pytest.approx(0.1)
    assert trip.first_interval(most=1.0) == pytest.approx(0.4)
    trip.measure(request(now=10.0), 10.9)
    assert trip.smoothed == pytest.approx(0.2)


def test_the_first_interval_stays_within_its_bounds() -> None:
    quick, slow = RoundTrip(0.001), RoundTrip(30.0)
    assert quick.first_interval(most=1.0) == 0.3
    assert slow.first_interval(most=1.0) == 1.0


@pytest.mark.parametrize("again", ["advance", "restart"])
def test_nothing_is_learnt_from_a_request_that_was_sent_again(again: str) -> None:
    """Nobody knows which transmission was answered (Karn's rule), also after a move."""
    trip, waiting = RoundTrip(), request(now=10.0)
    getattr(waiting, again)(11.0)
    trip.measure(waiting, 70.0)
    assert trip.smoothed is None


def test_octets_of_requests_and_answers_do_not_show_in_their_repr() -> None:
    window = Window()
    window.keep_response((b"\xde\xad\xbe\xef",))
    assert "beef" not in repr(window) + repr(request())
    assert "xef" not in repr(window)
    assert "octets" not in repr(request())


def test_a_move_makes_the_outstanding_request_quick_again_with_the_same_octets() -> None:
    from tests.pair import path_from

    pair = established().pair
    pair.fate = lambda flight: ()
    pair.client.probe(pair.now)
    pair.run(20)
    assert pair.client._core.current is not None
    assert pair.client._core.current.window.outstanding is not None
    outstanding = pair.client._core.current.window.outstanding[0]
    assert outstanding.interval == 4.0
    pair.client.move(path_from("10.64.0.10"), pair.now)
    pair.drain()
    assert outstanding.interval == 0.5
    assert pair.sent[-1].data == outstanding.packets[0]
