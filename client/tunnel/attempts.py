"""From a wish to a session, and what follows when it does not come to one."""

from __future__ import annotations

from dataclasses import replace

from ..ike.events import Failure, Kind
from .backoff import UNJUDGED, delay, retries_left
from .events import Apply, AskSecret, DropSession, Release, Resolve, StartSession
from .states import Blocked, Closing, Connecting, Off, Resolving, Waiting
from .turn import Turn

RESOLVE_TIME = 15.0
"""Seconds for looking names up: more than the resolver's own limit, so that its reason is heard first."""

ANSWER_TIME = 4.0
"""Seconds a path has for the first answer while another one is left to try; doubled in each further round."""

LONGEST_ANSWER_TIME = 30.0

SETTLED = 30.0
"""A session that stood so long was a success: what ends it starts a new row of failures."""

PATH_KINDS = (Kind.NET_NO_RESPONSE, Kind.NET_NO_PATH)
LACKING = (Kind.AUTH_NEEDS_SECRET, Kind.TRUST_UNCONFIRMED)
"""A login that goes on with the user's answer."""

ANSWER_WITHIN = 120.0
"""Seconds that the user has for a question."""


def begin(turn: Turn) -> None:
    """Start over: names first, because they may have moved."""
    turn.enter(Resolving(turn.now + RESOLVE_TIME))
    turn.do(Apply(turn.tunnel.up), Resolve(turn.tunnel.config.gateways))


def begin_fresh(turn: Turn) -> None:
    """Start without a past: the user wants it now, or the network is another one."""
    turn.know(failures=0, refusals=0, last_failure=None, avoided=frozenset())
    begin(turn)


def answer_time(turn: Turn) -> float:
    """How long to wait for the first answer on one of several paths."""
    return min(ANSWER_TIME * float(1 << min(turn.tunnel.failures, 10)), LONGEST_ANSWER_TIME)


def connect(turn: Turn) -> None:
    """Set a session up on the best path that has not failed in this round."""
    paths = turn.paths_to(turn.tunnel.gateways)
    untried = turn.untried(paths)
    if not paths:
        turn.wait_for_network(None)
    elif not untried:
        tried = ", ".join(f"{path.remote} over {path.interface}" for path in paths)
        failed(turn, Failure(Kind.NET_NO_RESPONSE, f"no answer from {tried}"))
    else:
        until = turn.now + answer_time(turn) if len(paths) > 1 else None
        attempt = turn.attempt(untried[0], until)
        turn.enter(Connecting(attempt))
        turn.do(StartSession(attempt.id, attempt.underlay))


def attempt_unanswered(turn: Turn, state: Connecting) -> None:
    """The gateway has not answered in time: try the next path."""
    turn.do(DropSession(state.attempt.id))
    turn.avoid(state.attempt.underlay)
    connect(turn)


def attempt_closed(turn: Turn, state: Connecting, failure: Failure) -> None:
    """A session did not come to stand."""
    turn.avoid(state.attempt.underlay)
    count_unjudged(turn, failure)
    if (
        failure.kind in PATH_KINDS
        and not holds_back(turn)
        and turn.untried(turn.paths_to(turn.tunnel.gateways))
    ):
        connect(turn)
    else:
        failed(turn, failure)


def count_unjudged(turn: Turn, failure: Failure) -> None:
    """Remember that a password has left once more, if nobody said what became of it."""
    if failure.unjudged:
        turn.know(unjudged=turn.tunnel.unjudged + 1)


def holds_back(turn: Turn) -> bool:
    """Whether a password is not to leave again for a while, whatever the network does."""
    return turn.tunnel.unjudged > 1


def may_retry(turn: Turn, failure: Failure) -> bool:
    """Count a failure; whether it may be retried without the user."""
    last = turn.tunnel.last_failure
    repeated = last is not None and last.kind is failure.kind
    earlier = turn.tunnel.refusals if repeated else 0
    turn.know(failures=turn.tunnel.failures + 1, refusals=earlier + 1, last_failure=failure)
    return not failure.final and retries_left(failure.kind, earlier, steadfast=turn.tunnel.steadfast)


def failed(turn: Turn, failure: Failure) -> None:
    """A whole attempt failed: wait and try again, or leave it to the user."""
    turn.know(avoided=frozenset())
    if may_retry(turn, failure):
        pause = delay(turn.tunnel.failures, turn.chance)
        until = turn.now + (max(pause, UNJUDGED) if failure.unjudged and holds_back(turn) else pause)
        turn.enter(Waiting(failure, until, None, turn.now))
    else:
        give_up(turn, failure)


def lost(turn: Turn, failure: Failure, since: float) -> None:
    """A session that had stood is over: at once anew, unless it keeps dying young."""
    if turn.now - since >= SETTLED:
        turn.know(failures=0)
    if turn.tunnel.failures:
        failed(turn, failure)
        return
    turn.know(failures=1, refusals=1, last_failure=failure, avoided=frozenset())
    begin(turn)


def give_up(turn: Turn, failure: Failure) -> None:
    """Only the user can help.  What has never stood leaves nothing behind; what has stood keeps its guard.

    A login that lacks something has not failed yet: it goes on with the answer.  Where no answer would do, as with
    a locked account, nothing is asked: a password that is typed all the same would be one more try.
    """
    turn.know(last_failure=failure)
    lacks = failure.kind in LACKING and not failure.final  # final: asked, and not answered
    if not turn.tunnel.steadfast and not lacks:
        turn.know(wanted=False)
        release(turn, failure)
    elif lacks or (failure.kind is Kind.AUTH_REJECTED and not failure.barred):
        turn.enter(Blocked(failure, guarded=True, until=turn.now + ANSWER_WITHIN))
        turn.do(AskSecret(failure))
    else:
        turn.enter(Blocked(failure, guarded=True))


def not_answered(turn: Turn, state: Blocked) -> None:
    """The user does not answer: what has stood waits for the next `up`, the rest is given up."""
    if turn.tunnel.steadfast:
        turn.enter(replace(state, until=None))
    else:
        turn.know(wanted=False)
        release(turn, state.failure)


def release(turn: Turn, outcome: Failure | None = None) -> None:
    """Take everything of this tunnel off the machine."""
    turn.know(up=None)
    turn.enter(Closing(None, outcome=outcome))
    turn.do(Release())


def finish(turn: Turn, state: Closing) -> None:
    """The machine is clean again."""
    if turn.tunnel.wanted:
        begin_fresh(turn)
    elif state.outcome is not None:
        turn.enter(Blocked(state.outcome, guarded=False))
    else:
        turn.enter(Off())
