"""`roamd`: reads its arguments, protects itself, and serves until it is told to stop, or sweeps."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from profiles.store import SYSTEM_DIRECTORY

from ..control.messages import DEFAULT_SOCKET, ControlError, exit_code
from ..system.reconcile import System
from ..system.resolver.resolver import Resolver
from .hardening import harden
from .intent import Intents
from .lock import only_one
from .service import Daemon, Places, program_version

log = logging.getLogger("roam")

_TURN = 0.0005
"""Seconds that a thread may keep the interpreter while others want it: the event loop has datagrams to answer,
while the threads beside it build and read netlink messages."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    sys.setswitchinterval(_TURN)
    places = Places(options.socket, options.state_dir, options.run_dir, options.system_profiles)
    try:
        harden()
        with only_one(places.state):
            asyncio.run(_sweep(places) if options.sweep else _serve(places))
    except ControlError as error:
        log.error("%s: %s", error.kind, error)
        return exit_code(error.kind)
    except PermissionError as error:
        log.error("not permitted: %s", error)
        return exit_code("permission.denied")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("roamd", description="Roam's daemon: tunnels that follow the laptop.")
    parser.add_argument("--version", action="version", version=program_version())
    parser.add_argument("--socket", type=Path, default=Path(DEFAULT_SOCKET), help="the control socket")
    parser.add_argument(
        "--state-dir", type=Path, default=Path("/var/lib/roam"), help="what must survive a restart"
    )
    parser.add_argument(
        "--run-dir", type=Path, default=Path("/run/roam"), help="what need not survive a restart"
    )
    parser.add_argument(
        "--system-profiles", type=Path, default=SYSTEM_DIRECTORY, help="profiles that the daemon reads itself"
    )
    parser.add_argument("--sweep", action="store_true", help="remove what a dead daemon left behind, and end")
    parser.add_argument("--verbose", action="store_true", help="log every step of every exchange")
    return parser


async def _serve(places: Places) -> None:
    """Until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    for directory in (places.run, places.socket.parent):
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    await Daemon(places).run(stopping)


async def _sweep(places: Places) -> None:
    """Without a daemon: nothing is wanted any more, and nothing of ours stays on the machine."""
    if _is_answered(places.socket):
        raise ControlError("daemon.running", f"a daemon answers at {places.socket}")
    Intents(places.state).forget_all()
    names = await Resolver(places.state).restore()
    system = System(places.state)
    try:
        outcome = await system.sweep()
    finally:
        system.close()
    sys.stdout.write("\n".join(map(str, (*names.steps, *outcome.steps))) or "nothing was left")
    sys.stdout.write("\n")
    if problems := (*names.problems, *outcome.problems):
        raise ControlError("local.fault", "; ".join(map(str, problems)))


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


if __name__ == "__main__":
    sys.exit(main())
