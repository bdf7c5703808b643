"""The userspace data path seen from its daemon: accounts, spare pumps, and pumps that misbehave."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from client.esp import ipc
from client.lab.devices import offer_tun
from client.lab.namespaces import Account, Namespace, Surroundings
from client.system.datapath import Activity, DataPathFailed, FirstInbound, SelectorViolation, SoftLimit
from client.system.tun import open_tun
from client.system.userspace import IkeDatagram, PumpPool, PumpProcess, UserspaceDataPath
from tests.esp.test_ipc import V4, V6

NOBODY = 65534

AS_ACCOUNT = """
import asyncio, socket
from ipaddress import ip_address
from client.ike.events import Endpoint, Path
from client.system.userspace import PumpPool, UserspaceDataPath

async def main():
    data_path = await UserspaceDataPath.start("roam0", 1400, PumpPool())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as natt:
        end = Endpoint(ip_address("192.0.2.1"), 4500)
        await data_path.rebind(Path("lo", end, end), natt.fileno(), encapsulate=True)
    print(open(f"/proc/{data_path.pid}/status").read())
    await data_path.close()

asyncio.run(main())
"""


@contextmanager
def namespace() -> Iterator[Namespace]:
    made = Namespace.create("alone")
    try:
        yield made
    finally:
        made.close()


@pytest.mark.netns
def test_an_ordinary_account_with_one_capability_runs_a_pump_that_has_none() -> None:
    with namespace() as alone:
        around = Surroundings(Account(NOBODY, NOBODY), prepare=offer_tun, output=subprocess.PIPE)
        output, _ = alone.start([sys.executable, "-c", AS_ACCOUNT], around).communicate(timeout=30)
    status = dict(line.split(":\t", 1) for line in output.decode().splitlines() if ":\t" in line)
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[capabilities], 16) == 0, output.decode()
    assert status["Uid"].split() == [str(NOBODY)] * 4
    assert status["NoNewPrivs"] == "1"


@pytest.mark.netns
def test_a_tun_interface_lives_as_long_as_its_descriptor() -> None:
    with namespace() as alone:
        descriptor = alone.run(lambda: open_tun("roam7", 1280))
        assert "roam7" in alone.run(lambda: [name for _, name in socket.if_nameindex()])
        with pytest.raises(OSError, match="busy"):
            alone.run(lambda: open_tun("roam7", 1280))
        os.close(descriptor)
        assert "roam7" not in alone.run(lambda: [name for _, name in socket.if_nameindex()])


@pytest.mark.netns
def test_a_name_that_is_too_long_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="too long"):
        open_tun("roam-with-a-long-name", 1280)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.netns
def test_a_spare_pump_is_used_once_and_its_end_is_noticed() -> None:
    async def body() -> None:
        pool = PumpPool()
        pool.warm()
        spare = pool.take()
        assert spare.running
        second = pool.take()
        assert second.pid != spare.pid
        pool.warm()
        third = pool.take()
        for pump in (spare, second, third):
            pump.kill()
            assert "SIGKILL" in await pump.wait()
            assert not pump.running
        await pool.close()

    asyncio.run(body())


@pytest.mark.netns
def test_a_spare_pump_that_died_is_not_handed_out() -> None:
    async def body() -> None:
        pool = PumpPool()
        pool.warm()
        dead = pool.take()
        pool._spare = dead
        dead.kill()
        await dead.wait()
        fresh = pool.take()
        assert fresh.running
        fresh.kill()
        await fresh.wait()

    asyncio.run(body())


class FakePump(PumpProcess):
    """A pump whose words the test speaks."""

    def __init__(self) -> None:
        self.control, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)
        self.theirs.settimeout(2)

    def kill(self) -> None:
        self.control.close()

    async def wait(self) -> str:
        self.theirs.close()
        return "exit status 9"

    def say(self, *reports: ipc.Report) -> None:
        for report in reports:
            self.theirs.send(ipc.encode(report))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_reports_become_events_in_order() -> None:
    async def body() -> None:
        pump = FakePump()
        data_path = UserspaceDataPath(pump, "roam0")
        pump.say(
            ipc.IkeReceived(b"message", V4, V6),
            ipc.Notice(ipc.Sign.FIRST_INBOUND, 1),
            ipc.Notice(ipc.Sign.SEQUENCE_LOW, 2),
            ipc.Notice(ipc.Sign.SELECTOR_VIOLATION, 3),
            ipc.Active(1500, 2500),
        )
        await settle()
        events = data_path.events()
        assert [events.get_nowait() for _ in range(events.qsize())] == [
            IkeDatagram(b"message", V4, V6),
            FirstInbound(1),
            SoftLimit(2, sequence=True),
            SelectorViolation(3),
            Activity(1.5, 2.5),
        ]
        await data_path.close()

    asyncio.run(body())


@pytest.mark.parametrize("octets", [b"\x00", b"\x01\x00", b"\xff" * 40])
def test_a_pump_that_talks_nonsense_is_ended(octets: bytes) -> None:
    async def body() -> None:
        pump = FakePump()
        data_path = UserspaceDataPath(pump, "roam0")
        pump.theirs.send(octets)
        failed = await data_path.events().get()
        assert isinstance(failed, DataPathFailed)
        with pytest.raises(ConnectionError):
            await data_path.remove(1)
        await data_path.close()

    asyncio.run(body())


def test_last_words_are_the_reason() -> None:
    async def body() -> None:
        pump = FakePump()
        data_path = UserspaceDataPath(pump, "roam0")
        pump.say(ipc.Broken("OSError: the interface is gone"))
        pump.theirs.close()
        failed = await data_path.events().get()
        assert failed == DataPathFailed("OSError: the interface is gone (exit status 9)")
        await data_path.close()

    asyncio.run(body())


def test_a_command_under_way_fails_with_the_pump() -> None:
    async def body() -> None:
        pump = FakePump()
        data_path = UserspaceDataPath(pump, "roam0")
        removing = asyncio.create_task(data_path.remove(1))
        await settle()
        assert ipc.decode_command(pump.theirs.recv(1000)) == ipc.Remove(1, 1)
        pump.theirs.close()
        with pytest.raises(ConnectionError):
            await removing
        await data_path.close()

    asyncio.run(body())


def test_a_refused_command_raises_with_the_reason() -> None:
    async def body() -> None:
        pump = FakePump()
        data_path = UserspaceDataPath(pump, "roam0")
        using = asyncio.create_task(data_path.use_outbound(7))
        await settle()
        pump.say(ipc.Done(1, "inbound SPI 00000007 is unknown"))
        with pytest.raises(OSError, match="00000007 is unknown"):
            await using
        await data_path.close()

    asyncio.run(body())


def test_a_flood_of_ike_does_not_fill_the_memory() -> None:
    async def body() -> None:
        pump = FakePump()
        data_path = UserspaceDataPath(pump, "roam0")
        for _ in range(100):
            pump.say(*[ipc.IkeReceived(b"flood", V4, V4)] * 20)
            await settle()
        pump.say(ipc.Notice(ipc.Sign.FIRST_INBOUND, 1))
        await settle()
        assert data_path.events().qsize() == 1025
        await data_path.close()

    asyncio.run(body())


@pytest.mark.netns
def test_a_link_of_another_kind_keeps_its_name_and_the_reason_is_told() -> None:
    """Only what a killed daemon has left gives way: `tests/kernel` has such a link."""

    async def start() -> None:
        await UserspaceDataPath.start("lo", 1400, PumpPool())

    with namespace() as alone, alone.entered(), pytest.raises(OSError, match="busy"):
        asyncio.run(start())
