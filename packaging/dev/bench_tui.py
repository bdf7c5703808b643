"""What the terminal UI costs, in figures: its first screen, and events that come faster than it draws.

python packaging/dev/bench_tui.py [UPDATES_A_SECOND [SECONDS]]
"""

from __future__ import annotations

import asyncio
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from client.control.messages import Traffic, TunnelStatus  # noqa: E402 - the script stands outside the packages
from tests.control.fake import FakeDaemon, serving, serving_apart, socket_directory  # noqa: E402
from ui.tui.app import RoamApp  # noqa: E402

FIRST_SCREEN = b"Tunnel"
LONGEST_START = 30.0  # seconds
RUNS = 5


def main(arguments: list[str]) -> int:
    """Measure and print."""
    rate, seconds = (float(text) for text in [*arguments, *("60", "5")[len(arguments) :]])
    with socket_directory() as directory:
        socket = directory / "control.sock"
        with serving_apart(FakeDaemon(), socket):
            paints = sorted(first_paint(socket) for _ in range(RUNS))
        print(
            f"first screen     {ms(paints[RUNS // 2])} after the command (of {RUNS}, longest {ms(paints[-1])})"
        )
        delays = sorted(asyncio.run(follow(socket, rate, seconds)))
    middle, late = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    said = f"{rate:g} a second for {seconds:g} s: in sight after {ms(middle)}, 99 % within {ms(late)}"
    print(f"events           {said}")
    return 0


def ms(seconds: float) -> str:
    """In milliseconds."""
    return f"{seconds * 1000:.0f} ms"


def first_paint(socket: Path) -> float:
    """Seconds from the command to its first screen, in a terminal of its own."""
    terminal, other = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    command = [
        sys.executable,
        "-c",
        "import sys; from ui.cli import main; sys.exit(main())",
        "--socket",
        str(socket),
        "tui",
    ]
    began, seen = time.monotonic(), b""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=other, stdout=other, stderr=other)
    os.close(other)
    try:
        while FIRST_SCREEN not in seen and time.monotonic() < began + LONGEST_START:
            if select.select([terminal], [], [], 1.0)[0]:
                seen += os.read(terminal, 1 << 16)
        return time.monotonic() - began
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


async def follow(socket: Path, rate: float, seconds: float) -> list[float]:
    """Seconds from each event to the moment at which it, or a later one, was in sight."""
    daemon, delays = FakeDaemon(), list[float]()
    status = TunnelStatus("office", "up", gateway="vpn.example.com", traffic=Traffic())
    daemon.tunnels["office"] = status
    app = RoamApp(str(socket))
    async with serving(daemon, socket), app.run_test(size=(100, 30)) as pilot:
        while not app.sight.picture.tunnels:
            await pilot.pause()
        sent = dict[int, float]()
        beginning = time.monotonic()
        for number in range(1, int(rate * seconds) + 1):
            await asyncio.sleep(max(beginning + number / rate - time.monotonic(), 0))
            sent[number] = time.monotonic()
            daemon.change(status.replace(serial=number))
            note(app, sent, delays)
        while sent:
            await asyncio.sleep(0.001)
            note(app, sent, delays)
    return delays


def note(app: RoamApp, sent: dict[int, float], delays: list[float]) -> None:
    """Which of those that were sent are in sight now."""
    shown = max((entry.serial for entry in app.sight.picture.tunnels), default=0)
    now = time.monotonic()
    delays.extend(now - sent.pop(number) for number in [number for number in sent if number <= shown])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
