"""`roam explain` and `roam probe`: why it does not work, and what a gateway is like, in plain language."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from client.control.client import Client, socket_path
from client.control.evidence import Evidence, Explanation
from client.control.kinds import DONE, NO_ANSWER
from client.control.messages import ControlError, Named
from client.control.probing import AddressFound, Probe, Probed
from client.control.wire import read

from .. import output
from ..explanation import explained
from ..render import fold, printable
from .tunnels import daemon_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

PROBE_TIME = 90.0
"""Seconds that a look at a gateway takes at most: it asks slowly, and waits for what does not answer."""
LARGEST_FILE = 1 << 20


def explain(options: argparse.Namespace) -> int:
    """Say what went wrong with a tunnel, from what the daemon has noted or from a file."""
    if options.file:
        found = _from_file(options.file)
    else:
        with Client(options.socket) as client:
            found = client.call("explain", Named(options.name), Explanation)
    if options.json:
        output.say(output.envelope("explain", found))
    else:
        output.say("\n".join(explained(found, output.columns(sys.stdout))))
    return DONE


def _from_file(name: str) -> Explanation:
    """Evidence from elsewhere is judged by this program's own rules, whatever the file says of a verdict."""
    from client.explain.explain import explain as judge

    try:
        text = sys.stdin.read(LARGEST_FILE) if name == "-" else _read(Path(name))
        value = json.loads(text)
    except OSError as error:
        raise ControlError("evidence.unreadable", f"{name}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ControlError("evidence.unreadable", f"{name} is not JSON") from None
    for key in ("data", "evidence"):  # what 'roam explain --json' prints, and the record alone
        value = value[key] if isinstance(value, dict) and isinstance(value.get(key), dict) else value
    evidence = read(Evidence, value, "evidence", "evidence.unreadable")
    return Explanation(judge(evidence), evidence)


def _read(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(LARGEST_FILE + 1)


def probe(options: argparse.Namespace) -> int:
    """Look at a gateway; the exit code is 6 where nothing answered."""
    found = _look(options)
    if options.json:
        output.say(output.envelope("probe", found))
    else:
        output.say("\n".join(probed(found, output.columns(sys.stdout))))
    return DONE if found.profile else NO_ANSWER


def _look(options: argparse.Namespace) -> Probed:
    """By the daemon, whose sockets pass every guard; without one ourselves, where that is permitted."""
    request = Probe(options.host, options.port)
    if objection := request.objection():
        raise ControlError("usage", objection)
    try:
        with Client(options.socket) as client:
            return client.call("probe", request, Probed, PROBE_TIME)
    except ControlError as error:
        if error.kind != "daemon.absent":
            raise
    command = [daemon_program(), "--socket", socket_path(options.socket), "--probe", request.host]
    command += ["--probe-port", str(request.port)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PROBE_TIME,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ControlError("local.fault", "roamd --probe did not end") from None
    return _answer(done)


def _answer(done: subprocess.CompletedProcess[str]) -> Probed:
    try:
        return read(Probed, json.loads(done.stdout), "the answer", "rpc.reply")
    except ValueError:
        said = done.stderr.strip().splitlines()[-1:] or ["it gave no answer"]
        evidence = f"no daemon is running, and roamd --probe says: {said[0]}"
        raise ControlError("permission.denied", evidence, "Start roamd, or run it again with sudo.") from None


def probed(found: Probed, width: int | None) -> Iterator[str]:
    """What each address answers, what is worth knowing of it, and a profile to start from."""
    yield f"{printable(found.host)}, port {found.port}"
    for seen in found.addresses:
        yield from (fold(f"  {line}", width, 4) for line in _address(seen))
    for note in found.notes:
        yield fold(f"note: {printable(note, 400)}", width, 6)
    if found.preset:
        yield f"preset: {found.preset}"
    if found.profile:
        yield ""
        yield found.profile.rstrip()


def _address(seen: AddressFound) -> Iterator[str]:
    yield f"{seen.address}" + (f" over {printable(seen.interface)}" if seen.interface else "")
    rows = {
        "ports": ", ".join(f"{port.what} {port.outcome}" for port in seen.ports),
        "vendor": seen.vendor or ", ".join(seen.vendors),
        "redirect": seen.redirect,
        "groups": _both(seen.groups, seen.groups_refused),
        "suites": _both(seen.suites, seen.suites_refused),
        "cookie": _yes(seen.cookie, "asked for"),
        "fragments": _yes(seen.fragmentation, "taken"),
        "NAT": _yes(seen.nat_local, "in front of us"),
        "calls itself": seen.identity,
        "proves by": seen.auth,
        "login": ", ".join(name.removeprefix("request ") for name in seen.eap) or seen.refusal,
    }
    yield from (f"{word:<13}{printable(text, 400)}" for word, text in rows.items() if text)
    for shown in seen.certificates:
        names = f" ({', '.join(shown.names)})" if shown.names else ""
        line = f"certificate  {shown.subject}{names}, of {shown.issuer}, {shown.key}, until {shown.not_after[:10]}"
        yield printable(line, 600)


def _both(taken: tuple[str, ...], refused: tuple[str, ...]) -> str:
    return " ".join(taken) + (f" (not: {' '.join(refused)})" if taken and refused else "")


def _yes(value: bool | None, word: str) -> str:
    return "" if value is None else word if value else f"not {word}"
