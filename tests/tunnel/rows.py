"""Rows of the controller's table, and the tunnels that they begin with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from client.ike.events import Failure, Kind
from client.tunnel.controller import step
from client.tunnel.events import (
    Apply,
    Command,
    Event,
    Resolve,
)
from client.tunnel.model import NetworkState
from client.tunnel.states import (
    Leg,
    Moving,
    State,
    Tunnel,
    Up,
)
from tests.tunnel.worlds import (
    BOTH,
    CONFIG,
    GATEWAY,
    LTE,
    UP,
    WIFI,
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
UNANSWERED = Failure(Kind.AUTH_NEEDS_SECRET, "what the gateway asked for was not answered", final=True)

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


def check(row: Row) -> None:
    """One step leads where the row says."""
    tunnel, commands = step(row.tunnel, row.event, NOW)
    assert tunnel.state == row.want_state
    assert tuple(commands) == row.want_commands
    assert {name: getattr(tunnel, name) for name in row.known} == row.known
