"""Watching over an established session: is the gateway there, is the NAT mapping, is anything idle?

Any authentic packet, IKE or ESP, says that the gateway is there.  Doubt begins with silence: outbound traffic
without an inbound packet, a request without its answer, or an unauthenticated message that calls our SA unknown.
It is announced with `Probing`; what to do about it is the tunnel controller's business.
"""

from __future__ import annotations

from .core import Core
from .events import Keepalive, Probing
from .exchanges.liveness import Liveness
from .exchanges.mobike import UpdateAddresses
from .payloads import Notify
from .registry import NotifyType
from .sa import IkeSa, IkeSaState
from .states import SessionState
from .timers import Timer
from .transmission import PROBES

ONE_WAY_PROBES = 10.0  # seconds between probes while traffic flows one way and the gateway does answer
HINT_INTERVAL = 5.0  # seconds between checks provoked by unauthenticated messages


class Watch:
    """When traffic last went which way, and what follows from it."""

    __slots__ = ("_hinted_at", "_outbound_at", "_probed_at")

    def __init__(self) -> None:
        self._outbound_at = 0.0
        self._probed_at = 0.0
        self._hinted_at = float("-inf")

    def start(self, core: Core, now: float) -> None:
        """Set the timers of an established session."""
        core.timers.set(Timer.IDLE, now + core.patience.idle_liveness)
        core.timers.set(Timer.KEEPALIVE, now + core.patience.keepalive)

    def note_inbound(self, core: Core, at: float) -> None:
        """An authentic packet came in."""
        core.inbound_at = max(core.inbound_at, at)
        core.timers.stop(Timer.UNANSWERED)
        if core.probing:
            core.probing = False
            core.emit(Probing(False, at))

    def note_silence(self, core: Core, now: float) -> None:
        """A request, or traffic, goes unanswered."""
        if core.state is SessionState.ESTABLISHED and not core.probing:
            core.probing = True
            core.emit(Probing(True, now))

    def note_activity(self, core: Core, inbound_at: float, outbound_at: float) -> None:
        """When the data path last received an authentic packet and last sent one."""
        if inbound_at > core.inbound_at:
            self.note_inbound(core, inbound_at)
        self._outbound_at = max(self._outbound_at, outbound_at)
        core.sent_at = max(core.sent_at, outbound_at)
        if outbound_at > core.inbound_at and core.timers.at(Timer.UNANSWERED) is None:
            core.timers.set(Timer.UNANSWERED, outbound_at + core.patience.unanswered)

    def take_hint(self, core: Core, sa: IkeSa, hint: Notify | None, now: float) -> None:
        """An unauthenticated INVALID_IKE_SPI proves nothing, but is worth a question (M9)."""
        if hint is None or hint.type != NotifyType.INVALID_IKE_SPI or sa is not core.current:
            return
        if sa.state is IkeSaState.LIVE and now - self._hinted_at >= HINT_INTERVAL:
            self._hinted_at = now
            self.probe(core, now)
            core.probing = True
            core.emit(Probing(True, now, hinted=True))

    def probe(self, core: Core, now: float) -> None:
        """Ask whether the gateway is there, unless a question is on its way."""
        if core.state is not SessionState.ESTABLISHED or any(core.is_queued(kind) for kind in PROBES):
            return
        self._probed_at = now
        # An update is a probe as good as any, and repairs a NAT mapping that has changed (RFC 4555 section 3.8).
        refresh = core.mobike and core.initiator and core.nat.local
        core.begin(UpdateAddresses() if refresh else Liveness())

    def check_idle(self, core: Core, now: float) -> None:
        """The idle timer fell due: nothing inbound for long means a question."""
        due = core.inbound_at + core.patience.idle_liveness
        if now >= due:
            self.probe(core, now)
            due = now + core.patience.idle_liveness
        core.timers.set(Timer.IDLE, due)

    def check_unanswered(self, core: Core, now: float) -> None:
        """Traffic went out and nothing came back: ask, but not all the time where that is how it should be."""
        if self._outbound_at <= core.inbound_at:
            return
        answered = core.inbound_at > self._probed_at > 0
        wait = self._probed_at + ONE_WAY_PROBES if answered else now
        if now < wait:
            core.timers.set(Timer.UNANSWERED, wait)
            return
        self.probe(core, now)
        self.note_silence(core, now)

    def keep_alive(self, core: Core, now: float) -> None:
        """Keep the mapping of a NAT in front of us (RFC 3948 section 4)."""
        due = core.sent_at + core.patience.keepalive
        if now >= due:
            if core.nat.local:
                core.emit(Keepalive(core.required_path))
            core.sent_at = now
            due = now + core.patience.keepalive
        core.timers.set(Timer.KEEPALIVE, due)
