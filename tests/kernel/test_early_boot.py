"""Under lockdown a boot begins closed: Debian's systemd is process 1, and its networkd brings the network up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.tunnel.model import RULE_PRIORITY
from tests.conftest import Record
from tests.evidence import KERNEL
from tests.netns.peers.releases import PeerUnavailable, release
from tests.system.resolver.workstation import unpacked

from .early_boot import BARRIER, FOREIGN, LINK, LOCKDOWN, NETWORK, prepare
from .machine import Kernel, start

pytestmark = [
    pytest.mark.netns,
    pytest.mark.slow,
    pytest.mark.xdist_group("kernel"),
    pytest.mark.timeout(600),
]

_SUITE = "bookworm"  # whose systemd it is, whatever the kernel's release
_PATIENCE = 570.0  # seconds; where nothing else runs some 30 are enough
_SECOND = 1_000_000  # in systemd's timestamps


@dataclass(frozen=True)
class Boot:
    """What the machine has told, by file."""

    shared: Path

    def text(self, name: str) -> str:
        return (self.shared / name).read_text()

    @property
    def frames(self) -> tuple[int, int]:
        """That left while the guard was closed, and until it had been open for a second."""
        return int(self.text("locked")), int(self.text("open"))

    @property
    def units(self) -> dict[str, dict[str, str]]:
        """Properties of units by their names."""
        blocks = [
            dict(line.split("=", 1) for line in block.splitlines())
            for block in self.text("units").split("\n\n")
        ]
        return {block["Id"]: block for block in blocks if block}

    def fates(self) -> Iterator[str]:
        """What became of the datagrams, in order, but for the last one."""
        for line in self.text("sent").splitlines():
            yield line.rpartition(" ")[0]


@pytest.fixture(scope="module")
def boot(distribution: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Boot:
    shared = tmp_path_factory.mktemp("boot")
    try:
        systemd, nft = unpacked(_SUITE).root, release(_SUITE, ("nftables",), "nft").root
    except PeerUnavailable as error:
        pytest.skip(f"no systemd to boot: {error}")
    prepare(shared, systemd, nft, distribution.busybox)
    with start(distribution, "", shared) as machine:
        deadline = time.monotonic() + _PATIENCE
        while machine.running and time.monotonic() < deadline:
            time.sleep(0.2)
        assert (shared / "unguarded").exists(), f"it did not come so far:\n{machine.console()}"
    return Boot(shared)


def test_the_guard_closes_before_any_network_and_nothing_leaves(
    boot: Boot, distribution: Kernel, record_property: Record
) -> None:
    lockdown, barrier, network = (boot.units[name] for name in (LOCKDOWN, BARRIER, NETWORK))
    assert (lockdown["Result"], lockdown["ActiveState"]) == ("success", "active"), boot.text("journal")
    closed, passed = (int(unit["ActiveEnterTimestampMonotonic"]) for unit in (lockdown, barrier))
    begun = int(network["ExecMainStartTimestampMonotonic"])
    assert 0 < closed < passed < begun
    locked, opened = boot.frames
    assert locked == 0, f"{locked} frames left:\n{boot.text('sent')}"
    assert opened > 0, "the control was not sent"
    said = f"closed {(passed - closed) / 1000:.0f} ms before {BARRIER}, {(begun - closed) / _SECOND:.2f} s before "
    said += f"{NETWORK}; 0 frames, and {opened} with the guard open"
    record_property(KERNEL, (f"Linux {distribution.version}", "a boot under lockdown", said))


def test_what_is_sent_meanwhile_has_no_way_and_then_no_permission(boot: Boot) -> None:
    """Until the network is there, and from then on; the last state, with the guard open, is not told any more."""
    assert list(boot.fates()) == ["Network is unreachable", "Operation not permitted"]


def test_the_unit_makes_what_the_daemon_would(boot: Boot) -> None:
    assert "table inet roam" in boot.text("tables").splitlines()
    assert "route replace blackhole 0.0.0.0/0" in boot.text("journal")


def test_networkd_leaves_our_rules_and_routes_alone(boot: Boot) -> None:
    """It takes away what it does not know, unless the kernel is said to have made it."""
    rules = {int(line.partition(":")[0]) for line in boot.text("rules").splitlines()}
    assert FOREIGN not in rules, "the control is still there"
    assert rules >= {0, RULE_PRIORITY, RULE_PRIORITY + 1}
    assert "Invalid argument" in boot.text("routed"), "so the kernel tells of a blackhole"
    assert f"dev {LINK}" in boot.text("unguarded"), "the control without our rule"
