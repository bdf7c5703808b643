"""How fast traffic goes, from the counters of successive reports: pure."""

from __future__ import annotations

from collections import deque

from client.control.messages import StatusReport, TunnelStatus

WINDOW = 4
"""Reports over which a rate is taken: the daemon counts once a second, a shorter window would flicker."""


class Rates:
    """Octets a second, in and out, of every tunnel."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], deque[tuple[float, int, int]]] = {}

    def note(self, report: StatusReport) -> None:
        """Take a report into account; tunnels that it lacks are forgotten."""
        seen = {}
        for entry in report.tunnels:
            if entry.traffic is not None:
                samples = self._seen.get(_key(entry), deque(maxlen=WINDOW))
                sample = (report.time, entry.traffic.octets_in, entry.traffic.octets_out)
                if samples and (sample[1] < samples[-1][1] or sample[2] < samples[-1][2]):
                    samples.clear()  # counted anew: another connection
                samples.append(sample)
                seen[_key(entry)] = samples
        self._seen = seen

    def of(self, entry: TunnelStatus) -> tuple[float, float] | None:
        """In and out; None before there are two reports to compare."""
        samples = self._seen.get(_key(entry), deque())
        if len(samples) < 2 or samples[-1][0] <= samples[0][0]:
            return None
        (start, start_in, start_out), (end, end_in, end_out) = samples[0], samples[-1]
        return (end_in - start_in) / (end - start), (end_out - start_out) / (end - start)


def _key(entry: TunnelStatus) -> tuple[str, int]:
    return entry.name, entry.owner
