"""What a program costs that starts, and one that stays."""

from __future__ import annotations

import compileall
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .clients import Pair, connected, resident, timed_command
from .figures import Row, Sample, Unit, milliseconds

BARE = [sys.executable, "-c", "import socket, json, argparse"]
_ROOT = Path(__file__).resolve().parents[3]
_REST = 2.0  # seconds until a tunnel that has come up is at rest


def compile_programs() -> None:
    """As an installation does: where bytecode is not kept, every start would compile."""
    for package in ("client", "ui", "profiles"):
        compileall.compile_dir(_ROOT / package, quiet=2)


def status_command(pair: Pair, runs: int) -> Iterator[Row]:
    """`roam status` beside a Python that imports the three modules without which nothing can be asked."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    rounds = [(pair.roam.status_by_command(), timed_command(BARE, kept)) for _ in range(runs)]
    ours, bare = (milliseconds(column) for column in zip(*rounds, strict=True))
    yield Row("roam status, no tunnel", ours, None)
    yield Row("python3 -c 'import socket, json, argparse'", bare, None)
    ratios = [ours / bare for ours, bare in rounds]
    yield Row("the first over the second", Sample(Unit.TIMES, tuple(ratios)), None)


def memory(pair: Pair) -> Iterator[Row]:
    """Resident memory with one tunnel at rest."""
    sizes: list[dict[str, float]] = []
    for client in pair.both:
        with connected(client):
            time.sleep(_REST)
            sizes.append({part: resident(pid) for part, pid in client.processes().items()})
    ours, theirs = sizes
    for part in ours | theirs:
        yield Row(f"resident memory with one tunnel, {part}", _octets(ours, part), _octets(theirs, part))


def _octets(sizes: dict[str, float], part: str) -> Sample | None:
    return Sample(Unit.MEBIBYTES, (sizes[part],)) if part in sizes else None
