"""What `roamd` does where no daemon runs: close the guard before the network comes, open it, clear up, look."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ..control.diagnosis import Examine
from ..control.kinds import DONE
from ..control.messages import ControlError
from ..control.probing import Probe
from ..control.wire import plain
from ..net import resolve
from ..net.netlink import snapshot
from ..system.choice import choose_data_path
from ..system.kernel import sweep_kernel
from ..system.reconcile import Outcome, System
from ..system.resolver.detect import Places
from ..system.resolver.file import KEPT
from ..system.resolver.resolver import Resolver
from ..tunnel.merge import system_config
from ..tunnel.model import NetworkState, Stance, SystemConfig
from .checkup import has_net_admin
from .doctor import Doctor
from .explainer import Prober
from .intent import Intents
from .warden import LockdownFile


async def sweep(socket_path: Path, state_dir: Path) -> None:
    """Nothing is wanted any more, and nothing of ours stays on the machine but lockdown."""
    _refuse_beside_a_daemon(socket_path)
    Intents(state_dir).forget_all()
    kept = _locked(state_dir)
    await _swept(state_dir, kept)
    if kept != SystemConfig():
        _say(["lockdown is on and stays: 'roam lockdown off' ends it"])


async def arm(socket_path: Path, state_dir: Path) -> None:
    """Under lockdown, close the guard: for the early hours of a boot, before there is a network."""
    _refuse_beside_a_daemon(socket_path)
    kept = _locked(state_dir)
    if kept == SystemConfig():
        _say(["lockdown is off"])
    else:
        await _with_system(state_dir, lambda system: system.apply(kept, 1))


async def disarm(socket_path: Path, state_dir: Path) -> None:
    """End lockdown; what wanted tunnels guard stays guarded."""
    _refuse_beside_a_daemon(socket_path)
    LockdownFile(state_dir).forget()
    wanted = Intents(state_dir).load()
    if wanted:
        names = ", ".join(str(intent.key) for intent in wanted)
        _say([f"lockdown is off; the guard stays for {names}, until the daemon runs or 'roam cleanup'"])
    else:
        await _swept(state_dir, SystemConfig())


async def examine(socket_path: Path, state_dir: Path, topic: str) -> int:
    """Look at this machine as whoever calls; the data path is tried only where that disturbs no daemon."""
    may_look = has_net_admin() and not _is_answered(socket_path)
    doctor = Doctor(state_dir, Places(), choose_data_path if may_look else lambda: None)
    _say([json.dumps(plain(await doctor.examine(None, Examine(topic))))])
    return DONE


async def look(host: str, port: int) -> int:
    """Look at a gateway, where no daemon does."""
    if not has_net_admin():
        raise ControlError("permission.denied", "without a daemon, only root can mark the packets of a probe")
    sources = resolve.Sources(kept=Places().etc / KEPT)
    prober = Prober(resolve.Resolver(sources).resolve, snapshot)
    _say([json.dumps(plain(await prober.probe(Probe(host, port))))])
    return DONE


def _locked(state_dir: Path) -> SystemConfig:
    """What lockdown makes of the machine, for the daemon that owns `state_dir`; nothing where it is off."""
    kept = LockdownFile(state_dir).load()
    if kept is None:
        return SystemConfig()
    network = NetworkState()
    with suppress(OSError):
        network = snapshot()
    return system_config({}, network, (), Stance(state_dir.stat().st_uid, kept.lockdown))


async def _swept(state_dir: Path, keep: SystemConfig) -> None:
    names = await Resolver(state_dir).sweep()
    problems: list[object] = list(names.problems)
    removed: tuple[str, ...] = ()
    try:
        removed = await asyncio.to_thread(sweep_kernel)
    except OSError as error:
        problems.append(f"the kernel's SAs and policies: {error.strerror or error}")
    await _with_system(
        state_dir, lambda system: system.sweep(keep), (*names.steps, *removed), tuple(problems)
    )


async def _with_system(
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
    _say([str(step) for step in (*steps, *outcome.steps)] or ["nothing was left"])
    if found := (*problems, *outcome.problems):
        raise ControlError("local.fault", "; ".join(map(str, found)))


def _say(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _refuse_beside_a_daemon(path: Path) -> None:
    if _is_answered(path):
        raise ControlError("daemon.running", f"a daemon answers at {path}")


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
