"""Anonymous network namespaces, and running things in them.

A namespace is an open file descriptor and nothing else: no name in /run/netns, no mount, so nothing is left
behind when the process ends, however it ends.  setns(2) acts on one thread; `run` therefore gives a
callable a thread of its own that enters the namespace and is thrown away afterwards.  Sockets and child
processes keep the namespace in which they were made, so what `run` returns may be used anywhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

from . import mounts, unprivileged
from .syscalls import CLONE_NEWNET, setns, unshare

Result = TypeVar("Result")

_TERMINATION_PATIENCE = 5.0  # seconds; a daemon has routes to take back before it may be killed
CAP_NET_ADMIN = 12


@dataclass(frozen=True, slots=True)
class Account:
    """Who a process is: an ordinary uid and gid with ambient capabilities."""

    uid: int
    gid: int
    capabilities: frozenset[int] = frozenset({CAP_NET_ADMIN})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process sees: its account, files bound over the machine's, and where its output goes.

    `prepare` is called in the thread that starts the process, for mounts of any other kind.
    """

    account: Account | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None
    environment: Mapping[str, str] | None = None
    output: IO[bytes] | int | None = None


class Namespace:
    """One network namespace: `run` a callable in it, `start` a process in it, `close` both."""

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self._descriptor = descriptor
        self._processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    def create(cls, name: str) -> Namespace:
        """A new, empty namespace; `name` is for messages only."""
        return cls(name, in_own_thread(_open_new))

    @classmethod
    def current(cls, name: str) -> Namespace:
        """The namespace of the calling thread."""
        return cls(name, _open_own())

    @property
    def path(self) -> str:
        """A path by which other programs may enter (`nsenter --net=PATH`) while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def fileno(self) -> int:
        """The descriptor that is the namespace."""
        return self._descriptor

    @property
    def inode(self) -> int:
        """The number by which the kernel tells namespaces apart."""
        return os.fstat(self._descriptor).st_ino

    def run(self, function: Callable[[], Result]) -> Result:
        """Call `function` in this namespace and wait for it; its exception becomes ours."""

        def inside() -> Result:
            setns(self._descriptor, CLONE_NEWNET)
            return function()

        return in_own_thread(inside)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is in here meanwhile: for an event loop that opens its sockets here."""
        before = _open_own()
        try:
            setns(self._descriptor, CLONE_NEWNET)
            try:
                yield
            finally:
                setns(before, CLONE_NEWNET)
        finally:
            os.close(before)

    def start(
        self, arguments: Sequence[str | Path], surroundings: Surroundings | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program in this namespace; it is stopped with the namespace if it has not ended by then."""
        around = surroundings if surroundings is not None else Surroundings()

        def inside() -> subprocess.Popen[bytes]:
            if around.files or around.account:
                mounts.make_private(around.files, mounts.interpreter_paths() if around.account else ())
            if around.prepare is not None:
                around.prepare()
            return subprocess.Popen(
                [*_as(around.account), *map(str, arguments)],
                env=None if around.environment is None else dict(around.environment),
                stdin=subprocess.DEVNULL,
                stdout=around.output,
                stderr=subprocess.STDOUT if around.output is not None else None,
                start_new_session=True,  # Ctrl-C on the lab is answered in order, by `close`
            )

        process = self.run(inside)
        self._processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """Terminate a process of this namespace, kill it if it does not obey; returns its exit status."""
        with suppress(ValueError):
            self._processes.remove(process)
        process.terminate()
        try:
            return process.wait(_TERMINATION_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def close(self) -> None:
        """Stop what was started here and forget the namespace; the kernel removes it with its last user."""
        for process in reversed(list(self._processes)):
            self.stop(process)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def in_own_thread(function: Callable[[], Result]) -> Result:
    """Call `function` in a fresh thread, whose namespaces end with it, and wait."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(function())
        except BaseException as error:  # handed to the caller, not swallowed
            errors.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _open_own() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _open_new() -> int:
    unshare(CLONE_NEWNET)
    return _open_own()


def _as(account: Account | None) -> list[str]:
    """The words before a command that make it run under `account`."""
    if account is None:
        return []
    numbers = ",".join(str(number) for number in sorted(account.capabilities))
    return [sys.executable, "-I", unprivileged.__file__, str(account.uid), str(account.gid), numbers, "--"]
