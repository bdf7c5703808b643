"""From the first IKE_SA_INIT request to a gateway that has proven who it is.

Whoever sees our request can answer it first.  So a usable response only opens a candidate: until the gateway is
proven, further responses are kept as alternatives and tried in turn (RFC 7296 section 2.4).  A candidate that
fails costs the attempt only when no other answer is there, or comes within a moment.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from .core import Core
from .events import Failure, Kind, Path, Transmit
from .exchanges.auth import FirstAuth
from .exchanges.login import auth_channel
from .exchanges.sa_init import Candidate, SaInit, Verdict, first_channel
from .facts import MessageFacts
from .message import Decoded, decode
from .observation import observe, observe_clear
from .registry import ExchangeType
from .sa import IkeSa
from .timers import Timer
from .transmission import transmit
from .window import Request

OPENING = "opening"  # what its retransmission timer is about
MAX_CANDIDATES = 4
MAX_RESPONSES = 16  # different ones that are looked at, over all
TRIES_EACH = 3  # transmissions of IKE_AUTH before another candidate has its turn
HINT_PATIENCE = 3.0  # seconds that a better answer may take after an unauthenticated error
RIVAL_PATIENCE = 0.5  # seconds that another answer may take after the first one, when that one fails


class Opening:
    """The beginning of a session, unproven; `OPENING` names the retransmission timer of IKE_SA_INIT."""

    def __init__(self, core: Core, path: Path, now: float) -> None:
        self._path = path
        self._init = SaInit(core)
        self._seen: set[bytes] = set()
        self._candidates: deque[Candidate] = deque()
        self._answered_at: float | None = None
        self.failure: Failure | None = None  # of the candidate that failed last
        self._send(core, now)

    @property
    def spi_i(self) -> bytes:
        """Our SPI, the same over all repeats."""
        return self._init.spi_i

    @property
    def tries(self) -> int:
        """How often the first request has been sent."""
        return self._request.attempts

    @property
    def alternatives(self) -> tuple[IkeSa, ...]:
        """The IKE SAs that wait for their turn."""
        return tuple(candidate.sa for candidate in list(self._candidates)[1:])

    def handle(self, core: Core, data: bytes, now: float) -> bool:
        """A datagram that claims to be the response; False where it changed nothing."""
        outcome = decode(data, None)
        if not isinstance(outcome, Decoded) or not self._is_response(outcome) or data in self._seen:
            return False
        if len(self._candidates) >= MAX_CANDIDATES or len(self._seen) >= MAX_RESPONSES:
            return False
        channel = first_channel(self._path).value
        core.trace_message(
            now,
            "received",
            lambda: observe(outcome.message, sent=False, channel=channel, octets=len(data), protected=False),
        )
        result = self._init.process(core, self._path, data, outcome.message, now)
        if isinstance(result, Candidate):
            self._seen.add(data)
            self._take(core, result, now)
            return True
        return self._react(core, result, now)

    def retransmit(self, core: Core, now: float) -> None:
        """The retransmission timer fell due."""
        if now >= self._request.give_up_at:
            core.close(self.failure or self._init.hint or self._silence())
            return
        self._request.advance(now)
        self._transmit(core)
        core.trace_message(now, "sent again", self._observed)

    def is_over(self, core: Core, now: float) -> bool:
        """Whether IKE_AUTH has had all the time that it gets, over all candidates."""
        return self._answered_at is not None and now >= self._answered_at + core.patience.give_up

    def next_candidate(self, core: Core, now: float) -> bool:
        """IKE_AUTH goes unanswered: let another candidate have its turn, if there is one."""
        if len(self._candidates) < 2:
            return False
        self._candidates.rotate(-1)
        self._try_first(core, now)
        return True

    def turn_to(self, core: Core, sa: IkeSa) -> None:
        """An authentic message came on this IKE SA: go on with it, if it has been asked anything."""
        for candidate in list(self._candidates)[1:]:
            if candidate.sa is sa and sa.window.outstanding is not None:
                self._candidates.remove(candidate)
                self._candidates.appendleft(candidate)
                self._adopt(core, candidate)

    def turn_away(self, core: Core, failure: Failure, now: float) -> bool:
        """The candidate on trial failed and was never proven; True while another one may do better."""
        self.failure = failure
        failed = self._candidates.popleft()
        core.timers.stop(Timer.RETRANSMIT, failed.sa.local_spi)
        core.sas = {}
        if self._candidates:
            self._try_first(core, now)
            return True
        deadline = (self._answered_at or now) + RIVAL_PATIENCE
        if now >= deadline:
            return False
        self._request.give_up_at = deadline
        core.timers.set(Timer.RETRANSMIT, deadline, OPENING)
        return True

    def _take(self, core: Core, candidate: Candidate, now: float) -> None:
        for known in self._candidates:
            if known.is_same(candidate):
                known.handshakes.extend(candidate.handshakes)
                return
        self._candidates.append(candidate)
        if self._answered_at is None:
            self._answered_at = now
        if len(self._candidates) == 1:
            self._try_first(core, now)

    def _react(self, core: Core, verdict: Verdict, now: float) -> bool:
        if self._candidates:
            return False
        if verdict is Verdict.REPEAT:
            self._send(core, now)
            return True
        if self._init.hint is not None:
            self._request.give_up_at = min(self._request.give_up_at, now + HINT_PATIENCE)
            core.timers.set(Timer.RETRANSMIT, self._request.deadline, OPENING)
        return False

    def _is_response(self, outcome: Decoded) -> bool:
        header = outcome.header
        return (
            header.exchange == ExchangeType.IKE_SA_INIT
            and header.is_response
            and not header.from_initiator
            and header.message_id == 0
            and header.spi_i == self._init.spi_i
        )

    def _try_first(self, core: Core, now: float) -> None:
        """Begin IKE_AUTH with a candidate, or go on with the very request that it has seen before."""
        candidate = self._candidates[0]
        self._adopt(core, candidate)
        if candidate.sa.window.outstanding is None:
            core.begin(FirstAuth(core, candidate.handshakes), candidate.sa)
            return
        request, _ = candidate.sa.window.outstanding
        request.restart(now)
        transmit(core, candidate.sa, request, now)

    def _adopt(self, core: Core, candidate: Candidate) -> None:
        sa = candidate.sa
        core.sas = {sa.local_spi: sa}
        core.channel = auth_channel(self._path, candidate.handshakes[0].nat)
        core.timers.stop(Timer.RETRANSMIT, OPENING)
        core.timers.stop(Timer.RETRANSMIT, sa.local_spi)  # that of all candidates: they share our SPI
        if sa.window.outstanding is not None:
            core.timers.set(Timer.RETRANSMIT, sa.window.outstanding[0].deadline, sa.local_spi)

    def _send(self, core: Core, now: float) -> None:
        packet = self._init.build(core, self._path)
        self._request = Request(0, ExchangeType.IKE_SA_INIT, (packet,), core.schedule(), now)
        core.trace_message(now, "sent", self._observed)
        self._transmit(core)

    def _observed(self) -> MessageFacts | None:
        facts = observe_clear(self._request.packets[0], sent=True, channel=first_channel(self._path).value)
        return None if facts is None else replace(facts, attempt=self._request.attempts)

    def _transmit(self, core: Core) -> None:
        core.emit(Transmit(self._request.packets[0], first_channel(self._path), self._path))
        core.timers.set(Timer.RETRANSMIT, self._request.deadline, OPENING)

    def _silence(self) -> Failure:
        _, remote = self._path.ends(first_channel(self._path))
        return Failure(
            Kind.NET_NO_RESPONSE, f"no answer to {self._request.attempts} IKE_SA_INIT requests from {remote}"
        )
