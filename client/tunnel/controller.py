"""The tunnel's state machine: what the user wants and what happens decide what is done.  Pure.

`step` is the only entry.  Each event has one function below that tells what it means in which state; what
goes on over several events stands in `attempts` (from a wish to a session) and `roaming` (after the network).
What an event says of a session that the state does not count on any more is ignored: closed sessions finish
in the background.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from ..ike.events import Failure, Kind
from .assignment import usable
from .attempts import (
    attempt_closed,
    attempt_unanswered,
    begin,
    begin_fresh,
    connect,
    failed,
    finish,
    give_up,
    holds_back,
    lost,
    not_answered,
    release,
)
from .events import (
    Answered,
    Applied,
    Apply,
    ApplyFailed,
    CloseSession,
    Command,
    Crashed,
    DataPathGone,
    Doubt,
    DropSession,
    Event,
    Moved,
    NotAnswered,
    NotMoved,
    OtherAddresses,
    Probe,
    Reauthenticate,
    Resolved,
    ResolveFailed,
    SecretMissing,
    SessionClosed,
    SessionUp,
    Slept,
    Timer,
    UserDown,
    UserUp,
)
from .model import NetworkChange
from .roaming import (
    doubt,
    doubt_over,
    moved,
    network_changed,
    not_moved,
    reauthenticate,
    replacement_closed,
    roam,
    standing_timer,
)
from .states import (
    Attempt,
    Blocked,
    Closing,
    Connecting,
    Leg,
    Moving,
    Off,
    Resolving,
    Tunnel,
    Up,
    Waiting,
    live_legs,
)
from .turn import Turn

CLOSE_TIME = 2.0
"""Seconds that a gateway has to answer our Delete; `down` must be over after 3, the cleaning included."""


def step(tunnel: Tunnel, event: Event, now: float, chance: float = 0.0) -> tuple[Tunnel, list[Command]]:
    """Decide, touching nothing: the shell carries the commands out, in order.

    `now` is in seconds of the clock of all deadlines; `chance` from [0, 1) is the jitter of a delay.
    """
    turn = Turn(tunnel, now, chance)
    _dispatch(turn, event)
    return turn.tunnel, turn.commands


def _dispatch(turn: Turn, event: Event) -> None:
    match event:
        case UserUp():
            _user_up(turn, event)
        case UserDown(force):
            _user_down(turn, force=force)
        case SecretMissing():
            _secret_missing(turn, event)
        case NotAnswered():
            if isinstance(turn.tunnel.state, Blocked) and turn.tunnel.state.until is not None:
                not_answered(turn, turn.tunnel.state)
        case Reauthenticate():
            if isinstance(turn.tunnel.state, Up):
                reauthenticate(turn, turn.tunnel.state)
        case NetworkChange():
            network_changed(turn, event)
        case Resolved(addresses):
            turn.know(gateways=addresses)
            if isinstance(turn.tunnel.state, Resolving):
                connect(turn)
        case ResolveFailed(evidence):
            _resolve_failed(turn, evidence)
        case Answered(leg):
            _answered(turn, leg)
        case SessionUp():
            _session_up(turn, event)
        case Moved(leg) | NotMoved(leg):
            _move_decided(turn, leg, agreed=isinstance(event, Moved))
        case Doubt():
            _doubt(turn, event)
        case OtherAddresses(leg, addresses):
            if leg in live_legs(turn.tunnel.state):
                turn.know(peer_addresses=addresses)
        case SessionClosed(leg, failure):
            _session_closed(turn, leg, failure)
        case DataPathGone(evidence):
            _data_path_gone(turn, evidence)
        case Crashed(failure):
            _crashed(turn, failure)
        case Applied():
            _applied(turn)
        case ApplyFailed(failure):
            _apply_failed(turn, failure)
        case Slept():
            _slept(turn)
        case Timer():
            _timer(turn)
        case _:
            assert_never(event)


def _user_up(turn: Turn, event: UserUp) -> None:
    tunnel = turn.tunnel
    is_same = tunnel.wanted and not event.renew and tunnel.config == event.config
    steadfast = event.restored or (tunnel.wanted and tunnel.steadfast)
    turn.know(config=event.config, wanted=True, steadfast=steadfast, unjudged=0)
    match tunnel.state:
        case Closing() as state:
            turn.enter(replace(state, outcome=None))  # goes on from nothing when the cleaning is done
        case Off() | Blocked() | Waiting(leg=None):
            begin_fresh(turn)
        case _ if not is_same:
            turn.do(*(CloseSession(leg) for leg in sorted(live_legs(tunnel.state))))
            turn.know(up=None, gateways=())
            begin_fresh(turn)
        case _:
            pass


def _secret_missing(turn: Turn, event: SecretMissing) -> None:
    """Asked for before anything is begun; while something is under way nobody asks."""
    if isinstance(turn.tunnel.state, Off | Blocked):
        steadfast = event.restored or (turn.tunnel.wanted and turn.tunnel.steadfast)
        turn.know(config=event.config, wanted=True, steadfast=steadfast)
        turn.do(Apply(None))
        give_up(turn, event.failure)


def _user_down(turn: Turn, *, force: bool) -> None:
    turn.know(wanted=False, steadfast=False)
    match turn.tunnel.state:
        case Off():
            pass
        case Blocked(guarded=False):
            turn.enter(Off())
        case Closing(leg, until):
            turn.enter(Closing(leg, until))
            if force and leg is not None:
                turn.do(DropSession(leg))
                release(turn)
        case Waiting(leg=Leg(id=number)):
            turn.do(DropSession(number))  # no network: nobody would hear a Delete
            release(turn)
        case Connecting(attempt):
            _close(turn, attempt.id, force=force)
        case Up(leg=leg, replacement=other) | Moving(leg=leg, replacement=other):
            if other is not None:
                turn.do(DropSession(other.id))
            _close(turn, leg.id, force=force)
        case Resolving() | Blocked() | Waiting():
            release(turn)


def _close(turn: Turn, leg: int, *, force: bool) -> None:
    turn.do(CloseSession(leg))
    if force:
        turn.do(DropSession(leg))
        release(turn)
    else:
        turn.enter(Closing(leg, turn.now + CLOSE_TIME))


def _resolve_failed(turn: Turn, evidence: str) -> None:
    if not isinstance(turn.tunnel.state, Resolving):
        return
    if turn.tunnel.gateways:
        connect(turn)  # where the gateway was last is the best guess
    elif not turn.tunnel.network.addresses:
        turn.wait_for_network(None)
    else:
        failed(turn, Failure(Kind.NET_NAME, evidence))


def _answered(turn: Turn, leg: int) -> None:
    match turn.tunnel.state:
        case Connecting(Attempt(id=number) as attempt) if number == leg:
            turn.enter(Connecting(replace(attempt, until=None)))
        case Up(replacement=Attempt(id=number) as attempt) as state if number == leg:
            turn.enter(replace(state, replacement=replace(attempt, until=None)))
        case Moving(replacement=Attempt(id=number) as attempt) as state if number == leg:
            turn.enter(replace(state, replacement=replace(attempt, until=None)))
        case _:
            pass


def _session_up(turn: Turn, event: SessionUp) -> None:
    match turn.tunnel.state:
        case Connecting(Attempt(id=number) as attempt) if number == event.leg:
            pass
        case Up(leg=old, replacement=Attempt(id=number) as attempt) if number == event.leg:
            turn.do(CloseSession(old.id))
        case Moving(leg=old, replacement=Attempt(id=number) as attempt) if number == event.leg:
            turn.do(CloseSession(old.id))
        case _:
            return
    up = usable(event.up, turn.tunnel.network, attempt.underlay)
    if isinstance(up, Failure):
        turn.do(CloseSession(attempt.id))
        turn.know(up=None)
        failed(turn, up)
        return
    # A session that replaces another one with the same addresses needs nothing more for traffic to flow.
    is_applied = isinstance(turn.tunnel.state, Up | Moving) and turn.tunnel.up == up
    turn.know(up=up, peer_addresses=())
    turn.enter(Up(Leg(attempt.id, attempt.underlay, event.mobike), turn.now, applied=is_applied))
    turn.do(Apply(up))


def _move_decided(turn: Turn, leg: int, *, agreed: bool) -> None:
    state = turn.tunnel.state
    if not isinstance(state, Moving) or state.leg.id != leg:
        return
    if agreed:
        moved(turn, state)
    else:
        not_moved(turn, state)


def _doubt(turn: Turn, event: Doubt) -> None:
    state = turn.tunnel.state
    if not isinstance(state, Up | Moving) or state.leg.id != event.leg:
        return
    if event.active:
        doubt(turn, state, since=event.since, hinted=event.hinted)
    else:
        doubt_over(turn, state)


def _session_closed(turn: Turn, leg: int, failure: Failure) -> None:
    match turn.tunnel.state:
        case Connecting(Attempt(id=number)) as state if number == leg:
            attempt_closed(turn, state, failure)
        case Up() | Moving() as state if state.leg.id == leg:
            if state.replacement is None:
                lost(turn, failure, state.since)
            else:
                turn.know(last_failure=failure)
                turn.enter(Connecting(state.replacement))
        case Up() | Moving() as state if state.replacement is not None and state.replacement.id == leg:
            replacement_closed(turn, state, failure)
        case Waiting(leg=Leg(id=number)) as state if number == leg:
            turn.enter(replace(state, leg=None))
        case Closing(leg=number, outcome=outcome) if number == leg:
            release(turn, outcome)
        case _:
            pass


def _data_path_gone(turn: Turn, evidence: str) -> None:
    state = turn.tunnel.state
    if not turn.tunnel.wanted or isinstance(state, Closing):
        return
    turn.do(*(DropSession(leg) for leg in sorted(live_legs(state))), Apply(None))
    turn.know(up=None)
    failure = Failure(Kind.LOCAL_FAULT, evidence)
    match state:
        case Up(since=since) | Moving(since=since):
            lost(turn, failure, since)
        case Waiting(leg=Leg()):
            turn.enter(replace(state, leg=None))
        case Connecting():
            failed(turn, failure)
        case _:
            pass  # no session of ours was on it


def _crashed(turn: Turn, failure: Failure) -> None:
    """Nothing is left of the sessions.  What is wanted stays guarded, and is tried again later."""
    match turn.tunnel.state:
        case Off() | Blocked():
            pass
        case Closing(outcome=outcome):
            release(turn, outcome)
        case _ if not turn.tunnel.wanted:
            release(turn)
        case _:
            turn.know(up=None)
            turn.do(Apply(None))
            failed(turn, failure)


def _applied(turn: Turn) -> None:
    match turn.tunnel.state:
        case Closing(leg=None) as state:
            finish(turn, state)
        case Up() as state:
            standing = replace(state, applied=True)
            turn.know(steadfast=True, refusals=0, unjudged=0, last_failure=None)
            turn.enter(standing)
            roam(turn, standing)
        case Moving() | Waiting(leg=Leg()):
            turn.know(steadfast=True)
        case _:
            pass


def _apply_failed(turn: Turn, failure: Failure) -> None:
    match turn.tunnel.state:
        case Closing(leg=None) as state:
            turn.know(last_failure=failure)
            finish(turn, state)
        case Off() | Blocked() | Closing():
            pass
        case state:
            turn.do(*(CloseSession(leg) for leg in sorted(live_legs(state))))
            turn.know(up=None)
            failed(turn, failure)


def _slept(turn: Turn) -> None:
    match turn.tunnel.state:
        case Up(leg=leg):
            turn.do(Probe(leg.id))
        case Waiting(failure, until=float()) if not (failure.unjudged and holds_back(turn)):
            begin(turn)
        case _:
            pass


def _timer(turn: Turn) -> None:
    match turn.tunnel.state:
        case Connecting(Attempt(until=float(until))) as state if until <= turn.now:
            attempt_unanswered(turn, state)
        case Up() | Moving() as state:
            standing_timer(turn, state)
        case Waiting(until=float(until)) if until <= turn.now:
            begin(turn)
        case Blocked(until=float(until)) as state if until <= turn.now:
            not_answered(turn, state)
        case Resolving(until) if until <= turn.now:
            _resolve_failed(turn, "looking the gateway's names up took too long")
        case Closing(leg=int(leg), until=float(until), outcome=outcome) if until <= turn.now:
            turn.do(DropSession(leg))
            release(turn, outcome)
        case _:
            pass
