"""What a test has somebody else do: `python acting.py ROOT BUS STATE_DIR full|split|restore`, or `… helper UID`.

The first form is the daemon with whatever rights it was started with; it prints the choice and the problems.  The
second one is `roam-dns` with a root directory of the test's own.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from client.system.resolver.detect import Places
from client.system.resolver.direct import Direct
from client.system.resolver.helper import serve
from client.system.resolver.resolver import Resolver
from tests.system.resolver.scene import FULL, SPLIT

CONFIGS = {"full": (FULL,), "split": (SPLIT,), "restore": ()}


def main() -> None:
    """Act."""
    root, bus, state_dir, verb, *rest = sys.argv[1:]
    helper_socket = Path(root, "run/roam-dns.sock")
    places = Places(Path(root), bus, helper_socket)
    if verb == "helper":
        help_out(helper_socket, Direct(Path(state_dir), places), int(rest[0]))
    else:
        asyncio.run(act(Resolver(Path(state_dir), places), verb))


async def act(resolver: Resolver, verb: str) -> None:
    """Apply one configuration and say what came of it."""
    outcome = await resolver.apply(CONFIGS[verb])
    print(*filter(None, (outcome.choice, *outcome.problems)), sep="\n")


def help_out(path: Path, direct: Direct, uid: int) -> None:
    """Listen as systemd does for it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen()
        print("listening", flush=True)
        asyncio.run(serve(listener, direct, frozenset({0, uid}), idle=60))


if __name__ == "__main__":
    main()
