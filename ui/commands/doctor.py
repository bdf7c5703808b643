"""`roam doctor`: what of this machine keeps Roam from working well, and what to do about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from client.control.client import Client, socket_path
from client.control.diagnosis import Diagnosis, Examine, Finding
from client.control.kinds import DONE, FAILED
from client.control.messages import ControlError
from client.control.wire import read

from .. import output, render
from .tunnels import daemon_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

PATIENCE = 120.0
"""Seconds: a name server that does not answer is waited for."""
_QUIET = {**os.environ, "PYTHONWARNINGS": "ignore"}  # what libraries think of this system's certificates


def doctor(options: argparse.Namespace) -> int:
    """Show all findings; the exit code is 1 if one of them is a failure."""
    topic = options.topic or ""
    diagnosis = _with_daemon(options.socket, topic)
    if options.json:
        output.say(output.envelope("doctor", diagnosis))
    else:
        width = output.columns(sys.stdout)
        output.say("\n".join(line for finding in diagnosis.findings for line in _lines(finding, width)))
        output.say(_sum(diagnosis))
    return FAILED if any(finding.level == "fail" for finding in diagnosis.findings) else DONE


def _with_daemon(chosen: str | None, topic: str) -> Diagnosis:
    """The daemon sees more; where it may not be asked, we look ourselves and say so."""
    try:
        with Client(chosen) as client:
            welcome = client.hello("roam doctor")
            asked = client.call("doctor", Examine(topic), Diagnosis, PATIENCE)
    except ControlError as error:
        if error.kind not in {"daemon.absent", "permission.denied", "rpc.method"}:
            raise
        alone = _alone(chosen, topic)
        return alone.replace(findings=(_refused(error), *alone.findings))
    about = Finding("daemon", "ok", f"roamd {welcome.version} answers, and you may control tunnels")
    return asked.replace(findings=(about, *asked.findings))


def _refused(error: ControlError) -> Finding:
    limits = "what follows was seen without the daemon, with your own rights"
    return Finding("daemon", "fail", f"{error.evidence}; {limits}", error.hint)


def _alone(chosen: str | None, topic: str) -> Diagnosis:
    command = [daemon_program(), "--socket", socket_path(chosen), "--doctor", *([topic] if topic else [])]
    try:
        done = subprocess.run(
            command, env=_QUIET, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
        )
        return read(Diagnosis, json.loads(done.stdout), "the answer", "rpc.reply")
    except subprocess.TimeoutExpired:
        raise ControlError("local.fault", "roamd --doctor did not end") from None
    except ValueError:
        raise ControlError("local.fault", "roamd --doctor gave no answer") from None


def _lines(finding: Finding, width: int | None) -> Iterator[str]:
    head = f"{finding.level:<4}  {render.printable(finding.name)}: {render.printable(finding.evidence, 600)}"
    yield render.fold(head, width, 6)
    if finding.hint and finding.level != "ok":
        yield render.fold(f"      next: {render.printable(finding.hint, 400)}", width, 12)


def _sum(diagnosis: Diagnosis) -> str:
    counts = {level: sum(f.level == level for f in diagnosis.findings) for level in ("ok", "warn", "fail")}
    return f"{counts['ok']} ok, {_count(counts['warn'], 'warning')}, {_count(counts['fail'], 'failure')}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
