"""`roam demo`: the only place in which the command line meets the lab, and only when asked to."""

from __future__ import annotations

import argparse
import sys

from client.control.messages import ControlError


def demo(options: argparse.Namespace) -> int:
    """Show a tunnel that roams, in namespaces of this machine."""
    if options.tui and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ControlError("usage", "--tui shows the terminal UI, and this is no terminal")
    from client.lab.demo import main

    return main(keep=options.keep, tui=options.tui)
