"""How long traffic stands still when the network in use goes away."""

from __future__ import annotations

import time
from itertools import pairwise

from client.lab.echo import EchoServer, Train
from client.lab.laptop import wait_for
from client.lab.topology import SERVER

from .clients import IDLE, Contestant, Pair, end
from .figures import Row, milliseconds

PATIENCE = 4.0  # seconds in which traffic must go on
TRIES = 2  # of a client that has not gone on: it would not the next time either
_WARM = 20  # answers before the network goes
_LOOK_BACK = 100_000_000  # nanoseconds before that in which some probe was answered


def gaps(pair: Pair, interval: float, runs: int) -> Row:
    """From the last answer over Wi-Fi to the first over LTE, with a probe every `interval` seconds."""
    ours: list[float | None] = []
    theirs: list[float | None] = []
    for _ in range(runs):
        for client, column in zip(pair.both, (ours, theirs), strict=True):
            if column.count(None) < TRIES:
                column.append(_gap(client, interval))
    what = f"roam gap, probes every {1000 * interval:.0f} ms"
    return Row(what, milliseconds(ours, PATIENCE), milliseconds(theirs, PATIENCE))


def _gap(client: Contestant, interval: float) -> float | None:
    lab = client.lab
    time.sleep(IDLE)
    client.connect()
    try:
        with EchoServer(lab.server, SERVER), Train(lab.laptop, SERVER, interval) as train:
            wait_for(lambda: len(train.answers) > _WARM, "no traffic before the roam")
            time.sleep(2 * IDLE)
            started = time.monotonic_ns()
            lab.wifi.down()
            return _longest_silence(train, started - _LOOK_BACK, len(train.sent))
    finally:
        lab.wifi.up()
        end(client)


def _longest_silence(train: Train, since: int, first: int) -> float | None:
    """Seconds, once a probe is answered that was sent when the network had gone: `first` or a later one."""
    deadline = time.monotonic() + PATIENCE
    while not any(number >= first for number in train.answers):
        if time.monotonic() > deadline:
            return None
        time.sleep(0.001)
    times = sorted(at for at in train.answers.values() if at > since)
    return max(later - earlier for earlier, later in pairwise(times)) / 1e9
