"""How fast traffic has gone and how far away the gateway was, over the last minutes: pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from client.control.messages import StatusReport, TunnelStatus

from .rates import Rates

KEPT = 300
"""Samples of each tunnel; one a second."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Octets a second, and the round trip in milliseconds; None: not known then."""

    at: float
    received: float | None
    sent: float | None
    round_trip: float | None


class History:
    """Samples of every tunnel, from successive reports."""

    def __init__(self) -> None:
        self.rates = Rates()
        self._samples: dict[tuple[str, int], deque[Sample]] = {}
        self._noted_at: float | None = None

    def note(self, report: StatusReport) -> None:
        """Take a report into account, each moment once; tunnels that it lacks are forgotten."""
        if report.time == self._noted_at:
            return
        self._noted_at = report.time
        self.rates.note(report)
        samples = {}
        for entry in report.tunnels:
            row = self._samples.get(_key(entry), deque(maxlen=KEPT))
            received, sent = self.rates.of(entry) or (None, None)
            row.append(Sample(report.time, received, sent, entry.rtt_ms))
            samples[_key(entry)] = row
        self._samples = samples

    def of(self, entry: TunnelStatus) -> tuple[Sample, ...]:
        """The samples of a tunnel, the latest last."""
        return tuple(self._samples.get(_key(entry), ()))


def _key(entry: TunnelStatus) -> tuple[str, int]:
    return entry.name, entry.owner
