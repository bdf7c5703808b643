"""`roam log`: what the daemon has logged, as far as the caller may read it."""

from __future__ import annotations

import argparse
from time import localtime, strftime

from client.control.affairs import LONGEST_WAIT, LogLevel, LogLine, LogQuery, LogReport
from client.control.client import ANSWER_TIME, Client
from client.control.kinds import DONE

from .. import output
from ..render import printable


def log(options: argparse.Namespace) -> int:
    """Show the last lines; with --follow also those that come, until interrupted."""
    with Client(options.socket) as client:
        if options.set_level:
            return _set_level(client, options)
        query = LogQuery(lines=options.lines, level=options.level, tunnel=options.name or "")
        report = client.call("daemon.log", query, LogReport)
        _tell(report, options)
        try:
            while options.follow:
                query = query.replace(after=report.next, boot=report.boot, wait=LONGEST_WAIT, lines=2000)
                report = client.call("daemon.log", query, LogReport, LONGEST_WAIT + ANSWER_TIME)
                _tell(report, options)
        except KeyboardInterrupt:
            pass
    return DONE


def _set_level(client: Client, options: argparse.Namespace) -> int:
    info = client.set_log_level(LogLevel(options.set_level))
    output.say(output.envelope("log", info) if options.json else f"the daemon logs from {info.log_level} on")
    return DONE


def _tell(report: LogReport, options: argparse.Namespace) -> None:
    for line in report.lines:
        output.say(output.envelope("log", line) if options.json else _line(line))


def _line(line: LogLine) -> str:
    at = strftime("%b %d %H:%M:%S", localtime(line.time))
    tunnel = f" {printable(line.tunnel)}:" if line.tunnel and not line.text.startswith(line.tunnel) else ""
    return f"{at} {line.level:<7} {line.source}:{tunnel} {printable(line.text, 2000)}"
