"""Plots as text: what goes up and down as a line of bars, and the same in words.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .. import render
from .history import Sample

BARS = "▁▂▃▄▅▆▇█"
LEAST_RATE = 1000.0
"""Octets a second that fill a plot at least: silence must not look like a storm."""
LEAST_TRIP = 10.0
"""Milliseconds, likewise."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One line: a name, bars where there is room for them, and words that say the same."""

    name: str
    bars: str
    words: str


def plots(samples: Sequence[Sample], width: int) -> tuple[Plot, ...]:
    """Received, sent and round trip over the last `width` samples."""
    recent = samples[-width:] if width > 0 else ()
    return (
        _plot("in", [sample.received for sample in recent], LEAST_RATE, width, _rate),
        _plot("out", [sample.sent for sample in recent], LEAST_RATE, width, _rate),
        _plot("round trip", [sample.round_trip for sample in recent], LEAST_TRIP, width, _trip),
    )


def _plot(
    name: str, values: Sequence[float | None], least: float, width: int, say: Callable[[float], str]
) -> Plot:
    known = [value for value in values if value is not None]
    if not known:
        return Plot(name, "", "not known yet")
    now = say(known[-1]) if values[-1] is not None else "not known now"
    return Plot(name, bars(values, least, width), f"{now}, from {say(min(known))} to {say(max(known))}")


def bars(values: Sequence[float | None], least: float, width: int) -> str:
    """`width` columns, the latest value at the right; a gap where nothing is known."""
    top = max([least, *(value for value in values if value is not None)])
    line = "".join(" " if value is None else _bar(value / top) for value in values)
    return line.rjust(width)


def _bar(share: float) -> str:
    return BARS[min(int(share * len(BARS)), len(BARS) - 1)]


def _rate(value: float) -> str:
    return f"{render.octets(round(value))}/s"


def _trip(value: float) -> str:
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
