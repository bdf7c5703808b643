"""The program inside the virtual machine: runs every case in a process of its own and writes down how it ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.secrecy.scanner import Scanner

from .cases import Case, load
from .machine import SHARED

VERDICTS = "verdicts"
WANTED = "wanted"  # names of cases, one a line; all where it is empty
_PATIENCE = 240.0  # seconds for one case, on a machine that does other things too
_AT_A_TIME = 2  # as many as the machine has processors


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case ended: `trouble` is empty where all is well."""

    name: str
    seconds: float
    evidence: str
    trouble: str


class Running:
    """A case in a process of its own, which says at its end what came of it."""

    def __init__(self, name: str, body: Case, scanner: Scanner) -> None:
        self._name = name
        self._started = time.monotonic()
        self._reader, writer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._reader)
            _run(body, writer, scanner)
        os.close(writer)
        os.set_blocking(self._reader, False)
        self._said = b""

    def verdict(self) -> Verdict | None:
        """None while it runs; one that is late is killed."""
        ended, _ = os.waitpid(self._child, os.WNOHANG)
        with suppress(BlockingIOError):
            self._said += os.read(self._reader, 1 << 16)
        seconds = round(time.monotonic() - self._started, 2)
        if not ended and seconds < _PATIENCE:
            return None
        os.close(self._reader)
        if not ended:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            return Verdict(self._name, seconds, "", "it did not end in time")
        trouble, evidence = json.loads(self._said or b'["it died without a word", ""]')
        return Verdict(self._name, seconds, evidence, trouble)


def _run(body: Case, writer: int, scanner: Scanner) -> None:
    """In the child: never returns."""
    try:
        evidence = body()
        said = ["\n".join(scanner.leaks()), evidence]
    except BaseException:  # whatever it is, it is the verdict
        said = [traceback.format_exc(), ""]
    os.write(writer, json.dumps(said).encode())
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    """Run the cases that are wanted, some at a time."""
    shared = Path(SHARED)
    scanner = Scanner()  # hears of every secret from now on, as in the tests outside
    wanted = (shared / WANTED).read_text().split()
    waiting = [(name, body) for name, body in load().items() if not wanted or name in wanted]
    running: list[Running] = []
    with (shared / VERDICTS).open("w") as verdicts:
        while waiting or running:
            while waiting and len(running) < _AT_A_TIME:
                running.append(Running(*waiting.pop(0), scanner))
            time.sleep(0.02)
            for case in list(running):
                if (verdict := case.verdict()) is not None:
                    running.remove(case)
                    verdicts.write(json.dumps(asdict(verdict)) + "\n")
                    verdicts.flush()


def read_verdicts(shared: Path) -> dict[str, Verdict]:
    """What the guest wrote down, as far as it came."""
    lines = (shared / VERDICTS).read_text().splitlines() if (shared / VERDICTS).exists() else []
    verdicts = [Verdict(**json.loads(line)) for line in lines]
    return {verdict.name: verdict for verdict in verdicts}


if __name__ == "__main__":
    main()
