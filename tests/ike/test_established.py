"""What happens between two engines after IKE_AUTH: rekeying, deleting, liveness, moving; told by the wire."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike.events import (
    ChildDown,
    ChildOutbound,
    ChildUp,
    IkeRekeyed,
    Keepalive,
    Kind,
    MoveRefused,
    PathMoved,
    Probing,
)
from client.ike.options import Lifetimes
from client.ike.session import Session
from client.ike.states import SessionState
from tests.pair import Pair, client_config, fit, gateway_config, path_from


@pytest.fixture
def pair() -> Pair:
    pair = Pair()
    assert pair.connect()
    return pair


def ends(pair: Pair, side: str) -> tuple[Session, Session]:
    return (pair.client, pair.gateway) if side == "client" else (pair.gateway, pair.client)


@pytest.mark.parametrize("side", ["client", "gateway"])
def test_a_child_rekey_makes_before_it_breaks(pair: Pair, side: str) -> None:
    old = pair.client.children[0]
    ends(pair, side)[0].rekey_child(pair.now)
    # --> CREATE_CHILD_SA { N(REKEY_SA), SA, Ni, KEi, TSi, TSr }
    # <-- CREATE_CHILD_SA { SA, Nr, KEr, TSi, TSr }
    # --> INFORMATIONAL { D }, <-- INFORMATIONAL { D }
    pair.settle()
    assert len(pair.client.children) == 1
    assert pair.client.children[0].spi_in != old.spi_in
    assert fit(pair.client.children[0], pair.gateway.children[0])
    names = [type(event).__name__ for event in pair.client_events if isinstance(event, ChildUp | ChildDown)]
    assert names == ["ChildUp", "ChildUp"]  # the old inbound SA still takes what is under way
    pair.run(10)
    assert pair.events(ChildDown) == [ChildDown(old.spi_in)]


def test_the_responder_of_a_rekey_sends_on_the_new_sa_only_after_the_old_is_deleted(pair: Pair) -> None:
    pair.gateway.rekey_child(pair.now)
    pair.settle()
    up = pair.children_up()[1]
    assert not up.outbound
    assert up.replaces == pair.children_up()[0].child.spi_in
    assert pair.events(ChildOutbound) == [ChildOutbound(up.child.spi_in)]


@pytest.mark.parametrize("side", ["client", "gateway"])
def test_an_ike_rekey_keeps_the_child_sa_and_everything_goes_on(pair: Pair, side: str) -> None:
    before, child = pair.client.spis, pair.client.children
    ends(pair, side)[0].rekey_ike(pair.now)
    pair.settle()
    assert pair.client.spis != before
    assert pair.client.spis == pair.gateway.spis
    assert len(pair.events(IkeRekeyed)) == 1
    assert pair.client.children == child
    assert len(pair.client.local_spis) == len(pair.gateway.local_spis) == 1
    for session in (pair.client, pair.gateway):
        session.rekey_child(pair.now)
        pair.settle()
        session.probe(pair.now)
        pair.settle()
    assert fit(pair.client.children[0], pair.gateway.children[0])


def test_moving_works_after_the_peer_has_rekeyed_the_ike_sa(pair: Pair) -> None:
    pair.gateway.rekey_ike(pair.now)
    pair.settle()
    pair.client.move(path_from("10.64.0.10"), pair.now)
    pair.settle()
    assert pair.gateway.path is not None
    assert str(pair.gateway.path.remote) == "10.64.0.10"


def test_simultaneous_child_rekeys_leave_one_child_sa_that_fits() -> None:
    for seed in range(20):
        pair = Pair(seed=seed)
        assert pair.connect()
        pair.client.rekey_child(pair.now)
        pair.gateway.rekey_child(pair.now)
        pair.run(30)
        assert len(pair.client.children) == len(pair.gateway.children) == 1
        assert fit(pair.client.children[0], pair.gateway.children[0])
        assert pair.client.state is pair.gateway.state is SessionState.ESTABLISHED


def test_simultaneous_ike_rekeys_are_refused_for_now_and_succeed_later() -> None:
    pair = Pair()
    assert pair.connect()
    before = pair.client.spis
    pair.client.rekey_ike(pair.now)
    pair.gateway.rekey_ike(pair.now)
    pair.run(60)
    assert pair.client.spis == pair.gateway.spis != before
    assert pair.client.state is SessionState.ESTABLISHED


def test_lifetimes_drive_both_rekeys_for_a_day_of_virtual_time() -> None:
    config = replace(client_config(), lifetimes=Lifetimes(ike=3 * 3600.0, child=1800.0))
    pair = Pair(config)
    assert pair.connect()
    pair.run(24 * 3600)
    assert pair.client.state is SessionState.ESTABLISHED
    assert len(pair.events(IkeRekeyed)) >= 8
    assert len(pair.children_up()) >= 48
    assert fit(pair.client.children[0], pair.gateway.children[0])
    assert len(pair.client.local_spis) == 1


@pytest.mark.parametrize("side", ["client", "gateway"])
def test_a_delete_ends_both_sessions(pair: Pair, side: str) -> None:
    sessions = ends(pair, side)
    sessions[0].close(pair.now)
    pair.settle()
    assert [session.state for session in sessions] == [SessionState.CLOSED] * 2
    assert pair.closed is not None
    assert pair.closed.failure.kind is (Kind.USER_DOWN if side == "client" else Kind.PEER_DELETED)
    assert pair.events(ChildDown)


def test_closing_does_not_wait_for_a_dead_gateway(pair: Pair) -> None:
    pair.fate = lambda flight: ()
    before = pair.now
    pair.client.close(pair.now)
    pair.run(10, lambda: pair.client.state is SessionState.CLOSED)
    assert pair.now - before <= 3.0


@pytest.mark.parametrize("side", ["client", "gateway"])
def test_an_idle_session_asks_whether_the_peer_is_there(pair: Pair, side: str) -> None:
    count = len(pair.sent)
    pair.run(130)
    requests = [flight for flight in pair.sent[count:] if not flight.data[19] & 0x20]
    assert requests
    assert pair.client.state is pair.gateway.state is SessionState.ESTABLISHED
    assert not pair.events(Probing)


def test_a_silent_gateway_is_doubted_and_then_given_up(pair: Pair) -> None:
    pair.fate = lambda flight: ()
    pair.client.note_activity(0.0, pair.now, pair.now)
    pair.run(3)
    (doubt,) = pair.events(Probing)
    assert doubt == Probing(True, pair.now - 1)
    pair.run(120)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.NET_NO_RESPONSE


def test_inbound_esp_ends_the_doubt(pair: Pair) -> None:
    pair.fate = lambda flight: ()
    pair.client.note_activity(0.0, pair.now, pair.now)
    pair.run(5)
    pair.client.note_activity(pair.now, pair.now, pair.now)
    pair.drain()
    assert [event.active for event in pair.events(Probing)] == [True, False]  # type: ignore[union-attr]


def test_an_unauthenticated_unknown_spi_only_provokes_a_question(pair: Pair) -> None:
    pair.responder.forget(next(iter(pair.responder.sessions)))
    pair.client.probe(pair.now)
    pair.settle()
    hints = [event for event in pair.events(Probing) if event.hinted]  # type: ignore[union-attr]
    assert hints
    assert pair.client.state is SessionState.ESTABLISHED


def test_a_move_tells_the_gateway_and_the_child_sa_stays(pair: Pair) -> None:
    child = pair.client.children
    pair.client.move(path_from("10.64.0.10"), pair.now)
    pair.settle()
    (moved,) = pair.events(PathMoved)
    assert moved == PathMoved(path_from("10.64.0.10"), encapsulate=False, nat_local=False)
    assert pair.client.children == child
    pair.gateway.probe(pair.now)
    pair.settle()
    assert str(pair.sent[-1].source.address) == "10.64.0.10"


def test_a_move_behind_a_nat_turns_encapsulation_on_and_back_off(pair: Pair) -> None:
    pair.hide_behind("10.64.0.10", "198.51.100.7")
    pair.client.move(path_from("10.64.0.10"), pair.now)
    pair.settle()
    pair.client.move(path_from("192.168.1.10"), pair.now)
    pair.settle()
    first, second = pair.events(PathMoved)
    assert isinstance(first, PathMoved)
    assert isinstance(second, PathMoved)
    assert (first.encapsulate, first.nat_local) == (True, True)
    assert (second.encapsulate, second.nat_local) == (False, False)


def test_an_outstanding_request_is_repeated_unchanged_over_the_new_path(pair: Pair) -> None:
    pair.fate = lambda flight: ()
    pair.client.probe(pair.now)
    pair.settle()
    first = next(flight for flight in pair.sent if flight.data == pair.sent[-1].data)
    pair.fate = lambda flight: (flight,)
    pair.client.move(path_from("10.64.0.10"), pair.now)
    pair.drain()
    repeated = pair.sent[-1]
    assert repeated.data == first.data
    assert str(repeated.source.address) == "10.64.0.10"
    pair.settle()
    assert pair.events(PathMoved)


def test_two_quick_moves_end_on_the_second_path(pair: Pair) -> None:
    pair.client.move(path_from("10.64.0.10"), pair.now)
    pair.client.move(path_from("172.16.0.10"), pair.now)
    pair.settle()
    pair.run(5)
    assert [event.path for event in pair.events(PathMoved)] == [path_from("172.16.0.10")]  # type: ignore[union-attr]
    assert pair.gateway.path is not None
    assert str(pair.gateway.path.remote) == "172.16.0.10"
    assert not pair.events(MoveRefused)


def test_behind_a_nat_an_idle_session_keeps_the_mapping() -> None:
    pair = Pair()
    pair.hide_behind("192.168.1.10", "198.51.100.7")
    assert pair.connect()
    assert pair.client.encapsulate
    pair.run(100)
    assert len(pair.events(Keepalive)) >= 4


def test_a_userspace_data_path_makes_the_peer_encapsulate_without_a_nat() -> None:
    pair = Pair(replace(client_config(), force_encapsulation=True), gateway_config())
    assert pair.connect()
    assert pair.client.encapsulate
    assert pair.gateway.encapsulate
    assert not pair.established.nat_local
    pair.run(100)
    assert not pair.events(Keepalive)
