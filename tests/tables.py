"""Tables of what passing tests have shown: rows of words, or counts that several tests add up.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

Count = tuple[str, str, int, int]
"""Row, column, how many were bad, and of how many."""


def aligned(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A line for each row, its columns as wide as the widest in them."""
    rows = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()


def counted(what: str, counts: Iterable[Count]) -> Iterator[str]:
    """`what` stands above the rows; a cell is bad/all, empty where nothing was counted; the sums come last."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for row, column, bad, of in counts:
        for key in ((row, column), (_SUM, column)):
            before = sums.get(key, (0, 0))
            sums[key] = before[0] + bad, before[1] + of
    rows = dict.fromkeys(row for row, _ in sums if row != _SUM)
    columns = dict.fromkeys(column for _, column in sums)
    yield from aligned(
        [
            (what, *columns),
            *((row, *(_cell(sums.get((row, column))) for column in columns)) for row in (*rows, _SUM)),
        ]
    )


_SUM = "all together"


def _cell(count: tuple[int, int] | None) -> str:
    return "" if count is None else f"{count[0]}/{count[1]}"
