"""What the kernel's counters say about a tunnel: pure, fed with readings and the time.

The kernel counts, and keeps times in whole seconds; so a time here is that of the reading which found a greater
count.  It is late by as much as lies between two readings, and readings lie closer together while something is
expected.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .datapath import Activity, Counters, DataPathEvent, FirstInbound, PathCarries, SoftLimit
from .xfrm_plan import SOFT_SEQUENCE
from .xfrm_tunnel import Reading

EAGER, BUSY, IDLE = 0.02, 0.25, 1.0
"""Seconds between two readings: while a first packet is expected, while there is traffic, and else."""
_EAGER_FOR = 2.0  # seconds after something that makes a first packet likely
_BUSY_FOR = 10.0  # seconds after the last packet


@dataclass(slots=True)
class _Seen:
    packets_in: int = 0
    packets_out: int = 0
    told_limit: bool = False


class Watch:
    """Getters: `counters`, `pause`.  Inputs: `note`, `expect_inbound`, `note_move`."""

    def __init__(self, now: float) -> None:
        """Begins before anything is carried."""
        self._seen: dict[int, _Seen] = {}
        self._rows: dict[int, Counters] = {}
        self._read_at = now
        self._told = Activity(0.0, 0.0)
        self._told_at = 0.0
        self._inbound_at = self._outbound_at = 0.0
        self._inbound_after = 0.0  # the last packet came in after this
        self._moving = False
        self._eager_until = 0.0

    def counters(self) -> tuple[Counters, ...]:
        """As of the last readings."""
        return tuple(self._rows.values())

    def pause(self, now: float) -> float:
        """Seconds until the next reading is due."""
        if now < self._eager_until:
            return EAGER
        return BUSY if now < max(self._inbound_at, self._outbound_at) + _BUSY_FOR else IDLE

    def expect_inbound(self, now: float) -> None:
        """A new Child SA may get its first packet soon."""
        self._eager_until = now + _EAGER_FOR

    def note_move(self, now: float) -> None:
        """From now the tunnel uses another path."""
        self._moving = True
        self._eager_until = now + _EAGER_FOR

    def note(self, readings: Iterable[Reading], now: float) -> list[DataPathEvent]:
        """Compare with what was read before."""
        events: list[DataPathEvent] = []
        self._rows = {}
        came = went = False
        for reading in readings:
            spi_in, row = reading.spi_in, _counters(reading)
            self._rows[spi_in] = row
            seen = self._seen.setdefault(spi_in, _Seen())
            if not seen.packets_in and row.packets_in:
                events.append(FirstInbound(spi_in))
            if reading.spent:
                events += self.note_limit(spi_in, sequence=row.packets_out >= SOFT_SEQUENCE)
            came |= row.packets_in > seen.packets_in
            went |= row.packets_out > seen.packets_out
            seen.packets_in, seen.packets_out = row.packets_in, row.packets_out
        self._seen = {spi_in: seen for spi_in, seen in self._seen.items() if spi_in in self._rows}
        if went:
            self._outbound_at = now
        if came:
            events += self._note_inbound(now)
        self._read_at = now
        return events + self._tell(now)

    def note_limit(self, spi_in: int, *, sequence: bool = False, hard: bool = False) -> list[DataPathEvent]:
        """An SA has reached a limit, which is told once for each Child SA, and again at the hard one."""
        seen = self._seen.setdefault(spi_in, _Seen())
        if seen.told_limit and not hard:
            return []
        seen.told_limit = True
        return [SoftLimit(spi_in, sequence)]

    def _note_inbound(self, now: float) -> list[DataPathEvent]:
        """The gap of a move is told so that it is never shorter than it was."""
        before, self._inbound_after, self._inbound_at = self._inbound_after, self._read_at, now
        if not self._moving:
            return []
        self._moving = False
        self._eager_until = min(self._eager_until, now)
        return [PathCarries(before, now, self._outbound_at)]

    def _tell(self, now: float) -> list[DataPathEvent]:
        activity = Activity(self._inbound_at, self._outbound_at)
        if activity == self._told or now < self._told_at + BUSY:
            return []
        self._told, self._told_at = activity, now
        return [activity]


def _counters(reading: Reading) -> Counters:
    inbound, outbound = reading.inbound, reading.outbound
    return Counters(
        spi_in=reading.spi_in,
        packets_in=inbound.usage.packets if inbound is not None else 0,
        octets_in=inbound.usage.octets if inbound is not None else 0,
        packets_out=reading.sent,
        octets_out=outbound.usage.octets if outbound is not None else 0,
        dropped=inbound.dropped if inbound is not None else 0,
    )
