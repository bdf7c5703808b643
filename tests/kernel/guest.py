"""The program in the virtual machine: runs each group of cases in a process of its own, and tells how it ends."""

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
_PATIENCE = 400.0  # seconds for one case, on a machine that does other things too
_AT_A_TIME = 2  # as many as the machine has processors


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case ended: `trouble` is empty where all is well."""

    name: str
    seconds: float
    evidence: str
    trouble: str


class Running:
    """A group of cases in a process of its own, which says after each what came of it."""

    def __init__(self, group: dict[str, Case], scanner: Scanner) -> None:
        self._waiting = list(group)
        self._began = time.monotonic()  # the case that is under way
        self._reader, writer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._reader)
            _run(group, writer, scanner)
        os.close(writer)
        os.set_blocking(self._reader, False)
        self._said = b""

    @property
    def over(self) -> bool:
        """Whether all of its cases have a verdict."""
        return not self._waiting

    def verdicts(self) -> list[Verdict]:
        """What is new; a process that is late is killed, and the rest of its cases with it."""
        ended, _ = os.waitpid(self._child, os.WNOHANG)
        found = self._read()
        if not self.over and (ended or time.monotonic() - self._began > _PATIENCE):
            reason = "its process died without a word" if ended else "it did not end in time"
            found += [self._verdict(name, reason, "") for name in list(self._waiting)]
            self._began = 0.0
        if self.over and not ended:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
        if self.over:
            os.close(self._reader)
        return found

    def _read(self) -> list[Verdict]:
        with suppress(BlockingIOError):
            while octets := os.read(self._reader, 1 << 16):
                self._said += octets
        *lines, self._said = self._said.split(b"\n")
        return [self._verdict(*json.loads(line)) for line in lines]

    def _verdict(self, name: str, trouble: str, evidence: str) -> Verdict:
        self._waiting.remove(name)
        began, self._began = self._began, time.monotonic()
        return Verdict(name, round(self._began - began, 2), evidence, trouble)


def _run(group: dict[str, Case], writer: int, scanner: Scanner) -> None:
    """In the child: never returns."""
    for name, body in group.items():
        try:
            evidence = body()
            said = [name, "\n".join(scanner.leaks()), evidence]
        except BaseException:  # whatever it is, it is the verdict
            said = [name, traceback.format_exc(), ""]
        line = json.dumps(said).encode() + b"\n"
        while line:
            line = line[os.write(writer, line) :]
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    """Run the cases that are wanted, some groups at a time."""
    shared = Path(SHARED)
    scanner = Scanner()  # hears of every secret from now on, as in the tests outside
    wanted = (shared / WANTED).read_text().split()
    groups = [
        {name: body for name, body in group.items() if not wanted or name in wanted} for group in load()
    ]
    waiting = [group for group in groups if group]
    running: list[Running] = []
    with (shared / VERDICTS).open("w") as verdicts:
        while waiting or running:
            while waiting and len(running) < _AT_A_TIME:
                running.append(Running(waiting.pop(0), scanner))
            time.sleep(0.02)
            for group in list(running):
                for verdict in group.verdicts():
                    verdicts.write(json.dumps(asdict(verdict)) + "\n")
                    verdicts.flush()
                if group.over:
                    running.remove(group)


def read_verdicts(shared: Path) -> dict[str, Verdict]:
    """What the guest wrote down, as far as it came: whole lines alone."""
    text = (shared / VERDICTS).read_text() if (shared / VERDICTS).exists() else ""
    verdicts = [Verdict(**json.loads(line)) for line in text.split("\n")[:-1]]
    return {verdict.name: verdict for verdict in verdicts}


if __name__ == "__main__":
    main()
