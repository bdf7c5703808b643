"""`roam demo` and `roam selftest`: the only place where the command line meets the lab, and only when asked to."""

from __future__ import annotations

import argparse
import sys

from client.control.kinds import DONE, FAILED
from client.control.messages import ControlError

from . import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.lab.selftest import Step


def demo(options: argparse.Namespace) -> int:
    """Show a tunnel that roams, in namespaces of this machine."""
    if options.tui and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ControlError("usage", "--tui shows the terminal UI, and this is no terminal")
    from client.lab.demo import main

    return main(keep=options.keep, tui=options.tui)


def selftest(options: argparse.Namespace) -> int:
    """Try what is installed here, in namespaces of this machine."""
    from client.lab.selftest import run

    steps: list[Step] = []

    def tell(step: Step) -> None:
        steps.append(step)
        if not options.json:
            word = "ok    " if step.ok else "failed"
            output.say(f"{word} {step.name:<13} {step.detail}  ({step.seconds:.1f} s)")

    passed = run(tell)
    if options.json:
        found = [{"name": step.name, "ok": step.ok, "detail": step.detail} for step in steps]
        output.say(output.envelope("selftest", {"ok": passed, "steps": found}))
    return DONE if passed else FAILED
