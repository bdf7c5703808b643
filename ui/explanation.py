"""Why something does not work, as lines for a person: pure."""

from __future__ import annotations

from collections.abc import Iterator

from client.control.evidence import Explanation, Verdict

from .render import fold, printable


def explained(found: Explanation, width: int | None) -> Iterator[str]:
    """What happened, what speaks for it, what to do, and what it is not."""
    verdict = found.verdict
    name = printable(found.evidence.name)
    yield fold(f"{name}: {printable(verdict.title)} [{verdict.cause}]" if name else verdict.title, width, 2)
    yield from _section("seen", verdict.evidence, width)
    yield from _section("do", verdict.fix, width)
    if verdict.gather:
        yield from _section("find out", verdict.gather, width)
    yield from _section("rather than", _nearest(verdict), width)
    yield from _section("gateway", verdict.quirks, width)
    if verdict.confidence == "likely":
        yield "  (likely: the evidence fits, and does not rule out everything else)"


def _nearest(verdict: Verdict) -> tuple[str, ...]:
    """The cause that looks most alike; the others are in the JSON.  Where nothing is certain, all that are near."""
    shown = verdict.neighbours if verdict.confidence == "none" else verdict.neighbours[:1]
    return tuple(f"{near.title} [{near.cause}]: {near.told_by}" for near in shown)


def _section(word: str, lines: tuple[str, ...], width: int | None) -> Iterator[str]:
    for number, line in enumerate(lines):
        head = f"  {word}: " if number == 0 else " " * (len(word) + 4)
        yield fold(head + printable(line, 600), width, len(word) + 4)
