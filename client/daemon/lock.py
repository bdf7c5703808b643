"""One daemon for each state directory: two would undo each other's routes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..control.messages import ControlError


@contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Hold the directory's lock; `ControlError("daemon.running")` where another process does."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ControlError("daemon.running", f"another roamd uses {state_dir}") from None
        yield
    finally:
        os.close(descriptor)
