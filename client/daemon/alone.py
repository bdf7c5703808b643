"""What `roamd` does where no daemon runs: end lockdown, clear up, look.  Before the network comes: `early`."""

from __future__ import annotations

import asyncio
import json
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
from ..system.resolver.detect import Places
from ..system.resolver.file import KEPT
from ..system.resolver.resolver import Resolver
from ..tunnel.model import SystemConfig
from .checkup import has_net_admin
from .doctor import Doctor
from .early import is_answered, locked, refuse_beside_a_daemon, say, with_system
from .explainer import Prober
from .intent import Intents
from .warden import LockdownFile


async def sweep(socket_path: Path, state_dir: Path) -> None:
    """Nothing is wanted any more, and nothing of ours stays on the machine but lockdown."""
    refuse_beside_a_daemon(socket_path)
    Intents(state_dir).forget_all()
    kept = locked(state_dir)
    await _swept(state_dir, kept)
    if kept != SystemConfig():
        say(["lockdown is on and stays: 'roam lockdown off' ends it"])


async def disarm(socket_path: Path, state_dir: Path) -> None:
    """End lockdown; what wanted tunnels guard stays guarded."""
    refuse_beside_a_daemon(socket_path)
    LockdownFile(state_dir).forget()
    wanted = Intents(state_dir).load()
    if wanted:
        names = ", ".join(str(intent.key) for intent in wanted)
        say([f"lockdown is off; the guard stays for {names}, until the daemon runs or 'roam cleanup'"])
    else:
        await _swept(state_dir, SystemConfig())


async def examine(socket_path: Path, state_dir: Path, topic: str) -> int:
    """Look at this machine as whoever calls; the data path is tried only where that disturbs no daemon."""
    may_look = has_net_admin() and not is_answered(socket_path)
    doctor = Doctor(state_dir, Places(), choose_data_path if may_look else lambda: None)
    say([json.dumps(plain(await doctor.examine(None, Examine(topic))))])
    return DONE


async def look(host: str, port: int) -> int:
    """Look at a gateway, where no daemon does."""
    if not has_net_admin():
        raise ControlError("permission.denied", "without a daemon, only root can mark the packets of a probe")
    sources = resolve.Sources(kept=Places().etc / KEPT)
    prober = Prober(resolve.Resolver(sources).resolve, snapshot)
    say([json.dumps(plain(await prober.probe(Probe(host, port))))])
    return DONE


async def _swept(state_dir: Path, keep: SystemConfig) -> None:
    names = await Resolver(state_dir).sweep()
    problems: list[object] = list(names.problems)
    removed: tuple[str, ...] = ()
    try:
        removed = await asyncio.to_thread(sweep_kernel)
    except OSError as error:
        problems.append(f"the kernel's SAs and policies: {error.strerror or error}")
    await with_system(state_dir, lambda system: system.sweep(keep), (*names.steps, *removed), tuple(problems))
