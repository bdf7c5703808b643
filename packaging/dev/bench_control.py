"""What the control socket costs: the start of `roam status`, and a tunnel's tick under a flood of requests.

    python packaging/dev/bench_control.py [--requests N] [--clients N] [--runs N]

The flood comes from a process of its own; the server has a process of its own too, in which a task stands in for a
tunnel's driver: it wants to run every five milliseconds, and notes how late it was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, perf_counter, process_time

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from client.control.messages import OuterPath, Traffic, TunnelStatus  # noqa: E402 - outside the packages
from tests.control.fake import FakeDaemon, serving  # noqa: E402
from tests.control.talk import MEMBER  # noqa: E402

EVERY = 0.005
GOAL_TICK = 0.020
GOAL_START = 1.5
WINDOW = 64
"""Requests that a client of the flood sends before it reads the first answer."""
TUNNEL = TunnelStatus(
    "office",
    "up",
    gateway="vpn.example.com",
    identity="vpn.example.com",
    path=OuterPath("wlan0", "192.0.2.7:51312", "203.0.113.1:4500"),
    addresses=("10.99.0.10/32", "fd99::a/128"),
    routes=("0.0.0.0/0", "::/0"),
    dns=("10.77.0.53",),
    traffic=Traffic(1, 2, 3, 4),
    owner=1000,
)


def best_start(command: list[str], runs: int) -> float:
    """Seconds from start to end, the best of some runs."""
    found = []
    for _ in range(runs):
        began = perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        found.append(perf_counter() - began)
    return min(found)


def bench_start(runs: int) -> bool:
    """`roam status` beside the least that a JSON client in Python needs."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "control.sock"
        server, ready = _start_server(path)
        ready.recv()
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from ui.cli import main; sys.exit(main())"
        base = best_start([sys.executable, "-c", "import socket, json, argparse"], runs)
        status = best_start([sys.executable, "-c", program, "--socket", str(path), "status"], runs)
        ready.send("stop")
        server.join()
    ratio = status / base
    print(f"roam status              {status * 1000:6.1f} ms")
    print(f"import of three modules  {base * 1000:6.1f} ms")
    print(f"ratio                    {ratio:6.2f}     (goal {GOAL_START})")
    return ratio <= GOAL_START


def _start_server(path: Path) -> tuple[multiprocessing.Process, Connection]:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=lambda: asyncio.run(_serve(path, there)), daemon=True)
    server.start()
    return server, here


async def _serve(path: Path, pipe: Connection) -> None:
    """Until told to stop; then sends back how late each tick was."""
    daemon = FakeDaemon()
    daemon.tunnels["office"] = TUNNEL
    late: list[tuple[float, float]] = []
    async with serving(daemon, path, MEMBER):
        ticking = asyncio.create_task(_tick(late))
        pipe.send("ready")
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), stopped.set)
        await stopped.wait()
        ticking.cancel()
    pipe.recv()
    pipe.send(late)


async def _tick(late: list[tuple[float, float]]) -> None:
    """How late it is by the clock, and how much of that this process has worked and not waited for a core."""
    loop = asyncio.get_running_loop()
    while True:
        due, worked = loop.time() + EVERY, process_time()
        await asyncio.sleep(EVERY)
        late.append((loop.time() - due, max(process_time() - worked - EVERY, 0.0)))


async def _flood(path: Path, clients: int, requests: int) -> float:
    """All clients at once, each as fast as it can; seconds that it took."""
    began = monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(_client(path, requests // clients))
    return monotonic() - began


async def _client(path: Path, requests: int) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 20)
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tunnel.status"}).encode() + b"\n"
    for start in range(0, requests, WINDOW):
        count = min(WINDOW, requests - start)
        writer.write(line * count)
        await writer.drain()
        for _ in range(count):
            if b'"result"' not in await reader.readline():
                raise AssertionError("a request of the flood was refused")
    writer.close()


def bench_flood(clients: int, requests: int) -> bool:
    """How late a tunnel's tick is meanwhile."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "control.sock"
        server, pipe = _start_server(path)
        pipe.recv()
        took = asyncio.run(_flood(path, clients, requests))
        pipe.send("stop")
        clock, own = zip(*pipe.recv(), strict=True)
        server.join()
    print(f"{requests} requests of {clients} clients in {took:.1f} s: {requests / took:.0f} a second")
    print(f"a tick of {EVERY * 1000:g} ms is late by the clock:  {_spread(clock)}")
    print(f"  because of this process's work:  {_spread(own)}    (goal {GOAL_TICK * 1000:g} ms in 99 %)")
    return _percentile(own, 0.99) <= GOAL_TICK


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[int((len(values) - 1) * share)]


def _spread(values: Sequence[float]) -> str:
    parts = [
        (word, _percentile(values, share)) for word, share in (("median", 0.5), ("99 %", 0.99), ("most", 1.0))
    ]
    return ", ".join(f"{word} {value * 1000:.1f} ms" for word, value in parts)


def main(arguments: list[str]) -> int:
    """Print the figures; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args(arguments)
    multiprocessing.set_start_method("fork")
    reached = [bench_start(options.runs), bench_flood(options.clients, options.requests)]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
