"""Requests that go unanswered (RFC 7296 section 2.4): repeated, made smaller, handed on, given up."""

from __future__ import annotations

from collections.abc import Hashable

from .core import Core
from .events import Failure, Kind, Path
from .exchanges.size_probe import TRIES
from .opening import OPENING, TRIES_EACH
from .sa import IkeSa
from .states import SessionState
from .timers import Timer
from .transmission import is_whole, make_smaller, transmit
from .watch import Watch
from .window import Request


def retransmit_due(core: Core, watch: Watch, of: Hashable, now: float) -> None:
    """The timer of a request fell due: of IKE_SA_INIT, or of the IKE SA with the local SPI `of`."""
    if of == OPENING and core.opening is not None:
        core.opening.retransmit(core, now)
    sa = core.sas.get(of) if isinstance(of, bytes) else None
    if sa is None or sa.window.outstanding is None:
        return
    request, _ = sa.window.outstanding
    if core.state is SessionState.ESTABLISHED:
        request.extend(core.inbound_at)  # while ESP comes in the gateway is there, only its answer is not
    if _is_over(core, request, now):
        _give_up(core, request, now)
    elif now < request.retransmit_at:
        core.timers.set(Timer.RETRANSMIT, request.deadline, sa.local_spi)
    elif not _is_turn_of_another(core, request, now):
        _repeat(core, watch, sa, request, now)


def _repeat(core: Core, watch: Watch, sa: IkeSa, request: Request, now: float) -> None:
    request.advance(now)
    if request.attempts > TRIES or not is_whole(sa):
        make_smaller(core, sa, request)
    transmit(core, sa, request, now)
    if not is_whole(sa):
        watch.note_silence(core, now)


def _is_over(core: Core, request: Request, now: float) -> bool:
    opening = core.opening
    return now >= request.give_up_at or (opening is not None and opening.is_over(core, now))


def _is_turn_of_another(core: Core, request: Request, now: float) -> bool:
    if core.opening is None or request.attempts % TRIES_EACH:
        return False
    return core.opening.next_candidate(core, now)


def _give_up(core: Core, request: Request, now: float) -> None:
    if core.state is SessionState.CONNECTING:
        earlier = core.opening.failure if core.opening is not None else None
        if core.verdict is not None:
            earlier = core.verdict.failure
        silence = _unanswered_auth(request, core.required_path)
        hint = _WENT_SILENT if core.password_left else ""
        silent = Failure(Kind.NET_NO_RESPONSE, silence, hint=hint, unjudged=core.password_left)
        core.close(earlier or silent)
    else:
        silence = f"no answer from the gateway for {now - core.inbound_at:.0f} s"
        core.close(core.farewell or Failure(Kind.NET_NO_RESPONSE, silence))


_WENT_SILENT = (
    "The gateway or its login server went silent after the password; ask its administrator. Since it may have "
    "counted as wrong, it is tried again once, and then every 15 minutes; 'roam up' tries at once."
)


def _unanswered_auth(request: Request, path: Path) -> str:
    return (
        f"IKE_SA_INIT was answered, IKE_AUTH was not ({request.attempts} tries to {path.remote_natt}): "
        "UDP port 4500 may be blocked, or large packets may be dropped"
    )
