"""What the virtual machine shows: waited for by the tests."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from .guest import Verdict, read_verdicts
from .machine import Machine


@dataclass(frozen=True)
class Report:
    """A machine that runs, and where its verdicts appear."""

    version: str
    machine: Machine
    shared: Path
    deadline: float
    """Of the monotonic clock: then the machine is killed, and what it has not shown by then is not shown."""

    def wait_for(self, name: str) -> Verdict | None:
        """The verdict on a case; None where the machine ends without one, or takes too long."""
        while True:
            running = self.machine.running  # asked before: what it wrote last counts
            verdict = read_verdicts(self.shared).get(name)
            if verdict is not None or not running:
                return verdict
            if time.monotonic() > self.deadline:
                self.machine.kill()
            time.sleep(0.2)
