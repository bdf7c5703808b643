"""System calls that Python's standard library offers only from 3.12 on, or not at all, through libc.

They act on the calling *thread*, not on the process: a thread may enter a namespace and never come back.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_SET_KEEPCAPS = 8

_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` (CLONE_NEW…) for new ones."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """Enter the namespace that `fd` is open on; `kind` is its CLONE_NEW… flag."""
    _check(_libc.setns(fd, kind), "setns")


def mount(
    source: str | Path, target: str | Path, filesystem: str = "none", flags: int = 0, data: str = ""
) -> None:
    """mount(2); relative targets are not wanted here."""
    arguments = (
        os.fsencode(source),
        os.fsencode(target),
        filesystem.encode(),
        ctypes.c_ulong(flags),
        data.encode(),
    )
    _check(_libc.mount(*arguments), f"mount {source} on {target}")


def prctl(option: int, *arguments: int) -> None:
    """prctl(2) with up to four numbers."""
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    _check(_libc.prctl(option, *padded), f"prctl {option}")


def set_capabilities(capabilities: frozenset[int]) -> None:
    """Make exactly these capabilities permitted, effective and inheritable (capset(2), version 3)."""
    low = sum(1 << number for number in capabilities if number < 32)
    high = sum(1 << (number - 32) for number in capabilities if number >= 32)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(low, low, low, high, high, high)
    _check(_libc.capset(header, data), "capset")
