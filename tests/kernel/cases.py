"""What is to be shown on a real kernel: functions that raise where it is not so, run inside the virtual machine.

A case returns a line of evidence for the report.  The test on the outside has the same list, from the same modules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from importlib import import_module

Case = Callable[[], str]
AsyncCase = Callable[[], Awaitable[str]]

MODULES = ("tables_cases", "path_cases", "move_cases", "limit_cases")

CASES: dict[str, Case] = {}


def case(function: AsyncCase) -> AsyncCase:
    """Make a coroutine function one of the cases, by its name."""

    @wraps(function)
    def run() -> str:
        async def body() -> str:
            return await function()

        return asyncio.run(body())

    CASES[function.__name__] = run
    return function


def load() -> dict[str, Case]:
    """All cases, in the order of their modules."""
    for name in MODULES:
        import_module(f"tests.kernel.{name}")
    return CASES
