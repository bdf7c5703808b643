"""From the first IKE_SA_INIT request to the first authentic IKE_AUTH response.

Whoever sees our request can answer it first.  So a usable response only opens a candidate: while no IKE_AUTH is
answered under its keys, further responses are kept as alternatives and tried in turn (RFC 7296 section 2.4).
"""

from __future__ import annotations

from collections import deque

from .core import Core
from .events import Channel, Failure, Kind, Path, Transmit
from .exchanges.auth import FirstAuth
from .exchanges.sa_init import Candidate, SaInit, Verdict, first_channel
from .message import Decoded, decode
from .natd import NatVerdict
from .registry import ExchangeType
from .timers import Timer
from .window import Request

OPENING = "opening"  # what its retransmission timer is about
MAX_CANDIDATES = 4
TRIES_EACH = 3  # transmissions of IKE_AUTH before another candidate has its turn
HINT_PATIENCE = 3.0  # seconds that a better answer may take after an unauthenticated error


class Opening:
    """The unauthenticated beginning of a session; `OPENING` names its retransmission timer."""

    def __init__(self, core: Core, path: Path, now: float) -> None:
        self._path = path
        self._init = SaInit(core)
        self._seen: set[bytes] = set()
        self._candidates: deque[Candidate] = deque()
        self._send(core, now)

    @property
    def spi_i(self) -> bytes:
        """Our SPI, the same over all repeats."""
        return self._init.spi_i

    def handle(self, core: Core, data: bytes, now: float) -> bool:
        """A datagram that claims to be the response; False where it changed nothing."""
        outcome = decode(data, None)
        if not isinstance(outcome, Decoded) or not self._is_response(outcome) or data in self._seen:
            return False
        if len(self._seen) >= MAX_CANDIDATES:
            return False
        result = self._init.process(core, self._path, data, outcome.message, now)
        if isinstance(result, Candidate):
            self._seen.add(data)
            self._candidates.append(result)
            if len(self._candidates) == 1:
                self._try_first(core)
            return True
        return self._react(core, result, now)

    def retransmit(self, core: Core, now: float) -> None:
        """The retransmission timer fell due."""
        if now >= self._request.give_up_at:
            core.close(self._init.hint or self._silence())
            return
        self._request.advance(now)
        self._transmit(core)

    def next_candidate(self, core: Core) -> bool:
        """IKE_AUTH goes unanswered: let another candidate have its turn, if there is one."""
        if len(self._candidates) < 2:
            return False
        self._candidates.rotate(-1)
        self._try_first(core)
        return True

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

    def _try_first(self, core: Core) -> None:
        candidate = self._candidates[0]
        core.timers.stop(Timer.RETRANSMIT, OPENING)
        core.timers.stop(Timer.RETRANSMIT, candidate.sa.local_spi)
        core.sas = {candidate.sa.local_spi: candidate.sa}
        core.channel = auth_channel(self._path, candidate.handshake.nat)
        candidate.sa.window.outstanding = None
        candidate.sa.queue.clear()
        candidate.sa.window.next_request_id = 1
        core.begin(FirstAuth(core, candidate.handshake), candidate.sa)

    def _send(self, core: Core, now: float) -> None:
        packet = self._init.build(core, self._path)
        self._request = Request(0, ExchangeType.IKE_SA_INIT, (packet,), core.schedule(), now)
        self._transmit(core)

    def _transmit(self, core: Core) -> None:
        core.emit(Transmit(self._request.packets[0], first_channel(self._path), self._path))
        core.timers.set(Timer.RETRANSMIT, self._request.deadline, OPENING)

    def _silence(self) -> Failure:
        _, remote = self._path.ends(first_channel(self._path))
        return Failure(
            Kind.NET_NO_RESPONSE, f"no answer to {self._request.attempts} IKE_SA_INIT requests from {remote}"
        )


def auth_channel(path: Path, nat: NatVerdict) -> Channel:
    """IKE_AUTH goes to port 4500 whenever the peer sent NAT detection (RFC 4555 section 3.3)."""
    return Channel.NATT if path.local_init is None or nat.supported else Channel.INIT
