"""Passwords that must not leave too often: locked accounts, and gateways that go silent after the password."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike.events import Failure, Kind
from client.tunnel.backoff import UNJUDGED
from client.tunnel.controller import step
from client.tunnel.events import Applied, Release, SessionClosed, Slept, StartSession, UserUp
from client.tunnel.model import NetworkChange
from client.tunnel.states import Attempt, Blocked, Closing, Connecting, Resolving, Up, Waiting
from tests.tunnel.rows import LOOKUP, MOBILE, NOW, UP_WIFI, Row, check, first, wanted
from tests.tunnel.worlds import BOTH, CONFIG, LTE, WIFI, WIFI_ONLY

LOCKED = Failure(Kind.AUTH_REJECTED, "the account is disabled or locked (E=647)", final=True, barred=True)
SILENT = Failure(Kind.NET_NO_RESPONSE, "IKE_AUTH was not answered", unjudged=True)
BROKEN_OFF = Failure(Kind.PEER_PROTOCOL, "the gateway broke off the EAP dialogue", final=True)
HELD = Waiting(SILENT, NOW + 600, since=NOW - 300)

ROWS = (
    Row(
        "for a locked account nothing is asked: an answer would be one more try",
        wanted(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, LOCKED),
        Blocked(LOCKED, guarded=True),
    ),
    Row(
        "nor for one that is locked from the start",
        first(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, LOCKED),
        Closing(None, outcome=LOCKED),
        (Release(),),
    ),
    Row(
        "a locked account stays so on every network",
        wanted(Blocked(LOCKED, guarded=True), WIFI_ONLY),
        NetworkChange(WIFI_ONLY, BOTH),
        Blocked(LOCKED, guarded=True),
    ),
    Row(
        "nonsense in answer to a password ends it, guarded",
        wanted(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, BROKEN_OFF),
        Blocked(BROKEN_OFF, guarded=True),
    ),
    Row(
        "after silence the password goes over the other path",
        wanted(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, SILENT),
        Connecting(Attempt(2, LTE, NOW + 4)),
        (StartSession(2, LTE),),
        {"unjudged": 1},
    ),
    Row(
        "and then not for a while, whatever paths there are",
        wanted(Connecting(Attempt(1, WIFI)), unjudged=1),
        SessionClosed(1, SILENT),
        Waiting(SILENT, NOW + UNJUDGED, since=NOW),
        (),
        {"unjudged": 2},
    ),
    Row(
        "a new network does not make it leave earlier",
        wanted(HELD, WIFI_ONLY, unjudged=2),
        NetworkChange(WIFI_ONLY, BOTH),
        HELD,
        (),
        {"unjudged": 2},
    ),
    Row("nor does a night's sleep", wanted(HELD, unjudged=2), Slept(8 * 3600.0), HELD),
    Row(
        "after the first silence a new network does",
        wanted(HELD, WIFI_ONLY, unjudged=1),
        NetworkChange(WIFI_ONLY, BOTH),
        Resolving(NOW + 15),
        LOOKUP,
        {"unjudged": 1},
    ),
    Row(
        "the user's up does at once",
        wanted(HELD, unjudged=2),
        UserUp(CONFIG),
        Resolving(NOW + 15),
        LOOKUP,
        {"unjudged": 0},
    ),
    Row(
        "a tunnel that stands has been judged",
        wanted(replace(UP_WIFI, applied=False), unjudged=2),
        Applied(),
        Up(MOBILE, 0.0, applied=True),
        (),
        {"unjudged": 0},
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_table(row: Row) -> None:
    check(row)


def test_a_day_of_silence_is_some_hundred_tries_less_than_back_off_alone() -> None:
    tunnel, tries, now = wanted(Connecting(Attempt(1, WIFI)), WIFI_ONLY), 0, NOW
    while now < NOW + 24 * 3600:
        tries += 1
        assert isinstance(tunnel.state, Connecting)
        tunnel, _ = step(tunnel, SessionClosed(tunnel.state.attempt.id, SILENT), now)
        assert isinstance(tunnel.state, Waiting)
        assert tunnel.state.until is not None
        now = tunnel.state.until
        tunnel = replace(tunnel, state=Connecting(Attempt(tries + 1, WIFI)))
    assert tries <= 24 * 4 + 2
