"""Deleting Child SAs and the IKE SA, from either side (RFC 7296 sections 1.4.1 and 2.25.1)."""

from __future__ import annotations

from typing import ClassVar

from ..children import child_by_outbound, has_live_child, retire, successor_of, use_outbound
from ..core import CLOSE_WITHIN, Core
from ..events import Failure, Kind
from ..message import Message
from ..payloads import Delete, Payload
from ..registry import ExchangeType, ProtocolId
from ..sa import Child, ChildState, IkeSa, IkeSaState
from ..states import SessionState
from ..timers import Timer


class DeleteChild:
    """Delete one Child SA that has a successor, or is redundant."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.INFORMATIONAL

    def __init__(self, spi_in: int) -> None:
        self.spi_in = spi_in

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...] | None:
        """# --> INFORMATIONAL { D }."""
        child = core.children.get(self.spi_in)
        if child is None or child.state is ChildState.DELETED:
            return None
        child.state = ChildState.DELETING
        core.timers.stop(Timer.REKEY_CHILD, self.spi_in)
        return (Delete(ProtocolId.ESP, (self.spi_in.to_bytes(4),)),)

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- INFORMATIONAL { [D] }: whatever it says, the SA is gone for the peer."""
        if (child := core.children.get(self.spi_in)) is not None:
            retire(core, child, now)


class DeleteIke:
    """Delete an IKE SA: one that was rekeyed, or the session's own at its end (D3)."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.INFORMATIONAL

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...]:
        """# --> INFORMATIONAL { D }."""
        return (Delete(ProtocolId.IKE),)

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- INFORMATIONAL {}."""
        if sa.state is IkeSaState.REPLACED:
            forget_replaced(core, sa)
        else:
            core.close(core.farewell or Failure(Kind.USER_DOWN, "deleted"))


def say_farewell(core: Core, failure: Failure, now: float) -> None:
    """End the session politely: a Delete, and the end after its answer or a few seconds."""
    if core.state is not SessionState.ESTABLISHED or core.current is None:
        return
    core.farewell = failure
    core.enter(SessionState.CLOSING)
    core.current.state = IkeSaState.CLOSING
    core.current.queue.clear()
    if core.current.predecessor is not None:  # the peer may know only this one
        core.begin(DeleteIke(), core.current.predecessor)
        core.current.predecessor = None
    core.begin(DeleteIke())
    core.timers.set(Timer.CLOSE, now + CLOSE_WITHIN)


def forget_replaced(core: Core, sa: IkeSa) -> None:
    """Drop an IKE SA that has a successor; what still waits for an answer there is asked anew."""
    waiting = [*(sa.window.outstanding or ())[1:], *sa.queue]
    core.forget_ike(sa)
    for exchange in reversed(waiting):
        if not isinstance(exchange, DeleteIke):
            core.begin(exchange, first=True)


def answer_delete(core: Core, sa: IkeSa, request: Message, now: float) -> tuple[Payload, ...]:
    """Carry out a peer's Delete; the answer names our sides of the same SAs (D2)."""
    deletes = request.all(Delete)
    if any(delete.protocol == ProtocolId.IKE for delete in deletes):
        sa.state = IkeSaState.GONE
        return ()
    named = [spi for delete in deletes if delete.protocol == ProtocolId.ESP for spi in delete.spis]
    # Our rekey of such an SA may have succeeded at the peer already: its response decides.
    rekeyed = any(child.state is ChildState.REKEYING for child in core.children.values())
    ours = [spi_in for spi in named if (spi_in := _delete_child(core, spi, now)) is not None]
    if ours and not rekeyed and not has_live_child(core):
        say_farewell(core, Failure(Kind.PEER_DELETED, "the gateway deleted the last Child SA"), now)
    return (Delete(ProtocolId.ESP, tuple(ours)),) if ours else ()


def _delete_child(core: Core, spi_out: bytes, now: float) -> bytes | None:
    """Our inbound SPI of a Child SA deleted by the peer; None where the answer must not name it."""
    child = child_by_outbound(core, spi_out)
    if child is None or child.state is ChildState.DELETED:
        return None
    # Both ends deleting at once: each answers without a Delete payload (RFC 7296 section 2.25.1).
    crossed = child.state is ChildState.DELETING
    retire(core, child, now)
    if (successor := successor_of(core, child.sa.spi_in)) is not None:
        use_outbound(core, successor)
    return None if crossed else child.sa.spi_in.to_bytes(4)


def forget_lost_child(core: Core, child: Child, now: float) -> None:
    """The peer does not know this SA any more (X5): without another one the session has no use."""
    core.forget_child(child.sa.spi_in)
    if not has_live_child(core):
        say_farewell(core, Failure(Kind.PEER_DELETED, "the gateway has lost the last Child SA"), now)
