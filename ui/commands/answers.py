"""`roam answer`: what the daemon asks, answered by a person or by a program.

The answer comes from a prompt or from stdin, never from the arguments, which everybody on the machine can read.
"""

from __future__ import annotations

import argparse
import sys

from client.control.client import Client
from client.control.kinds import DONE
from client.control.messages import (
    HELD_KINDS,
    VISIBLE_KINDS,
    ControlError,
    SecretAnswer,
    SecretNeeded,
    SecretText,
    Subscribe,
)

from .. import output
from ..credentials import Terminal, new_password

LONGEST = 4096
"""Characters of an answer."""


def answer(options: argparse.Namespace) -> int:
    """Answer one question, or decline it."""
    with Client(options.socket) as client:
        needed = _choose(client.subscribe(Subscribe(("secret",))).secrets, options.id)
        if options.cancel:
            client.cancel_secret(needed.id)
        else:
            client.answer_secret(SecretAnswer(needed.id, SecretText(_ask(needed))))
    done = "declined" if options.cancel else "answered"
    if options.json:
        output.say(output.envelope("answer", {"id": needed.id, "tunnel": needed.tunnel, "done": done}))
    else:
        output.say(f"{needed.tunnel}: {done}")
    return DONE


def _choose(open_questions: tuple[SecretNeeded, ...], wanted: str | None) -> SecretNeeded:
    """The question meant: by its id or its tunnel, or the only one."""
    fitting = [needed for needed in open_questions if wanted in (None, needed.id, needed.tunnel)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise ControlError(
            "secret.unknown", "the daemon asks nothing" if wanted is None else f"nothing of {wanted}"
        )
    known = ", ".join(f"{needed.id} ({needed.tunnel}: {needed.prompt})" for needed in fitting)
    raise ControlError("usage", f"there are several questions: {known}", "Name one by its id.")


def _ask(needed: SecretNeeded) -> str:
    if needed.kind in HELD_KINDS and sys.stdin.isatty():
        hint = f"'roam signer {needed.tunnel}' does it."
        raise ControlError("usage", f"nobody can type this: {needed.prompt}", hint)
    if sys.stdin.isatty():
        terminal = Terminal()
        if needed.kind == "new-password":
            return new_password(terminal, needed.prompt)
        return (
            terminal.line(needed.prompt) if needed.kind in VISIBLE_KINDS else terminal.secret(needed.prompt)
        )
    return sys.stdin.read(LONGEST).removesuffix("\n").removesuffix("\r")
