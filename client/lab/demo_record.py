"""What the demo wrote down, and the lines that it prints: every figure is computed from the record.

The record is plain JSON: `probes` are the numbered packets of a UDP train with their times at both ends
(CLOCK_MONOTONIC nanoseconds of this machine), `moments` the times of what was done to the network, `snapshots` the
laptop's network settings before, while up, and after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

VERSION = 1
MILLISECOND = 1_000_000  # nanoseconds


@dataclass
class Record:
    """One run of the demo."""

    moments: dict[str, int] = field(default_factory=dict)
    probes: list[dict[str, Any]] = field(default_factory=list)
    interval_ms: float = 20.0
    status: dict[str, Any] = field(default_factory=dict)
    snapshots: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    changed_while_up: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    underlay: list[str] = field(default_factory=list)  # addresses that the laptop sent to over its uplinks
    daemon: dict[str, int] = field(default_factory=dict)  # uid and effective capabilities

    def as_json(self) -> dict[str, Any]:
        """The content of demo.json."""
        return {"version": VERSION, **vars(self)}


def gap_after(probes: Sequence[Mapping[str, Any]], moment: int) -> int | None:
    """Nanoseconds between the last answer before `moment` and the first answer to a probe after it.

    Answers under way at `moment` count as before it.  None where one of the two is missing.
    """
    answered = [probe for probe in probes if probe["answered_at"] is not None]
    before = [probe["answered_at"] for probe in answered if probe["sent_at"] < moment]
    after = [probe["answered_at"] for probe in answered if probe["sent_at"] >= moment]
    if not before or not after:
        return None
    return int(max(0, min(after) - max(before)))


def longest_silence(probes: Sequence[Mapping[str, Any]], start: int, end: int) -> int | None:
    """Nanoseconds of the longest time without an answer between two moments."""
    times = sorted(
        probe["answered_at"]
        for probe in probes
        if probe["answered_at"] is not None and start <= probe["answered_at"] <= end
    )
    return max((later - earlier for earlier, later in pairwise(times)), default=None)


def count(probes: Sequence[Mapping[str, Any]], start: int, end: int) -> tuple[int, int]:
    """How many probes sent between two moments were answered, and how many were sent or refused."""
    meant = [probe for probe in probes if start <= probe["due_at"] < end]
    return sum(1 for probe in meant if probe["answered_at"] is not None), len(meant)


def milliseconds(nanoseconds: int | None) -> str:
    """For people: whole milliseconds, or the word for what never came."""
    return "never" if nanoseconds is None else f"{nanoseconds / MILLISECOND:.0f} ms"


def describe_connect(record: Record) -> str:
    """`roam up` and what it negotiated."""
    took = record.moments["up"] - record.moments["up_asked"]
    status = record.status
    return (
        f"up        {milliseconds(took)} from the command to the tunnel: {status.get('identity')}, "
        f"{status.get('ike_suite')}, addresses {', '.join(status.get('addresses', ()))}"
    )


def describe_daemon(record: Record) -> str:
    """Who carries it."""
    return (
        f"daemon    roamd runs as uid {record.daemon['uid']} with capabilities "
        f"{record.daemon['capabilities']:#x} (CAP_NET_ADMIN is 0x1000)"
    )


def describe_traffic(record: Record) -> str:
    """Probes before the first event."""
    answered, sent = count(record.probes, record.moments["traffic"], record.moments["wifi_down"])
    return f"traffic   {answered} of {sent} packets answered by the server behind the gateway"


def describe_roam(record: Record) -> str:
    """Wi-Fi went away."""
    gap = gap_after(record.probes, record.moments["wifi_down"])
    return f"roam      Wi-Fi went away, traffic follows over LTE: gap {milliseconds(gap)}"


def describe_return(record: Record) -> str:
    """Wi-Fi came back: nobody should notice."""
    moments = record.moments
    gap = longest_silence(record.probes, moments["wifi_up"], moments["returned"])
    return f"return    Wi-Fi came back and is used again: longest silence {milliseconds(gap)}"


def describe_restart(record: Record) -> str:
    """The gateway was killed and started again."""
    gap = gap_after(record.probes, record.moments["gateway_killed"])
    return f"restart   killed and started anew, the gateway is in use again without a hand: gap {milliseconds(gap)}"


def describe_leaks(record: Record) -> str:
    """Where packets went outside the tunnel."""
    return f"underlay  the laptop sent to {', '.join(record.underlay) or 'nobody'} and to no other address"


def describe_difference(record: Record) -> str:
    """What the tunnel changed, and what is left of it."""
    changed, left = len(record.changed_while_up), len(record.left_behind)
    rest = "empty" if not left else f"{left} lines: " + "; ".join(record.left_behind)
    return f"down      difference of the system before and after: {rest} (while up: {changed} lines)"


def verdict(record: Record, expected: frozenset[str]) -> list[str]:
    """What is wrong with a run, in sentences; nothing for a good one."""
    problems = []
    if gap_after(record.probes, record.moments["wifi_down"]) is None:
        problems.append("traffic did not follow over LTE")
    if gap_after(record.probes, record.moments["gateway_killed"]) is None:
        problems.append("traffic did not come back after the gateway's restart")
    if not record.changed_while_up:
        problems.append("the snapshots show no tunnel at all: they prove nothing")
    if record.left_behind:
        problems.append("something was left behind")
    if strangers := sorted(set(record.underlay) - expected):
        problems.append(f"packets left outside the tunnel to {', '.join(strangers)}")
    return problems
