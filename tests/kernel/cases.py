"""What is to be shown on a real kernel: functions that raise where it is not so, run inside the virtual machine.

A case returns a line of evidence for the report.  The test on the outside has the same list, from the same modules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

Case = Callable[[], str]
Body = TypeVar("Body", bound=Callable[[], str] | Callable[[], Coroutine[Any, Any, str]])

MODULES = ("interop_cases", "tables_cases", "path_cases", "move_cases", "limit_cases", "guard_cases")
"""The longest come first: the others run beside them."""

CASES: dict[str, Case] = {}


def case(body: Body) -> Body:
    """Make a function or a coroutine function one of the cases, by its name."""
    CASES[body.__name__] = partial(_run, body)
    return body


def _run(body: Callable[[], str] | Callable[[], Coroutine[Any, Any, str]]) -> str:
    outcome = body()
    return outcome if isinstance(outcome, str) else asyncio.run(outcome)


def load() -> dict[str, Case]:
    """All cases, in the order of their modules."""
    for name in MODULES:
        import_module(f"tests.kernel.{name}")
    return CASES
