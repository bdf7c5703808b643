"""Messages about the daemon itself: what it is, what it has logged, and what a report of a fault needs."""

from __future__ import annotations

from .messages import StatusReport as StatusReport
from .wire import Message

LEVELS = ("debug", "info", "warning", "error")
MOST_LINES = 2000
"""Lines of its log that the daemon keeps."""
LONGEST_WAIT = 60.0


class DaemonInfo(Message):
    """Answer to `daemon.info` and `daemon.set_log_level`."""

    version: str
    protocol: int
    boot: str
    pid: int
    uid: int  # of the daemon's own user
    started: float  # Unix seconds
    time: float
    log_level: str = "info"
    group: str = ""  # whose members may control tunnels; empty: there is none on this machine
    python: str = ""
    kernel: str = ""


class LogQuery(Message):
    """`daemon.log`: the last `lines`, or those after number `after` (of `boot`).

    With `wait` (seconds, at most 60) the answer is delayed until there is a line to tell.  `tunnel` leaves out
    what is said of other tunnels, `level` what is less important.
    """

    lines: int = 200
    after: int | None = None
    boot: str = ""
    level: str = "debug"
    tunnel: str = ""
    wait: float = 0.0

    def objection(self) -> str:
        if self.level not in LEVELS:
            return f"there is no level {self.level[:16]!r}"
        if not 0 <= self.wait <= LONGEST_WAIT:
            return f"wait is not from 0 to {LONGEST_WAIT:g}"
        return "" if 0 <= self.lines <= MOST_LINES else f"lines is not from 0 to {MOST_LINES}"


class LogLine(Message):
    """One line of the daemon's log.  Without a `tunnel` it is about the machine."""

    number: int
    time: float
    level: str
    source: str
    text: str
    tunnel: str = ""


class LogReport(Message):
    """Answer to `daemon.log`: lines that the caller may see; `next` is what to ask `after`."""

    next: int
    boot: str
    lines: tuple[LogLine, ...] = ()


class LogLevel(Message):
    """`daemon.set_log_level`: from now on the log has what is at least so important."""

    level: str

    def objection(self) -> str:
        return "" if self.level in LEVELS else f"there is no level {self.level[:16]!r}"


class ReportedProfile(Message):
    """The profile of a wanted tunnel, without names, references and comments, as JSON."""

    tunnel: str
    redacted: str


class ReportData(Message):
    """Answer to `daemon.report`: what the daemon can say for a report of a fault, as the caller may see it."""

    info: DaemonInfo
    status: StatusReport
    log: tuple[LogLine, ...] = ()
    profiles: tuple[ReportedProfile, ...] = ()
