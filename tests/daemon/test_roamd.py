"""`roamd` as a process: what survives its end, what its death leaves, and what nobody may do to it.

The gateway is the lab's own: tests against strongSwan stand in tests/netns.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from client.control.client import Client
from client.control.messages import Up
from client.lab.echo import EchoServer, Train, ping
from client.lab.laptop import Laptop, daemon_account, wait_for
from client.lab.snapshot import difference
from client.lab.topology import SERVER, Topology, topology
from tests.lab_gateway import enrol, start_gateway
from tests.secrecy.scanner import kept_secret

pytestmark = [pytest.mark.netns, pytest.mark.slow]

PASSWORD = kept_secret("early-Bittern-9042")
PROFILE = """
schema = 1
id = "office"
[gateway]
addresses = ["192.0.2.1"]
[identity]
remote = "vpn.example.com"
[[auth.local]]
method = "eap"
identity = "alice"
secret = "file:password"
[trust]
ca = ["file:ca.pem"]
[routing]
mode = "split"
include = ["10.77.0.0/24", "fd77::/64"]
"""


@dataclass
class Scene:
    """A laptop with a profile, a gateway, and what the network was like before."""

    lab: Topology
    laptop: Laptop
    plan: Path
    gateway: subprocess.Popen[bytes] | None = None

    def start_gateway(self) -> None:
        self.gateway = start_gateway(self.lab, self.plan)

    def stop_gateway(self) -> None:
        if self.gateway is not None:
            self.lab.gateway.stop(self.gateway)
            self.gateway = None

    def start(self) -> None:
        """`roamd`; what the user's directory holds, the system's does too."""
        self.laptop.start("--verbose", "--system-profiles", str(self.system_profiles))
        wait_for(self._is_answered, "nobody answers", self.laptop.log)

    def _is_answered(self) -> bool:
        """The socket alone says nothing: a killed daemon leaves it behind."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.laptop.socket)) == 0

    @property
    def system_profiles(self) -> Path:
        return self.laptop.directory / "system"

    def install_profile(self) -> None:
        """The same profile as the system's, with a password that the daemon may read itself."""
        self.system_profiles.mkdir()
        account = self.laptop.account
        for path in self.laptop.profiles.iterdir():
            copy = self.system_profiles / path.name
            copy.touch(0o600)
            copy.write_bytes(path.read_bytes())
            if account is not None:
                os.chown(copy, account.uid, account.gid)

    def up_by_system_profile(self) -> None:
        """What `roam up system/office` asks of the daemon."""
        with Client(str(self.laptop.socket)) as client:
            client.up(Up(name="office"))
        wait_for(lambda: self.state() == "up", "not up", self.laptop.log)

    def reaches_server(self) -> bool:
        return self.laptop.namespace.run(lambda: ping(SERVER, 1.0)) is not None

    def state(self) -> str:
        return str(self.laptop.status("office")["state"])


@pytest.fixture
def scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name, topology() as lab:
        laptop = Laptop(lab.laptop, Path(name), daemon_account())
        plan = enrol(laptop, PROFILE, PASSWORD)
        played = Scene(lab, laptop, plan)
        played.install_profile()
        played.start_gateway()
        try:
            yield played
        finally:
            laptop.kill()
            played.stop_gateway()


def test_after_kill_9_the_guard_holds_and_the_next_daemon_reconnects(scene: Scene) -> None:
    before = scene.laptop.snapshot()
    scene.start()
    scene.up_by_system_profile()
    assert scene.reaches_server()
    scene.laptop.kill()
    assert difference(before, scene.laptop.snapshot()) != ()
    assert not scene.reaches_server()
    scene.start()
    wait_for(lambda: scene.state() == "up", "not up again", scene.laptop.log)
    assert scene.reaches_server()
    scene.laptop.roam("down")
    assert difference(before, scene.laptop.snapshot()) == ()


def test_a_daemon_without_the_secret_waits_behind_the_guard_for_its_user(scene: Scene) -> None:
    before = scene.laptop.snapshot()
    scene.start()
    scene.laptop.roam("up", "office")
    scene.laptop.kill()
    scene.start()
    status = scene.laptop.status("office")
    assert (status["state"], status["guard"]) == ("blocked", True)
    assert status["failure"]["kind"] == "auth.needs_secret"
    assert not scene.reaches_server()
    scene.laptop.roam("up", "office")
    assert scene.reaches_server()
    scene.laptop.roam("down")
    assert difference(before, scene.laptop.snapshot()) == ()


def test_no_secret_is_written_anywhere(scene: Scene) -> None:
    scene.start()
    scene.laptop.roam("up", "office")
    scene.laptop.stop()
    for path in (scene.laptop.directory / "state").rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes()
    assert PASSWORD not in scene.laptop.log.read_text()


def test_a_daemon_that_is_stopped_says_goodbye_and_stays_wanted(scene: Scene) -> None:
    scene.start()
    scene.up_by_system_profile()
    scene.laptop.stop()
    assert not scene.laptop.socket.exists()
    assert not scene.reaches_server()
    scene.start()
    wait_for(lambda: scene.state() == "up", "not up again", scene.laptop.log)


def test_down_with_a_dead_gateway_takes_less_than_three_seconds(scene: Scene) -> None:
    before = scene.laptop.snapshot()
    scene.start()
    scene.laptop.roam("up", "office")
    scene.stop_gateway()
    began = monotonic()
    scene.laptop.roam("down")
    assert monotonic() - began < 3.0
    assert difference(before, scene.laptop.snapshot()) == ()


def test_status_tells_how_long_a_move_was_felt(scene: Scene) -> None:
    scene.start()
    scene.laptop.roam("up", "office")
    with EchoServer(scene.lab.server, SERVER), Train(scene.lab.laptop, SERVER) as train:
        wait_for(lambda: len(train.answers) > 10, "no traffic")
        scene.lab.wifi.down()
        wait_for(lambda: handover(scene).get("gap_ms") is not None, "no gap", scene.laptop.log)
    told = handover(scene)
    assert told["trigger"] == f"{scene.lab.wifi.plan.link} is gone"
    assert str(told["new"]).startswith(scene.lab.lte.plan.link)
    assert 0 <= int(str(told["gap_ms"])) < 2000


def handover(scene: Scene) -> dict[str, object]:
    return dict(scene.laptop.status("office")["handover"] or {})


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_pump_costs_a_moment_and_no_hand(scene: Scene) -> None:
    scene.start()
    scene.laptop.roam("up", "office")
    for pid in children(scene.laptop.pid):
        os.kill(pid, signal.SIGKILL)
    wait_for(scene.reaches_server, "no traffic again", scene.laptop.log)


def test_a_second_daemon_is_refused_and_disturbs_nothing(scene: Scene) -> None:
    scene.start()
    scene.laptop.roam("up", "office")
    for options in ([], ["--sweep"]):
        assert scene.laptop.launch(*options).wait(10) == 1
    assert scene.reaches_server()


def test_nobody_reads_the_memory_of_the_daemon_and_its_pump(scene: Scene) -> None:
    scene.start()
    scene.up_by_system_profile()
    pumps = children(scene.laptop.pid)
    assert pumps
    for pid in (scene.laptop.pid, *pumps):
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        (core,) = [line for line in limits if line.startswith("Max core file size")]
        assert core.split()[4:6] == ["0", "0"]
        assert Path(f"/proc/{pid}/mem").stat().st_uid == 0  # root's, whoever the process is: not dumpable
