"""`roam selftest`: whether what is installed here works, on a network of its own.

The embedded gateway, a daemon, one login, packets to a server behind the gateway, and the way back to nothing.
Each step is told with what it has shown; the first one that fails says why, and is the last.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from .demo_scene import Scene
from .echo import EchoServer, Train
from .isolation import LabUnavailable, enter
from .laptop import LabFailed, last_lines, wait_for
from .snapshot import difference
from .topology import SERVER, Topology, topology

ANSWERS = 20
INTERVAL = 0.01


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried; `detail` is what it has shown, or why it failed."""

    name: str
    ok: bool
    detail: str
    seconds: float


def run(tell: Callable[[Step], None]) -> bool:
    """All steps, each told when it is over; whether all went well."""
    try:
        began = monotonic()
        enter()
        with tempfile.TemporaryDirectory(prefix="roam-selftest-") as directory, topology() as lab:
            network = "a laptop with two uplinks, two NATs, a gateway and a server"
            tell(Step("network", True, network, monotonic() - began))
            return _Trial(lab, Path(directory), tell).run()
    except LabUnavailable as error:
        tell(Step("network", False, str(error), monotonic() - began))
        return False


class _Trial:
    def __init__(self, lab: Topology, directory: Path, tell: Callable[[Step], None]) -> None:
        self._lab = lab
        self._scene = Scene(lab, directory)
        self._tell = tell

    def run(self) -> bool:
        """Each step in its turn; the daemon and the gateway end in any case."""
        laptop = self._scene.laptop
        try:
            return all(self._try(name, step) for name, step in self._steps())
        finally:
            laptop.stop()
            self._scene.kill_gateway()

    def _steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        laptop = self._scene.laptop
        yield "gateway", self._gateway
        before = laptop.snapshot()
        yield "daemon", self._daemon
        yield "login", self._login
        yield "traffic", self._traffic
        yield "teardown", self._down
        left = list(difference(before, laptop.snapshot()))
        yield "nothing left", lambda: _nothing(left)

    def _try(self, name: str, step: Callable[[], str]) -> bool:
        began = monotonic()
        try:
            detail, ok = step(), True
        except (LabFailed, OSError) as error:
            detail, ok = str(error) or type(error).__name__, False
        self._tell(Step(name, ok, detail, monotonic() - began))
        return ok

    def _gateway(self) -> str:
        self._scene.prepare()
        self._scene.start_gateway()
        return "listens on UDP ports 500 and 4500"

    def _daemon(self) -> str:
        self._scene.laptop.start()
        uid, capabilities = self._scene.laptop.capabilities()
        return f"runs as uid {uid} with capabilities {capabilities:#x}"

    def _login(self) -> str:
        self._scene.laptop.roam("up", "demo", "--timeout", "20")
        status = self._scene.laptop.status("demo")
        return f"{status['ike_suite']}, {status['addresses'][0]}, carried by {status['data_path']}"

    def _traffic(self) -> str:
        with EchoServer(self._lab.server, SERVER), Train(self._lab.laptop, SERVER, INTERVAL) as train:
            wait_for(
                lambda: len(train.answers) >= ANSWERS, "no packet comes back through the tunnel", self._log
            )
            return f"{len(train.answers)} of {len(train.sent)} packets came back"

    @property
    def _log(self) -> Path:
        return self._scene.laptop.log

    def _down(self) -> str:
        laptop = self._scene.laptop
        laptop.roam("down", "demo")
        laptop.stop()
        if "Traceback" in laptop.log.read_text(errors="replace"):
            raise LabFailed(f"the daemon had a fault: {last_lines(laptop.log)}")
        return "the tunnel is down, and the daemon has ended"


def _nothing(left: list[str]) -> str:
    if left:
        raise LabFailed(f"left behind: {'; '.join(left[:5])}")
    return "the laptop is as it was before"
