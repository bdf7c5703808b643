"""`roamd`: reads its arguments, protects itself, and serves until it is told to stop; or does one thing."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path

from profiles.store import SYSTEM_DIRECTORY

from ..control.diagnosis import TOPICS
from ..control.messages import DEFAULT_SOCKET, ControlError, exit_code
from .early import arm
from .hardening import harden
from .journald import JournaldHandler, leads_to_journal
from .lock import only_one
from .places import Places, program_version

log = logging.getLogger("roam")

_TURN = 0.0005
"""Seconds that a thread may keep the interpreter while others want it: the event loop has datagrams to answer,
while the threads beside it build and read netlink messages."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.INFO, handlers=[_log_handler()])
    for library in (
        "asyncio",
        "pyroute2",
    ):  # what they say of themselves is about nothing that a user can see
        logging.getLogger(library).setLevel(logging.WARNING)
    sys.setswitchinterval(_TURN)
    places = Places(options.socket, options.state_dir, options.run_dir, options.system_profiles)
    if options.doctor is not None:
        from . import alone

        return asyncio.run(alone.examine(places.socket, places.state, options.doctor))
    try:
        if options.probe is not None:
            from . import alone

            return asyncio.run(alone.look(options.probe, options.probe_port))
        harden()
        with only_one(places.state):
            asyncio.run(_work(options, places))
    except ControlError as error:
        log.error("%s: %s", error.kind, error)
        return exit_code(error.kind)
    except PermissionError as error:
        log.error("not permitted: %s", error)
        return exit_code("permission.denied")
    return 0


def _log_handler() -> logging.Handler:
    """To the journal with fields of its own, where stderr leads there; else lines on stderr."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    if not leads_to_journal(sys.stderr.fileno(), os.environ.get("JOURNAL_STREAM", "")):
        return lines
    handler = JournaldHandler(lines)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


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
    once = parser.add_mutually_exclusive_group()
    once.add_argument(
        "--sweep", action="store_true", help="remove what a dead daemon left behind, but lockdown, and end"
    )
    once.add_argument("--arm", action="store_true", help="under lockdown, close the guard, and end")
    once.add_argument("--disarm", action="store_true", help="end lockdown where no daemon runs, and end")
    once.add_argument(
        "--doctor",
        nargs="?",
        const="",
        choices=TOPICS,
        metavar="dns",
        help="look at this machine with the caller's rights, tell it in JSON, and end ('roam doctor' shows it)",
    )
    once.add_argument(
        "--probe", metavar="HOST", help="look at a gateway, tell it in JSON, and end ('roam probe' shows it)"
    )
    parser.add_argument("--probe-port", type=int, default=500, metavar="N", help="its UDP port")
    parser.add_argument("--verbose", action="store_true", help="log every step of every exchange")
    return parser


def _work(options: argparse.Namespace, places: Places) -> Coroutine[object, object, None]:
    """What is not wanted is not imported: a boot waits for `--arm`."""
    if options.arm:
        return arm(places.socket, places.state)
    from . import alone

    if options.sweep:
        return alone.sweep(places.socket, places.state)
    if options.disarm:
        return alone.disarm(places.socket, places.state)
    return _serve(places)


async def _serve(places: Places) -> None:
    """Until SIGTERM or SIGINT."""
    from .service import Daemon

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    for directory in (places.run, places.socket.parent):
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    await Daemon(places).run(stopping)


if __name__ == "__main__":
    sys.exit(main())
