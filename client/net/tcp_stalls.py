"""How often this machine's TCP has waited in vain for an acknowledgement, as the kernel counts."""

from __future__ import annotations

from pathlib import Path

COUNTERS = Path("/proc/self/net/netstat")


def count_stalls(counters: Path = COUNTERS) -> int | None:
    """Retransmission time-outs since boot in this namespace; None where the kernel does not tell."""
    try:
        lines = [line.split() for line in counters.read_text().splitlines() if line.startswith("TcpExt:")]
        names, values = lines
        return int(values[names.index("TCPTimeouts")])
    except (OSError, ValueError):
        return None
