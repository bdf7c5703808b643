"""The program inside the virtual machine: runs every case in a process of its own and writes down how it ended."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .cases import Case, load
from .machine import SHARED

VERDICTS = "verdicts"
WANTED = "wanted"  # names of cases, one a line; all where it is empty
_PATIENCE = 40.0  # seconds for one case


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case ended: `trouble` is empty where all is well."""

    name: str
    seconds: float
    evidence: str
    trouble: str


def main() -> None:
    """Run the cases that are wanted."""
    shared = Path(SHARED)
    wanted = (shared / WANTED).read_text().split()
    with (shared / VERDICTS).open("w") as verdicts:
        for name, body in load().items():
            if not wanted or name in wanted:
                verdicts.write(json.dumps(asdict(_judge(name, body))) + "\n")
                verdicts.flush()


def read_verdicts(shared: Path) -> dict[str, Verdict]:
    """What the guest wrote down, as far as it came."""
    lines = (shared / VERDICTS).read_text().splitlines() if (shared / VERDICTS).exists() else []
    verdicts = [Verdict(**json.loads(line)) for line in lines]
    return {verdict.name: verdict for verdict in verdicts}


def _judge(name: str, body: Case) -> Verdict:
    started = time.monotonic()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run(body, writer)
    os.close(writer)
    evidence, trouble = _outcome(reader, child, started + _PATIENCE)
    return Verdict(name, round(time.monotonic() - started, 2), evidence, trouble)


def _run(body: Case, writer: int) -> None:
    """In the child: never returns."""
    try:
        said = ["", body()]
    except BaseException:  # whatever it is, it is the verdict
        said = [traceback.format_exc(), ""]
    os.write(writer, json.dumps(said).encode())
    sys.stdout.flush()
    os._exit(0)


def _outcome(reader: int, child: int, deadline: float) -> tuple[str, str]:
    """Evidence and trouble; a child that is late is killed."""
    os.set_blocking(reader, False)
    said = b""
    while True:
        ended, _ = os.waitpid(child, os.WNOHANG)
        with suppress(BlockingIOError):
            said += os.read(reader, 1 << 16)
        if ended or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    if not ended:
        os.kill(child, 9)
        os.waitpid(child, 0)
        return "", "it did not end in time"
    os.close(reader)
    if not said:
        return "", "it died without a word"
    trouble, evidence = json.loads(said)
    return evidence, trouble


if __name__ == "__main__":
    main()
