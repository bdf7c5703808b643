"""`make bench`: Roam beside strongSwan's own client, measured in turn in one run.

Each client has a lab and a strongSwan gateway of its own.  The figures are printed and judged by people.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence

from client.lab.isolation import why_not
from tests.conftest import PEERS
from tests.netns.peers.releases import PeerUnavailable, Release, release
from tests.netns.peers.roadwarrior import Method, Road, make_credentials

from .clients import contest
from .connecting import connects, first_connects
from .figures import HEADINGS, Row, line
from .load import answers_under_load, throughputs
from .programs import compile_programs, memory, status_command
from .roaming import gaps

RUNS = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 0, or 1 where the lab cannot be built."""
    options = _options(arguments)
    reason = (
        why_not() if os.geteuid() == 0 else "the bench needs root for network namespaces: sudo make bench"
    )
    if reason is not None:
        print(reason, file=sys.stderr)
        return 1
    compile_programs()
    print(
        f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}: the less there is, the more the figures mean"
    )
    started = time.monotonic()
    for suite in [options.peer] if options.peer else PEERS:
        try:
            peer = release(suite)
        except PeerUnavailable as error:
            print(error, file=sys.stderr)
            return 1
        for row in figures(peer, options.runs, options.only):
            print(row, flush=True)
    print(f"{time.monotonic() - started:.0f} s in all", file=sys.stderr)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Figures side by side with strongSwan.")
    parser.add_argument(
        "--runs", type=int, default=RUNS, help=f"measurements of each connect (default {RUNS})"
    )
    parser.add_argument("--peer", choices=PEERS, help="one release only")
    parser.add_argument("--only", choices=TOPICS, help="one topic only")
    return parser.parse_args(arguments)


TOPICS = ("connect", "roam", "load", "programs")


def figures(peer: Release, runs: int, only: str | None) -> Iterator[Row | str]:
    """All quantities for one release; what takes long is measured fewer times."""
    topics = (only,) if only else TOPICS
    few = max(runs // 2, 1)
    with contest(peer, Road()) as pair:
        yield ""
        yield line(*HEADINGS).replace("strongSwan", f"strongSwan {pair.version}", 1)
        if "connect" in topics:
            yield from connects(pair, runs)
            yield first_connects(pair, few)
        if "roam" in topics:
            yield from (gaps(pair, interval, few) for interval in (0.02, 0.005))
        if "load" in topics:
            yield from throughputs(pair, max(runs // 3, 1))
            yield from answers_under_load(pair, few)
        if "programs" in topics:
            yield from status_command(pair, 2 * runs)
            yield from memory(pair)
    if "connect" in topics:
        with contest(peer, Road(Method.EAP, make_credentials())) as pair:
            yield from connects(pair, runs)


if __name__ == "__main__":
    sys.exit(main())
