"""`roam status` and `roam watch`."""

from __future__ import annotations

import sys

from client.control.client import Client
from client.control.kinds import DONE, NOT_CONNECTED
from client.control.messages import ControlError, Subscribe

from .. import output, render
from ..painting import painted_status
from . import not_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def status(options: argparse.Namespace) -> int:
    """Show all tunnels, or one; with a name the exit code says whether it is connected."""
    with Client(options.socket) as client:
        try:
            report = client.status(options.name)
        except ControlError as error:
            raise not_up(error, options.name) from None
    if options.json:
        output.say(output.envelope("status", report))
    else:
        output.say(painted_status(render.status(report, output.columns(sys.stdout)), sys.stdout))
    if options.name is None:
        return DONE
    connected = all(entry.state in render.CONNECTED for entry in report.tunnels)
    return DONE if connected else NOT_CONNECTED


def watch(options: argparse.Namespace) -> int:
    """A snapshot and then every event, one JSON object a line, until interrupted or the daemon ends.

    With --notify on the desktop instead, until the session ends.
    """
    if options.notify:
        from .. import desktop

        desktop.main(options.socket)
        return DONE
    with Client(options.socket) as client:
        output.say(output.envelope("snapshot", client.subscribe(Subscribe())))
        try:
            while (event := client.next_event()) is not None:
                output.say(output.envelope("event", event))
        except KeyboardInterrupt:
            pass
    return DONE
