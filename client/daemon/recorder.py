"""What one attempt leaves behind: its session's trace and outputs become a bounded record, without secrets.

Pure: the daemon's driver feeds it, and so do the tests that play broken gateways.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import MutableSequence

from ..control.evidence import (
    MOST_DROPS,
    MOST_MESSAGES,
    AttemptRecord,
    CheckRecord,
    DropRecord,
    IcmpRecord,
    MessageRecord,
    QuirkRecord,
    StandingRecord,
)
from ..ike.events import (
    ChildUp,
    Closed,
    Established,
    IkeRekeyed,
    MoveRefused,
    Output,
    Path,
    PathMoved,
    Probing,
    QuirkSeen,
)
from ..ike.options import SessionConfig
from ..ike.trace import TraceEvent
from .records import message_record, offered, standing_record

_FIRST_KEPT = 2 * MOST_MESSAGES // 3
_LONGEST = 240  # letters of a reason


class Recorder:
    """Takes trace events, outputs and what else is noticed; `record` is what there is so far."""

    def __init__(
        self, config: SessionConfig, path: Path, *, unix: float, now: float, trigger: str = ""
    ) -> None:
        self._began = now
        self._base = AttemptRecord(
            round(unix, 3),
            path.interface,
            str(path.local),
            str(path.remote),
            trigger,
            offer=offered(config),
        )
        self._first: list[MessageRecord] = []
        self._last: deque[MessageRecord] = deque(maxlen=MOST_MESSAGES - _FIRST_KEPT)
        self._left_out = 0
        self._dropped: Counter[str] = Counter()
        self._fragments: list[str] = []
        self._icmp: dict[tuple[str, str, str], IcmpRecord] = {}
        self._checks: list[CheckRecord] = []
        self._moves: deque[str] = deque(maxlen=8)
        self._quirks: dict[str, QuirkRecord] = {}
        self._stood_at: float | None = None
        self._standing: StandingRecord | None = None
        self._inbound_at = self._outbound_at = 0.0
        self._is_doubted = self._is_forgotten = False
        self._ended_at: float | None = None
        self._ended = self._ended_by = ""

    @property
    def is_over(self) -> bool:
        """Whether the session has ended."""
        return self._ended_at is not None

    def record(self, now: float) -> AttemptRecord:
        """The attempt as it stands."""
        return self._base.replace(
            messages=(*self._first, *self._last),
            left_out=self._left_out,
            dropped=tuple(DropRecord(reason, count) for reason, count in self._dropped.items()),
            fragments=tuple(self._fragments),
            icmp=tuple(self._icmp.values()),
            checks=tuple(self._checks),
            standing=self._stands(self._ended_at or now),
            doubted=self._is_doubted,
            forgotten=self._is_forgotten,
            quirks=tuple(self._quirks.values()),
            moves=tuple(self._moves),
            ended=self._ended,
            ended_by=self._ended_by,
        )

    def hear(self, event: TraceEvent) -> None:
        """The sink of the session's trace."""
        if event.message is not None:
            self._keep(message_record(event.message, event.at - self._began))
        match event.name:
            case "sent" if event.message is not None and not event.message.is_response:
                self._fragments.clear()
            case "fragment":
                if event.detail not in self._fragments and len(self._fragments) < MOST_DROPS:
                    self._fragments.append(event.detail)
            case "received":
                self._fragments.clear()
            case "dropped":
                reason = event.detail[:_LONGEST]
                if reason in self._dropped or len(self._dropped) < MOST_DROPS:
                    self._dropped[reason] += 1
            case _:
                pass

    def note(self, output: Output, now: float) -> None:
        """An output of the session, when it is performed."""
        match output:
            case Established():
                self._stood_at = now
                self._standing = standing_record(output)
            case ChildUp(child):
                self._change(encapsulated=child.encapsulate)
            case IkeRekeyed():
                self._change(rekeys=0 if self._standing is None else self._standing.rekeys + 1)
            case QuirkSeen(quirk, evidence, used):
                self._quirks[quirk] = QuirkRecord(str(quirk), evidence[:_LONGEST], used)
            case PathMoved():
                self._checks = [entry for entry in self._checks if not entry.what.startswith("inside ")]
                self._moves.append("confirmed")
            case MoveRefused():
                self._moves.append("refused")
            case Probing(active, _, hinted):
                self._is_doubted = active
                self._is_forgotten = hinted
            case Closed(failure):
                self._ended_at = now
                self._ended, self._ended_by = str(failure.kind), failure.evidence[:_LONGEST]
            case _:
                pass

    def note_traffic(self, packets_in: int, packets_out: int) -> None:
        """Counters of ESP, over all Child SAs."""
        self._change(packets_in=packets_in, packets_out=packets_out)

    def note_activity(self, inbound_at: float, outbound_at: float) -> None:
        """When the data path last received an authentic packet and last sent one."""
        self._inbound_at, self._outbound_at = inbound_at, outbound_at

    def note_mtu(self, octets: int) -> None:
        """How large packets inside the tunnel may be."""
        self._change(mtu=octets)

    def note_icmp(self, error: IcmpRecord) -> None:
        """A router's report about a datagram of ours; anybody can send one, so few are kept."""
        key = (error.meaning, error.sender, error.channel)
        known = self._icmp.get(key)
        if known is not None:
            self._icmp[key] = known.replace(count=known.count + 1)
        elif len(self._icmp) < MOST_DROPS:
            self._icmp[key] = error

    def note_check(self, check: CheckRecord) -> None:
        """Something that was looked at because of the failure."""
        others = [entry for entry in self._checks if entry.what != check.what]
        self._checks = [*others[-MOST_DROPS:], check]

    def _change(self, **changes: object) -> None:
        if self._standing is not None:
            self._standing = self._standing.replace(**changes)

    def _stands(self, now: float) -> StandingRecord | None:
        if self._standing is None or self._stood_at is None:
            return None
        return self._standing.replace(
            seconds=round(now - self._stood_at, 1),
            inbound_age=round(now - self._inbound_at, 1) if self._inbound_at else None,
            outbound_age=round(now - self._outbound_at, 1) if self._outbound_at else None,
        )

    def _keep(self, message: MessageRecord) -> None:
        """Repetitions of one request take the place of its last repetition."""
        latest: MutableSequence[MessageRecord] = self._last or self._first
        if latest and _repeats(message, latest[-1]):
            latest[-1] = message
            return
        if len(self._first) < _FIRST_KEPT:
            self._first.append(message)
            return
        self._left_out += len(self._last) == self._last.maxlen
        self._last.append(message)


def _repeats(message: MessageRecord, before: MessageRecord) -> bool:
    return (
        message.sent
        and message.attempt > 1 < before.attempt
        and (message.exchange, message.message_id) == (before.exchange, before.message_id)
    )
