"""The daemon's log, kept for those who ask: bounded, numbered, and by whose tunnel it is about.

What is logged while a tunnel's driver works is about that tunnel, and only who controls it may read it.
Everything else is about the machine, and for every member of the group.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass

from ..control.affairs import MOST_LINES, LogLine
from ..control.handlers import Caller

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Subject:
    """The tunnel that a task works on."""

    tunnel: str
    owner: int
    shared: bool


_subject: ContextVar[Subject | None] = ContextVar("subject", default=None)


def about(subject: Subject) -> Context:
    """A context for the task of a tunnel: what is logged in it is about that tunnel."""
    context = copy_context()
    context.run(_subject.set, subject)
    return context


def current_subject() -> Subject | None:
    """What the present task's log is about; None is the machine."""
    return _subject.get()


@dataclass(frozen=True, slots=True)
class Kept:
    """A line, and who may read it: None is every member."""

    line: LogLine
    level: int
    subject: Subject | None


class Journal(logging.Handler):
    """Takes every record of our loggers; may be called from any thread."""

    def __init__(self, size: int = MOST_LINES) -> None:
        super().__init__()
        self._kept: deque[Kept] = deque(maxlen=size)
        self._last = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._grown = asyncio.Event()

    @property
    def last(self) -> int:
        """Number of the latest line; 0 before the first."""
        return self._last

    def attach(self, logger: logging.Logger) -> None:
        """Listen to `logger` from now on, and wake those who wait in the running loop."""
        self._loop = asyncio.get_running_loop()
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record; the handler's lock is held."""
        try:
            text = record.getMessage()
            if record.exc_info is not None and record.exc_info[1] is not None:
                text += f" ({type(record.exc_info[1]).__name__})"
            self._keep(record, text[:LONGEST_TEXT])
        except Exception:
            self.handleError(record)

    def _keep(self, record: logging.LogRecord, text: str) -> None:
        subject = _subject.get()
        self._last += 1
        name = "" if subject is None else subject.tunnel
        line = LogLine(self._last, record.created, record.levelname.lower(), record.name, text, name)
        self._kept.append(Kept(line, record.levelno, subject))
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._grown.set)

    def lines(self, caller: Caller, after: int, level: str, tunnel: str = "") -> tuple[LogLine, ...]:
        """What followed number `after`, as `caller` may read it."""
        return tuple(
            kept.line
            for kept in tuple(self._kept)
            if kept.line.number > after
            and kept.level >= LEVELS[level]
            and _may_read(caller, kept.subject)
            and tunnel in ("", kept.line.tunnel)
        )

    async def grown(self, after: int) -> None:
        """Returns when there is a line with a greater number."""
        while self._last <= after:
            self._grown.clear()
            await self._grown.wait()


def _may_read(caller: Caller, subject: Subject | None) -> bool:
    return subject is None or caller.controls(subject.owner, shared=subject.shared)


def level_of(logger: logging.Logger) -> str:
    """The level in force, by its name in the control protocol."""
    number = logger.getEffectiveLevel()
    return next((name for name, value in LEVELS.items() if number <= value), "error")
