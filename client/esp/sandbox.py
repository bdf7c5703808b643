"""Giving up every privilege: what reads packets from the network must not be able to do anything else.

Nothing here can fail half way: a process that still holds a capability afterwards does not go on.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource

_UNPRIVILEGED = 65534  # "nobody" and "nogroup" or "nobody" on every distribution

_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_MOST_CAPABILITIES = 64

_libc = ctypes.CDLL(None, use_errno=True)


def drop_privileges() -> None:
    """Leave root where we are root, and lose all capabilities in every set; `OSError` where that fails."""
    _drop_bounding_set()
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    if os.geteuid() == 0:
        _leave_root()
    _clear_capabilities()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)  # no core file with keys in it, no tracing by the same user
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(limit, (0, 0))


def _drop_bounding_set() -> None:
    """Needs CAP_SETPCAP; where that is missing, no-new-privileges makes the bounding set worthless."""
    for capability in range(_MOST_CAPABILITIES):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            return


def _leave_root() -> None:
    """A user namespace that maps root alone has no other user to become: then root without capabilities."""
    with contextlib.suppress(OSError):
        os.setgroups([])
    with contextlib.suppress(OSError):
        os.setresgid(_UNPRIVILEGED, _UNPRIVILEGED, _UNPRIVILEGED)
        os.setresuid(_UNPRIVILEGED, _UNPRIVILEGED, _UNPRIVILEGED)


def _clear_capabilities() -> None:
    """Effective, permitted and inheritable (capset(2), two words of 32 capabilities each)."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, (ctypes.c_uint32 * 6)()))
    left = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(header, left))
    if any(left):
        raise PermissionError("capabilities are left")


def _prctl(option: int, argument: int) -> None:
    _check(
        _libc.prctl(option, ctypes.c_ulong(argument), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    )


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
