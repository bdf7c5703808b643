"""Killed before any message to a resolver, or before any write: the sweep leaves it as it was."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from client.system.resolver import bus as bus_module
from client.system.resolver.bus import Bus
from client.system.resolver.detect import Places
from client.system.resolver.resolver import Resolver
from tests.conftest import Record
from tests.evidence import KILLED
from tests.system.resolver.scene import FULL, SPLIT, AtHome
from tests.system.resolver.test_networkmanager import interned, resolv_conf
from tests.system.resolver.test_networkmanager import laptop as managed  # noqa: F401 - a fixture
from tests.system.resolver.workstation import Workstation

pytestmark = [pytest.mark.netns, pytest.mark.slow]

Body = Callable[[Resolver], Awaitable[object]]
MOST = 60


def places(workstation: Workstation) -> Places:
    return Places(workstation.place, workstation.bus_address, workstation.place / "run/roam-dns.sock")


def killed(workstation: Workstation, state: Path, body: Body, moment: int) -> bool:
    """Run `body` in a process that is killed before its message number `moment`; whether it was."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with workstation.namespace.entered():
                asyncio.run(_until(workstation, state, body, moment))
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status != 0


async def _until(workstation: Workstation, state: Path, body: Body, moment: int) -> None:
    numbers = count()

    class Mortal(Bus):
        async def call(self, *arguments: Any) -> list[Any]:  # noqa: ANN401 - passed on
            if next(numbers) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return await super().call(*arguments)

    await body(Resolver(state, places(workstation), open_bus=Mortal))


def sweep(workstation: Workstation, state: Path) -> None:
    async def main() -> None:
        assert (await Resolver(state, places(workstation)).restore()).problems == ()

    with workstation.namespace.entered():
        asyncio.run(main())


async def apply(resolver: Resolver) -> None:
    for config in (SPLIT, FULL):
        assert (await resolver.apply([config])).problems == ()


async def come_and_go(resolver: Resolver) -> None:
    for configs in ([FULL], []):
        assert (await resolver.apply(configs)).problems == ()


@pytest.mark.parametrize("body", [apply, come_and_go])
def test_before_any_message_to_systemd_resolved(
    laptop: AtHome, tmp_path: Path, body: Body, record_property: Record
) -> None:
    before = laptop.workstation.run("/usr/bin/resolvectl", "status")
    moments = 0
    while killed(laptop.workstation, tmp_path, body, moments):
        sweep(laptop.workstation, tmp_path)
        assert laptop.workstation.run("/usr/bin/resolvectl", "status") == before, f"message {moments}"
        assert list(tmp_path.iterdir()) == []
        moments += 1
        assert moments < MOST
    assert moments >= 7
    record_property(KILLED, ("a message to systemd-resolved", "swept", 0, moments))


@pytest.mark.parametrize("body", [apply, come_and_go])
def test_before_any_message_to_networkmanager(
    managed: Workstation,  # noqa: F811
    tmp_path: Path,
    body: Body,
    record_property: Record,
) -> None:
    before = resolv_conf(managed)
    moments = 0
    while killed(managed, tmp_path, body, moments):
        sweep(managed, tmp_path)
        assert resolv_conf(managed) == before, f"message {moments}"
        assert list(tmp_path.iterdir()) == []
        moments += 1
        assert moments < MOST
    assert moments >= 7
    record_property(KILLED, ("a message to NetworkManager", "swept", 0, moments))
    sweep(managed, tmp_path)
    assert "10.77.0.1" not in interned(managed)


def test_a_resolver_that_hangs_does_not_hang_us(
    laptop: AtHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_module, "PATIENCE", 0.3)
    laptop.workstation.signal("resolved", signal.SIGSTOP)

    async def body() -> None:
        outcome = await Resolver(tmp_path, places(laptop.workstation)).apply([FULL])
        assert outcome.problems == ("systemd-resolved: org.freedesktop.resolve1 did not answer GetLink",)

    try:
        laptop.run(body)
    finally:
        laptop.workstation.signal("resolved", signal.SIGCONT)
