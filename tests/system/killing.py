"""Lives of a daemon, each killed by SIGKILL before another call of its wrappers: one worker of several.

`python -m tests.system.killing DIRECTORY STAGE…`: in namespaces of its own; tells as JSON what it found.  Each life
is a fork, so that nothing has to be imported again, and what the process knew is gone with it.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

from client.daemon.applier import Applier, Share
from client.daemon.intent import Intent, Intents
from client.daemon.names import Names
from client.daemon.warden import Kept, LockdownFile
from client.lab.capture import Capture
from client.lab.laptop import wait_for
from client.lab.links import add_addresses, sysctl
from client.lab.snapshot import Snapshot, difference, snapshot
from client.net.netlink import snapshot as read_network
from client.rtnetlink import Rtnetlink
from client.system import nft
from client.system.reconcile import System
from client.system.resolver.detect import Places
from client.system.resolver.resolver import Resolver
from client.tunnel.events import Applied, ApplyFailed
from client.tunnel.model import Lockdown, Stance, TunnelConfig, TunnelUp, Underlay
from tests.system.ledger import UPLINK, leaks, probes, send_all, settle
from tests.system.life import EXCLUDING, OTHER, has_link_local
from tests.system.scene import FULL, GATEWAY, LAPTOP, LAPTOP_V6, STANDING, Scene, wired
from tests.system.test_leaks import MOVED, SPLIT, config

OURS = {4: LAPTOP, 6: LAPTOP_V6}
MOST = 200  # calls of one stage
OPEN, ARMED = 0, 1
INTENT = Intent(1000, shared=False, id="work", text="schema = 1", files={})
NAMED = replace(
    STANDING, assigned=replace(STANDING.assigned, dns=(ip_address("10.8.0.53"),), domains=("example.org",))
)
SPLIT_UP = TunnelUp("roam1", replace(OTHER.assigned, addresses=(ip_interface("10.9.0.2/32"),)))
LOCKED = Stance(lockdown=Lockdown())

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Life:
    """A daemon, from one of its states to the next: the first is reached at once, on the way the fuse burns."""

    def __init__(self, scene: Scene, etc: Path, phase: mmap.mmap) -> None:
        self._scene = scene
        self._phase = phase
        self._intents = Intents(scene.state_dir)
        self._lockdown = LockdownFile(scene.state_dir)
        self._places = places(etc)

    async def live(self, stage: str, fuse: Fuse) -> None:
        system = System(self._scene.state_dir)
        applier = self._applier = Applier(
            system, lambda _used: None, Names(Resolver(self._scene.state_dir, self._places))
        )
        applier.adapt(read_network())
        running = asyncio.create_task(applier.run())
        before, then = STAGES[stage]
        await before(self)
        if before is not Life.nothing:
            self._phase[0] = ARMED
        fuse.light()
        await then(self)
        running.cancel()
        system.close()

    # where it begins

    async def nothing(self) -> None:
        """Nobody wants anything."""

    async def guarded(self) -> None:
        self._intents.keep(INTENT)
        await self._share(FULL, None)

    async def stands(self) -> None:
        self._intents.keep(INTENT)
        self._scene.make_link()
        await self._share(FULL, NAMED)

    async def two_stand(self) -> None:
        self._scene.make_link("roam1")
        self._begin(SPLIT, SPLIT_UP)
        await self.stands()

    async def locked(self) -> None:
        self._lockdown.keep(Kept(0, allow_lan=True))
        self._applier.stance = LOCKED
        await self.guarded()

    async def stands_locked(self) -> None:
        self._applier.stance = LOCKED
        await self.stands()

    # what happens then

    async def comes_up(self) -> None:
        self._scene.make_link()
        await self._share(FULL, NAMED)

    async def roams(self) -> None:
        await self._share(FULL, NAMED, local=MOVED[4])

    async def has_other_addresses(self) -> None:
        await self._share(EXCLUDING, OTHER)

    async def gets_company(self) -> None:
        self._scene.make_link("roam1")
        await self._share(SPLIT, SPLIT_UP)

    async def loses_company_and_link(self) -> None:
        await self._asked(lambda answer: self._applier.withdraw(SPLIT.name, answer))
        self._scene.lose_link()
        await self._share(FULL, None)

    async def locks(self) -> None:
        self._lockdown.keep(Kept(0, allow_lan=True))
        await self._asked(lambda answer: self._applier.take(LOCKED, answer))

    async def unlocks(self) -> None:
        self._lockdown.forget()
        await self._asked(lambda answer: self._applier.take(Stance(), answer))

    async def goes_down(self) -> None:
        """And is cleared up after."""
        self._phase[0] = OPEN
        self._intents.forget(INTENT.key)
        await self._asked(lambda answer: self._applier.withdraw(FULL.name, answer))
        self._scene.lose_link()
        await self._applier.sweep()

    def _begin(self, config: TunnelConfig, up: TunnelUp | None, local: str = LAPTOP) -> Share:
        paths = frozenset({Underlay(UPLINK, ip_address(local), ip_address(GATEWAY))})
        share = Share(config, up, paths, "" if up is None else up.link)
        self._applier.share(config.name, share)
        return share

    async def _share(self, config: TunnelConfig, up: TunnelUp | None, local: str = LAPTOP) -> None:
        share = self._begin(config, up, local)
        await self._asked(lambda answer: self._applier.share(config.name, share, answer))

    async def _asked(self, ask: Callable[[Callable[[Applied | ApplyFailed], None]], None]) -> None:
        done: asyncio.Future[Applied | ApplyFailed] = asyncio.get_running_loop().create_future()
        ask(done.set_result)
        assert await done == Applied(), done.result()


Way = Callable[[Life], Awaitable[None]]
STAGES: dict[str, tuple[Way, Way]] = {
    "up: the guard": (Life.nothing, Life.guarded),
    "roam": (Life.stands, Life.roams),
    "up: link, addresses, routes, names": (Life.guarded, Life.comes_up),
    "lockdown on": (Life.guarded, Life.locks),
    "down of one, and the other's link is lost": (Life.two_stand, Life.loses_company_and_link),
    "lockdown off": (Life.stands_locked, Life.unlocks),
    "other addresses, and an exclusion": (Life.stands, Life.has_other_addresses),
    "up under lockdown": (Life.locked, Life.comes_up),
    "a split tunnel beside it": (Life.stands, Life.gets_company),
    "down and cleanup": (Life.stands, Life.goes_down),
}


def places(etc: Path) -> Places:
    """Nobody but the file is in charge of names."""
    return Places(etc, "unix:path=/nonexistent", etc / "no-helper")


class Fuse:
    """Counts the calls of the wrappers; burns through before number `at`."""

    def __init__(self, at: int, directory: Path) -> None:
        self._at = at
        self._directory = str(directory)
        self._count = 0
        self._is_lit = False
        for owner, name in ((Rtnetlink, "_send"), (nft.Conversation, "commit"), (nft.Conversation, "_send")):
            setattr(owner, name, self._counting(getattr(owner, name)))
        sys.addaudithook(self._audit)

    def light(self) -> None:
        """From now calls count."""
        self._is_lit = True

    def _counting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any) -> Any:  # noqa: ANN401 - passed on
            self._burn()
            return call(*arguments)

        return counting

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Every change of a file of ours: notes, wishes, resolv.conf, settings of the kernel."""
        is_change = event in ("os.rename", "os.link", "os.remove")
        if event == "open":
            is_change = isinstance(arguments[2], int) and bool(arguments[2] & _WRITING)
        if is_change and str(arguments[0]).startswith((self._directory, "/proc/sys/net")):
            self._burn()

    def _burn(self) -> None:
        self._count += self._is_lit
        if self._is_lit and self._count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


class Worker:
    """Kills lives before each of their calls, and looks at what they leave."""

    def __init__(self, scene: Scene, directory: Path) -> None:
        self._scene = scene
        self._directory = directory
        self._phase = mmap.mmap(-1, 1)
        self._etc = directory / "root"
        (self._etc / "etc").mkdir(parents=True)
        (self._etc / "etc" / "resolv.conf").write_text("nameserver 192.168.1.1\n")
        self.points: Counter[str] = Counter()
        self.armed: Counter[str] = Counter()
        self.wrong: list[str] = []

    def work(self, stage: str) -> None:
        before = self._look()
        with Capture([(self._scene.laptop, UPLINK)]) as capture:
            for at in range(1, MOST):
                if not self._is_killed(stage, at):
                    self._sweep()
                    break
                self._look_after(stage, at, before)
            settle()
        self.wrong += [f"{stage}: leaked: {line}" for line in leaks(capture)]

    def _look_after(self, stage: str, at: int, before: Snapshot) -> None:
        self.points[stage] += 1
        if self._phase[0] == ARMED:
            self.armed[stage] += 1
            sent = probes(kinds=("udp",) if at % 4 else ("udp", "tcp", "icmp", "dns"))
            marked = [replace(each, port=20000 + at) for each in sent]
            send_all(marked, OURS)
            if at % 5 == 0:  # the next daemon wants what was wanted: no opening in between
                self._scene.apply(config((FULL, None)))
                send_all(marked, OURS)
        is_note_lost = at % 3 == 0
        if is_note_lost:
            (self._scene.state_dir / "manifest.json").unlink(missing_ok=True)
        self._sweep()
        left = difference(before, self._look())
        if is_note_lost:  # nobody else knows what the setting was
            left = tuple(line for line in left if "rp_filter" not in line)
            sysctl(f"net.ipv4.conf.{UPLINK}.rp_filter", 0)
        if left:
            self.wrong.append(f"killed before call {at}: {left}")

    def _is_killed(self, stage: str, at: int) -> bool:
        self._phase[0] = OPEN
        child = os.fork()
        if child == 0:
            status = 1
            try:
                fuse = Fuse(at, self._directory)
                asyncio.run(Life(self._scene, self._etc, self._phase).live(stage, fuse))
                status = 0
            finally:
                os._exit(status)
        _, result = os.waitpid(child, 0)
        assert result in (0, signal.SIGKILL), f"{stage}: it failed before call {at}"
        return result != 0

    def _sweep(self) -> None:
        """As `roamd --sweep` does it, and the end of lockdown."""
        state = self._scene.state_dir
        LockdownFile(state).forget()
        Intents(state).forget_all()
        self._using(lambda: Resolver(state, places(self._etc)).restore())
        self._scene.sweep()

    def _using(self, work: Callable[[], Awaitable[Any]]) -> None:
        async def body() -> None:
            outcome = await work()
            assert outcome.problems == (), outcome

        asyncio.run(body())

    def _look(self) -> Snapshot:
        return snapshot(self._scene.laptop, sorted((self._etc / "etc").iterdir()))


def main() -> None:
    directory, stages = Path(sys.argv[1]), sys.argv[2:]
    with wired(directory / "state") as scene:
        add_addresses(UPLINK, [ip_interface(f"{MOVED[4]}/24")])
        sysctl("net.ipv4.conf.all.rp_filter", 1)  # strict: it is loosened on the uplink, and restored
        sysctl(f"net.ipv4.conf.{UPLINK}.rp_filter", 0)
        wait_for(has_link_local, "the uplink's own address did not come")
        worker = Worker(scene, directory)
        for stage in stages:
            worker.work(stage)
    sys.stdout.write(json.dumps({"points": worker.points, "armed": worker.armed, "wrong": worker.wrong}))


if __name__ == "__main__":
    main()
