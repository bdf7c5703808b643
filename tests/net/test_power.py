"""Sleep as two clocks tell it, and logind's word for when to look."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from dbus_fast import Message
from dbus_fast.aio import MessageBus

from client.net import power
from client.net.power import SleepMeter, asleep, watch_sleep


@dataclass
class Clock:
    """The difference of the two clocks, set by the test."""

    asleep: float = 100.0

    def __call__(self) -> float:
        return self.asleep


@pytest.mark.parametrize(
    ("name", "looks", "slept"),
    [
        ("awake", [100.0, 100.0], [0.0, 0.0]),
        ("one sleep", [130.0, 130.0], [30.0, 0.0]),
        ("clocks that are read one after the other", [100.000001, 100.3], [0.0, 0.0]),
        ("short sleeps add up", [100.6, 101.2, 101.2], [0.0, pytest.approx(1.2), 0.0]),
        ("two sleeps", [110.0, 3710.0], [10.0, 3600.0]),
    ],
)
def test_sleep_is_growth_of_the_difference(name: str, looks: list[float], slept: list[float]) -> None:
    assert name
    clock = Clock()
    meter = SleepMeter(clock)
    measured = []
    for clock.asleep in looks:
        measured.append(meter.slept())
    assert measured == slept


def test_the_kernels_clocks_agree_while_awake() -> None:
    assert SleepMeter().slept() == 0.0
    assert asleep() >= -0.001


def test_without_logind_the_clocks_are_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "PERIOD", 0.01)
    assert watched("unix:path=/nonexistent") == [42.0]


def test_a_bus_that_does_not_answer_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(power, "PERIOD", 0.01)
    socket = tmp_path / "bus"
    socket.touch()
    assert watched(f"unix:path={socket}") == [42.0]


def watched(address: str) -> list[float]:
    """What is reported of one sleep of 42 seconds."""

    async def body() -> list[float]:
        clock = Clock()
        reports: asyncio.Queue[float] = asyncio.Queue()
        watching = asyncio.create_task(watch_sleep(reports.put_nowait, SleepMeter(clock), address))
        clock.asleep += 42.0
        async with asyncio.timeout(5):
            first = await reports.get()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return [first, *(reports.get_nowait() for _ in range(reports.qsize()))]

    return asyncio.run(body())


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("needs the program dbus-daemon for a private bus")
    address = f"unix:path={tmp_path / 'bus'}"
    command = [program, "--session", "--nofork", "--nopidfile", f"--address={address}", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it listens now
        yield Bus(address, process)
        process.terminate()


@dataclass
class Bus:
    address: str
    process: subprocess.Popen[bytes]


def test_logind_says_when_a_sleep_is_over(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "PERIOD", 30.0)

    async def body() -> None:
        clock = Clock()
        reports: asyncio.Queue[float] = asyncio.Queue()
        logind = await MessageBus(bus_address=bus.address).connect()
        await logind.request_name("org.freedesktop.login1")
        watching = asyncio.create_task(watch_sleep(reports.put_nowait, SleepMeter(clock), bus.address))
        clock.asleep += 600.0
        async with asyncio.timeout(5):
            while reports.empty():  # the first signals may come before anybody listens
                for before in (True, False):
                    await logind.send(prepare_for_sleep(before=before))
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        assert await reports.get() == 600.0
                        break
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        logind.disconnect()

    asyncio.run(body())


def test_a_bus_that_ends_leaves_the_clocks(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "PERIOD", 0.05)

    async def body() -> None:
        clock = Clock()
        reports: asyncio.Queue[float] = asyncio.Queue()
        watching = asyncio.create_task(watch_sleep(reports.put_nowait, SleepMeter(clock), bus.address))
        for seconds in (10.0, 20.0):
            clock.asleep += seconds
            async with asyncio.timeout(5):
                assert await reports.get() == seconds
            bus.process.terminate()
            await asyncio.to_thread(bus.process.wait)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(body())


def prepare_for_sleep(*, before: bool) -> Message:
    return Message.new_signal(
        "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "PrepareForSleep", "b", [before]
    )
