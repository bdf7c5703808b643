"""The controller's table: in this state, after this event, that state and those commands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from client.ike.events import Failure, Kind
from client.tunnel.controller import step
from client.tunnel.events import (
    Answered,
    Applied,
    Apply,
    ApplyFailed,
    AskSecret,
    CloseSession,
    Command,
    DataPathGone,
    Doubt,
    DropSession,
    Event,
    Moved,
    MoveSession,
    NotMoved,
    Probe,
    Release,
    Resolve,
    Resolved,
    ResolveFailed,
    SecretMissing,
    SessionClosed,
    SessionUp,
    Slept,
    StartSession,
    Timer,
    UserDown,
    UserUp,
)
from client.tunnel.model import NetworkChange, NetworkState
from client.tunnel.states import (
    Attempt,
    Blocked,
    Closing,
    Connecting,
    Leg,
    Moving,
    Off,
    Resolving,
    State,
    Tunnel,
    Up,
    Waiting,
)
from tests.tunnel.worlds import (
    BOTH,
    CONFIG,
    GATEWAY,
    LTE,
    LTE_ONLY,
    NOTHING,
    OTHER,
    UP,
    WIFI,
    WIFI_ONLY,
    network,
    only_to,
    over_wifi,
)

NOW = 1000.0
NO_ANSWER = Failure(Kind.NET_NO_RESPONSE, "no answer from 203.0.113.1:500")
REFUSED = Failure(Kind.AUTH_REJECTED, "the gateway answered IKE_AUTH with AUTHENTICATION_FAILED")
JUDGED = Failure(Kind.AUTH_REJECTED, "user name or password is wrong (E=691)", final=True)
UNTRUSTED = Failure(Kind.TRUST_UNKNOWN_CA, "issued by Somebody Else CA")
DELETED = Failure(Kind.PEER_DELETED, "the gateway deleted the SA")
BROKEN = Failure(Kind.LOCAL_FAULT, "Operation not permitted")
UNROUTED = Failure(Kind.NET_NO_PATH, "no connected network has a route to vpn.example.com")
NEEDED = Failure(Kind.AUTH_NEEDS_SECRET, "the password of office")

LOOKUP = (Apply(None), Resolve(CONFIG.gateways))
LOOKUP_UP = (Apply(UP), Resolve(CONFIG.gateways))


def wanted(state: State, network: NetworkState = BOTH, **known: object) -> Tunnel:
    """A tunnel that the user wants, which had stood before."""
    base = Tunnel(CONFIG, state, wanted=True, steadfast=True, network=network, gateways=(GATEWAY,))
    return replace(base, **{"next_leg": 2, **known})  # type: ignore[arg-type]


def first(state: State, network: NetworkState = BOTH, **known: object) -> Tunnel:
    """A tunnel that the user has just asked for."""
    return wanted(state, network, **{"steadfast": False, **known})


def standing(network: NetworkState = BOTH, state: State | None = None, **known: object) -> Tunnel:
    """A tunnel that is up over Wi-Fi with MOBIKE."""
    return wanted(state or UP_WIFI, network, **{"up": UP, **known})


MOBILE = Leg(1, WIFI, mobike=True)
FIXED = Leg(1, WIFI, mobike=False)
UP_WIFI = Up(MOBILE, 0.0, applied=True)
UP_FIXED = Up(FIXED, 0.0, applied=True)
UP_LTE = Up(Leg(1, LTE, mobike=True), 0.0, applied=True)
TO_LTE = Moving(Leg(1, LTE, mobike=True), 0.0, origin=WIFI, doubt_at=NOW + 10)


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    id: str
    tunnel: Tunnel
    event: Event
    want_state: State
    want_commands: tuple[Command, ...] = ()
    known: dict[str, object] = field(default_factory=dict)


ROWS = [
    # What the user says.
    Row(
        "up starts with the guard and the names",
        Tunnel(CONFIG, network=BOTH),
        UserUp(CONFIG),
        Resolving(),
        LOOKUP,
        {"wanted": True, "steadfast": False},
    ),
    Row("up twice is up once", standing(), UserUp(CONFIG), UP_WIFI),
    Row(
        "up during the back-off tries at once",
        wanted(Waiting(NO_ANSWER, NOW + 60)),
        UserUp(CONFIG),
        Resolving(),
        LOOKUP,
    ),
    Row("up lifts a block", wanted(Blocked(REFUSED, guarded=True)), UserUp(CONFIG), Resolving(), LOOKUP),
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
        Resolving(),
        (CloseSession(1), *LOOKUP),
        {"up": None},
    ),
    Row(
        "up with other secrets makes the tunnel anew",
        standing(),
        UserUp(CONFIG, renew=True),
        Resolving(),
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
    Row("down while looking names up", wanted(Resolving()), UserDown(), Closing(None), (Release(),)),
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
        Blocked(NEEDED, guarded=True),
        (Apply(None), AskSecret(NEEDED)),
        {"wanted": True, "steadfast": True},
    ),
    # From names to a session.
    Row(
        "names lead to the best path",
        first(Resolving(), WIFI_ONLY),
        Resolved((GATEWAY,)),
        Connecting(Attempt(2, WIFI)),
        (StartSession(2, WIFI),),
    ),
    Row(
        "with a second path the first has a short time to answer",
        first(Resolving()),
        Resolved((GATEWAY,)),
        Connecting(Attempt(2, WIFI, NOW + 4)),
        (StartSession(2, WIFI),),
    ),
    Row(
        "without any network it waits",
        first(Resolving(), NOTHING),
        Resolved((GATEWAY,)),
        Waiting(UNROUTED, None, since=NOW),
    ),
    Row(
        "a name that fails is tried where it was last",
        first(Resolving(), WIFI_ONLY),
        ResolveFailed("timed out"),
        Connecting(Attempt(2, WIFI)),
        (StartSession(2, WIFI),),
    ),
    Row(
        "a name that never was known backs off",
        first(Resolving(), gateways=()),
        ResolveFailed("vpn.example.com: no such name"),
        Waiting(Failure(Kind.NET_NAME, "vpn.example.com: no such name"), NOW + 1, since=NOW),
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
        Resolving(),
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
        Blocked(JUDGED, guarded=True),
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
        Resolving(),
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
    Row("cleaning done while wanted again", wanted(Closing(None)), Applied(), Resolving(), LOOKUP),
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
        Resolving(),
        (DropSession(1), Apply(None), *LOOKUP),
        {"up": None},
    ),
    # What the gateway does to a session that stands.
    Row(
        "a deleted session is made anew at once",
        standing(),
        SessionClosed(1, DELETED),
        Resolving(),
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
        Up(Leg(2, LTE, mobike=True), NOW),
        (CloseSession(1), Apply(UP)),
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
        Blocked(JUDGED, guarded=True),
        (CloseSession(1), AskSecret(JUDGED)),
    ),
    Row(
        "a replacement that fails is tried again later",
        standing(state=replace(UP_WIFI, doubt_at=NOW, replacement=Attempt(2, WIFI))),
        SessionClosed(2, NO_ANSWER),
        replace(UP_WIFI, doubt_at=NOW + 1),
    ),
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
        Resolving(),
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
    Row("sleep ends the back-off", wanted(Waiting(NO_ANSWER, NOW + 60)), Slept(3600), Resolving(), LOOKUP),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_table(row: Row) -> None:
    tunnel, commands = step(row.tunnel, row.event, NOW)
    assert tunnel.state == row.want_state
    assert tuple(commands) == row.want_commands
    assert {name: getattr(tunnel, name) for name in row.known} == row.known


def test_ids_are_unique() -> None:
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids))
