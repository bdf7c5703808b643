"""Killed at every change that is made to the machine, before or after it: closed meanwhile, and swept afterwards.

A kill is an exception that nothing of ours catches; what the process knew is gone with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from client.lab.capture import Capture
from client.lab.laptop import wait_for
from client.lab.links import add_addresses
from client.lab.snapshot import difference, snapshot
from client.net.netlink import snapshot as read_network
from client.system.nft import Nftables
from client.system.plan import Actual, Step
from client.system.reconcile import System
from client.system.routes import Kernel
from client.tunnel.model import PortalPass, Stance, SystemConfig, TunnelUp
from tests.system.ledger import UPLINK, leaks, probes, send_all, settle
from tests.system.scene import FULL, LAPTOP, LAPTOP_V6, STANDING, Scene
from tests.system.test_leaks import LOCKED, MOVED, SPLIT, config

pytestmark = [pytest.mark.netns, pytest.mark.slow]

OURS = {4: LAPTOP, 6: LAPTOP_V6}
EXCLUDING = replace(FULL, exclude=(ip_network("198.51.100.0/24"),))
OTHER = replace(
    STANDING,
    assigned=replace(STANDING.assigned, addresses=(ip_interface("10.8.0.9/24"), ip_interface("fd01::9/64"))),
)


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Fuse:
    """Counts the changes; `at` is the one at which it burns through, `early` whether before it is made."""

    at: int = -1
    early: bool = True
    count: int = 0


class Mortal:
    """The kernel, until the fuse burns through."""

    def __init__(self, kernel: Kernel, fuse: Fuse) -> None:
        self._kernel = kernel
        self._fuse = fuse

    def read(self, table: int, sysctls: frozenset[str], links: frozenset[str]) -> Actual:
        return self._kernel.read(table, sysctls, links)

    def perform(self, step: Step, table: int) -> bool:
        fuse = self._fuse
        fuse.count += 1
        if fuse.count == fuse.at and fuse.early:
            raise Killed
        did = self._kernel.perform(step, table)
        if fuse.count == fuse.at:
            raise Killed
        return did


def life(scene: Scene) -> Iterator[SystemConfig]:
    """What a daemon wants of the machine, from its first tunnel on; its link comes and goes."""
    yield config((FULL, None))
    scene.make_link()
    yield config((FULL, STANDING))
    yield config((FULL, STANDING), local=MOVED[4])
    yield config((EXCLUDING, STANDING), (SPLIT, None))
    yield config((FULL, OTHER))
    scene.lose_link()
    yield config((FULL, None))
    yield config((FULL, None), stance=Stance(portal=PortalPass(1, (ip_address("192.168.1.1"),), 0)))
    yield config((replace(FULL, allow_lan=False, forward="allowed"), None))
    yield config(stance=LOCKED)
    yield config((SPLIT, None), stance=LOCKED)
    scene.make_link()
    yield config((SPLIT, STANDING), stance=LOCKED)
    yield config((replace(FULL, mtu=1300), STANDING), stance=LOCKED)
    yield config((replace(FULL, mtu=1300, exclude=EXCLUDING.exclude), OTHER), (SPLIT, None))
    yield config((FULL, STANDING), local=MOVED[4])
    yield config((FULL, only_v4(STANDING)))
    scene.lose_link()
    yield config((FULL, None))


def only_v4(up: TunnelUp) -> TunnelUp:
    return replace(up, assigned=replace(up.assigned, addresses=up.assigned.addresses[:1]))


def live(scene: Scene, fuse: Fuse) -> bool:
    """Whether it lived to the end."""

    async def main() -> None:
        nftables = Nftables()

        @contextmanager
        def machine() -> Iterator[Mortal]:
            with Kernel(nftables) as kernel:
                yield Mortal(kernel, fuse)

        system = System(scene.state_dir, machine)
        try:
            for wanted in life(scene):
                outcome = await system.apply(wanted, 1)
                assert [str(problem) for problem in outcome.problems] == []
        finally:
            system.close()
            nftables.close()

    try:
        asyncio.run(main())
    except Killed:
        return False
    finally:
        scene.lose_link()  # its pump dies with it
    return True


@pytest.fixture
def changes(wire: Scene) -> int:
    """How many a whole life makes."""
    add_addresses(UPLINK, [ip_interface(f"{MOVED[4]}/24")])
    wait_for(has_link_local, "the uplink's own address did not come")
    fuse = Fuse()
    assert live(wire, fuse)
    wire.sweep()
    return fuse.count


def has_link_local() -> bool:
    """Whether the kernel has done by itself what it does a second after a link is up."""
    return any(entry.interface.ip.is_link_local for entry in read_network().addresses)


def test_there_are_points_enough(changes: int) -> None:
    assert 2 * changes >= 200


@pytest.mark.parametrize(
    ("early", "is_manifest_lost"),
    [(True, False), (False, True)],
    ids=["before it is made", "after it was made, the note lost"],
)
def test_a_sweep_after_a_kill_leaves_an_empty_difference(
    wire: Scene, changes: int, early: bool, is_manifest_lost: bool
) -> None:
    before = snapshot(wire.laptop)
    for at in range(1, changes + 1):
        assert not live(wire, Fuse(at, early))
        if is_manifest_lost:
            (wire.state_dir / "manifest.json").unlink(missing_ok=True)
        wire.sweep()
        assert difference(before, snapshot(wire.laptop)) == (), f"killed at change {at} of {changes}"


def test_a_kill_leaves_the_guard_closed(wire: Scene, changes: int) -> None:
    """From the first filter on; what is wanted is applied by the next daemon without an opening in between."""
    sent = probes(kinds=("tcp", "udp"))
    for at in range(1, changes + 1, 5):
        with Capture([(wire.laptop, UPLINK)]) as capture:
            live(wire, Fuse(at, early=False))
            send_all(sent, OURS)
            wire.apply(config((FULL, None)))
            send_all(sent, OURS)
            settle()
        found = leaks(capture)
        assert not found, f"killed at change {at}: {found}"
        wire.sweep()
