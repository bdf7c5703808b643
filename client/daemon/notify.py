"""Telling systemd where we stand (sd_notify(3)); without systemd nothing happens."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send a line like "READY=1" to whoever supervises us."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
