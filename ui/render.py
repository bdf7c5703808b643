"""A status as text: pure, shared by the command line and the terminal UI.

What a gateway or another program sent may stand in every value, so each passes through `printable`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from client.control.messages import ControlError, Handover, OuterPath, StatusReport, Traffic, TunnelStatus

LIST_LIMIT = 6
"""Entries of a list (routes, addresses) that a status shows; the JSON form has them all."""
TEXT_LIMIT = 200
CONNECTED = frozenset({"up", "moving"})
"""States in which the tunnel stands, and traffic passes or will in a moment."""


def printable(text: str, limit: int = TEXT_LIMIT) -> str:
    """`text` without anything that could steer a terminal, and not longer than `limit`."""
    clean = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def span(seconds: float) -> str:
    """A duration by its two largest units: "3 min 12 s"."""
    total = max(0, round(seconds))
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    parts = []
    for size, name in units:
        count, total = divmod(total, size)
        parts.append((count, name))
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count or name == parts[0][1])


def octets(count: int) -> str:
    """An amount of data in decimal units: "1.2 MB"."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def some(values: tuple[str, ...]) -> str:
    """A list, cut where it would not fit."""
    shown = ", ".join(printable(value) for value in values[:LIST_LIMIT])
    left = len(values) - LIST_LIMIT
    return f"{shown} and {left} more" if left > 0 else shown


def status(report: StatusReport) -> str:
    """All tunnels: one in full, several as a line each (with what is wrong below it)."""
    if not report.tunnels:
        return "no tunnel is wanted: 'roam up' starts one"
    if len(report.tunnels) == 1:
        return tunnel(report.tunnels[0], report.time)
    return "\n".join(line for entry in report.tunnels for line in _short(entry, report.time))


def headline(entry: TunnelStatus, now: float) -> str:
    """Name, state and its age: "office: up for 3 min 12 s"."""
    age = f" for {span(now - entry.since)}" if entry.since else ""
    doubt = ", but the gateway has not answered lately" if entry.probing else ""
    return f"{printable(entry.name)}: {printable(entry.state)}{age}{doubt}"


def _short(entry: TunnelStatus, now: float) -> Iterator[str]:
    way = f", {printable(entry.path.interface)} to {printable(entry.path.remote)}" if entry.path else ""
    yield f"{headline(entry, now)}{way}"
    yield from (f"  {line}" for line in _trouble(entry, now))


def tunnel(entry: TunnelStatus, now: float) -> str:
    """Everything about one tunnel, on one screen."""
    lines = [headline(entry, now) + (f"  ({printable(entry.title)})" if entry.title else "")]
    lines += [f"  {name:<9} {value}" for name, value in _rows(entry, now) if value]
    lines += [f"  {line}" for line in _trouble(entry, now)]
    return "\n".join(lines)


def _rows(entry: TunnelStatus, now: float) -> Iterator[tuple[str, str]]:
    proven = f", proven as {printable(entry.identity)}" if entry.identity else ""
    yield "gateway", f"{printable(entry.gateway)}{proven}"
    yield "path", _path(entry.path) if entry.path else ""
    link = f" on {printable(entry.link)}" if entry.link else ""
    yield "inside", f"{some(entry.addresses)}{link}" if entry.addresses else ""
    yield "routes", some(entry.routes)
    domains = f" for {some(entry.domains)}" if entry.domains else ""
    yield "dns", f"{some(entry.dns)}{domains}, offered by the gateway and not used" if entry.dns else ""
    yield "ike", _keys(entry.ike_suite, entry.ike_rekey_at, now)
    yield "esp", _keys(entry.esp_suite, entry.child_rekey_at, now)
    reason = f" ({printable(entry.data_path_reason)})" if entry.data_path_reason else ""
    yield "data path", f"{printable(entry.data_path)}{reason}" if entry.data_path else ""
    yield "roaming", _roaming(entry)
    yield "traffic", _traffic(entry.traffic) if entry.traffic else ""
    yield "moved", _handover(entry.handover, now) if entry.handover else ""
    yield "guard", "on: the selected traffic leaves through the tunnel or not at all" if entry.guard else ""


def _path(path: OuterPath) -> str:
    nat = {(True, True): "NAT on both sides", (True, False): "NAT here", (False, True): "NAT at the gateway"}
    notes = [
        nat.get((path.nat_local, path.nat_remote), "no NAT"),
        "ESP in UDP" if path.encapsulated else "plain ESP",
    ]
    ends = f"{printable(path.local)} → {printable(path.remote)}"
    return f"{printable(path.interface)}, {ends}, {', '.join(notes)}"


def _keys(suite: str, rekey_at: float | None, now: float) -> str:
    if not suite:
        return ""
    return printable(suite) + (f", new keys in {span(rekey_at - now)}" if rekey_at is not None else "")


def _roaming(entry: TunnelStatus) -> str:
    if entry.mobike is None:
        return ""
    return "MOBIKE" if entry.mobike else "by a new connection: the gateway lacks MOBIKE"


def _traffic(traffic: Traffic) -> str:
    received = f"{octets(traffic.octets_in)} in {traffic.packets_in} packets received"
    sent = f"{octets(traffic.octets_out)} in {traffic.packets_out} sent"
    return f"{received}, {sent}" + (f", {traffic.dropped} dropped" if traffic.dropped else "")


def _handover(move: Handover, now: float) -> str:
    gap = "" if move.gap_ms is None else f", gap {move.gap_ms} ms"
    trigger = f" ({printable(move.trigger)})" if move.trigger else ""
    return f"{span(now - move.at)} ago, {printable(move.old)} → {printable(move.new)}{gap}{trigger}"


def _trouble(entry: TunnelStatus, now: float) -> Iterator[str]:
    told = entry.failure.evidence if entry.failure else ""
    if entry.state != "up" and entry.detail not in ("", told):
        yield f"now       {printable(entry.detail)}"
    if entry.failure is not None:
        yield f"problem   {printable(entry.failure.evidence)} [{printable(entry.failure.kind)}]"
        if entry.failure.hint:
            yield f"next      {printable(entry.failure.hint, 400)}"
    if entry.retry_at is not None:
        yield f"retry     in {span(entry.retry_at - now)}"


def connected(entry: TunnelStatus) -> str:
    """The one line that `up` ends with."""
    inside = f" as {some(entry.addresses)}" if entry.addresses else ""
    way = f", {printable(entry.path.interface)} to {printable(entry.path.remote)}" if entry.path else ""
    return f"{printable(entry.name)}: {printable(entry.state)}{inside}{way}"


def progress(entry: TunnelStatus) -> str:
    """One line for a step on the way, or for what keeps it from going on."""
    words = [printable(entry.state)]
    if entry.detail:
        words.append(printable(entry.detail))
    elif entry.failure is not None:
        words.append(printable(entry.failure.evidence))
    return f"{printable(entry.name)}: {': '.join(words)}"


def problem(error: ControlError, what: str) -> str:
    """An error in three lines: what happened, the evidence, what to do next."""
    lines = [f"roam: {what} [{printable(error.kind)}]"]
    if error.evidence:
        lines.append(f"  seen: {printable(error.evidence, 400)}")
    if error.hint:
        lines.append(f"  next: {printable(error.hint, 400)}")
    return "\n".join(lines)
