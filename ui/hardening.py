"""What keeps passwords and keys inside this process while it holds them: no core dump, no reader of its memory.

Python cannot wipe a string, so a secret that was typed stays in memory until the process ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource

_PR_SET_DUMPABLE = 4


def harden() -> None:
    """Before the first secret is read.  A system that refuses it is told nothing: what was asked for goes on.

    The limit alone does not stop a kernel that pipes core dumps to a program (core(5)); not being dumpable does,
    and keeps other programs of the user from attaching.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
