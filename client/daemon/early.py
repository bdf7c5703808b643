"""`roamd --arm`: closes the guard under lockdown, before there is a network; and what else works without a daemon.

A boot waits for it, so little is imported here.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ..control.messages import ControlError
from ..net.netlink import snapshot
from ..system.reconcile import Outcome, System
from ..tunnel.merge import system_config
from ..tunnel.model import NetworkState, Stance, SystemConfig
from .warden import LockdownFile


async def arm(socket_path: Path, state_dir: Path) -> None:
    """Under lockdown, close the guard: for the early hours of a boot, before there is a network."""
    refuse_beside_a_daemon(socket_path)
    kept = locked(state_dir)
    if kept == SystemConfig():
        say(["lockdown is off"])
    else:
        await with_system(state_dir, lambda system: system.apply(kept, 1))


def locked(state_dir: Path) -> SystemConfig:
    """What lockdown makes of the machine, for the daemon that owns `state_dir`; nothing where it is off."""
    kept = LockdownFile(state_dir).load()
    if kept is None:
        return SystemConfig()
    network = NetworkState()
    with suppress(OSError):
        network = snapshot()
    return system_config({}, network, (), Stance(state_dir.stat().st_uid, kept.lockdown))


async def with_system(
    state_dir: Path,
    work: Callable[[System], Awaitable[Outcome]],
    steps: tuple[object, ...] = (),
    problems: tuple[object, ...] = (),
) -> None:
    """Do it, and say what was done; `steps` and `problems` are those of what was done before."""
    system = System(state_dir)
    try:
        outcome = await work(system)
    finally:
        system.close()
    say([str(step) for step in (*steps, *outcome.steps)] or ["nothing was left"])
    if found := (*problems, *outcome.problems):
        raise ControlError("local.fault", "; ".join(map(str, found)))


def say(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def refuse_beside_a_daemon(path: Path) -> None:
    if is_answered(path):
        raise ControlError("daemon.running", f"a daemon answers at {path}")


def is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
