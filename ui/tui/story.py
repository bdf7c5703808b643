"""What has happened to a tunnel, told from two successive statuses: pure."""

from __future__ import annotations

from collections.abc import Iterator

from client.control.messages import TunnelStatus

from .. import render


def happened(old: TunnelStatus | None, new: TunnelStatus) -> Iterator[str]:
    """One line for each thing that is new in `new`."""
    moved = new.handover is not None and (old is None or _moved_at(old) != new.handover.at)
    if old is not None and moved:
        yield f"{_name(new)}: moved from {_ends(new)}"
    elif old is None or (old.state, _step(old)) != (new.state, _step(new)):
        if old is not None and (old.state, new.state) == ("moving", "up"):
            return  # where it has moved to has been told
        yield _stands(new)
    elif _gap(old) is None and (gap := _gap(new)) is not None:
        yield f"{_name(new)}: carries traffic again after {gap} ms"
    if new.probing and (old is None or not old.probing):
        yield f"{_name(new)}: the gateway does not answer"
    if old is not None and old.serial == new.serial:
        yield from _renewed(old, new)


def _stands(entry: TunnelStatus) -> str:
    """Where it stands now."""
    return render.connected(entry) if entry.state == "up" else render.progress(entry)


def _step(entry: TunnelStatus) -> str:
    """The step under way; for a tunnel that is up there is none."""
    return "" if entry.state == "up" else entry.detail


def _ends(entry: TunnelStatus) -> str:
    move = entry.handover
    if move is None:
        return ""
    why = f": {render.printable(move.trigger)}" if move.trigger else ""
    gap = "" if move.gap_ms is None else f", {move.gap_ms} ms without traffic"
    old, new = render.printable(move.old), render.printable(move.new)
    if old.split()[:1] != new.split()[:1]:  # else the addresses tell them apart
        old, new = old.split()[0], new.split()[0]
    return f"{old} to {new}{why}{gap}"


def _renewed(old: TunnelStatus, new: TunnelStatus) -> Iterator[str]:
    """New keys show by the time of the next ones."""
    if old.state != "up" or new.state != "up":
        return
    for what, before, after in (
        ("IKE", old.ike_rekey_at, new.ike_rekey_at),
        ("Child", old.child_rekey_at, new.child_rekey_at),
    ):
        if before is not None and after is not None and after > before + 1:
            yield f"{_name(new)}: the {what} SA has new keys"


def _moved_at(entry: TunnelStatus) -> float | None:
    return None if entry.handover is None else entry.handover.at


def _gap(entry: TunnelStatus) -> int | None:
    return None if entry.handover is None else entry.handover.gap_ms


def _name(entry: TunnelStatus) -> str:
    return render.printable(entry.name)
