"""`make bench`: figures side by side, measured in one run on one lab; medians with their ranges.

Machines are shared and noisy: compare the columns of one run, never figures of two.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from client.lab.isolation import why_not
from client.lab.topology import Topology, topology
from tests.conftest import PEERS
from tests.netns.peers.releases import PeerUnavailable, Release, release
from tests.netns.peers.roadwarrior import CONNECTION, Method, Road, dial, make_credentials, serve
from tests.netns.peers.strongswan import StrongSwan


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity in seconds, with every single measurement."""

    what: str
    seconds: tuple[float, ...]

    def __str__(self) -> str:
        low, middle, high = (1000 * f(self.seconds) for f in (min, statistics.median, max))
        return f"{self.what:<58} {middle:8.1f} ms  ({low:.1f} to {high:.1f}, n = {len(self.seconds)})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 0, or 1 where the lab cannot be built."""
    parser = argparse.ArgumentParser(prog="make bench", description="Figures side by side with strongSwan.")
    parser.add_argument("--runs", type=int, default=10, help="measurements of each quantity (default 10)")
    parser.add_argument("--peer", choices=PEERS, help="one release only")
    options = parser.parse_args(arguments)
    reason = (
        why_not() if os.geteuid() == 0 else "the bench needs root for network namespaces: sudo make bench"
    )
    if reason is not None:
        print(reason, file=sys.stderr)
        return 1
    for suite in [options.peer] if options.peer else PEERS:
        try:
            peer = release(suite)
        except PeerUnavailable as error:
            print(error, file=sys.stderr)
            return 1
        for figure in figures(peer, options.runs):
            print(figure, flush=True)
    return 0


def figures(peer: Release, runs: int) -> Iterable[Figure]:
    """All quantities for one release."""
    for road in (Road(), Road(Method.EAP, make_credentials())):
        with topology() as lab:
            yield from connects(peer, lab, road, runs)


def connects(peer: Release, lab: Topology, road: Road, runs: int) -> Iterable[Figure]:
    """Time to an installed Child SA: asked over the control socket, and by the command that a user types."""
    with StrongSwan(peer, lab.gateway) as gateway, StrongSwan(peer, lab.laptop) as client:
        serve(gateway, road)
        dial(client, road)
        name = f"strongSwan {client.version} connects, {road.method}"

        def measured(connect: Callable[[str], float]) -> float:
            seconds = connect(CONNECTION)
            client.terminate(ike=CONNECTION)
            return seconds

        pairs = [(measured(client.initiate), measured(client.initiate_by_command)) for _ in range(runs)]
    by_socket, by_command = zip(*pairs, strict=True)
    yield Figure(f"{name}, by control socket", by_socket)
    yield Figure(f"{name}, swanctl --initiate", by_command)


if __name__ == "__main__":
    sys.exit(main())
