"""A fault in our own program costs one tunnel its session, and nobody anything else."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from client.control.messages import ControlError
from client.daemon.applier import Answer, Share
from client.daemon.crashes import MOST, WITHIN, Crashes
from client.daemon.intent import Intents
from client.daemon.order import user_order
from client.daemon.tunnels import Tunnels
from client.ike.events import Channel, Endpoint
from client.ike.keys import Secret
from client.ike.options import SessionConfig
from client.ike.session import Session
from client.ike.trace import Sink
from client.system.datapath import DataPathFailed
from client.tunnel.events import Slept
from client.tunnel.model import NetworkChange
from tests.daemon.test_handlers import PROFILE
from tests.daemon.virtual_loop import now, run
from tests.daemon.world import WIFI, Internet, Machine, driven, wish
from tests.pair import client_config
from tests.rng import SeededRng


class Bug(Exception):
    """A mistake of ours."""


@dataclass
class Trap:
    """Sessions that raise while it is set; what they were told of where datagrams came in."""

    is_set: bool = False
    locals: list[Endpoint | None] = field(default_factory=list)
    sessions: int = 0

    def open_session(self, config: SessionConfig, sink: Sink) -> Session:
        trap = self

        class Trapped(Session):
            def handle_datagram(
                self,
                data: bytes,
                channel: Channel,
                remote: Endpoint,
                now: float,
                local: Endpoint | None = None,
            ) -> None:
                trap.locals.append(local)
                if trap.is_set:
                    raise Bug("a secret that stands in no status")
                super().handle_datagram(data, channel, remote, now, local)

            def probe(self, now: float) -> None:
                raise Bug("told to")

        self.sessions += 1
        return Trapped(config, SeededRng(self.sessions, "client"), sink)


def trapped(trap: Trap) -> Machine:
    machine = Machine(Internet())
    object.__setattr__(machine.world, "open_session", trap.open_session)
    return machine


def is_guarded(machine: Machine) -> bool:
    """Whether everything goes nowhere: blackholes alone."""
    return {route.link for route in machine.system.config.routes} == {None}


def test_the_tunnel_waits_behind_its_guard_and_comes_back() -> None:
    async def body() -> None:
        machine = trapped(Trap())
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until_state("up", 5)
            driver.tell(Slept(30.0))  # which makes it ask the gateway
            await machine.until_state("waiting", 1)
            failure = machine.status.failure
            assert failure is not None
            assert failure.kind == "local.fault"
            assert failure.evidence.startswith("a fault in Roam itself (Bug); the log has it as fault 0000")
            assert "told to" not in failure.evidence
            assert machine.status.guard
            await machine.until(lambda: is_guarded(machine), 0.5)
            assert machine.data_path.is_closed
            assert machine.internet.sockets == {}
            assert machine.status.retry_at is not None
            assert await machine.until_state("up", 5) >= 0.9
            assert len(machine.data_paths) == 2

    run(body)


def test_faults_in_a_row_end_it_and_the_user_may_begin_anew(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        trap = Trap()
        machine = trapped(trap)
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until_state("up", 5)
            trap.is_set = True
            driver.tell(Slept(30.0))
            await machine.until_state("blocked", 200)
            failure = machine.status.failure
            assert failure is not None
            assert failure.evidence.startswith(f"for the {MOST}th time in a short while, a fault")
            assert is_guarded(machine)
            sent = len(machine.internet.sent)
            await asyncio.sleep(1000)
            assert len(machine.internet.sent) == sent
            trap.is_set = False
            await driver.want(wish(serial=2))
            await machine.until_state("up", 5)

    with caplog.at_level(logging.CRITICAL, "roam.tunnel"):
        run(body)


def test_whoever_asked_for_what_failed_is_told() -> None:
    async def body() -> None:
        machine = trapped(Trap())

        def refuse(_name: str, _share: Share, _answer: Answer | None = None) -> None:
            raise Bug("while it is begun")

        async with driven(machine) as driver:
            machine.applier.share = refuse  # type: ignore[method-assign, assignment]
            with pytest.raises(ControlError, match="a fault in Roam itself"):
                await driver.want(wish())
            assert driver.status.state == "blocked"

    run(body)


def test_another_tunnel_notices_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        machine = trapped(Trap())
        async with asyncio.TaskGroup() as group:
            applying = group.create_task(machine.applier.run())
            tunnels = Tunnels(
                machine.world, machine.applier, Intents(tmp_path), group, lambda _told: None, now
            )
            tunnels.network_changed(NetworkChange(machine.network, machine.network))
            for name in ("office", "lab"):
                text = PROFILE.replace('"office"', f'"{name}"')
                await tunnels.up(user_order(1000, text, {}, {"ask:": Secret(b"s")}))
            first, second = tunnels
            before = second.status
            first.driver.tell(Slept(30.0))
            first.driver.tell(object())  # type: ignore[arg-type]
            await machine.until(lambda: first.status.failure is not None, 5)
            assert (second.status.state, second.status.failure) == (before.state, None)
            assert not second.task.done()
            await tunnels.stop()
            applying.cancel()

    run(body)


def test_a_data_path_that_says_nonsense_is_made_anew() -> None:
    async def body() -> None:
        machine = trapped(Trap())
        async with driven(machine) as driver:
            await driver.want(wish(client_config()))
            await machine.until_state("up", 5)
            machine.data_path.queue.put_nowait(DataPathFailed("it says so"))
            await machine.until(lambda: len(machine.data_paths) == 2, 5)
            await machine.until_state("up", 5)

    run(body)


def test_the_session_is_told_where_a_datagram_came_in() -> None:
    async def body() -> None:
        trap = Trap()
        machine = trapped(trap)
        async with driven(machine) as driver:
            await driver.want(wish())
            await machine.until_state("up", 5)
            assert {str(end.address) for end in trap.locals if end is not None} == {WIFI}
            assert None not in trap.locals

    run(body)


def test_five_faults_within_ten_minutes_are_a_pattern_and_slow_ones_are_none() -> None:
    crashes = Crashes()
    assert not any(crashes.failure(float(at), "1", "Bug").final for at in range(MOST - 1))
    assert crashes.failure(WITHIN, "1", "Bug").final
    assert crashes.failure(WITHIN + 1.0, "1", "Bug").final
    assert not crashes.failure(3 * WITHIN, "1", "Bug").final
