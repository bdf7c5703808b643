"""An asyncio loop whose time jumps to the next timer when nothing else is left: no test waits for anything."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START = 1000.0
LONGEST = 86400.0


class _Jumper(selectors.DefaultSelector):
    """Answers what is ready now; else lets the loop's time pass instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("the test waits for something that nothing will bring")
            self.now += min(max(timeout, 0.0), LONGEST)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time` is the clock of everything that runs on it."""

    def __init__(self) -> None:
        self._jumper = _Jumper()
        super().__init__(self._jumper)

    def time(self) -> float:
        return self._jumper.now

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """At once, in place of a thread: real time must not pass beside the virtual one."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run(body: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a test's body in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(body())


def now() -> float:
    """The virtual time."""
    return asyncio.get_running_loop().time()
