"""Programs of Debian trixie that tests of scripts need: varlinkctl, socat, jq, bash, zsh, fish.

They are unpacked as the peers are, and run in a root of their own; `shared` of the machine is at /run/peer there.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.netns.peers.releases import Release, release

PACKAGES = ("systemd", "socat", "jq", "bash", "zsh", "fish", "bash-completion")
INSIDE = "/run/peer"
"""Where the shared directory is for these programs."""
_PATIENCE = 30.0


def tools() -> Release:
    """The unpacked programs; `PeerUnavailable` says why they cannot be had."""
    return release("trixie", PACKAGES, "tools")


@contextmanager
def started(
    root: Release, shared: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A program while the block lasts; its standard streams are pipes."""
    found: list[subprocess.Popen[str]] = []

    def start() -> None:
        root.enter(shared)
        found.append(
            subprocess.Popen(
                command,
                env={"PATH": "/usr/bin:/bin", "HOME": "/run", "TERM": "dumb", **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    (process,) = found
    watchdog = threading.Timer(_PATIENCE, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


def run(
    root: Release,
    shared: Path,
    command: Sequence[str],
    said: str = "",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """A program to its end."""
    with started(root, shared, command, environment) as process:
        output, errors = process.communicate(said, timeout=_PATIENCE)
    return subprocess.CompletedProcess(list(command), process.returncode, output, errors)


@contextmanager
def shared_directory() -> Iterator[Path]:
    """One whose path is short enough for sockets, and which everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="roam-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)
