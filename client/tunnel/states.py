"""The states of a tunnel, and all that the controller remembers of one.  Intent (`wanted`) is not a state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..ike.events import Address, Failure
from .model import NetworkState, TunnelConfig, TunnelUp, Underlay


@dataclass(frozen=True, slots=True)
class Leg:
    """One IKE session by its number in this tunnel, and the outer addresses it uses."""

    id: int
    underlay: Underlay
    mobike: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A session being set up; `until` is when another path is tried, unless the gateway has answered."""

    id: int
    underlay: Underlay
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Off:
    """Nothing is wanted, and nothing of this tunnel is on the machine."""


@dataclass(frozen=True, slots=True)
class Resolving:
    """The gateway's names are being looked up; `until` is when we go on without an answer."""

    until: float


@dataclass(frozen=True, slots=True)
class Connecting:
    """A session is being set up."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Up:
    """A session stands.

    `doubt_at` is when a replacement is tried beside it, because the gateway stopped to answer.
    """

    leg: Leg
    since: float
    applied: bool = False  # addresses and routes are in place: traffic flows
    doubt_at: float | None = None
    replacement: Attempt | None = None


@dataclass(frozen=True, slots=True)
class Moving:
    """The session has new addresses, or a new one is set up on them; the gateway has not agreed yet.

    `back_at` is when we return to `origin` where that path still exists: the better one does not carry.
    """

    leg: Leg
    since: float
    origin: Underlay
    back_at: float | None = None
    doubt_at: float | None = None
    replacement: Attempt | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """No network (`until` None), or before the next attempt.  With a `leg`, the SAs are kept meanwhile."""

    failure: Failure
    until: float | None = None
    leg: Leg | None = None
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Blocked:
    """It needs the user.  `guarded`: it is still wanted, so selected traffic goes nowhere meanwhile.

    `until` is when a question to the user is void; what has never stood is given up then.
    """

    failure: Failure
    guarded: bool
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """On the way to nothing; `leg` None: the session is gone, the machine is being cleaned.

    `outcome` is why the tunnel ends up `Blocked`; None: the user's wish.
    """

    leg: int | None
    until: float | None = None
    outcome: Failure | None = None


TRANSITIONS: Mapping[type, frozenset[type]] = {
    Off: frozenset({Resolving, Blocked}),
    Resolving: frozenset({Connecting, Waiting, Blocked, Closing}),
    Connecting: frozenset({Resolving, Up, Waiting, Blocked, Closing}),
    Up: frozenset({Resolving, Connecting, Moving, Waiting, Blocked, Closing}),
    Moving: frozenset({Resolving, Connecting, Up, Waiting, Blocked, Closing}),
    Waiting: frozenset({Resolving, Up, Moving, Blocked, Closing}),
    Blocked: frozenset({Resolving, Off, Closing}),
    Closing: frozenset({Resolving, Off, Blocked}),
}
"""Where each state may lead; staying in one is always possible."""

State = Off | Resolving | Connecting | Up | Moving | Waiting | Blocked | Closing
Standing = Up | Moving


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Everything that the controller knows of one tunnel."""

    config: TunnelConfig
    state: State = field(default_factory=Off)
    wanted: bool = False
    steadfast: bool = False
    """It has stood since the user's `up`, or was wanted before a restart: failures do not end the wish."""
    network: NetworkState = field(default_factory=NetworkState)
    gateways: tuple[Address, ...] = ()
    peer_addresses: tuple[Address, ...] = ()
    """Where the present gateway can be reached too, as it said (RFC 4555 section 3.4)."""
    avoided: frozenset[Underlay] = frozenset()
    """Paths that exist but did not carry; forgotten when they vanish, when a round is over, or on success."""
    failures: int = 0
    refusals: int = 0
    """Failures in a row altogether, and of the kind of the last one."""
    last_failure: Failure | None = None
    unjudged: int = 0
    """Logins in a row in which a password left and no answer came, over networks; a user's `up` begins again."""
    up: TunnelUp | None = None
    """What the machine was last told that this tunnel carries."""
    next_leg: int = 1


def next_deadline(state: State) -> float | None:
    """When the controller wants a `Timer` event, if nothing happens before."""
    match state:
        case Connecting(attempt):
            return attempt.until
        case Up() | Moving():
            return _standing_deadline(state)
        case Waiting(until=until) | Closing(until=until) | Resolving(until=until) | Blocked(until=until):
            return until
        case Off():
            return None


def _standing_deadline(state: Standing) -> float | None:
    if state.replacement is not None:
        return state.replacement.until
    back_at = state.back_at if isinstance(state, Moving) else None
    return min((at for at in (back_at, state.doubt_at) if at is not None), default=None)


def live_legs(state: State) -> frozenset[int]:
    """Numbers of the sessions that the controller counts on; others are on their way out."""
    match state:
        case Connecting(attempt):
            return frozenset({attempt.id})
        case Up(leg=leg, replacement=other) | Moving(leg=leg, replacement=other):
            return frozenset({leg.id} if other is None else {leg.id, other.id})
        case Waiting(leg=Leg(id=number)):
            return frozenset({number})
        case Closing(leg=int(number)):
            return frozenset({number})
        case _:
            return frozenset()
