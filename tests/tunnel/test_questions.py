"""The controller's table as far as the user is asked: for what is missing, and for what was refused."""

from __future__ import annotations

import pytest

from client.tunnel.events import Apply, AskSecret, NotAnswered, Release, SecretMissing, SessionClosed, Timer
from client.tunnel.states import Attempt, Blocked, Closing, Connecting, Tunnel
from tests.tunnel.rows import NEEDED, NOW, UNANSWERED, UNTRUSTED, UP_WIFI, Row, check, first, standing, wanted
from tests.tunnel.worlds import BOTH, CONFIG, WIFI

ROWS = [
    Row(
        "what has never stood waits for its secret too",
        Tunnel(CONFIG, network=BOTH),
        SecretMissing(CONFIG, NEEDED, restored=False),
        Blocked(NEEDED, guarded=True, until=NOW + 120),
        (Apply(None), AskSecret(NEEDED)),
        {"wanted": True, "steadfast": False},
    ),
    Row(
        "and is given up when nobody answers",
        first(Blocked(NEEDED, guarded=True, until=NOW)),
        Timer(),
        Closing(None, outcome=NEEDED),
        (Release(),),
        {"wanted": False},
    ),
    Row(
        "or when the user does not want to",
        first(Blocked(NEEDED, guarded=True, until=NOW + 60)),
        NotAnswered(),
        Closing(None, outcome=NEEDED),
        (Release(),),
        {"wanted": False},
    ),
    Row(
        "what had stood stays behind its guard without an answer",
        wanted(Blocked(NEEDED, guarded=True, until=NOW)),
        Timer(),
        Blocked(NEEDED, guarded=True),
        (),
        {"wanted": True},
    ),
    Row(
        "a word that nobody answers changes nothing else",
        wanted(Blocked(UNTRUSTED, guarded=True)),
        NotAnswered(),
        Blocked(UNTRUSTED, guarded=True),
    ),
    Row(
        "a login that lacks a code waits for it",
        first(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, NEEDED),
        Blocked(NEEDED, guarded=True, until=NOW + 120),
        (AskSecret(NEEDED),),
        {"wanted": True},
    ),
    Row(
        "a question of the gateway that was not answered is not asked again",
        wanted(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, UNANSWERED),
        Blocked(UNANSWERED, guarded=True),
    ),
    Row(
        "and ends a new tunnel",
        first(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, UNANSWERED),
        Closing(None, outcome=UNANSWERED),
        (Release(),),
        {"wanted": False},
    ),
    Row(
        "a secret that is missing disturbs nothing under way",
        standing(),
        SecretMissing(CONFIG, NEEDED),
        UP_WIFI,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_table(row: Row) -> None:
    check(row)
