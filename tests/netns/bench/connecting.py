"""How long it takes until a tunnel can be used."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from .clients import IDLE, Contestant, Pair
from .figures import Row, Sample, milliseconds


def connects(pair: Pair, runs: int) -> Iterator[Row]:
    """Asked over the control socket, and by the command that a user types; and the one beside the other."""
    method = pair.road.method
    asked = _row(f"connect, {method}: request to usable", pair, runs, lambda client: client.connect)
    typed = _row(
        f"connect, {method}: roam up, swanctl --initiate",
        pair,
        runs,
        lambda client: client.connect_by_command,
    )
    yield from (asked, typed)
    yield Row(f"connect, {method}: request to usable, beside swanctl", asked.ours, typed.theirs)


def first_connects(pair: Pair, runs: int) -> Row:
    """The first tunnel of a daemon: nothing is in any cache of its own yet."""

    def fresh(client: Contestant) -> Callable[[], float]:
        client.restart()
        return client.connect

    return _row(f"connect, {pair.road.method}: first of a daemon", pair, runs, fresh)


def _row(what: str, pair: Pair, runs: int, way: Callable[[Contestant], Callable[[], float]]) -> Row:
    """Measure in turn."""
    rounds = [[_once(client, way) for client in pair.both] for _ in range(runs)]
    ours, theirs = (_sample(column) for column in zip(*rounds, strict=True))
    return Row(what, ours, theirs)


def _once(client: Contestant, way: Callable[[Contestant], Callable[[], float]]) -> float:
    time.sleep(IDLE)
    seconds = way(client)()
    client.disconnect()
    return seconds


def _sample(column: tuple[float, ...]) -> Sample:
    return milliseconds(column)
