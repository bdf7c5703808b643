"""`roam lockdown` and `roam portal`: how the machine stands apart from its tunnels."""

from __future__ import annotations

from client.control.client import Client
from client.control.kinds import DONE
from client.control.messages import ControlError, LockdownSet, LockdownStatus

from .. import output, render
from .tunnels import without_daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def lockdown(options: argparse.Namespace) -> int:
    """Turn lockdown on or off, or tell; without a daemon, root can turn it off."""
    try:
        with Client(options.socket) as client:
            if options.wish == "status":
                status = client.lockdown()
            else:
                status = client.set_lockdown(LockdownSet(options.wish == "on", options.allow_lan))
    except ControlError as error:
        if error.kind != "daemon.absent" or options.wish != "off":
            raise
        return without_daemon(options, "--disarm")
    _tell("lockdown", status, options)
    return DONE


def portal(options: argparse.Namespace) -> int:
    """Let a browser out, to log in to this network."""
    with Client(options.socket) as client:
        status = client.open_portal(0.0 if options.close else options.seconds)
    _tell("portal", status, options)
    return DONE


def _tell(kind: str, status: LockdownStatus, options: argparse.Namespace) -> None:
    if options.json:
        output.say(output.envelope(kind, status))
        return
    output.say("\n".join(render.standing(status)))
