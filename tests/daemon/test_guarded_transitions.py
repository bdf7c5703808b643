"""A real daemon from one state to the next, while an ordinary user's programs send without a pause.

What `tests/system/test_leaks.py` shows of the machine's configurations is made by the whole of Roam here: sessions,
data path, controller and applier, kills and restarts included.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from client.control.client import Client
from client.lab.capture import Capture, Flow
from client.lab.echo import EchoServer
from client.lab.laptop import wait_for
from client.lab.plan import GatewayPlan
from client.lab.topology import GATEWAY, GATEWAY_V6, SERVER
from tests.conftest import Record
from tests.daemon.test_lockdown import EVERYTHING, FULL, OURS, Scene, scene  # noqa: F401 - a fixture
from tests.daemon.test_roamd import PASSWORD
from tests.evidence import TRAINS
from tests.lab_gateway import enrol, start_gateway
from tests.system.ledger import Train, leaks, probes

pytestmark = [pytest.mark.netns, pytest.mark.slow]

COLUMNS = probes()


def is_ours(flow: Flow) -> bool:
    """IKE and ESP in UDP; no probe goes there."""
    return flow.destination in (str(GATEWAY), str(GATEWAY_V6)) and flow.protocol == "udp"


@dataclass
class Life:
    """Of a laptop whose tunnel for everything stands: what can happen to it."""

    scene: Scene
    plan: Path
    gateway: subprocess.Popen[bytes]

    def passes(self) -> None:
        wait_for(self.scene.reaches_server, "no traffic", self.scene.laptop.log)

    def rekey(self) -> None:
        laptop = self.scene.laptop
        before = laptop.status("office")["child_rekey_at"]
        with Client(str(laptop.socket)) as client:
            client.rekey("office")
        wait_for(lambda: laptop.status("office")["child_rekey_at"] != before, "no rekey", laptop.log)
        self.passes()

    def roam(self) -> None:
        for change in (self.scene.lab.wifi.down, self.scene.lab.wifi.up):
            change()
            self.passes()

    def reconnect(self) -> None:
        self.stop_gateway()
        self.gateway = start_gateway(self.scene.lab, self.plan)
        self.passes()

    def kill(self) -> None:
        self.scene.laptop.kill()
        self.scene.start()
        self.scene.laptop.roam("up", "office")
        self.passes()

    def stop(self) -> None:
        self.scene.laptop.roam("down")
        self.scene.laptop.roam("up", "office")
        self.passes()

    def stop_gateway(self) -> None:
        self.scene.lab.gateway.stop(self.gateway)


@pytest.fixture
def life(scene: Scene) -> Iterator[Life]:  # noqa: F811
    plan = enrol(scene.laptop, FULL, PASSWORD, GatewayPlan(selectors=EVERYTHING))
    made = Life(scene, plan, start_gateway(scene.lab, plan))
    scene.laptop.start()
    scene.laptop.roam("up", "office")
    with scene.lab.laptop.entered(), EchoServer(scene.lab.server, SERVER):
        yield made
    made.stop_gateway()


def test_nothing_leaves_whatever_the_daemon_goes_through(life: Life, record_property: Record) -> None:
    show = partial(shown, life.scene, record_property)
    show("rekey", 4, life.rekey)
    show("roam", 3, life.roam)
    show("reconnect", 1, life.reconnect)
    show("kill -9, restart and login", 2, life.kill)
    life.scene.laptop.roam("lockdown", "on")
    show("stop and start under lockdown", 2, life.stop)
    life.scene.laptop.roam("lockdown", "off")
    life.scene.laptop.roam("down")


def shown(scene: Scene, note: Record, name: str, times: int, turn: Callable[[], None]) -> None:  # noqa: F811
    links = [(scene.lab.laptop, link) for link in ("wlan0", "wwan0")]
    with Capture(links) as capture, Train(COLUMNS, OURS) as train:
        for _ in range(times):
            turn()
    found = leaks(capture, is_ours)
    assert not found, "\n".join((name, *found))
    assert train.sent > 0
    row = f"roamd: {name}"
    note(TRAINS, (row, "transitions", 0, times))
    for probe in COLUMNS:
        note(TRAINS, (row, probe.cell, int(probe.is_seen_in(capture.flows)), train.sent // len(COLUMNS)))
