"""The controller's table: in this state, after this event, that state and those commands."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from client.ike.events import Assigned, Failure, Kind
from client.tunnel.events import (
    Answered,
    Applied,
    Apply,
    ApplyFailed,
    AskSecret,
    CloseSession,
    Crashed,
    DataPathGone,
    DropSession,
    Release,
    Resolved,
    ResolveFailed,
    SecretMissing,
    SessionClosed,
    SessionUp,
    StartSession,
    Timer,
    UserDown,
    UserUp,
)
from client.tunnel.model import NetworkChange, TunnelUp
from client.tunnel.states import (
    Attempt,
    Blocked,
    Closing,
    Connecting,
    Off,
    Resolving,
    Tunnel,
    Up,
    Waiting,
)
from tests.tunnel.rows import (
    BROKEN,
    DELETED,
    JUDGED,
    LOOKUP,
    MOBILE,
    NEEDED,
    NO_ANSWER,
    NOW,
    REFUSED,
    UNROUTED,
    UNTRUSTED,
    UP_WIFI,
    Row,
    check,
    first,
    standing,
    wanted,
)
from tests.tunnel.worlds import (
    BOTH,
    CONFIG,
    GATEWAY,
    LTE,
    NOTHING,
    OTHER,
    UP,
    WIFI,
    WIFI_ONLY,
)

TAKEN_UP = TunnelUp("roam0", Assigned((ip_interface("192.0.2.10/32"),)))
TAKEN = Failure(
    Kind.ADDRESS_NONE,
    "the gateway assigned 192.0.2.10, which is this computer's own on wifi0",
    hint="Ask the gateway's administrator for another pool of addresses, or connect from another network.",
)

ROWS = [
    # What the user says.
    Row(
        "up starts with the guard and the names",
        Tunnel(CONFIG, network=BOTH),
        UserUp(CONFIG),
        Resolving(NOW + 15),
        LOOKUP,
        {"wanted": True, "steadfast": False},
    ),
    Row("up twice is up once", standing(), UserUp(CONFIG), UP_WIFI),
    Row(
        "up during the back-off tries at once",
        wanted(Waiting(NO_ANSWER, NOW + 60)),
        UserUp(CONFIG),
        Resolving(NOW + 15),
        LOOKUP,
    ),
    Row(
        "up lifts a block",
        wanted(Blocked(REFUSED, guarded=True)),
        UserUp(CONFIG),
        Resolving(NOW + 15),
        LOOKUP,
    ),
    Row(
        "up while closing starts when the cleaning is done",
        Tunnel(CONFIG, Closing(1, NOW + 2)),
        UserUp(CONFIG),
        Closing(1, NOW + 2),
        known={"wanted": True},
    ),
    Row(
        "up with another profile makes the tunnel anew",
        standing(),
        UserUp(replace(CONFIG, full=False)),
        Resolving(NOW + 15),
        (CloseSession(1), *LOOKUP),
        {"up": None},
    ),
    Row(
        "up with other secrets makes the tunnel anew",
        standing(),
        UserUp(CONFIG, renew=True),
        Resolving(NOW + 15),
        (CloseSession(1), *LOOKUP),
    ),
    Row(
        "down tells the gateway first",
        standing(),
        UserDown(),
        Closing(1, NOW + 2),
        (CloseSession(1),),
        {"wanted": False},
    ),
    Row(
        "down by force does not wait for the gateway",
        standing(),
        UserDown(force=True),
        Closing(None),
        (CloseSession(1), DropSession(1), Release()),
    ),
    Row(
        "down without a network has nobody to tell",
        wanted(Waiting(UNROUTED, None, MOBILE)),
        UserDown(),
        Closing(None),
        (DropSession(1), Release()),
    ),
    Row(
        "down while connecting",
        wanted(Connecting(Attempt(1, WIFI))),
        UserDown(),
        Closing(1, NOW + 2),
        (CloseSession(1),),
    ),
    Row(
        "down during the back-off",
        wanted(Waiting(NO_ANSWER, NOW + 60)),
        UserDown(),
        Closing(None),
        (Release(),),
    ),
    Row("down while looking names up", wanted(Resolving(NOW + 15)), UserDown(), Closing(None), (Release(),)),
    Row(
        "down opens the guard of a blocked tunnel",
        wanted(Blocked(REFUSED, guarded=True)),
        UserDown(),
        Closing(None),
        (Release(),),
    ),
    Row(
        "down clears the failure of a tunnel that never stood",
        Tunnel(CONFIG, Blocked(REFUSED, guarded=False)),
        UserDown(),
        Off(),
    ),
    Row("down twice is down once", Tunnel(CONFIG), UserDown(), Off()),
    Row(
        "down again by force ends the waiting",
        Tunnel(CONFIG, Closing(1, NOW + 2)),
        UserDown(force=True),
        Closing(None),
        (DropSession(1), Release()),
    ),
    Row(
        "down drops a replacement too",
        standing(state=replace(UP_WIFI, replacement=Attempt(2, LTE))),
        UserDown(),
        Closing(1, NOW + 2),
        (DropSession(2), CloseSession(1)),
    ),
    Row(
        "a tunnel wanted before a restart waits for its secret behind the guard",
        Tunnel(CONFIG, network=BOTH),
        SecretMissing(CONFIG, NEEDED),
        Blocked(NEEDED, guarded=True, until=NOW + 120),
        (Apply(None), AskSecret(NEEDED)),
        {"wanted": True, "steadfast": True},
    ),
    # From names to a session.
    Row(
        "names lead to the best path",
        first(Resolving(NOW + 15), WIFI_ONLY),
        Resolved((GATEWAY,)),
        Connecting(Attempt(2, WIFI)),
        (StartSession(2, WIFI),),
    ),
    Row(
        "with a second path the first has a short time to answer",
        first(Resolving(NOW + 15)),
        Resolved((GATEWAY,)),
        Connecting(Attempt(2, WIFI, NOW + 4)),
        (StartSession(2, WIFI),),
    ),
    Row(
        "without any network it waits",
        first(Resolving(NOW + 15), NOTHING),
        Resolved((GATEWAY,)),
        Waiting(UNROUTED, None, since=NOW),
    ),
    Row(
        "a name that fails is tried where it was last",
        first(Resolving(NOW + 15), WIFI_ONLY),
        ResolveFailed("timed out"),
        Connecting(Attempt(2, WIFI)),
        (StartSession(2, WIFI),),
    ),
    Row(
        "a name that never was known backs off",
        first(Resolving(NOW + 15), gateways=()),
        ResolveFailed("vpn.example.com: no such name"),
        Waiting(Failure(Kind.NET_NAME, "vpn.example.com: no such name"), NOW + 1, since=NOW),
    ),
    Row(
        "a look-up that never ends is ended",
        first(Resolving(NOW), WIFI_ONLY),
        Timer(),
        Connecting(Attempt(2, WIFI)),
        (StartSession(2, WIFI),),
    ),
    Row(
        "late names only are remembered",
        standing(),
        Resolved((OTHER,)),
        UP_WIFI,
        known={"gateways": (OTHER,)},
    ),
    Row(
        "an answer gives the path all its time",
        first(Connecting(Attempt(1, WIFI, NOW + 4))),
        Answered(1),
        Connecting(Attempt(1, WIFI)),
    ),
    Row(
        "a path without an answer makes room for the next",
        first(Connecting(Attempt(1, WIFI, NOW))),
        Timer(),
        Connecting(Attempt(2, LTE, NOW + 4)),
        (DropSession(1), StartSession(2, LTE)),
        {"avoided": frozenset({WIFI})},
    ),
    Row(
        "when no path answered it backs off",
        first(Connecting(Attempt(1, LTE, NOW)), avoided=frozenset({WIFI})),
        Timer(),
        Waiting(
            Failure(Kind.NET_NO_RESPONSE, "no answer from 203.0.113.1 over wifi0, 203.0.113.1 over lte0"),
            NOW + 1,
            since=NOW,
        ),
        (DropSession(1),),
        {"avoided": frozenset(), "failures": 1},
    ),
    Row(
        "after the back-off it starts with the names",
        wanted(Waiting(NO_ANSWER, NOW)),
        Timer(),
        Resolving(NOW + 15),
        LOOKUP,
    ),
    Row(
        "the only path without an answer backs off",
        first(Connecting(Attempt(1, WIFI)), WIFI_ONLY),
        SessionClosed(1, NO_ANSWER),
        Waiting(NO_ANSWER, NOW + 1, since=NOW),
    ),
    Row(
        "a session that stands is applied",
        first(Connecting(Attempt(1, WIFI))),
        SessionUp(1, True, UP),
        Up(MOBILE, NOW),
        (Apply(UP),),
        {"up": UP},
    ),
    Row(
        "it is up when the machine is",
        first(Up(MOBILE, NOW)),
        Applied(),
        Up(MOBILE, NOW, applied=True),
        known={"steadfast": True},
    ),
    # Refusals.
    Row(
        "a refusal is tried once more",
        first(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, REFUSED),
        Waiting(REFUSED, NOW + 1, since=NOW),
    ),
    Row(
        "a second refusal of a new tunnel leaves nothing behind",
        first(Connecting(Attempt(1, WIFI)), failures=1, refusals=1, last_failure=REFUSED),
        SessionClosed(1, REFUSED),
        Closing(None, outcome=REFUSED),
        (Release(),),
        {"wanted": False},
    ),
    Row(
        "then it is blocked, with the reason",
        first(Closing(None, outcome=REFUSED), wanted=False),
        Applied(),
        Blocked(REFUSED, guarded=False),
    ),
    Row(
        "a password that the gateway has judged is not tried again",
        first(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, JUDGED),
        Closing(None, outcome=JUDGED),
        (Release(),),
    ),
    Row(
        "a refusal of a tunnel that had stood keeps the guard and asks",
        wanted(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, JUDGED),
        Blocked(JUDGED, guarded=True, until=NOW + 120),
        (AskSecret(JUDGED),),
        {"wanted": True},
    ),
    Row(
        "an untrusted gateway blocks",
        wanted(Connecting(Attempt(1, WIFI))),
        SessionClosed(1, UNTRUSTED),
        Blocked(UNTRUSTED, guarded=True),
    ),
    Row(
        "a new path may lead to the right gateway",
        wanted(Blocked(UNTRUSTED, guarded=True), WIFI_ONLY),
        NetworkChange(WIFI_ONLY, BOTH),
        Resolving(NOW + 15),
        LOOKUP,
    ),
    Row(
        "a path less does not",
        wanted(Blocked(UNTRUSTED, guarded=True)),
        NetworkChange(BOTH, WIFI_ONLY),
        Blocked(UNTRUSTED, guarded=True),
    ),
    Row(
        "a new path does not mend a password",
        wanted(Blocked(JUDGED, guarded=True), WIFI_ONLY),
        NetworkChange(WIFI_ONLY, BOTH),
        Blocked(JUDGED, guarded=True),
    ),
    # The machine.
    Row(
        "a machine that cannot be changed is tried once more",
        first(Up(MOBILE, NOW), up=UP),
        ApplyFailed(BROKEN),
        Waiting(BROKEN, NOW + 1, since=NOW),
        (CloseSession(1),),
        {"up": None},
    ),
    Row(
        "a guard that cannot be set ends a first attempt",
        first(Connecting(Attempt(1, WIFI)), failures=1, refusals=1, last_failure=BROKEN),
        ApplyFailed(BROKEN),
        Closing(None, outcome=BROKEN),
        (CloseSession(1), Release()),
    ),
    Row("cleaning done", Tunnel(CONFIG, Closing(None)), Applied(), Off()),
    Row("cleaning done while wanted again", wanted(Closing(None)), Applied(), Resolving(NOW + 15), LOOKUP),
    Row(
        "cleaning failed is over too",
        Tunnel(CONFIG, Closing(None)),
        ApplyFailed(BROKEN),
        Off(),
        known={"last_failure": BROKEN},
    ),
    Row(
        "the gateway has answered the Delete",
        Tunnel(CONFIG, Closing(1, NOW + 2)),
        SessionClosed(1, DELETED),
        Closing(None),
        (Release(),),
    ),
    Row(
        "a dead gateway does not answer the Delete",
        Tunnel(CONFIG, Closing(1, NOW)),
        Timer(),
        Closing(None),
        (DropSession(1), Release()),
    ),
    Row(
        "a dead data path costs the session but not the wish",
        standing(),
        DataPathGone("the pump is gone"),
        Resolving(NOW + 15),
        (DropSession(1), Apply(None), *LOOKUP),
        {"up": None},
    ),
    Row(
        "an inside address that is our own on an uplink is refused",
        wanted(Connecting(Attempt(1, WIFI))),
        SessionUp(1, True, TAKEN_UP),
        Waiting(TAKEN, NOW + 1, None, NOW),
        (CloseSession(1),),
        {"up": None},
    ),
    Row(
        "a fault of our own costs the session, and what is wanted waits behind its guard",
        standing(),
        Crashed(BROKEN),
        Waiting(BROKEN, NOW + 1, None, NOW),
        (Apply(None),),
        {"up": None, "wanted": True},
    ),
    Row(
        "faults of our own that are a pattern leave it to the user",
        standing(),
        Crashed(replace(BROKEN, final=True)),
        Blocked(replace(BROKEN, final=True), guarded=True),
        (Apply(None),),
    ),
    Row(
        "a fault of our own on the way down ends the way",
        Tunnel(CONFIG, Closing(1, NOW + 2)),
        Crashed(BROKEN),
        Closing(None),
        (Release(),),
    ),
    Row("a fault of our own changes nothing of a tunnel that is off", Tunnel(CONFIG), Crashed(BROKEN), Off()),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_table(row: Row) -> None:
    check(row)


def test_ids_are_unique() -> None:
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids))
