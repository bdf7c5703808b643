"""`roam demo`: the main job, shown on a network of its own, with nothing at hand but this machine.

A laptop with Wi-Fi and LTE behind two NATs, an embedded gateway, a server behind it; `roamd` in the laptop, `roam
up`, traffic, Wi-Fi goes away and comes back, the gateway is killed and started anew, `roam down`.  The lines that
are printed are computed from the record (`demo_record`).
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from . import demo_record
from .capture import Capture
from .demo_record import Record
from .demo_scene import Scene
from .demo_stage import Stage
from .echo import EchoServer, Train
from .isolation import LabUnavailable, enter
from .laptop import PROGRAM, LabFailed, wait_for
from .snapshot import Snapshot, difference
from .topology import GATEWAY, GATEWAY_V6, SERVER, Topology, topology

INTERVAL = 0.02  # seconds between probes
STEADY = 25  # answers that make traffic steady


def main(*, keep: str | None = None, tui: bool = False) -> int:
    """Run the demo; 0 when everything that it shows is as it should be."""
    try:
        enter()
        with tempfile.TemporaryDirectory(prefix="roam-demo-") as directory, topology() as lab:
            problems = Demo(lab, Path(directory), Path(keep) if keep else None).run(tui=tui)
    except (LabUnavailable, LabFailed) as error:
        print(f"roam demo: {error}", file=sys.stderr)
        return 1
    for problem in problems:
        print(f"roam demo: {problem}", file=sys.stderr)
    return 1 if problems else 0


class Demo:
    """One run: its network, its files and its record."""

    def __init__(self, lab: Topology, directory: Path, keep: Path | None) -> None:
        self._lab = lab
        self._directory = directory
        self._keep = keep
        self._record = Record(interval_ms=INTERVAL * 1000)
        self._scene = Scene(lab, directory)
        self._laptop = self._scene.laptop
        self._stage = Stage()

    def run(self, *, tui: bool = False) -> list[str]:
        """All steps; returns what is wrong in the end."""
        self._scene.prepare()
        self._stage.say(
            "network   a laptop with Wi-Fi and LTE behind two NATs, a gateway, a server behind it"
        )
        before = self._laptop.snapshot()
        uplinks = [(self._lab.laptop, uplink.plan.link) for uplink in (self._lab.wifi, self._lab.lte)]
        with Capture(uplinks, self._capture_file()) as capture, ExitStack() as stack:
            self._scene.start_gateway()
            self._laptop.start()
            server = stack.enter_context(EchoServer(self._lab.server, SERVER))
            self._note_daemon()
            if tui:
                shown = self._stage.terminal_interface([*PROGRAM, "tui"], self._laptop.environment())
                stack.enter_context(shown)
            self._connect()
            with Train(self._lab.laptop, SERVER, INTERVAL) as train:
                self._roam(train, server)
                self._restart_gateway(train)
                while_up = self._laptop.snapshot()
            self._tell(train, server, demo_record.describe_restart)
            self._laptop.roam("down")
            self._stage.linger()
            stack.close()
            self._laptop.stop()
            self._scene.kill_gateway()
        self._record.underlay = sorted(address for address in capture.sent_to() if is_global(address))
        self._compare(before, while_up)
        self._tell_end()
        self._write_record()
        return demo_record.verdict(self._record, frozenset({str(GATEWAY), str(GATEWAY_V6)}))

    def _note_daemon(self) -> None:
        uid, capabilities = self._laptop.capabilities()
        self._record.daemon = {"uid": uid, "capabilities": capabilities}
        self._stage.say(demo_record.describe_daemon(self._record))

    # Steps

    def _connect(self) -> None:
        self._mark("up_asked")
        self._laptop.roam("up", "demo")
        self._mark("up")
        self._record.status = self._laptop.status("demo")
        self._stage.say(demo_record.describe_connect(self._record))

    def _roam(self, train: Train, server: EchoServer) -> None:
        self._await_traffic(train)
        self._mark("traffic")
        self._await_traffic(train)
        self._stage.linger()
        self._mark("wifi_down")
        self._lab.wifi.down()
        self._await_traffic(train)
        self._tell(train, server, demo_record.describe_traffic, demo_record.describe_roam)
        self._stage.linger()
        self._mark("wifi_up")
        self._lab.wifi.up()
        wait_for(
            lambda: self._path_interface() == self._lab.wifi.plan.link, "the tunnel did not return to Wi-Fi"
        )
        self._await_traffic(train)
        self._mark("returned")
        self._tell(train, server, demo_record.describe_return)
        self._stage.linger()

    def _restart_gateway(self, train: Train) -> None:
        self._mark("gateway_killed")
        self._scene.kill_gateway()
        self._scene.start_gateway()
        self._await_traffic(train)
        self._mark("restarted")

    def _await_traffic(self, train: Train) -> None:
        """Wait until probes sent from now on are answered steadily."""
        first = len(train.sent)
        wait_for(
            lambda: sum(1 for sequence in train.answers if sequence >= first) >= STEADY,
            "no traffic through the tunnel",
            self._laptop.log,
        )

    def _path_interface(self) -> str:
        path = self._laptop.status("demo")["path"] or {}
        return str(path.get("interface", ""))

    # Records

    def _mark(self, moment: str) -> None:
        self._record.moments[moment] = time.monotonic_ns()

    def _tell(self, train: Train, server: EchoServer, *describe: Callable[[Record], str]) -> None:
        """Lines about what the train has seen up to now."""
        self._note_probes(train, server)
        for line in describe:
            self._stage.say(line(self._record))

    def _note_probes(self, train: Train, server: EchoServer) -> None:
        step = int(INTERVAL * 1e9)
        probes = [asdict(probe) for probe in train.probes(server)]
        start = next((p["sent_at"] - p["sequence"] * step for p in probes if p["sent_at"] is not None), 0)
        for probe in probes:
            probe["due_at"] = probe["sent_at"] or start + probe["sequence"] * step
            probe["sent_at"] = probe["due_at"] if probe["sent_at"] is None else probe["sent_at"]
        self._record.probes = probes

    def _compare(self, before: Snapshot, while_up: Snapshot) -> None:
        after = self._laptop.snapshot()
        record = self._record
        record.snapshots = {
            "before": before.as_json(),
            "while_up": while_up.as_json(),
            "after": after.as_json(),
        }
        record.changed_while_up = list(difference(before, while_up))
        record.left_behind = list(difference(before, after))

    def _tell_end(self) -> None:
        self._stage.say(demo_record.describe_leaks(self._record))
        self._stage.say(demo_record.describe_difference(self._record))

    def _capture_file(self) -> Path | None:
        return self._directory / "underlay.pcap" if self._keep else None

    def _write_record(self) -> None:
        text = json.dumps(self._record.as_json(), indent=1)
        target = self._keep or Path.cwd()
        target.mkdir(parents=True, exist_ok=True)
        (target / "demo.json").write_text(text)
        if self._keep:
            for name in ("underlay.pcap", "roamd.log", "gateway.log"):
                shutil.copy(self._directory / name, self._keep / name)
        self._stage.say(f"record    {target / 'demo.json'}")


def is_global(address: str) -> bool:
    """Whether an address is neither link-local nor multicast: what neighbours say to each other is no leak."""
    return not address.startswith(("fe80:", "ff", "224.", "239.", "255."))
