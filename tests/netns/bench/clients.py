"""The two clients that are compared, each in a lab of its own, so that neither disturbs the other's network."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from client.control.client import Client
from client.control.messages import ControlError, Subscribe, TunnelStatus
from client.lab.laptop import LabFailed, Laptop, daemon_account, last_lines, wait_for
from client.lab.topology import Topology, topology
from profiles.store import Store
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import CONNECTION, Road, dial, serve
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.peers.vici import ViciError
from tests.netns.profiles import NAME, profile
from ui.credentials import Terminal
from ui.preparation import prepare

IDLE = 0.5  # seconds before a measurement: what an earlier one has left to do is done by then
PATIENCE = 20.0  # seconds for a tunnel to come up
PROGRAM = Path(sys.executable).with_name("roam")


class Contestant(Protocol):
    """A client that can be told to connect, with the gateway that it connects to."""

    lab: Topology
    gateway: StrongSwan

    def connect(self) -> float:
        """By its control socket; seconds from the request until it says that the tunnel can be used."""

    def connect_by_command(self) -> float:
        """By its command; seconds from start to end of the program."""

    def disconnect(self) -> None:
        """Take the tunnel down; the gateway knows."""

    def restart(self) -> None:
        """Start the daemon again, and let it come to rest."""

    def processes(self) -> dict[str, int]:
        """Process ids by the part that they play."""


class RoamClient:
    """`roamd` under an ordinary account where that is possible, as installed."""

    def __init__(self, lab: Topology, gateway: StrongSwan, road: Road, directory: Path) -> None:
        self.lab = lab
        self.gateway = gateway
        self.laptop = Laptop(lab.laptop, directory, daemon_account())
        self.laptop.write_profile(NAME, *profile(road))
        self._store = Store(self.laptop.profiles, directory / "none")
        self._control: Client | None = None

    def start(self) -> None:
        """Start the daemon and let it come to rest."""
        self.laptop.start()
        self._control = Client(str(self.laptop.socket))
        self._control.subscribe(Subscribe(("tunnel",)))
        time.sleep(2 * IDLE)

    def stop(self) -> None:
        """End the daemon."""
        if self._control is not None:
            self._control.__exit__()
            self._control = None
        self.laptop.stop()

    def restart(self) -> None:
        """As `Contestant` says."""
        self.stop()
        self.start()

    def connect(self) -> float:
        """As `Contestant` says."""
        control = self._connected()
        request = prepare(self._store.find(NAME), Terminal()).request
        started = time.monotonic()
        serial = control.up(request).tunnel.serial
        while (event := control.next_event(started + PATIENCE)) is not None:
            status = event.data
            if isinstance(status, TunnelStatus) and status.serial >= serial and status.state == "up":
                return time.monotonic() - started
        raise LabFailed(f"Roam did not connect\n{last_lines(self.laptop.log)}")

    def connect_by_command(self) -> float:
        """As `Contestant` says."""
        return timed_command([str(PROGRAM), "up", NAME], self.laptop.environment())

    def status_by_command(self) -> float:
        """Seconds of one `roam status`."""
        return timed_command([str(PROGRAM), "status"], self.laptop.environment())

    def disconnect(self) -> None:
        """As `Contestant` says."""
        self._connected().down(NAME)

    def processes(self) -> dict[str, int]:
        """As `Contestant` says: each pump is a child of the daemon."""
        daemon = self.laptop.pid
        children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
        return {"daemon": daemon, **{f"pump {n}": int(pid) for n, pid in enumerate(children, 1)}}

    def _connected(self) -> Client:
        if self._control is None:
            raise AssertionError("roamd is not running")
        return self._control


class StrongSwanClient:
    """charon with its own control socket, and `swanctl`."""

    def __init__(self, lab: Topology, gateway: StrongSwan, road: Road, client: StrongSwan) -> None:
        self.lab = lab
        self.gateway = gateway
        self._client = client
        dial(client, road)

    def restart(self) -> None:
        """As `Contestant` says."""
        self._client.restart()
        time.sleep(2 * IDLE)

    def connect(self) -> float:
        """As `Contestant` says."""
        return self._client.initiate(CONNECTION, timeout=PATIENCE)

    def connect_by_command(self) -> float:
        """As `Contestant` says."""
        return self._client.initiate_by_command(CONNECTION, timeout=PATIENCE)

    def disconnect(self) -> None:
        """As `Contestant` says."""
        self._client.terminate(ike=CONNECTION)

    def processes(self) -> dict[str, int]:
        """As `Contestant` says."""
        return {"daemon": self._client.pid}


@dataclass(frozen=True, slots=True)
class Pair:
    """Both clients."""

    roam: RoamClient
    strongswan: StrongSwanClient
    version: str
    road: Road

    @property
    def both(self) -> tuple[Contestant, Contestant]:
        """Roam first."""
        return self.roam, self.strongswan


@contextmanager
def contest(release: Release, road: Road) -> Iterator[Pair]:
    """Both clients, disconnected, each with a gateway of this release."""
    with ExitStack() as stack:
        labs = [stack.enter_context(topology()) for _ in range(2)]
        gateways = [stack.enter_context(StrongSwan(release, lab.gateway)) for lab in labs]
        for gateway in gateways:
            serve(gateway, road)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roam-")))
        roam = RoamClient(labs[0], gateways[0], road, directory)
        stack.callback(roam.stop)
        roam.start()
        client = stack.enter_context(StrongSwan(release, labs[1].laptop))
        yield Pair(roam, StrongSwanClient(labs[1], gateways[1], road, client), gateways[0].version, road)


@contextmanager
def connected(client: Contestant) -> Iterator[None]:
    """The tunnel stands meanwhile, and the gateway has forgotten it afterwards."""
    client.connect()
    try:
        yield
    finally:
        end(client)


def end(client: Contestant) -> None:
    """Disconnect; where that does not get through any more, both ends begin anew."""
    with suppress(ViciError, ControlError):
        client.disconnect()
        wait_for(lambda: not client.gateway.ike_sas(), "the gateway still has the tunnel")
        return
    client.gateway.restart(silently=True)
    client.restart()


def timed_command(command: list[str], environment: dict[str, str] | None = None) -> float:
    """Seconds that a program takes which must succeed."""
    started = time.monotonic()
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    elapsed = time.monotonic() - started
    if done.returncode != 0:
        raise LabFailed(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return elapsed


def resident(pid: int) -> float:
    """Octets of a process that are in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
