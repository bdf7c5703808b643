"""What keeps session keys and passwords inside the process: no core dumps, no tracing by the same user."""

from __future__ import annotations

import ctypes
import resource

_PR_SET_DUMPABLE = 4


def harden() -> None:
    """Forbid core dumps, and other processes of our uid to read our memory.  `OSError` where that fails."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE) failed")
