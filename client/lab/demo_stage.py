"""Where the demo's lines go: to the terminal at once, or after the terminal UI, which has it meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

PACE = 3.0
"""Seconds that each step stays on the screen of the terminal UI, for a person to see it."""


class Stage:
    """Commands: `say`, `linger`; `terminal_interface` is the time in which the terminal UI is shown."""

    def __init__(self) -> None:
        self._interface: subprocess.Popen[bytes] | None = None
        self._held: list[str] = []

    @contextmanager
    def terminal_interface(self, command: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
        """Show the terminal UI meanwhile; whoever leaves it before sees the rest as lines."""
        with subprocess.Popen(command, env=dict(environment)) as interface:
            self._interface = interface
            try:
                self.linger()
                yield
                self.linger()
            finally:
                interface.terminate()
                interface.wait()
                self._interface = None
                self._release()

    def say(self, line: str) -> None:
        """Print a line as soon as the terminal is free."""
        self._held.append(line)
        if not self._is_taken:
            self._release()

    def linger(self) -> None:
        """Leave what is on the screen of the terminal UI there for a while."""
        if self._interface is not None:
            with suppress(subprocess.TimeoutExpired):
                self._interface.wait(PACE)

    @property
    def _is_taken(self) -> bool:
        return self._interface is not None and self._interface.poll() is None

    def _release(self) -> None:
        for line in self._held:
            print(line, flush=True)
        self._held.clear()
