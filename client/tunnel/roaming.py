"""Following the network: where a standing session goes, and what replaces it when it cannot be taken along.

A session moves by MOBIKE where the gateway agreed to it; else a new one is set up beside it and takes over
when it stands (make before break).  A path is left for one on a better interface, not for another on its own.
"""

from __future__ import annotations

from dataclasses import replace

from ..ike.events import Address, Failure
from .assignment import clashes, usable
from .attempts import (
    answer_time,
    begin_fresh,
    connect,
    count_unjudged,
    failed,
    give_up,
    holds_back,
    may_retry,
)
from .backoff import TREATMENTS, UNJUDGED, delay
from .events import Apply, CloseSession, DropSession, MoveSession, Probe, Resolve, StartSession
from .model import NetworkChange, Underlay
from .states import Blocked, Connecting, Leg, Moving, Resolving, Standing, Up, Waiting, live_legs
from .turn import Turn

DEGRADED_AFTER = 10.0
"""Seconds without an answer after which a new session is tried beside the old one (DESIGN 8)."""

HINTED_AFTER = 3.0
"""The same where an unauthenticated message says that the gateway does not know us: time for a few probes."""

RETURN_AFTER = 3.0
"""Seconds that a better path has to carry before we return to the old one, where that still exists."""


def network_changed(turn: Turn, change: NetworkChange) -> None:
    """Follow the network, whatever state the tunnel is in."""
    before = _ways(turn)
    turn.know(network=change.new)
    after = _ways(turn)
    paths = turn.paths_to(turn.tunnel.gateways)
    turn.know(avoided=turn.tunnel.avoided.intersection(paths))
    is_fresh = bool(after - before)
    _yield_addresses(turn)
    match turn.tunnel.state:
        case Up() | Moving() as state:
            if _keeps_an_address(turn, state.leg):
                roam(turn, state)
        case Connecting(attempt) as state if not _is_usable(turn, attempt.underlay):
            turn.do(DropSession(attempt.id))
            connect(turn)
        case Waiting(leg=Leg() as leg, since=since):
            if _keeps_an_address(turn, leg):
                _regain(turn, leg, since)
        case Waiting(failure) if is_fresh and not (failure.unjudged and holds_back(turn)):
            begin_fresh(turn)
        case Blocked(failure, guarded=True) if is_fresh and TREATMENTS[failure.kind].new_path:
            begin_fresh(turn)
        case Resolving() if is_fresh:
            turn.do(Resolve(turn.tunnel.config.gateways))
        case _:
            pass


def _yield_addresses(turn: Turn) -> None:
    """Those that a lost session has left for its successor, where they are in use: that may get others."""
    state, up = turn.tunnel.state, turn.tunnel.up
    is_waiting = isinstance(state, Waiting) and state.leg is None
    is_between = is_waiting or isinstance(state, Resolving | Connecting | Blocked)
    if is_between and up is not None and clashes(up, turn.tunnel.network):
        turn.know(up=None)
        turn.do(Apply(None))


def _keeps_an_address(turn: Turn, leg: Leg) -> bool:
    """Use of the gateway's assignment what this network leaves of it; False where that is nothing.

    An inside address that is in use here would turn the guard against the packets that carry the tunnel.  Another
    session may get another one; where it does not, the next network is waited for.
    """
    before = turn.tunnel.up
    if before is None:
        return True
    found = usable(before, turn.tunnel.network, leg.underlay)
    if isinstance(found, Failure):
        turn.do(*(CloseSession(number) for number in sorted(live_legs(turn.tunnel.state))), Apply(None))
        turn.know(up=None, failures=0)
        failed(turn, found)
        return False
    turn.know(up=found)
    if found != before:
        turn.do(Apply(found))
    return True


def _ways(turn: Turn) -> set[object]:
    """What tells a new path: the paths themselves, or our addresses while the gateway's are not known."""
    if turn.tunnel.gateways:
        return set(turn.paths_to(turn.tunnel.gateways))
    network = turn.tunnel.network
    return {entry.interface for entry in network.addresses if network.has_address(entry.interface.ip)}


def _same_gateway(turn: Turn, leg: Leg) -> tuple[Address, ...]:
    return (leg.underlay.remote, *turn.tunnel.peer_addresses)


def _paths(turn: Turn, leg: Leg) -> tuple[Underlay, ...]:
    return turn.paths_to((*_same_gateway(turn, leg), *turn.tunnel.gateways))


def _is_usable(turn: Turn, path: Underlay) -> bool:
    """Whether the address is still there, and its interface still leads to the gateway."""
    if not turn.tunnel.network.has_address(path.local):
        return False
    return any(other.interface == path.interface for other in turn.paths_to((path.remote,)))


def roam(turn: Turn, state: Standing) -> None:
    """Leave a path that is gone, or one that is worse than the best."""
    state = _without_dead_replacement(turn, state)
    paths = _paths(turn, state.leg)
    if not paths:
        _lose_network(turn, state)
        return
    heading = (state.leg.underlay, *(() if state.replacement is None else (state.replacement.underlay,)))
    usable = {path.interface for path in heading if _is_usable(turn, path)}
    best = (turn.untried(paths) or paths)[0]
    if best.interface in usable or (usable and best in turn.tunnel.avoided):
        return
    target = _choose(turn, state.leg, best.interface, paths)
    move(turn, state, target, _why(turn, state.leg.underlay, target))


def _why(turn: Turn, here: Underlay, target: Underlay) -> str:
    """What a person is told about a move."""
    if _is_usable(turn, here):
        return f"{target.interface} is better"
    if target.interface != here.interface:
        return f"{here.interface} is gone"
    if turn.tunnel.network.has_address(here.local):
        return f"{here.remote} cannot be reached over {here.interface}"
    return f"address {here.local} is gone"


def _without_dead_replacement(turn: Turn, state: Standing) -> Standing:
    if state.replacement is None or _is_usable(turn, state.replacement.underlay):
        return state
    turn.do(DropSession(state.replacement.id))
    alone = replace(state, replacement=None)
    rested = _as_up(alone) if _is_beside(alone) else alone
    turn.enter(rested)
    return rested


def _is_beside(state: Standing) -> bool:
    """Whether the session itself stays where it is while a new one is set up elsewhere."""
    return isinstance(state, Moving) and state.origin == state.leg.underlay


def _choose(turn: Turn, leg: Leg, interface: str, paths: tuple[Underlay, ...]) -> Underlay:
    """The path over `interface`: to the same address of the gateway if possible, else to another of its."""
    known = _same_gateway(turn, leg)
    there = [path for path in turn.untried(paths) or paths if path.interface == interface]
    return min(there, key=lambda path: known.index(path.remote) if path.remote in known else len(known))


def _lose_network(turn: Turn, state: Standing) -> None:
    if state.replacement is not None:
        turn.do(DropSession(state.replacement.id))
    turn.wait_for_network(state.leg)


def _regain(turn: Turn, leg: Leg, since: float) -> None:
    """There is a network again: take the kept session there."""
    paths = _paths(turn, leg)
    if not paths:
        return
    standing = Up(leg, since, applied=True)
    if not leg.mobike and _is_usable(turn, leg.underlay):
        turn.enter(standing)
        turn.do(Probe(leg.id))
        return
    best = (turn.untried(paths) or paths)[0]
    move(turn, standing, _choose(turn, leg, best.interface, paths), "the network is back")


def move(turn: Turn, state: Standing, target: Underlay, trigger: str) -> None:
    """Take the session to another path, or set a new one up there."""
    leg = state.leg
    if not leg.mobike or target.remote not in _same_gateway(turn, leg):
        _replace_on(turn, _as_moving(state), target, trigger)
        return
    if state.replacement is not None:
        turn.do(DropSession(state.replacement.id))
    back_at = turn.now + RETURN_AFTER if _is_usable(turn, leg.underlay) else None
    turn.enter(
        Moving(
            replace(leg, underlay=target),
            state.since,
            origin=leg.underlay,
            back_at=back_at,
            doubt_at=turn.now + DEGRADED_AFTER,
        )
    )
    turn.do(MoveSession(leg.id, target, trigger))


def _as_moving(state: Standing) -> Moving:
    if isinstance(state, Moving):
        return replace(state, back_at=None)
    return Moving(state.leg, state.since, state.leg.underlay, None, state.doubt_at, state.replacement)


def _as_up(state: Standing) -> Up:
    return Up(state.leg, state.since, applied=not isinstance(state, Up) or state.applied)


def _replace_on(
    turn: Turn, state: Standing, target: Underlay, trigger: str, until: float | None = None
) -> None:
    if state.replacement is not None:
        turn.do(DropSession(state.replacement.id))
    attempt = turn.attempt(target, until)
    turn.enter(replace(state, replacement=attempt))
    turn.do(StartSession(attempt.id, target, trigger))


def moved(turn: Turn, state: Moving) -> None:
    """The gateway has agreed to the new addresses."""
    if state.replacement is not None:
        turn.do(DropSession(state.replacement.id))
    standing = _as_up(state)
    turn.enter(standing)
    roam(turn, standing)


def not_moved(turn: Turn, state: Moving) -> None:
    """The new path cannot be used: back, or to another one, or anew."""
    turn.avoid(state.leg.underlay)
    others = turn.untried(_paths(turn, state.leg))
    if not others:
        start_replacement(turn, state)
        return
    is_origin_left = state.origin != state.leg.underlay and _is_usable(turn, state.origin)
    target = state.origin if is_origin_left else _choose(turn, state.leg, others[0].interface, others)
    move(turn, state, target, f"{state.leg.underlay.interface} does not carry")
    if isinstance(turn.tunnel.state, Moving):
        # No return from a return, and the time for doubt runs on: else we would swing between two dead paths.
        turn.enter(replace(turn.tunnel.state, back_at=None, doubt_at=state.doubt_at))


def doubt(turn: Turn, state: Standing, *, since: float, hinted: bool) -> None:
    """The gateway stopped to answer."""
    at = since + (HINTED_AFTER if hinted else DEGRADED_AFTER)
    if state.doubt_at is None or at < state.doubt_at:
        turn.enter(replace(state, doubt_at=at))


def doubt_over(turn: Turn, state: Standing) -> None:
    """The gateway has answered."""
    if isinstance(state, Moving) and not _is_beside(state):
        turn.enter(replace(state, back_at=None))
    elif state.doubt_at is not None:
        if state.replacement is not None and not _is_beside(state):
            turn.do(DropSession(state.replacement.id))
            state = replace(state, replacement=None)
        turn.enter(replace(state, doubt_at=None))


def standing_timer(turn: Turn, state: Standing) -> None:
    """A deadline of a standing session has come."""
    attempt = state.replacement
    if attempt is not None:
        if attempt.until is not None and attempt.until <= turn.now:
            turn.avoid(attempt.underlay)
            start_replacement(turn, state)
    elif isinstance(state, Moving) and state.back_at is not None and state.back_at <= turn.now:
        not_moved(turn, replace(state, back_at=None))
    elif state.doubt_at is not None and state.doubt_at <= turn.now:
        start_replacement(turn, state)


def start_replacement(turn: Turn, state: Standing) -> None:
    """Try a new session beside one that does not answer: on its own path first, then on the others."""
    paths = _paths(turn, state.leg)
    if not paths:
        _lose_network(turn, state)
        return
    if not turn.untried(paths):
        turn.know(avoided=frozenset())
    here = state.leg.underlay
    target = min(turn.untried(paths), key=lambda path: path != here)
    until = turn.now + answer_time(turn) if len(paths) > 1 else None
    _replace_on(turn, state, target, "the gateway did not answer", until)


def reauthenticate(turn: Turn, state: Up) -> None:
    """Log in anew on the same path: make before break (RFC 7296 section 2.8.3).  Once at a time."""
    if state.replacement is not None or not _is_usable(turn, state.leg.underlay):
        return
    turn.know(last_failure=None)
    attempt = turn.attempt(state.leg.underlay, None)
    turn.enter(replace(state, replacement=attempt))
    turn.do(StartSession(attempt.id, attempt.underlay))


def replacement_closed(turn: Turn, state: Standing, failure: Failure) -> None:
    """A session that was to take over did not come to stand."""
    count_unjudged(turn, failure)
    was_wish = state.doubt_at is None and isinstance(state, Up)  # the path carries, it has only been refused
    if state.replacement is not None and not was_wish:
        turn.avoid(state.replacement.underlay)
    alone = replace(state, replacement=None)
    if was_wish:
        turn.know(last_failure=failure)
    if state.doubt_at is None and _is_usable(turn, state.leg.underlay):
        turn.enter(_as_up(alone))
    elif may_retry(turn, failure):
        pause = delay(turn.tunnel.failures, turn.chance)
        held = failure.unjudged and holds_back(turn)
        turn.enter(replace(alone, doubt_at=turn.now + (max(pause, UNJUDGED) if held else pause)))
    else:
        turn.do(CloseSession(state.leg.id))
        give_up(turn, failure)
