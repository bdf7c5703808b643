"""`roam demo`: the only place in which the command line meets the lab, and only when asked to."""

from __future__ import annotations

import argparse


def demo(options: argparse.Namespace) -> int:
    """Show a tunnel that roams, in namespaces of this machine."""
    from client.lab.demo import main

    return main(keep=options.keep, tui=options.tui)
