"""The scanner: whatever tests print and write is searched for every secret that they use.

Every value that becomes a `Secret` or a `SecretText`, and every private key that signs, is looked for: in what the
test prints and logs, in traces and exceptions, in what the daemon tells its clients, in files, and in arguments,
environment and output of other programs.  A test that lets one out fails, however it ended.
"""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from client.control.connection import Outlet
from client.control.wire import ControlError, SecretText
from client.ike.authentication import KeySigner
from client.ike.errors import ProtocolError
from client.ike.events import Failure
from client.ike.keys import Secret
from client.ike.trace import TraceEvent
from client.lab.pki import Issued
from profiles.errors import ProfileError
from ui.signers.sim_plugin import SimError, Vectors

from .needles import Found, Needles
from .private import private_octets

LARGEST = 4 << 20  # octets of a file that are searched
LOGGERS = ("roam", "client", "ui")  # said in full, as with --verbose
KEPT_FOR_SECRETS = (
    *("password", "psk", "subscription", ".key", "key.pem", ".p12", ".pfx", "keyring", ".cred"),
    *("gateway.json", "clients.conf", "users"),  # of gateways and login servers in the lab
)
"""How the names of files end in which a secret belongs; a profile refers to them."""


def kept_secret(text: str) -> str:
    """A constant of tests, which from now on may be nowhere."""
    Secret(text.encode())
    return text


def octets_of(vectors: Vectors) -> tuple[bytes, ...]:
    """What of a SIM's answer nobody may see."""
    return vectors.res, vectors.ck, vectors.ik


@dataclass(frozen=True)
class Call:
    """Of a method that is watched."""

    itself: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    result: Any = None  # once it has returned


class Scanner:
    """A plugin of pytest."""

    def __init__(self) -> None:
        self._lasting = Needles()  # made secrets outside of tests: constants
        self._needles = self._lasting
        self._texts: dict[str, set[bytes]] = {}
        self._sees_pictures = False
        _watch(Secret, "__init__", lambda call: self._needles.add(call.itself.reveal()))
        _watch(SecretText, "__init__", lambda call: self._needles.add(call.itself.reveal().encode()))
        _watch(Vectors, "__init__", self._add_vectors)
        _watch(KeySigner, "__init__", lambda call: self._needles.add(private_octets(call.itself._key)))
        _watch(Issued, "__init__", lambda call: self._needles.add(private_octets(call.itself.key)))
        _watch(TraceEvent, "__init__", lambda call: self.note("a trace", call.itself.detail))
        _watch(Failure, "__init__", lambda call: self.note("a failure", call.itself.evidence))
        for kind in (ProtocolError, ControlError, ProfileError, SimError):
            _watch(kind, "__init__", self._note_error)
        _watch(Outlet, "_write", lambda call: self.note("the control socket", call.arguments[0]))
        _watch(subprocess.Popen, "__init__", self._note_program)
        _watch(subprocess.CompletedProcess, "__init__", self._note_output)
        _watch(
            tempfile.TemporaryDirectory,
            "cleanup",
            lambda call: self.note_files(Path(call.itself.name)),
            first=True,
        )
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.DEBUG)

    def _add_vectors(self, call: Call) -> None:
        for part in octets_of(call.itself):
            self._needles.add(part)

    def note(self, channel: str, text: str | bytes | None) -> None:
        """Something that this test has let out."""
        if text:
            octets = text if isinstance(text, bytes) else text.encode(errors="surrogateescape")
            self._texts.setdefault(channel, set()).add(octets)

    def note_files(self, directory: Path) -> None:
        """The files of a test, except those where secrets belong."""
        for path in sorted(directory.rglob("*")):
            if path.is_symlink() or not path.is_file() or path.name.endswith(KEPT_FOR_SECRETS):
                continue
            with path.open("rb") as file:
                self.note(f"the file {path.name}", file.read(LARGEST))

    def _note_error(self, call: Call) -> None:
        for words in (*call.itself.args, getattr(call.itself, "hint", "")):
            self.note("an exception", str(words))

    def _note_program(self, call: Call) -> None:
        arguments = call.arguments[0] if call.arguments else call.options["args"]
        words = [arguments] if isinstance(arguments, str | bytes | os.PathLike) else arguments
        for word in words:
            self.note("the arguments of a program", os.fsencode(word))
        environment: Mapping[str, str] = call.options.get("env") or os.environ
        for value in environment.values():
            self.note("the environment of a program", os.fsencode(value))

    def _note_output(self, call: Call) -> None:
        self.note("the output of a program", call.itself.stdout)
        self.note("the output of a program", call.itself.stderr)

    # What pytest calls

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        """One test: secrets that it makes are its own."""
        self._needles, self._texts = self._lasting.copy(), {}
        self._watch_pictures()
        try:
            return (yield)
        finally:
            self._needles = self._lasting

    def _watch_pictures(self) -> None:
        """Of the terminal UI, once anybody has loaded what makes them: that takes half a second."""
        module = sys.modules.get("textual.app")
        if module is not None and not self._sees_pictures:
            self._sees_pictures = True
            _watch(module.App, "export_screenshot", lambda call: self.note("a picture", call.result))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        """Secrets of what several tests share are everybody's."""
        if fixturedef.scope == "function":
            return (yield)
        own, self._needles = self._needles, self._lasting
        try:
            return (yield)
        finally:
            self._needles = own
            own.origins.update(self._lasting.origins)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """After everything else of a test: search what it has let out."""
        report: pytest.TestReport = yield  # type: ignore[assignment]
        for name, text in report.sections:
            self.note(name.lower(), text)
        if call.when == "teardown" and report.outcome == "passed":
            directory = getattr(item, "funcargs", {}).get("tmp_path")
            if directory is not None:
                self.note_files(directory)
            if leaks := self.leaks():
                report.outcome = "failed"
                report.longrepr = "\n".join(leaks)
        return report  # type: ignore[return-value]

    def leaks(self) -> list[str]:
        """What was found, one a line, without the secrets themselves."""
        return [
            f"a secret of {what.origin} stands in {channel} ({what.form})"
            for channel, texts in sorted(self._texts.items())
            for what in sorted(self._search(texts), key=lambda what: (what.origin, what.form))
        ]

    def _search(self, texts: set[bytes]) -> set[Found]:
        return self._needles.search(b"\0".join(texts))


def _watch(kind: type, name: str, note: Callable[[Call], object], *, first: bool = False) -> None:
    """Hear of every call of a method: after it has returned, or before it begins."""
    original = getattr(kind, name)

    @functools.wraps(original)
    def method(itself: object, *arguments: object, **options: object) -> object:
        if first:
            note(Call(itself, arguments, options))
        result = original(itself, *arguments, **options)
        if not first:
            note(Call(itself, arguments, options, result))
        return result

    setattr(kind, name, method)
