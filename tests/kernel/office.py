"""The whole of Roam on the kernel's data path: `roamd`, its control socket, and strongSwan on kernel ESP.

What the daemon is told goes over its socket from this very process: an emulated processor needs seconds to start
an interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from client.control.client import Client
from client.control.messages import ControlError, TunnelStatus
from client.ike.events import Address
from client.lab import laptop as laptop_module
from client.lab.capture import Capture
from client.lab.echo import EchoServer, Probe, Train, ping
from client.lab.laptop import LabFailed, Laptop, last_lines, wait_for
from client.lab.namespaces import Account, Namespace, Surroundings
from client.lab.nat import masquerade
from client.lab.snapshot import Snapshot, difference
from client.lab.topology import GATEWAY, SERVER, SERVER_V6, Topology, topology
from profiles.store import Store
from tests.netns.peers.releases import Release, unpacked
from tests.netns.peers.roadwarrior import Road, serve
from tests.netns.peers.strongswan import PLUGINS, ChildSa, IkeSa, Settings, StrongSwan
from tests.netns.profiles import NAME, profile
from tests.netns.transfer import MEGABYTE, Transfer
from ui.credentials import Terminal
from ui.preparation import prepare

PATIENCE = laptop_module.PATIENCE = (
    150.0  # seconds: where the processor is emulated everything takes its time
)
KERNEL_ESP = Settings(plugins=PLUGINS.replace("kernel-libipsec ", ""))
"""Of charon's plugins the one that carries ESP itself is left out: what remains is the kernel."""
NO_ENCAP = {"encap": "no"}  # the gateway encapsulates only where there is a NAT
BY_HAND = "carried by hand"
"""What the daemon's log says of an SA that the kernel did not migrate."""
PEER = ("bookworm",)
XFRM_STATISTICS = Path("/proc/thread-self/net/xfrm_stat")
IPERF = ("bookworm", ("iperf3",), "iperf3")
_ENDED = ("blocked", "off")
_POLL = 0.05


_DAEMON = """
import sys
from client.daemon.main import main
from client.system import userspace
userspace._ANSWER_TIMEOUT = 60.0  # a pump is an interpreter, too
sys.exit(main())
"""


class KernelLaptop(Laptop):
    """A laptop whose daemon says how SAs are moved, and gives a pump the time to start that it needs here."""

    def daemon_command(self) -> list[str]:
        """With every step in its log."""
        python, _, _, *options = super().daemon_command()
        return [python, "-c", _DAEMON, *options, "--verbose"]


@dataclass
class Office:
    """A laptop with a running daemon, and a gateway that it may call."""

    lab: Topology
    laptop: Laptop
    gateway: StrongSwan
    server: EchoServer
    train: Train
    before: Snapshot

    # The tunnel

    @contextmanager
    def connected(
        self,
        road: Road,
        *sections: str,
        data_path: str = "auto",
        full: bool = False,
        gateway: Address = GATEWAY,
    ) -> Iterator[TunnelStatus]:
        """The gateway serves this road, and the laptop is on it meanwhile; its status."""
        self.prepare(road, *sections, data_path=data_path, full=full, gateway=gateway)
        try:
            status = self.up()
            assert status.data_path == ("userspace" if data_path == "userspace" else "xfrm"), status
            yield status
        except BaseException:  # the next case finds the stage free
            with suppress(ControlError, LabFailed):
                self.down()
            raise
        self.down()

    def prepare(
        self,
        road: Road,
        *sections: str,
        data_path: str = "auto",
        full: bool = False,
        gateway: Address = GATEWAY,
    ) -> None:
        """The gateway's side, and the laptop's profile."""
        serve(self.gateway, road)
        text, files = profile(road, *sections)
        text = text.replace("\n[gateway]", f'\ndata_path = "{data_path}"\n\n[gateway]', 1)
        text = text.replace(f'addresses = ["{GATEWAY}"]', f'addresses = ["{gateway}"]')
        if full:
            text = "\n".join(line for line in text.splitlines() if not line.startswith("include"))
            text = text.replace('mode = "split"', 'mode = "full"')
        self.laptop.write_profile(NAME, text, files)

    def want(self) -> None:
        """Ask for the tunnel, and do not wait."""
        file = Store(self.laptop.profiles, self.laptop.directory / "none").find(NAME)
        with self.control() as control:
            control.up(prepare(file, Terminal()).request)

    def up(self) -> TunnelStatus:
        """Ask for the tunnel and wait for it."""
        self.want()
        return self.wait_until(lambda status: status.state == "up", "not connected")

    def wait_until(self, holds: Callable[[TunnelStatus], bool], otherwise: str) -> TunnelStatus:
        """The tunnel's status, as soon as something is true of it."""
        deadline = time.monotonic() + PATIENCE
        with self.control() as control:
            while not holds(status := control.status(NAME).tunnels[0]):
                if time.monotonic() > deadline or status.state in _ENDED:
                    raise LabFailed(f"{otherwise}: {status}\n{last_lines(self.laptop.log)}")
                time.sleep(_POLL)
        return status

    def down(self) -> None:
        """End the tunnel; the gateway is told."""
        with self.control() as control:
            control.down(NAME)
        wait_for(lambda: not self.gateway.ike_sas(), "the gateway was not told", self.laptop.log)

    def control(self) -> Client:
        """The daemon's socket."""
        return Client(str(self.laptop.socket))

    def is_as_before(self) -> None:
        """Nothing of any tunnel is on the laptop."""
        self.lab.wifi.up()
        left = difference(self.before, self.laptop.snapshot())
        assert not left, left

    # The gateway's word

    @property
    def sa(self) -> IkeSa:
        """The gateway's IKE SA, the newest where there are two."""
        return self.gateway.ike_sas()[-1]

    @property
    def child(self) -> ChildSa:
        """The gateway's Child SA, the newest where there are two."""
        return next(sa.children[-1] for sa in reversed(self.gateway.ike_sas()) if sa.children)

    # Traffic

    def reaches(self, *addresses: Address) -> None:
        """Ping each of them."""
        for address in addresses:
            answered = self.lab.laptop.run(partial(ping, address, 10.0))
            assert answered is not None, f"no ping to {address}\n{last_lines(self.laptop.log)}"

    def carries(self, size: int = 2 * MEGABYTE) -> None:
        """Ping of both families, and a stream, the octets of which are compared."""
        self.reaches(SERVER, SERVER_V6)
        with Transfer(self.lab.laptop, self.lab.server, SERVER, size) as transfer:
            assert transfer.finish()

    def flows(self, packets: int = 30) -> None:
        """Wait until so many more packets of the train were answered."""
        first = max(self.train.answers, default=0)
        wait_for(lambda: max(self.train.answers, default=0) > first + packets, "no traffic", self.laptop.log)

    def lost_since(self, first: int) -> list[str]:
        """Packets of the train from this one on that were not answered, in words; the latest are left out."""
        last = max(self.train.answers)
        probes = [probe for probe in self.train.probes(self.server) if first <= probe.sequence < last]
        return [_fate(probe) for probe in probes if probe.answered_at is None]

    def errors_of_ipsec(self) -> tuple[str, ...]:
        """What the kernel could make nothing of at either end, as it counts that; zeros are left out."""
        texts = (end.run(XFRM_STATISTICS.read_text) for end in (self.lab.laptop, self.lab.gateway))
        lines = [line for text in texts for line in text.splitlines() if line.startswith("XfrmIn")]
        return tuple(line for line in lines if not line.endswith("\t0"))

    @contextmanager
    def nothing_in_clear(self) -> Iterator[Capture]:
        """Meanwhile no packet of the tunnel's traffic leaves over an uplink."""
        links = [(self.lab.laptop, uplink.plan.link) for uplink in (self.lab.wifi, self.lab.lte)]
        with Capture(links) as capture:
            yield capture
        assert not capture.sent_to() & {str(SERVER), str(SERVER_V6)}, "in clear"
        assert not capture.lost, f"{capture.lost} frames were not seen"


def _fate(probe: Probe) -> str:
    if probe.sent_at is None:
        return f"{probe.sequence} was not sent"
    way = "there" if probe.arrived_at is None else "back"
    return f"{probe.sequence} was lost on the way {way}"


@contextmanager
def running(account: Account | None) -> Iterator[Office]:
    """Behind a NAT on Wi-Fi and without one on LTE; at the end nothing is left behind."""
    with (
        tempfile.TemporaryDirectory(prefix="roam-") as directory,
        topology(nat=False) as lab,
        StrongSwan(unpacked(*PEER), lab.gateway, KERNEL_ESP) as gateway,
        EchoServer(lab.server, SERVER) as server,
        Train(lab.laptop, SERVER, interval=0.02) as train,
    ):
        lab.wifi.router.run(partial(masquerade, "wan"))
        laptop = KernelLaptop(lab.laptop, Path(directory), account)
        it = Office(lab, laptop, gateway, server, train, laptop.snapshot())
        laptop.start()
        try:
            yield it
            it.is_as_before()
        finally:
            laptop.stop()


def megabits(client: Namespace, server: Namespace, directory: Path) -> float:
    """What iperf3 tells of one TCP connection that carries a mebibyte, in Mbit/s."""
    release = unpacked(IPERF[0], IPERF[2])
    serving = _iperf(server, release, directory, "server", "--server", "--one-off", "--bind", str(SERVER))
    try:
        wait_for(lambda: b"listening" in (directory / "server").read_bytes(), "no iperf3 server")
        asking = _iperf(
            client, release, directory, "client", "--client", str(SERVER), "--bytes", "1M", "--json"
        )
        asking.wait(PATIENCE)
        told = json.loads((directory / "client").read_text())
    finally:
        server.stop(serving)
    assert "sum_received" in told["end"], told
    return round(float(told["end"]["sum_received"]["bits_per_second"]) / 1e6, 1)


def _iperf(
    namespace: Namespace, release: Release, directory: Path, name: str, *arguments: str
) -> subprocess.Popen[bytes]:
    output = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        around = Surroundings(
            prepare=partial(release.enter, directory), environment={"TMPDIR": "/run/peer"}, output=output
        )
        return namespace.start(["/usr/bin/iperf3", *arguments, "--forceflush"], around)
    finally:
        os.close(output)
