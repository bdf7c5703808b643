"""How fast userspace ESP is: `python packaging/dev/bench_esp.py [--seconds N] [--runs N]`, as root.

Two namespaces joined by a virtual cable, a pump at each end, one flow inside.  Everything, both ends and both
traffic programs, shares this machine's cores, so only ratios of one run mean something.  Prints medians with
their ranges.  Nothing of the machine's own network is touched.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from pathlib import Path as FilePath

from pyroute2 import IPRoute

sys.path.insert(0, str(FilePath(__file__).resolve().parents[2]))

from client.ike.events import ChildKeys, ChildSa, Endpoint, EspAlgorithms, Path, Selector
from client.ike.keys import Secret
from client.ike.transforms import Encryption, by_word, integrity
from client.lab.links import add_addresses, connect, set_link
from client.lab.namespaces import Namespace, Surroundings
from client.system.userspace import IkeDatagram, PumpPool, UserspaceDataPath

MTU = 1400
OUTER = {4: ("192.0.2.1/24", "192.0.2.2/24"), 6: ("2001:db8::1/64", "2001:db8::2/64")}
INNER = {4: ("10.7.0.1/24", "10.7.0.2/24"), 6: ("fd07::1/64", "fd07::2/64")}
ANY = (
    Selector(IPv4Address(0), IPv4Address(2**32 - 1)),
    Selector(IPv6Address(0), IPv6Address(2**128 - 1)),
)

RECEIVE_STREAM = """
import socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
listener = socket.create_server((sys.argv[1], 5001), family=family)
print("ready", flush=True)
accepted, _ = listener.accept()
buffer, total, start = bytearray(1 << 20), 0, time.monotonic()
while count := accepted.recv_into(buffer):
    total += count
print(total / (time.monotonic() - start), flush=True)
"""
SEND_STREAM = """
import socket, sys, time
connected = socket.create_connection((sys.argv[1], 5001), 5)
connected.settimeout(None)
data, end = bytes(1 << 18), time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    connected.sendall(data)
"""
RECEIVE_DATAGRAMS = """
import socket, sys, time
opened = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
opened.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
opened.bind((sys.argv[1], 5001))
print("ready", flush=True)
opened.recv(100)
opened.settimeout(1.0)
count, start, last = 1, time.monotonic(), 0.0
try:
    while True:
        opened.recv(100)
        count += 1
        last = time.monotonic()
except TimeoutError:
    print(count / (last - start), flush=True)
"""
SEND_DATAGRAMS = """
import socket, sys, time
opened = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
opened.connect((sys.argv[1], 5001))
opened.setsockopt(17, 103, 36)  # UDP_SEGMENT: 64-octet packets over IPv4
data, end = bytes(36 * 60), time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try:
        opened.send(data)
    except OSError:
        pass
"""


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    word: str = "aes256gcm16"
    outer: int = 4
    inner: int = 4
    tunnelled: bool = True
    coalescing: bool = True  # False: the wire takes single packets, so none arrive coalesced
    datagrams: bool = False
    esn: bool = False


CASES = (
    Case("plain wire, TCP", tunnelled=False),
    Case("TCP"),
    Case("TCP, IPv6 inside", inner=6),
    Case("TCP, IPv6 outside", outer=6),
    Case("TCP, no UDP GRO", coalescing=False),
    Case("TCP, ESN", esn=True),
    Case("TCP, ChaCha20-Poly1305", word="chacha20poly1305"),
    Case("TCP, AES-CBC with HMAC-SHA2-256", word="aes256"),
    Case("UDP, 64-octet packets", datagrams=True),
)
DELAY = Case("IKE through a saturated tunnel")


def child_pair(word: str, esn: bool) -> tuple[ChildSa, ChildSa]:
    """Both ends' view of a Child SA with fresh keys."""
    encryption = by_word(word)
    assert isinstance(encryption, Encryption)  # noqa: S101 - the words stand above
    integ = 0 if encryption.aead else 12
    row = integrity(integ)
    sizes = (encryption.keymat_size, row.key_size if row else 0)
    one, other = ([Secret(secrets.token_bytes(size)) for size in sizes] for _ in range(2))
    algorithms = EspAlgorithms(encryption.id, encryption.key_bits, integ, esn)
    return (
        ChildSa(0x1001, 0x2002, algorithms, ChildKeys(*one, *other), ANY, ANY, encapsulate=True),
        ChildSa(0x2002, 0x1001, algorithms, ChildKeys(*other, *one), ANY, ANY, encapsulate=True),
    )


def host(interface: str) -> str:
    return str(ip_interface(interface).ip)


def lay_wire(one: Namespace, other: Namespace, case: Case) -> None:
    connect(one, "wire", other, "wire")
    for number, namespace in enumerate((one, other)):

        def configure(number: int = number) -> None:
            set_link("lo", up=True)
            set_link("wire", up=True)
            add_addresses("wire", [ip_interface(pair[number]) for pair in OUTER.values()])
            if not case.coalescing:
                turn_off_segmentation("wire")

        namespace.run(configure)


def turn_off_segmentation(link: str) -> None:
    """What we send as one buffer of many segments crosses the wire in single packets."""
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=link)[0]
        netlink.link("set", index=index, gso_max_segs=1)


@dataclass
class End:
    """One end of the tunnel."""

    namespace: Namespace
    data_path: UserspaceDataPath
    natt: socket.socket
    local: Endpoint


async def open_end(namespace: Namespace, number: int, case: Case, pool: PumpPool) -> End:
    with namespace.entered():
        data_path = await UserspaceDataPath.start("roam0", MTU, pool)
        natt = socket.socket(socket.AF_INET6 if case.outer == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    address = host(OUTER[case.outer][number])
    natt.setblocking(False)
    natt.bind((address, 0))

    def configure() -> None:
        set_link("roam0", up=True)
        add_addresses("roam0", [ip_interface(pair[number]) for pair in INNER.values()])

    namespace.run(configure)
    return End(namespace, data_path, natt, Endpoint(ip_address(address), natt.getsockname()[1]))


@asynccontextmanager
async def tunnel(case: Case) -> AsyncIterator[tuple[Namespace, Namespace, list[End]]]:
    """The wire, and over it the tunnel where the case has one."""
    one, other = Namespace.create("one"), Namespace.create("other")
    pool, ends = PumpPool(), list[End]()
    try:
        lay_wire(one, other, case)
        if case.tunnelled:
            ends = [await open_end(namespace, n, case, pool) for n, namespace in enumerate((one, other))]
            pair = child_pair(case.word, case.esn)
            for end, peer, child in zip(ends, reversed(ends), pair, strict=True):
                path = Path("wire", end.local, peer.local)
                await end.data_path.rebind(path, end.natt.fileno(), encapsulate=True)
                await end.data_path.install(child, path)
        yield one, other, ends
    finally:
        for end in ends:
            await end.data_path.close()
            end.natt.close()
        await pool.close()
        one.close()
        other.close()


async def flow(one: Namespace, other: Namespace, case: Case, seconds: float) -> float:
    """Octets, or datagrams, a second from the first namespace to the second."""
    address = host(INNER[case.inner][1]) if case.tunnelled else host(OUTER[case.inner][1])
    receive, send = (RECEIVE_DATAGRAMS, SEND_DATAGRAMS) if case.datagrams else (RECEIVE_STREAM, SEND_STREAM)
    around = Surroundings(output=subprocess.PIPE)
    receiver = other.start((sys.executable, "-c", receive, address), around)
    assert receiver.stdout is not None  # noqa: S101 - a pipe was asked for
    await asyncio.to_thread(receiver.stdout.readline)
    one.start((sys.executable, "-c", send, address, str(seconds)))
    line = await asyncio.to_thread(receiver.stdout.readline)
    receiver.stdout.close()
    return float(line)


async def ike_delays(sender: End, receiver: End, until: Awaitable[float]) -> list[float]:
    """How long IKE messages take from the peer's socket to the receiving parent while something else goes on."""
    delays, task = list[float](), asyncio.ensure_future(until)
    target = host(str(receiver.local.address)), receiver.local.port
    while not task.done():
        sent = time.monotonic()
        sender.natt.sendto(bytes(4) + struct.pack("d", sent), target)
        try:
            async with asyncio.timeout(0.5):
                while not isinstance(await receiver.data_path.events().get(), IkeDatagram):
                    pass
        except TimeoutError:
            delays.append(0.5)
            continue
        delays.append(time.monotonic() - sent)
        await asyncio.sleep(0.02)
    await task
    return delays


def row(name: str, values: Sequence[float], unit: str) -> str:
    return f"{name:34} {statistics.median(values):9.1f} {unit:8} ({min(values):.1f} to {max(values):.1f})"


async def measure(case: Case, runs: int, seconds: float) -> str:
    values, offloads = list[float](), ""
    for _ in range(runs):
        async with tunnel(case) as (one, other, ends):
            values.append(await flow(one, other, case, seconds))
            if ends:
                offloads = await ends[1].data_path.offloads()
    scaled = [value / 1e3 if case.datagrams else value * 8 / 1e6 for value in values]
    return row(case.name, scaled, "kpps" if case.datagrams else "Mbit/s") + f"  {offloads}"


async def measure_delay(seconds: float) -> str:
    async with tunnel(DELAY) as (one, other, (near, far)):
        delays = await ike_delays(near, far, flow(one, other, DELAY, seconds))
    return row(DELAY.name, [delay * 1000 for delay in delays], "ms") + f"  {len(delays)} messages"


def main() -> None:
    """Print one row for each case, as it is measured."""
    parser = argparse.ArgumentParser(description="Measure userspace ESP between two namespaces.")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args()
    for case in CASES:
        if options.only in case.name:
            print(asyncio.run(measure(case, options.runs, options.seconds)), flush=True)
    if options.only in DELAY.name:
        print(asyncio.run(measure_delay(options.seconds)), flush=True)


if __name__ == "__main__":
    main()
