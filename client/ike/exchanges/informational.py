"""Answering the peer's INFORMATIONAL requests (RFC 7296 section 1.4): every one gets a response."""

from __future__ import annotations

from ..core import Core
from ..events import Path
from ..message import Message
from ..payloads import Delete, Notify, Payload
from ..registry import NotifyType
from ..sa import IkeSa, IkeSaState
from .delete import answer_delete
from .mobike import answer_update, nat_notifies, peer_addresses


def answer_informational(
    core: Core, sa: IkeSa, request: Message, path: Path, now: float
) -> tuple[Payload, ...]:
    """Payloads of the response to a request that came over `path`."""
    answer_update(core, sa, request, path)
    if (addresses := peer_addresses(request)) is not None:
        core.emit(addresses)
    if request.notify(NotifyType.AUTHENTICATION_FAILED) is not None:
        sa.state = IkeSaState.GONE  # the peer has already forgotten it (RFC 7296 section 2.21.2)
        return ()
    deleted = answer_delete(core, sa, request, now) if request.first(Delete) else ()
    return (*deleted, *_echo(core, sa, request, path))


def _echo(core: Core, sa: IkeSa, request: Message, path: Path) -> tuple[Payload, ...]:
    """NAT detection and COOKIE2 are answered in kind (RFC 4555 sections 3.7 and 3.8)."""
    nat: tuple[Notify, ...] = ()
    if request.notify(NotifyType.NAT_DETECTION_SOURCE_IP) is not None:
        nat = nat_notifies(core, sa, path)
    cookies = tuple(
        Notify(NotifyType.COOKIE2, cookie.data) for cookie in request.notifies(NotifyType.COOKIE2)
    )
    return (*nat, *cookies[:1])
