"""Exec shim: `python -I unprivileged.py UID GID CAPABILITY,… -- PROGRAM ARGUMENT…`.

Gives root up for an ordinary uid with the named ambient capabilities and becomes PROGRAM: what systemd does
for `User=` with `AmbientCapabilities=`, so that the lab's daemon has what the installed one has and no more.
"""

from __future__ import annotations

import os
import sys

from client.lab.syscalls import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_RAISE,
    PR_SET_KEEPCAPS,
    PR_SET_NO_NEW_PRIVS,
    prctl,
    set_capabilities,
)


def give_up_root(uid: int, gid: int, capabilities: frozenset[int]) -> None:
    """Become `uid` with exactly `capabilities`, kept across exec by the ambient set."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    prctl(PR_SET_KEEPCAPS, 1)
    os.setresuid(uid, uid, uid)
    set_capabilities(capabilities)
    for number in capabilities:
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number)
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def main(arguments: list[str]) -> None:
    """Parse, drop, exec."""
    uid, gid, numbers, separator, *command = arguments
    if separator != "--" or not command:
        raise SystemExit("usage: unprivileged UID GID CAPABILITY,... -- PROGRAM ARGUMENT...")
    give_up_root(int(uid), int(gid), frozenset(int(number) for number in numbers.split(",") if number))
    os.execv(command[0], command)  # noqa: S606 - the whole purpose


if __name__ == "__main__":
    main(sys.argv[1:])
