"""Watching over an established session: questions, doubt, keepalives, and silence that is as it should be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike.events import Keepalive, Kind, Probing
from client.ike.exchanges.liveness import Liveness
from client.ike.exchanges.mobike import UpdateAddresses
from client.ike.options import Patience
from client.ike.states import SessionState
from tests.ike.crossings import outstanding
from tests.pair import Flight, Pair, client_config, gateway_config

QUIET = replace(
    gateway_config(), patience=Patience(idle_liveness=1e6)
)  # a gateway that asks nothing by itself


@pytest.fixture
def pair() -> Pair:
    pair = Pair(gateway=QUIET)
    assert pair.connect()
    return pair


def behind_nat() -> Pair:
    pair = Pair(gateway=QUIET)
    pair.hide_behind("192.168.1.10", "198.51.100.7")
    assert pair.connect()
    return pair


def questions(pair: Pair) -> list[Flight]:
    """The client's requests, each counted once."""
    requests = {f.data: f for f in pair.sent if f.to_gateway and f.data[18] == 37 and not f.data[19] & 0x20}
    return list(requests.values())


def doubts(pair: Pair) -> list[bool]:
    return [event.active for event in pair.events(Probing) if isinstance(event, Probing)]


def deaf(flight: Flight) -> tuple[Flight, ...]:
    return ()


# Idleness


def test_an_idle_session_asks_every_two_minutes(pair: Pair) -> None:
    pair.run(3600)
    assert len(questions(pair)) == 3600 // 120 - 1 or len(questions(pair)) == 3600 // 120
    assert doubts(pair) == []


def test_inbound_traffic_needs_no_question(pair: Pair) -> None:
    for _ in range(100):
        pair.run(10)
        pair.client.note_activity(pair.now, pair.now, pair.now)
    assert questions(pair) == []


def test_old_news_of_activity_change_nothing(pair: Pair) -> None:
    pair.client.note_activity(pair.now, pair.now, pair.now)
    inbound = pair.client._core.inbound_at
    pair.client.note_activity(pair.now - 100, pair.now - 100, pair.now)
    assert pair.client._core.inbound_at == inbound


# Traffic in one direction


def test_outbound_traffic_without_an_answer_provokes_a_question_after_two_seconds(pair: Pair) -> None:
    pair.client.note_activity(0.0, pair.now, pair.now)
    pair.run(1.9)
    assert questions(pair) == []
    pair.run(0.3)
    assert len(questions(pair)) == 1
    pair.run(1)
    assert doubts(pair) == [True, False]


def test_one_way_traffic_to_a_gateway_that_answers_is_not_asked_about_all_the_time(pair: Pair) -> None:
    for _ in range(600):
        pair.client.note_activity(0.0, pair.now, pair.now)
        pair.run(0.1)
    assert 4 <= len(questions(pair)) <= 8


def test_a_question_that_is_under_way_is_not_asked_twice(pair: Pair) -> None:
    pair.fate = deaf
    for _ in range(50):
        pair.client.probe(pair.now)
        pair.client.note_activity(0.0, pair.now, pair.now)
        pair.run(0.2)
    assert len(questions(pair)) == 1


# Doubt


def test_doubt_begins_with_the_first_unanswered_transmission_and_is_told_once(pair: Pair) -> None:
    pair.fate = deaf
    pair.client.probe(pair.now)
    pair.run(0.4)
    assert doubts(pair) == []
    pair.run(30)
    assert doubts(pair) == [True]


def test_any_authentic_message_of_the_gateway_ends_the_doubt(pair: Pair) -> None:
    pair.fate = lambda flight: () if flight.to_gateway else (flight,)
    pair.client.probe(pair.now)
    pair.run(2)
    pair.gateway.probe(pair.now)
    pair.run(1)
    assert doubts(pair) == [True, False]


def test_a_gateway_that_stays_silent_is_given_up_after_its_time(pair: Pair) -> None:
    pair.fate = deaf
    pair.client.probe(pair.now)
    began = pair.now
    pair.run(200, lambda: pair.client.state is SessionState.CLOSED)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.NET_NO_RESPONSE
    assert "no answer from the gateway for 60 s" in pair.closed.failure.evidence
    assert pair.now - began == pytest.approx(60, abs=1)


def test_esp_that_still_comes_in_keeps_the_session_while_answers_are_lost(pair: Pair) -> None:
    pair.fate = deaf
    pair.client.probe(pair.now)
    for _ in range(200):
        pair.run(1)
        pair.client.note_activity(pair.now, pair.now, pair.now)
    assert pair.client.state is SessionState.ESTABLISHED
    began = pair.now
    pair.run(200, lambda: pair.client.state is SessionState.CLOSED)
    assert pair.now - began == pytest.approx(60, abs=6)  # from the last sign of life


def test_esp_alone_does_not_keep_a_session_whose_requests_are_never_answered(pair: Pair) -> None:
    pair.fate = deaf
    pair.client.rekey_child(pair.now)
    for _ in range(400):
        pair.run(1)
        pair.client.note_activity(pair.now, pair.now, pair.now)
    assert pair.client.state is SessionState.CLOSED


def test_activity_means_nothing_to_a_session_that_does_not_stand() -> None:
    pair = Pair()
    pair.client.note_activity(pair.now, pair.now, pair.now)
    pair.client.note_first_inbound(1234, pair.now)
    pair.client.note_soft_limit(1234, pair.now)
    assert pair.client.next_deadline() is None
    assert list(pair.client.outputs()) == []


# NATs in front of us


def test_an_idle_mapping_is_kept_alive_every_twenty_seconds() -> None:
    pair = behind_nat()
    pair.run(110)
    assert 4 <= len(pair.events(Keepalive)) <= 5


def test_traffic_keeps_the_mapping_alive_by_itself() -> None:
    pair = behind_nat()
    for _ in range(100):
        pair.run(1)
        pair.client.note_activity(pair.now, pair.now, pair.now)
    assert pair.events(Keepalive) == []


def test_without_a_nat_nothing_is_kept_alive(pair: Pair) -> None:
    pair.run(600)
    assert pair.events(Keepalive) == []


@pytest.mark.parametrize(("make", "kind"), [(behind_nat, UpdateAddresses), (None, Liveness)])
def test_behind_a_nat_a_question_also_repairs_the_mapping(make: object, kind: type) -> None:
    if make is None:
        pair = Pair(gateway=QUIET)
        assert pair.connect()
    else:
        pair = behind_nat()
    pair.fate = deaf
    pair.client.probe(pair.now)
    assert [type(exchange) for exchange in outstanding(pair)] == [kind]


def test_a_mapping_that_the_nat_has_changed_is_noticed_by_the_gateway_with_the_next_question() -> None:
    pair = behind_nat()
    pair.hide_behind("192.168.1.10", "198.51.100.99")  # the router has restarted
    pair.client.probe(pair.now)
    pair.settle()
    assert pair.gateway.path is not None
    assert str(pair.gateway.path.remote) == "198.51.100.99"


# Sequence numbers


def test_a_soft_limit_of_the_data_path_begins_a_rekey(pair: Pair) -> None:
    old = pair.client.children[0]
    pair.client.note_soft_limit(old.spi_in, pair.now)
    pair.settle()
    assert pair.client.children[0].spi_in != old.spi_in
    pair.client.note_soft_limit(old.spi_in, pair.now)  # late news of an SA that is replaced
    pair.settle()
    assert len(pair.children_up()) == 2


def test_lifetimes_differ_from_session_to_session_by_up_to_a_tenth() -> None:
    times = set()
    for seed in range(20):
        pair = Pair(client_config(), seed=seed)
        assert pair.connect()
        assert pair.client.child_rekey_at is not None
        times.add(round(pair.client.child_rekey_at - pair.now))
    assert len(times) > 15
    assert min(times) >= 3600 * 0.9 - 1
    assert max(times) <= 3600
