"""The states of a session and the table of what may follow what."""

from __future__ import annotations

import pytest

from client.ike.core import Core
from client.ike.events import Closed, Failure, Kind
from client.ike.session import Session
from client.ike.states import TRANSITIONS, SessionState
from tests.pair import WALL, Pair, client_config, path_from
from tests.rng import SeededRng


def core_in(state: SessionState) -> Core:
    return Core(client_config(), SeededRng(1), state=state)


def test_every_state_has_a_row_and_the_end_has_no_way_out() -> None:
    assert set(TRANSITIONS) == set(SessionState)
    assert TRANSITIONS[SessionState.CLOSED] == frozenset()


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("following", SessionState)
def test_only_what_the_table_allows_can_be_entered(state: SessionState, following: SessionState) -> None:
    core = core_in(state)
    if following in TRANSITIONS[state]:
        core.enter(following)
        assert core.state is following
        return
    with pytest.raises(AssertionError, match="no way from"):
        core.enter(following)
    assert core.state is state


def test_every_state_leads_to_the_end() -> None:
    for state in SessionState:
        core = core_in(state)
        core.close(Failure(Kind.USER_DOWN, "over"))
        assert core.state is SessionState.CLOSED


def test_the_end_is_told_once() -> None:
    core = core_in(SessionState.ESTABLISHED)
    for reason in ("first", "second"):
        core.close(Failure(Kind.USER_DOWN, reason))
    assert list(core.pending) == [Closed(Failure(Kind.USER_DOWN, "first"))]


def test_a_session_lives_once() -> None:
    pair = Pair()
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    with pytest.raises(AssertionError, match="no way from"):
        pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)


def test_a_session_that_never_began_can_be_closed() -> None:
    session = Session(client_config(), SeededRng(1))
    session.close(0.0)
    assert session.state is SessionState.CLOSED
    assert list(session.outputs()) == [Closed(Failure(Kind.USER_DOWN, "ended by the user"))]


def test_closing_while_connecting_ends_at_once_and_leaves_no_timer() -> None:
    pair = Pair()
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.client.close(pair.now)
    pair.settle()
    assert pair.client.state is SessionState.CLOSED
    assert pair.client.next_deadline() is None
    assert pair.client.local_spis == ()


def test_a_session_under_way_always_has_a_deadline() -> None:
    pair = Pair()
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.client.rekey_child(pair.now)
    for _ in range(200):
        assert pair.client.next_deadline() is not None
        if pair.now > 1030 and pair.client.state is SessionState.ESTABLISHED:
            pair.client.close(pair.now)
        pair.step()
        if pair.client.state is SessionState.CLOSED:
            break
    assert pair.client.state is SessionState.CLOSED
    assert pair.client.next_deadline() is None
