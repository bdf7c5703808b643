"""A status as text: pure, shared by the command line and the terminal UI.

What a gateway or another program sent may stand in every value, so each passes through `printable`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from client.control.messages import (
        ControlError,
        Handover,
        LockdownStatus,
        OuterPath,
        StatusReport,
        Traffic,
        TunnelStatus,
    )

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


def fold(text: str, width: int | None, indent: int) -> str:
    """`text` in lines of at most `width` columns, broken between words; all but the first are indented."""
    if width is None or len(text) <= width or width < indent + 20:
        return text
    import textwrap

    return textwrap.fill(
        text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def status(report: StatusReport, width: int | None = None) -> str:
    """All tunnels: one in full, several as a line each, with what is wrong below it; and the machine itself."""
    lines = [_tunnels(report, width)]
    if report.lockdown is not None:
        guarded = report.lockdown.on or any(entry.guard for entry in report.tunnels)
        lines += standing(report.lockdown) if guarded else machine(report.lockdown, guarded=False)
    if report.tunnels or (report.lockdown is not None and report.lockdown.on):
        lines += leaks(report)
    return "\n".join(lines)


def _tunnels(report: StatusReport, width: int | None) -> str:
    if not report.tunnels:
        return "no tunnel is wanted: 'roam up' starts one"
    if len(report.tunnels) == 1:
        return tunnel(report.tunnels[0], report.time, width)
    return "\n".join(line for entry in report.tunnels for line in _short(entry, report.time, width))


def machine(status: LockdownStatus, *, guarded: bool) -> Iterator[str]:
    """What is unusual: lockdown, an open portal, a guard that is not whole."""
    if status.on:
        lan = "the local network" if status.allow_lan else "nothing else"
        yield f"lockdown: on, by uid {status.owner}; nothing leaves outside a tunnel, reachable beside it: {lan}"
    if guarded and status.guard_reason:
        yield f"guard: by routing only, without a packet filter: {printable(status.guard_reason)}"
    if status.fight:
        yield f"others: {printable(status.fight, 600)}"
    if status.portal_until is not None:
        left = span(status.portal_until - status.time)
        yield f"portal: open for the browser of uid {status.portal_owner}, for {left} more"


def standing(status: LockdownStatus) -> Iterator[str]:
    """How the machine stands where something is guarded: what is as usual, too."""
    if not status.on:
        yield "lockdown: off"
    yield from machine(status, guarded=True)
    if not status.guard_reason:
        yield "guard: by a packet filter (nftables) and by routing"


def leaks(report: StatusReport) -> Iterator[str]:
    """Where traffic goes, each family and names by themselves."""
    if report.leaks:
        yield f"where it goes: {', '.join(f'{printable(v.what)} {printable(v.goes)}' for v in report.leaks)}"


def headline(entry: TunnelStatus, now: float) -> str:
    """Name, state and its age: "office: up for 3 min 12 s"."""
    words = "connected for" if entry.state == "moving" else "for"  # a move does not end the connection
    comma = "," if entry.state == "moving" else ""
    age = f"{comma} {words} {span(now - entry.since)}" if entry.since else ""
    doubt = ", but the gateway has not answered lately" if entry.probing else ""
    return f"{printable(entry.name)}: {printable(entry.state)}{age}{doubt}"


def _short(entry: TunnelStatus, now: float, width: int | None) -> Iterator[str]:
    way = f", {printable(entry.path.interface)} to {printable(entry.path.remote)}" if entry.path else ""
    yield fold(f"{headline(entry, now)}{way}", width, 2)
    yield from (_line(name, value, width) for name, value in trouble(entry, now))


def tunnel(entry: TunnelStatus, now: float, width: int | None = None) -> str:
    """Everything about one tunnel, on one screen: what is wrong comes first."""
    first = headline(entry, now) + (
        f"  ({printable(entry.title)})" if entry.title not in ("", entry.name) else ""
    )
    rows = [*trouble(entry, now), *facts(entry, now)]
    return "\n".join([fold(first, width, 2), *(_line(name, value, width) for name, value in rows)])


def _line(name: str, value: str, width: int | None) -> str:
    return fold(f"  {name:<9} {value}", width, 12)


def facts(entry: TunnelStatus, now: float) -> Iterator[tuple[str, str]]:
    """What is known of a tunnel, as rows of a name and a value."""
    yield from ((name, value) for name, value in _facts(entry, now) if value)


def _facts(entry: TunnelStatus, now: float) -> Iterator[tuple[str, str]]:
    if not entry.gateway and entry.state != "off":  # redacted: it belongs to somebody else
        yield "owner", f"uid {entry.owner}; only the owner and root see more of it"
    proven = f", proven as {printable(entry.identity)}" if entry.identity else ""
    yield "gateway", f"{printable(entry.gateway)}{proven}"
    is_known = bool(entry.ike_suite)  # before, nothing is known of NATs, and nothing is carried
    name = "last path" if entry.state == "waiting" else "path"
    trip = f", round trip {entry.rtt_ms:g} ms" if is_known and entry.rtt_ms is not None else ""
    yield name, f"{_path(entry.path, is_known=is_known)}{trip}" if entry.path else ""
    link = f" on {printable(entry.link)}" if entry.link else ""
    yield from (("peculiar", printable(quirk, 400)) for quirk in entry.quirks)
    yield "inside", f"{some(entry.addresses)}{link}" if entry.addresses else ""
    why = f" ({printable(entry.mtu_reason)})" if entry.mtu_reason else ""
    yield "mtu", f"{entry.mtu}{why}" if entry.mtu else ""
    yield "routes", some(entry.routes)
    yield "dns", _names(entry) if entry.dns else ""
    yield "ike", _keys(entry.ike_suite, entry.ike_rekey_at, now)
    yield "esp", _keys(entry.esp_suite, entry.child_rekey_at, now)
    reason = f" ({printable(entry.data_path_reason, 600)})" if entry.data_path_reason else ""
    yield "data path", f"{printable(entry.data_path)}{reason}" if entry.data_path else ""
    yield "roaming", _roaming(entry)
    yield "traffic", _traffic(entry.traffic) if entry.traffic and is_known else ""
    yield "moved", _handover(entry.handover, now) if entry.handover and is_known else ""
    yield "guard", _guard(entry)


def _names(entry: TunnelStatus) -> str:
    domains = f" for {some(entry.domains)}" if entry.domains else ""
    if not entry.resolver:
        return f"{some(entry.dns)}{domains}, not in use"
    reason = f" ({printable(entry.resolver_reason)})" if entry.resolver_reason else ""
    by = entry.resolver
    whom = f"in /etc/resolv.conf{by.removeprefix('file')}" if by.startswith("file") else f"by {by}"
    return f"{some(entry.dns)}{domains}, {printable(whom)}{reason}"


def _guard(entry: TunnelStatus) -> str:
    if entry.guard:
        return "on: the selected traffic leaves through the tunnel or not at all"
    if not entry.gateway or entry.state in {"off", "closing", "blocked"}:
        return ""
    return "off: while the tunnel is not up, the selected traffic leaves without it"


def _path(path: OuterPath, *, is_known: bool) -> str:
    ends = f"{printable(path.interface)}, {printable(path.local)} → {printable(path.remote)}"
    if not is_known:
        return ends
    nat = "NAT here" if path.nat_local else "no NAT here" if path.nat_remote else "no NAT"
    # It may say so only because it wants ESP in UDP, whatever lies between.
    claim = ", the gateway claims one" if path.nat_remote else ""
    return f"{ends}, {nat}{claim}, {'ESP in UDP' if path.encapsulated else 'plain ESP'}"


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


def trouble(entry: TunnelStatus, now: float) -> Iterator[tuple[str, str]]:
    """What is under way or keeps a tunnel from being up, as rows of a name and a value."""
    told = entry.failure.evidence if entry.failure else ""
    if entry.state != "up" and entry.detail not in ("", told):  # of a doubt the headline tells
        yield "now", printable(entry.detail)
    if entry.failure is not None:
        yield "problem", f"{printable(entry.failure.evidence)} [{printable(entry.failure.kind)}]"
        if entry.failure.hint:
            yield "next", printable(entry.failure.hint, 400)
    for remark in entry.remarks[:LIST_LIMIT]:
        yield "note", printable(remark)
    if entry.retry_at is not None:
        yield "retry", f"in {span(entry.retry_at - now)}; 'roam up {printable(entry.name)}' tries at once"


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


def problem(error: ControlError, what: str, width: int | None = None) -> str:
    """An error in three lines: what happened, the evidence, what to do next."""
    lines = [fold(f"roam: {what} [{printable(error.kind)}]", width, 6)]
    if error.evidence:
        lines.append(fold(f"  seen: {printable(error.evidence, 400)}", width, 8))
    if error.hint:
        lines.append(fold(f"  next: {printable(error.hint, 400)}", width, 8))
    return "\n".join(lines)
