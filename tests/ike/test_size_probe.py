"""Does the path carry a packet of this size?  Two engines, and a network that swallows what is large."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from client.ike.events import Probing, SizeProbed, Transmit
from client.ike.options import Patience
from tests.pair import Fate, Flight, Pair, client_config, gateway_config, path_from

SIZE = 1400
QUIET = replace(gateway_config(), patience=Patience(idle_liveness=1e6))


@pytest.fixture
def pair() -> Pair:
    pair = Pair(gateway=QUIET)
    assert pair.connect()
    pair.sent.clear()
    return pair


def swallowing(largest: int) -> Fate:
    """What goes to the gateway has at most so many octets."""

    def fate(flight: Flight) -> Iterable[Flight]:
        return () if flight.to_gateway and len(flight.data) > largest else (flight,)

    return fate


def told(pair: Pair) -> list[tuple[int, bool]]:
    events = [event for event in pair.client_events if isinstance(event, SizeProbed)]
    return [(event.size, event.carried) for event in events]


def to_gateway(pair: Pair) -> list[int]:
    return [len(flight.data) for flight in pair.sent if flight.to_gateway]


@pytest.mark.parametrize("preset", ["aes256gcm16-prfsha384-ecp384", "aes256-sha256-prfsha256-modp2048"])
def test_a_path_that_carries_it_says_so_after_one_message_of_that_size(preset: str) -> None:
    from client.ike.proposals import parse_offer
    from client.ike.registry import ProtocolId

    offer = parse_offer(ProtocolId.IKE, (preset,))
    pair = Pair(replace(client_config(), ike_offer=offer), replace(QUIET, ike_offer=offer))
    assert pair.connect()
    pair.sent.clear()
    for size in range(SIZE, SIZE + 20):
        assert pair.client.probe_size(size, pair.now)
        pair.settle()
        (sent,) = to_gateway(pair)
        assert size <= sent < size + 16  # a block cipher's next step, and never less than asked for
        pair.sent.clear()
    assert told(pair) == [(size, True) for size in range(SIZE, SIZE + 20)]


def test_only_the_probe_itself_must_stay_whole(pair: Pair) -> None:
    pair.client.probe_size(SIZE, pair.now)
    (probe,) = [output for output in pair.client.outputs() if isinstance(output, Transmit)]
    assert probe.whole
    pair._transmit(probe, to_gateway=True)
    pair.settle()
    pair.client.probe(pair.now)
    (question,) = [output for output in pair.client.outputs() if isinstance(output, Transmit)]
    assert not question.whole


def test_what_is_too_large_is_found_out_within_five_seconds_and_answered_without_its_filling(
    pair: Pair,
) -> None:
    pair.fate = swallowing(1300)
    began = pair.now
    assert pair.client.probe_size(SIZE, pair.now)
    assert pair.run(5.0, lambda: bool(told(pair)))
    assert pair.now - began < 2.0
    assert told(pair) == [(SIZE, False)]
    pair.settle()
    *whole, small = to_gateway(pair)
    assert whole == [SIZE] * 3
    assert small < 100
    assert pair.client.probe_size(1300, pair.now), "the window is not free again"


def test_a_slow_path_is_given_the_time_that_it_takes() -> None:
    pair = Pair(gateway=QUIET, latency=0.5)
    assert pair.connect()
    began = pair.now
    pair.client.probe_size(SIZE, pair.now)
    assert pair.run(5.0, lambda: bool(told(pair)))
    assert told(pair) == [(SIZE, True)]
    pair.fate = swallowing(1300)
    began = pair.now
    pair.client.probe_size(SIZE, pair.now)
    assert pair.run(5.0, lambda: len(told(pair)) == 2)
    assert pair.now - began <= 3 * 1.2 + 0.01


def test_a_lost_packet_or_two_prove_nothing(pair: Pair) -> None:
    lost = 0

    def fate(flight: Flight) -> Iterable[Flight]:
        nonlocal lost
        lost += 1
        return () if lost <= 2 else (flight,)

    pair.fate = fate
    pair.client.probe_size(SIZE, pair.now)
    pair.run(5.0)
    assert told(pair) == [(SIZE, True)]
    assert [event for event in pair.client_events if isinstance(event, Probing)] == []


def test_a_move_ends_the_question_and_a_new_one_can_be_asked(pair: Pair) -> None:
    """What the old path carries is of no interest any more; the window must be free for the new addresses."""
    pair.fate = swallowing(1300)
    pair.client.probe_size(SIZE, pair.now)
    pair.run(0.1)
    pair.client.move(path_from("10.64.0.10"), pair.now)
    pair.settle()
    assert told(pair) == []
    assert pair.gateway.path is not None
    assert str(pair.gateway.path.remote) == "10.64.0.10"
    assert pair.client.probe_size(1200, pair.now)
    pair.settle()
    assert told(pair) == [(1200, True)]


def test_a_question_does_not_keep_the_gateway_from_being_told_of_the_end(pair: Pair) -> None:
    pair.fate = swallowing(1300)
    pair.client.probe_size(SIZE, pair.now)
    pair.run(0.1)
    pair.client.close(pair.now)
    assert pair.run(1.0, lambda: pair.closed is not None)
    assert not pair.responder.sessions


def test_one_question_at_a_time(pair: Pair) -> None:
    assert pair.client.probe_size(SIZE, pair.now)
    assert not pair.client.probe_size(SIZE, pair.now)


def test_nothing_is_asked_before_a_session_stands() -> None:
    assert not Pair().client.probe_size(SIZE, 1000.0)


def test_a_gateway_that_ignores_it_ends_the_session_as_any_unanswered_request_does(pair: Pair) -> None:
    pair.fate = swallowing(0)
    pair.client.probe_size(SIZE, pair.now)
    pair.run(100.0)
    assert told(pair) == [(SIZE, False)]
    assert pair.closed is not None
    assert [event.active for event in pair.client_events if isinstance(event, Probing)] == [True]
