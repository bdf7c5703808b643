"""The whole of Roam on the kernel's data path: `roamd`, the `roam` command, and strongSwan on kernel ESP."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from client.ike.events import Address
from client.lab import laptop as laptop_module
from client.lab.capture import Capture
from client.lab.echo import EchoServer, Train, ping
from client.lab.laptop import Laptop, daemon_account, wait_for
from client.lab.nat import masquerade
from client.lab.snapshot import difference, snapshot
from client.lab.topology import LTE, SERVER, SERVER_V6, WIFI, Topology, topology
from tests.netns.peers.releases import Release, cache
from tests.netns.peers.roadwarrior import Method, Road, make_credentials, serve
from tests.netns.peers.strongswan import PLUGINS, ChildSa, IkeSa, Settings, StrongSwan
from tests.netns.profiles import NAME, profile
from tests.netns.transfer import MEGABYTE, Transfer

from .cases import case

laptop_module.PATIENCE = 180.0  # where the processor is emulated a daemon takes its time to start
_KERNEL_ESP = Settings(plugins=PLUGINS.replace("kernel-libipsec ", ""))
"""Of charon's plugins the one that carries ESP itself is left out: what remains is the kernel."""
_NO_ENCAP = {"encap": "no"}  # the gateway encapsulates only where there is a NAT
BY_HAND = "carried by hand"
"""What the daemon's log says of an SA that the kernel did not migrate."""


class KernelLaptop(Laptop):
    """A laptop whose daemon says how SAs are moved."""

    def daemon_command(self) -> list[str]:
        """With every step in its log."""
        return [*super().daemon_command(), "--verbose"]


@dataclass
class Office:
    """A connected laptop, and the gateway at the other end."""

    lab: Topology
    laptop: Laptop
    gateway: StrongSwan
    server: EchoServer
    train: Train

    @property
    def sa(self) -> IkeSa:
        """The gateway's IKE SA."""
        (sa,) = self.gateway.ike_sas()
        return sa

    @property
    def child(self) -> ChildSa:
        """The gateway's Child SA, the newest where there are two."""
        return self.sa.children[-1]

    def reaches(self, *addresses: Address) -> None:
        """Ping each of them."""
        for address in addresses:
            answered = self.laptop.namespace.run(partial(ping, address, 5.0))
            assert answered is not None, f"no ping to {address}"

    def flows(self, packets: int = 30) -> None:
        """Wait until so many more packets of the train were answered."""
        first = max(self.train.answers, default=0)
        wait_for(lambda: max(self.train.answers, default=0) > first + packets, "no traffic", self.laptop.log)

    def lost_since(self, first: int) -> list[int]:
        """Packets of the train from this one on that were not answered, the latest left out."""
        last = max(self.train.answers)
        probes = self.train.probes(self.server)
        return [
            probe.sequence for probe in probes if first <= probe.sequence < last and probe.answered_at is None
        ]


@contextmanager
def office(road: Road) -> Iterator[Office]:
    """Connected, behind a NAT on Wi-Fi and without one on LTE; `roam down` has left nothing behind at the end."""
    release = Release("bookworm", cache() / "peers/bookworm/root")
    with (
        tempfile.TemporaryDirectory(prefix="roam-") as directory,
        topology(nat=False) as lab,
        StrongSwan(release, lab.gateway, _KERNEL_ESP) as gateway,
        EchoServer(lab.server, SERVER) as server,
        Train(lab.laptop, SERVER, interval=0.02) as train,
    ):
        lab.wifi.router.run(partial(masquerade, "wan"))
        serve(gateway, road)
        before = snapshot(lab.laptop)
        laptop = KernelLaptop(lab.laptop, Path(directory), daemon_account())
        laptop.write_profile(NAME, *profile(road))
        laptop.start()
        try:
            laptop.roam("up", NAME)
            status = laptop.status(NAME)
            assert status["data_path"] == "xfrm", status["data_path_reason"]
            yield Office(lab, laptop, gateway, server, train)
            laptop.roam("down", NAME)
            wait_for(lambda: not gateway.ike_sas(), "the gateway was not told")
            lab.wifi.up()
            left = difference(before, snapshot(lab.laptop))
            assert not left, left
        finally:
            laptop.stop()


def carries(it: Office) -> None:
    """Ping of both families, and a stream, the octets of which are compared."""
    it.reaches(SERVER, SERVER_V6)
    with Transfer(it.lab.laptop, it.lab.server, SERVER, 2 * MEGABYTE) as transfer:
        assert transfer.finish()


def rekeys_without_loss(it: Office) -> str:
    it.flows()
    first = max(it.train.answers)
    old = it.child.spi_in
    it.laptop.roam("rekey", NAME)
    wait_for(lambda: it.child.spi_in != old, "no rekey", it.laptop.log)
    it.flows(60)
    assert it.lost_since(first) == []
    return f"rekeyed, {max(it.train.answers) - first} packets, none lost"


def moves(it: Office, what: Callable[[], None], seen_at: str, how: str, *, encapsulated: bool) -> str:
    """The gateway then sees the laptop at another end, traffic goes on, and none of it leaves in clear."""
    links = (it.lab.wifi.plan.link, it.lab.lte.plan.link)
    said = it.laptop.log.read_text().count(BY_HAND)
    with Capture([(it.lab.laptop, link) for link in links]) as capture:
        what()
        wait_for(lambda: it.sa.remote.startswith(seen_at), f"not seen at {seen_at}", it.laptop.log)
        it.flows()
    assert str(SERVER) not in capture.sent_to(), "in clear"
    assert it.child.encapsulated is encapsulated
    by_hand = it.laptop.log.read_text().count(BY_HAND) > said
    assert by_hand is (how == "by hand"), it.laptop.log.read_text()
    return f"seen at {it.sa.remote} {'in UDP' if encapsulated else 'as bare ESP'}, moved {how}"


@case
def strongswan_on_kernel_esp_with_rekey_and_moves() -> str:
    """EAP behind a NAT; a renewed lease, by migration; to a network without NAT, by hand; no packet in clear."""
    with office(Road(Method.EAP, make_credentials("ecdsa"), connection=_NO_ENCAP)) as it:
        carries(it)
        wifi, lte = it.lab.wifi, it.lab.lte
        renewed = IPv4Interface("192.168.1.42/24"), IPv6Interface("2001:db8:1::42/64")
        shown = (
            rekeys_without_loss(it),
            moves(
                it, partial(wifi.address, *renewed), str(WIFI.public[0].ip), "by migration", encapsulated=True
            ),
            moves(it, wifi.down, str(LTE.laptop[0].ip), "by hand", encapsulated=False),
        )
        carries(it)
        assert lte.plan is LTE
        return "; ".join(shown)
