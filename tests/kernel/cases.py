"""What is to be shown on a real kernel: functions that raise where it is not so, run inside the virtual machine.

A case returns a line of evidence for the report.  The test on the outside has the same list, from the same modules.
Most cases build what they need themselves.  Those of a `Stage` share what takes long to build: they run one after
the other in one process, and that nothing is left behind at the end is one more case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from functools import partial
from importlib import import_module
from typing import Any, Generic, TypeVar

Case = Callable[[], str]
Body = TypeVar("Body", bound=Callable[[], str] | Callable[[], Coroutine[Any, Any, str]])
Built = TypeVar("Built")

MODULES = (
    "office_cases",
    "root_cases",
    "tables_cases",
    "path_cases",
    "move_cases",
    "limit_cases",
    "guard_cases",
    "killed_cases",
)
"""The longest come first: the others run beside them."""

GROUPS: list[dict[str, Case]] = []
"""The cases by their names; each group runs in one process, in order."""


def case(body: Body) -> Body:
    """Make a function or a coroutine function one of the cases, by its name."""
    GROUPS.append({body.__name__: partial(_run, body)})
    return body


class Stage(Generic[Built]):
    """Cases that are played on what `build` makes, in the order in which they are defined."""

    def __init__(self, build: Callable[[], AbstractContextManager[Built]]) -> None:
        self._context = build()
        self._built: Built | None = None
        self._cases: dict[str, Case] = {}
        self._end = f"{build.__name__}_leaves_nothing_behind"
        self._cases[self._end] = self._leave
        GROUPS.append(self._cases)

    def case(self, body: Callable[[Built], str]) -> Callable[[Built], str]:
        """Make a function one of its cases; the end stays the last one."""
        end = self._cases.pop(self._end)
        self._cases |= {body.__name__: lambda: body(self._stand()), self._end: end}
        return body

    def _stand(self) -> Built:
        if self._built is None:
            self._built = self._context.__enter__()
        return self._built

    def _leave(self) -> str:
        if self._built is not None:
            self._context.__exit__(None, None, None)
        return "no process, no SA, no policy, no route, no file"


def _run(body: Callable[[], str] | Callable[[], Coroutine[Any, Any, str]]) -> str:
    outcome = body()
    return outcome if isinstance(outcome, str) else asyncio.run(outcome)


def load() -> list[dict[str, Case]]:
    """All groups of cases, in the order of their modules."""
    for name in MODULES:
        import_module(f"tests.kernel.{name}")
    return GROUPS


def names(groups: list[dict[str, Case]]) -> Iterator[str]:
    """The names of all cases."""
    for group in groups:
        yield from group
