"""`roam tui`, and `roam` alone on a terminal."""

from __future__ import annotations

import argparse

from client.control.client import socket_path
from client.control.kinds import DONE

from ..tui.app import RoamApp


def tui(options: argparse.Namespace) -> int:
    """Open the terminal UI."""
    RoamApp(socket_path(options.socket), plain=getattr(options, "plain", False)).run()
    return DONE
