"""Where a daemon lives, and which one it is."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from profiles.store import SYSTEM_DIRECTORY


@dataclass(frozen=True, slots=True)
class Places:
    """Where the daemon lives: each may be anywhere, so that several can run in namespaces of their own."""

    socket: Path
    state: Path
    run: Path
    profiles: Path = SYSTEM_DIRECTORY

    @property
    def varlink(self) -> Path:
        """Where the varlink façade listens: beside the control socket."""
        return self.socket.with_name("varlink.sock")


def program_version() -> str:
    """Of the installed distribution; "0" from a bare source tree."""
    try:
        return version("roam-vpn")
    except PackageNotFoundError:
        return "0"
