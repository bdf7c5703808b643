"""`roam report`: one file with what helps to understand a fault, and nothing that logs anybody in.

What the daemon gives has no secrets in it; here people, places and addresses go too.  The file is the caller's
alone (0600), and text: whoever sends it can read it first.
"""

from __future__ import annotations

import argparse
import getpass
import io
import json
import os
import platform
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from time import gmtime, strftime

from client.control.affairs import ReportData
from client.control.client import Client
from client.control.diagnosis import Diagnosis, Examine
from client.control.kinds import DONE
from client.control.messages import ControlError, StatusReport
from client.control.wire import plain
from profiles.errors import ProfileError
from profiles.store import default_store

from .. import output
from ..scrub import Scrubber

DOCTOR_TIME = 60.0
ABOUT = """\
A report of a fault in Roam, written by 'roam report'.  Secrets are not in it; names of people and machines are
replaced by numbers{addresses}.  Have a look before you send it.
"""


def report(options: argparse.Namespace) -> int:
    """Write the bundle."""
    told = _ask(options.socket)
    scrubber = Scrubber(_private_words(told), keep_addresses=options.keep_addresses)
    kept = "" if options.keep_addresses else ", public addresses too"
    files = {"README": ABOUT.format(addresses=kept)}
    files |= {name: scrubber.clean(text) for name, text in _contents(told).items()}
    path = options.output or f"roam-report-{strftime('%Y%m%d-%H%M%S', gmtime())}.tar.gz"
    _write(path, _bundle(files))
    if path != "-":
        words = f"{path}: have a look, then send it"
        output.say(output.envelope("report", {"file": path, "parts": list(files)}) if options.json else words)
    return DONE


class Told:
    """What could be learnt: all of it from the daemon, so a failure is part of the report."""

    def __init__(self) -> None:
        self.data: ReportData | None = None
        self.diagnosis: Diagnosis | None = None
        self.problems: list[str] = []


def _ask(socket: str | None) -> Told:
    told = Told()
    try:
        with Client(socket) as client:
            told.data = client.report()
            told.diagnosis = client.call("doctor", Examine(), Diagnosis, DOCTOR_TIME)
    except ControlError as error:
        if error.kind == "permission.denied":
            raise
        told.problems.append(f"{error.kind}: {error.evidence}")
    return told


def _contents(told: Told) -> dict[str, str]:
    files = {"machine.json": _json(_machine())}
    if told.data is not None:
        data = told.data
        files["daemon.json"] = _json(plain(data.info))
        files["status.json"] = _json(plain(data.status))
        files["profiles.json"] = _json({entry.tunnel: json.loads(entry.redacted) for entry in data.profiles})
        files["log.txt"] = "".join(
            f"{strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(line.time))} {line.level} {line.source} "
            f"[{line.tunnel}] {line.text}\n"
            for line in data.log
        )
    if told.diagnosis is not None:
        files["doctor.json"] = _json(plain(told.diagnosis))
    if told.problems:
        files["problems.txt"] = "\n".join(told.problems) + "\n"
    return files


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _machine() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"system": platform.system(), "kernel": platform.release(), "machine": platform.machine()}
    for name in ("roam-vpn", "cryptography", "pyroute2", "textual"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    return found | {"python": platform.python_version(), "distribution": release.get("PRETTY_NAME", "")}


def _private_words(told: Told) -> Iterator[str]:
    """Who and where: of this account and machine, of its profiles, and of the tunnels that stand."""
    yield from (str(Path.home()), getpass.getuser(), platform.node())
    for file in default_store().files():
        try:
            profile = file.load()
        except ProfileError:
            continue
        yield from profile.gateway.addresses
        names = (profile.identity.local, profile.identity.remote)
        yield from (name.value for name in names if name is not None)
        yield from (
            name or "" for entry in profile.auth.local for name in (entry.identity, entry.outer_identity)
        )
        yield profile.name
    if told.data is not None:
        yield from _words_of(told.data.status)


def _words_of(status: StatusReport) -> Iterator[str]:
    for entry in status.tunnels:
        yield from (entry.title, entry.identity, *entry.gateway.split(", "), *entry.domains)


def _bundle(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            octets = text.encode()
            member = tarfile.TarInfo(f"roam-report/{name}")
            member.size, member.mode = len(octets), 0o600
            archive.addfile(member, io.BytesIO(octets))
    return buffer.getvalue()


def _write(path: str, octets: bytes) -> None:
    if path == "-":
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(octets)
    except OSError as error:
        raise ControlError(
            "usage", f"cannot write {path}: {error.strerror}", "Name another --output."
        ) from None
