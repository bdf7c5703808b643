"""The controller's table, second part: what gateway and network do to a session that stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.tunnel.events import (
    Apply,
    AskSecret,
    CloseSession,
    Doubt,
    DropSession,
    Moved,
    MoveSession,
    NotMoved,
    Probe,
    Reauthenticate,
    SessionClosed,
    SessionUp,
    Slept,
    StartSession,
    Timer,
)
from client.tunnel.model import NetworkChange
from client.tunnel.states import (
    Attempt,
    Blocked,
    Connecting,
    Leg,
    Moving,
    Resolving,
    Up,
    Waiting,
)
from tests.tunnel.rows import (
    DELETED,
    FIXED,
    JUDGED,
    LOOKUP,
    LOOKUP_UP,
    MOBILE,
    NO_ANSWER,
    NOW,
    TO_LTE,
    UNROUTED,
    UP_FIXED,
    UP_LTE,
    UP_WIFI,
    Row,
    check,
    first,
    standing,
    wanted,
)
from tests.tunnel.worlds import (
    BOTH,
    GATEWAY,
    LTE,
    LTE_ONLY,
    NOTHING,
    OTHER,
    OTHER_UP,
    UP,
    WIFI,
    WIFI_ONLY,
    network,
    only_to,
    over_wifi,
)

ROWS = [
    # What the gateway does to a session that stands.
    Row(
        "a deleted session is made anew at once",
        standing(),
        SessionClosed(1, DELETED),
        Resolving(NOW + 15),
        LOOKUP_UP,
    ),
    Row(
        "one that dies young again backs off",
        standing(state=replace(UP_WIFI, since=NOW - 1), failures=1),
        SessionClosed(1, DELETED),
        Waiting(DELETED, NOW + 2, since=NOW),
    ),
    Row(
        "doubt sets the time of a replacement",
        standing(),
        Doubt(1, True, NOW - 2),
        replace(UP_WIFI, doubt_at=NOW + 8),
    ),
    Row(
        "a hint shortens it",
        standing(state=replace(UP_WIFI, doubt_at=NOW + 8)),
        Doubt(1, True, NOW - 2, hinted=True),
        replace(UP_WIFI, doubt_at=NOW + 1),
    ),
    Row(
        "an answer ends doubt",
        standing(state=replace(UP_WIFI, doubt_at=NOW + 8)),
        Doubt(1, False, NOW),
        UP_WIFI,
    ),
    Row(
        "a degraded session gets a replacement beside it",
        standing(WIFI_ONLY, state=replace(UP_WIFI, doubt_at=NOW)),
        Timer(),
        replace(UP_WIFI, doubt_at=NOW, replacement=Attempt(2, WIFI)),
        (StartSession(2, WIFI, "the gateway did not answer"),),
    ),
    Row(
        "a replacement that has no answer tries the other path",
        standing(state=replace(UP_WIFI, doubt_at=NOW, replacement=Attempt(2, WIFI, NOW)), next_leg=3),
        Timer(),
        replace(UP_WIFI, doubt_at=NOW, replacement=Attempt(3, LTE, NOW + 4)),
        (DropSession(2), StartSession(3, LTE, "the gateway did not answer")),
    ),
    Row(
        "an answer to the old session drops the replacement",
        standing(state=replace(UP_WIFI, doubt_at=NOW, replacement=Attempt(2, WIFI))),
        Doubt(1, False, NOW),
        UP_WIFI,
        (DropSession(2),),
    ),
    Row(
        "a replacement takes over when it stands",
        standing(state=replace(UP_WIFI, doubt_at=NOW, replacement=Attempt(2, LTE))),
        SessionUp(2, True, UP),
        Up(Leg(2, LTE, mobike=True), NOW, applied=True),
        (CloseSession(1), Apply(UP)),
    ),
    Row(
        "a replacement with other addresses is up when the machine has them",
        standing(state=replace(UP_WIFI, doubt_at=NOW, replacement=Attempt(2, LTE))),
        SessionUp(2, True, OTHER_UP),
        Up(Leg(2, LTE, mobike=True), NOW),
        (CloseSession(1), Apply(OTHER_UP)),
    ),
    Row(
        "the old session dies before its replacement stands",
        standing(state=replace(UP_WIFI, doubt_at=NOW, replacement=Attempt(2, LTE))),
        SessionClosed(1, NO_ANSWER),
        Connecting(Attempt(2, LTE)),
    ),
    Row(
        "a gateway that lives and refuses us blocks",
        standing(state=replace(UP_WIFI, doubt_at=NOW, replacement=Attempt(2, WIFI))),
        SessionClosed(2, JUDGED),
        Blocked(JUDGED, guarded=True, until=NOW + 120),
        (CloseSession(1), AskSecret(JUDGED)),
    ),
    Row(
        "a replacement that fails is tried again later",
        standing(state=replace(UP_WIFI, doubt_at=NOW, replacement=Attempt(2, WIFI))),
        SessionClosed(2, NO_ANSWER),
        replace(UP_WIFI, doubt_at=NOW + 1),
    ),
    # A new login, because the user wants one.
    Row(
        "a new login is set up beside the session that stands",
        standing(),
        Reauthenticate(),
        replace(UP_WIFI, replacement=Attempt(2, WIFI)),
        (StartSession(2, WIFI),),
    ),
    Row(
        "one new login at a time",
        standing(state=replace(UP_WIFI, replacement=Attempt(2, WIFI)), next_leg=3),
        Reauthenticate(),
        replace(UP_WIFI, replacement=Attempt(2, WIFI)),
    ),
    Row(
        "a new login takes over when it stands",
        standing(state=replace(UP_WIFI, replacement=Attempt(2, WIFI))),
        SessionUp(2, True, UP),
        Up(Leg(2, WIFI, mobike=True), NOW, applied=True),
        (CloseSession(1), Apply(UP)),
    ),
    Row(
        "a new login that is refused leaves the old session, its path, and the reason",
        standing(state=replace(UP_WIFI, replacement=Attempt(2, WIFI))),
        SessionClosed(2, JUDGED),
        UP_WIFI,
        (),
        {"last_failure": JUDGED, "avoided": frozenset()},
    ),
    Row("nobody logs in anew while the session moves", standing(state=TO_LTE), Reauthenticate(), TO_LTE),
    Row("a session that nobody counts on may end", standing(), SessionClosed(7, DELETED), UP_WIFI),
    # What the network does.
    Row("the same network changes nothing", standing(), NetworkChange(BOTH, BOTH), UP_WIFI),
    Row("losing the other uplink changes nothing", standing(), NetworkChange(BOTH, WIFI_ONLY), UP_WIFI),
    Row(
        "Wi-Fi goes: the session moves to LTE",
        standing(),
        NetworkChange(BOTH, LTE_ONLY),
        TO_LTE,
        (MoveSession(1, LTE, "wifi0 is gone"),),
    ),
    Row(
        "Wi-Fi comes back: the session returns, and may think better of it",
        standing(LTE_ONLY, state=UP_LTE),
        NetworkChange(LTE_ONLY, BOTH),
        Moving(MOBILE, 0.0, origin=LTE, back_at=NOW + 3, doubt_at=NOW + 10),
        (MoveSession(1, WIFI, "wifi0 is better"),),
    ),
    Row(
        "another address on the same uplink is a move",
        standing(WIFI_ONLY),
        NetworkChange(WIFI_ONLY, network(wifi="192.0.2.77", lte=None)),
        Moving(Leg(1, over_wifi("192.0.2.77"), mobike=True), 0.0, origin=WIFI, doubt_at=NOW + 10),
        (MoveSession(1, over_wifi("192.0.2.77"), "address 192.0.2.10 is gone"),),
    ),
    Row("the gateway agrees", wanted(TO_LTE, LTE_ONLY), Moved(1), UP_LTE),
    Row(
        "the gateway refuses the path: back to the old one where it is left",
        wanted(TO_LTE),
        NotMoved(1, "UNACCEPTABLE_ADDRESSES"),
        Moving(MOBILE, 0.0, origin=LTE, doubt_at=NOW + 10),
        (MoveSession(1, WIFI, "lte0 does not carry"),),
    ),
    Row(
        "a better path that does not carry is left again",
        wanted(Moving(MOBILE, 0.0, origin=LTE, back_at=NOW, doubt_at=NOW + 7)),
        Timer(),
        Moving(Leg(1, LTE, mobike=True), 0.0, origin=WIFI, doubt_at=NOW + 7),
        (MoveSession(1, LTE, "wifi0 does not carry"),),
        {"avoided": frozenset({WIFI})},
    ),
    Row(
        "and not tried again while nothing changes",
        wanted(UP_LTE, avoided=frozenset({WIFI})),
        NetworkChange(BOTH, BOTH),
        UP_LTE,
    ),
    Row(
        "a move that nobody answers gets a new session beside it",
        wanted(replace(TO_LTE, doubt_at=NOW), LTE_ONLY),
        Timer(),
        replace(TO_LTE, doubt_at=NOW, replacement=Attempt(2, LTE)),
        (StartSession(2, LTE, "the gateway did not answer"),),
    ),
    Row(
        "without MOBIKE a new session is set up on the new path",
        standing(state=UP_FIXED),
        NetworkChange(BOTH, LTE_ONLY),
        Moving(FIXED, 0.0, WIFI, replacement=Attempt(2, LTE)),
        (StartSession(2, LTE, "wifi0 is gone"),),
    ),
    Row(
        "an address that may be another gateway's gets a new session",
        standing(gateways=(GATEWAY, OTHER)),
        NetworkChange(BOTH, only_to(OTHER)),
        Moving(MOBILE, 0.0, WIFI, replacement=Attempt(2, over_wifi(remote=OTHER))),
        (StartSession(2, over_wifi(remote=OTHER), "203.0.113.1 cannot be reached over wifi0"),),
    ),
    Row(
        "an address that the gateway has named is its own",
        standing(gateways=(GATEWAY, OTHER), peer_addresses=(OTHER,)),
        NetworkChange(BOTH, only_to(OTHER)),
        Moving(Leg(1, over_wifi(remote=OTHER), mobike=True), 0.0, origin=WIFI, doubt_at=NOW + 10),
        (MoveSession(1, over_wifi(remote=OTHER), "203.0.113.1 cannot be reached over wifi0"),),
    ),
    Row(
        "the network goes: everything is kept and nothing is sent",
        standing(WIFI_ONLY),
        NetworkChange(WIFI_ONLY, NOTHING),
        Waiting(UNROUTED, None, MOBILE, NOW),
    ),
    Row(
        "still no network",
        wanted(Waiting(UNROUTED, None, MOBILE), NOTHING),
        NetworkChange(NOTHING, NOTHING),
        Waiting(UNROUTED, None, MOBILE),
    ),
    Row(
        "the network is back: the kept session goes there",
        wanted(Waiting(UNROUTED, None, MOBILE), NOTHING),
        NetworkChange(NOTHING, LTE_ONLY),
        Moving(Leg(1, LTE, mobike=True), 0.0, origin=WIFI, doubt_at=NOW + 10),
        (MoveSession(1, LTE, "the network is back"),),
    ),
    Row(
        "the old address is back: a session without MOBIKE is asked whether it lives",
        wanted(Waiting(UNROUTED, None, FIXED), NOTHING),
        NetworkChange(NOTHING, WIFI_ONLY),
        UP_FIXED,
        (Probe(1),),
    ),
    Row(
        "a kept session may die meanwhile",
        wanted(Waiting(UNROUTED, None, MOBILE), NOTHING),
        SessionClosed(1, NO_ANSWER),
        Waiting(UNROUTED),
    ),
    Row(
        "a new path ends the back-off",
        wanted(Waiting(NO_ANSWER, NOW + 60), WIFI_ONLY, failures=5),
        NetworkChange(WIFI_ONLY, BOTH),
        Resolving(NOW + 15),
        LOOKUP,
        {"failures": 0},
    ),
    Row(
        "no new path does not",
        wanted(Waiting(NO_ANSWER, NOW + 60)),
        NetworkChange(BOTH, WIFI_ONLY),
        Waiting(NO_ANSWER, NOW + 60),
    ),
    Row(
        "the path under a handshake goes",
        first(Connecting(Attempt(1, WIFI))),
        NetworkChange(BOTH, LTE_ONLY),
        Connecting(Attempt(2, LTE)),
        (DropSession(1), StartSession(2, LTE)),
    ),
    # Sleep.
    Row("after sleep the gateway is asked at once", standing(), Slept(3600), UP_WIFI, (Probe(1),)),
    Row(
        "sleep ends the back-off",
        wanted(Waiting(NO_ANSWER, NOW + 60)),
        Slept(3600),
        Resolving(NOW + 15),
        LOOKUP,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_table(row: Row) -> None:
    check(row)


def test_ids_are_unique() -> None:
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids))
