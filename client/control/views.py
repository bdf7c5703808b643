"""What a caller may see of what the daemon tells (DESIGN 3)."""

from __future__ import annotations

from .handlers import Access, Caller
from .messages import EventData, Notice, SecretNeeded, StatusReport, TunnelStatus, redacted


def view(data: EventData, caller: Caller) -> EventData | None:
    """What `caller` may see of an event's data: all, a redacted form, or nothing."""
    match data:
        case TunnelStatus():
            return data if caller.controls(data.owner, shared=data.shared) else redacted(data)
        case SecretNeeded():
            return data if caller.access is Access.ADMIN or caller.uid == data.owner else None
        case Notice():
            return data


def view_of_report(report: StatusReport, caller: Caller) -> StatusReport:
    """The tunnels as `caller` may see them; reasons name networks and servers of tunnels, also of redacted ones."""
    tunnels = tuple(seen for entry in report.tunnels if isinstance(seen := view(entry, caller), TunnelStatus))
    if all(caller.controls(entry.owner, shared=entry.shared) for entry in report.tunnels):
        return report
    return report.replace(tunnels=tunnels, leaks=tuple(verdict.replace(why="") for verdict in report.leaks))
