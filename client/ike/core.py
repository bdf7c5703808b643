"""The working state of a session: what exchanges may read and change.

`Session` schedules, `exchanges/` behave, and this is what they share.  Everything that leaves goes through `emit`
in the order in which it must be performed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .events import (
    AnswerNeeded,
    Assigned,
    Channel,
    ChildDown,
    Closed,
    Failure,
    Kind,
    Output,
    Path,
    QuirkSeen,
    RevocationNeeded,
    Rng,
)
from .exchanges.base import Asking, Exchange, Inquiring
from .natd import NatVerdict
from .options import Patience, SessionConfig
from .quirks import Quirk
from .sa import Child, IkeSa, IkeSaState, Refusals
from .states import TRANSITIONS, SessionState
from .timers import Timer, Timers
from .trace import Sink, TraceEvent, ignore
from .window import RoundTrip, Schedule

if TYPE_CHECKING:
    from .facts import MessageFacts
    from .opening import Opening
    from .refusal import Refusal

UNKNOWN_DATE = datetime(1970, 1, 1, tzinfo=UTC)  # before every certificate: nothing is valid yet
FIRST_ESP_SPI = 256  # 1 to 255 are reserved (RFC 4303 section 2.1)
CLOSE_WITHIN = 3.0  # seconds that a Delete may take before the session ends without an answer
RETRY_AFTER = 2.0  # seconds before an exchange is tried again after TEMPORARY_FAILURE, at least
RETRY_AT_MOST = 60.0  # seconds before a later try
ANSWER_WITHIN = 120.0  # seconds that a person has to answer; most gateways wait less
INQUIRY_GRACE = 1.0  # seconds after which a shell that has not answered will not
SIGN_WITHIN = 30.0  # seconds for a key's holder: gateways forget whom they wait for after as much
REFUSED_AT_MOST = 300.0  # seconds from the first refusal of a rekey to the end of the session

UNANSWERED_QUESTION = Failure(
    Kind.AUTH_NEEDS_SECRET, "what the gateway asked for was not answered", final=True
)


@dataclass(slots=True)
class Core:
    """Everything that changes in one session."""

    config: SessionConfig
    rng: Rng
    initiator: bool = True  # of the first IKE SA: who may move the session (RFC 4555 section 1.3)
    state: SessionState = SessionState.IDLE
    path: Path | None = None
    path_number: int = 0  # counts moves, so that a late answer is known to speak of an earlier path
    wall: datetime = UNKNOWN_DATE
    opening: Opening | None = None  # until the gateway has proven who it is
    timers: Timers = field(default_factory=Timers)
    pending: deque[Output] = field(default_factory=deque)
    round_trip: RoundTrip = field(default_factory=RoundTrip)
    sas: dict[bytes, IkeSa] = field(default_factory=dict)
    current: IkeSa | None = None
    children: dict[int, Child] = field(default_factory=dict)
    nat: NatVerdict = field(default_factory=NatVerdict)
    mobike: bool = False
    assigned: Assigned = field(default_factory=Assigned)
    peer_identity: str = ""
    peer_vendors: tuple[bytes, ...] = ()  # its vendor IDs
    peer_chain: tuple[bytes, ...] = ()  # the certificates it has proven itself with, DER, its own first
    asking: tuple[Asking, IkeSa] | None = None  # what waits for the user's answer
    unanswered: Failure = UNANSWERED_QUESTION  # what it means if none comes
    inquiring: tuple[Inquiring, IkeSa] | None = None  # what waits for word about certificates
    password_left: bool = False  # a login by one is under way, and not judged yet
    verdict: Refusal | None = None  # what a login has come to whose last words are on their way
    farewell: Failure | None = None  # why the session is CLOSING
    inbound_at: float = 0.0  # last authentic packet, IKE or ESP
    sent_at: float = 0.0  # last packet that keeps a NAT mapping alive
    probing: bool = False
    channel: Channel = Channel.NATT  # of requests, once IKE_SA_INIT is over
    dropped: int = 0  # datagrams that changed nothing
    sink: Sink = ignore
    quirks_seen: set[Quirk] = field(default_factory=set)

    def adapts(self, quirk: Quirk, evidence: str) -> bool:
        """Whether to adapt to what the gateway has shown; its evidence is told either way, once."""
        used = quirk not in self.config.quirks.off
        if quirk not in self.quirks_seen:
            self.quirks_seen.add(quirk)
            self.emit(QuirkSeen(quirk, evidence, used))
        return used

    @property
    def encapsulate(self) -> bool:
        """Whether ESP goes in UDP."""
        return self.config.force_encapsulation or self.nat.any

    @property
    def patience(self) -> Patience:
        """Timing of requests and liveness."""
        return self.config.patience

    def emit(self, output: Output) -> None:
        """Let something out, after all that was let out before."""
        self.pending.append(output)

    def trace(self, now: float, name: str, detail: str = "") -> None:
        """Tell the sink what happens."""
        self.sink(TraceEvent(now, name, detail))

    def trace_message(self, now: float, name: str, facts: Callable[[], MessageFacts | None]) -> None:
        """Tell what a message says, if anybody listens: reading certificates for nobody costs time."""
        if self.sink is not ignore:
            self.sink(TraceEvent(now, name, message=facts()))

    def drop(self, reason: str, now: float) -> None:
        """Count a datagram that changed nothing."""
        self.dropped += 1
        self.trace(now, "dropped", reason)

    @property
    def required_path(self) -> Path:
        """The path of a session under way."""
        if self.path is None:
            raise AssertionError("a session under way has a path")
        return self.path

    def enter(self, state: SessionState) -> None:
        """Change the state, along the table."""
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"no way from {self.state} to {state}")
        self.state = state

    def begin(self, exchange: Exchange, sa: IkeSa | None = None, *, first: bool = False) -> None:
        """Queue an exchange on an IKE SA (the current one where none is named)."""
        target = sa or self.current
        if target is None:
            raise AssertionError("no IKE SA for an exchange")
        if first:
            target.queue.appendleft(exchange)
        else:
            target.queue.append(exchange)

    def ask(
        self,
        exchange: Asking,
        sa: IkeSa,
        needed: AnswerNeeded,
        now: float,
        unanswered: Failure = UNANSWERED_QUESTION,
    ) -> None:
        """Let an exchange wait for the user, but not for ever: `unanswered` is what it means if nobody answers."""
        self.asking = exchange, sa
        self.unanswered = unanswered
        within = ANSWER_WITHIN
        if needed.unheld:
            self.unanswered = Failure(Kind.AUTH_NEEDS_SIGNER, needed.unheld, final=True)
            within = SIGN_WITHIN
        self.timers.set(Timer.ANSWER, now + within)
        self.emit(needed)

    def stop_asking(self) -> None:
        """No answer is needed any more."""
        self.asking = None
        self.timers.stop(Timer.ANSWER)

    def inquire(self, exchange: Inquiring, sa: IkeSa, needed: RevocationNeeded, now: float) -> None:
        """Let an exchange wait for the shell, which has its own bound; ours comes after it."""
        self.inquiring = exchange, sa
        self.timers.set(Timer.INQUIRY, now + needed.seconds + INQUIRY_GRACE)
        self.emit(needed)

    def stop_inquiring(self) -> None:
        """Nothing that is still found matters any more."""
        self.inquiring = None
        self.timers.stop(Timer.INQUIRY)

    def is_queued(self, kind: type) -> bool:
        """Whether any IKE SA has such an exchange waiting or outstanding."""
        return any(
            isinstance(exchange, kind)
            for sa in self.sas.values()
            for exchange in (*sa.queue, *(sa.window.outstanding or ())[1:])
        )

    def schedule(self) -> Schedule:
        """Retransmission of an ordinary request (DESIGN 8)."""
        patience = self.patience
        first = self.round_trip.first_interval(patience.first)
        return Schedule(first, patience.factor, patience.cap, patience.give_up)

    def new_esp_spi(self) -> int:
        """A random SPI for inbound ESP that no Child SA of this session has."""
        while True:
            spi = int.from_bytes(self.rng(4))
            if spi >= FIRST_ESP_SPI and spi not in self.children:
                return spi

    def new_ike_spi(self) -> bytes:
        """A random SPI for an IKE SA: never zero, never in use."""
        while True:
            spi = self.rng(8)
            if any(spi) and spi not in self.sas:
                return spi

    def jittered(self, seconds: float) -> float:
        """`seconds` less up to the configured share, so that both ends rarely rekey at once (RFC 7296 2.8)."""
        share = int.from_bytes(self.rng(2)) / 65535
        return seconds * (1.0 - self.config.lifetimes.jitter * share)

    def retry(self, timer: Timer, now: float, refusals: Refusals, of: Hashable = None) -> bool:
        """Let a refused rekey be tried again after a while, the longer the more often (RFC 7296 section 2.25).

        False where that has gone on for so long that both ends must have lost each other.
        """
        refusals.since = now if refusals.since is None else refusals.since
        wait = min(RETRY_AFTER * 2**refusals.count, RETRY_AT_MOST)
        refusals.count += 1
        self.timers.set(timer, now + wait + 4 * int.from_bytes(self.rng(2)) / 65535, of)
        return now - refusals.since < REFUSED_AT_MOST

    def adopt(self, sa: IkeSa, now: float) -> None:
        """Make an IKE SA the one that new exchanges use, and let it age."""
        sa.state = IkeSaState.LIVE
        self.sas[sa.local_spi] = sa
        self.current = sa
        self.timers.set(Timer.REKEY_IKE, now + self.jittered(self.config.lifetimes.ike))

    def forget_child(self, spi_in: int) -> None:
        """Remove a Child SA and its timers."""
        if self.children.pop(spi_in, None) is not None:
            self.timers.stop(Timer.REKEY_CHILD, spi_in)
            self.timers.stop(Timer.DROP_CHILD, spi_in)
            self.emit(ChildDown(spi_in))

    def forget_ike(self, sa: IkeSa) -> None:
        """Remove an IKE SA that has a successor."""
        self.sas.pop(sa.local_spi, None)
        self.timers.stop(Timer.RETRANSMIT, sa.local_spi)
        self.timers.stop(Timer.DROP_IKE, sa.local_spi)
        for other in self.sas.values():
            if other.predecessor is sa:
                other.predecessor = None

    def close(self, failure: Failure) -> None:
        """End the session at once, without a word to the peer."""
        if self.state is SessionState.CLOSED:
            return
        for spi_in in list(self.children):
            self.forget_child(spi_in)
        self.sas.clear()
        self.current = self.opening = self.asking = self.inquiring = None
        self.timers.clear()
        self.enter(SessionState.CLOSED)
        self.emit(Closed(failure))
