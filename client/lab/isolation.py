"""Whether and how this process may play with network namespaces.

Root opens namespaces directly.  Anybody else first becomes root of a user namespace of his own, where the
kernel and the distribution allow it.  Some distributions let that namespace come into being and deny every
capability in it (AppArmor on Ubuntu 24.04): the question is answered by *using* one, in a child process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .syscalls import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, MS_PRIVATE, MS_REC, mount, unshare

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_PROBE_PREFIX = "refused:"
_NOBODY = 65534
_TUN = "/dev/net/tun"


class LabUnavailable(Exception):
    """Network namespaces cannot be used here; the text is one sentence that says what to do about it."""


def enter() -> None:
    """Make this process able to open namespaces without touching the machine's own network or mounts.

    An ordinary user's process becomes root of its own user, mount and network namespaces; root's process
    gets a mount namespace of its own.  To be called once, early, while the process has only one thread (the
    kernel's condition).  Raises `LabUnavailable`.
    """
    reason = why_not()
    if reason is not None:
        raise LabUnavailable(reason)
    if os.geteuid() == 0:
        unshare(CLONE_NEWNS)
    else:
        _become_root_of_a_user_namespace()
    mount("none", "/", flags=MS_REC | MS_PRIVATE)


def why_not() -> str | None:
    """None where namespaces can be used, else one sentence: the cause and what mends it."""
    answer = subprocess.run(
        [sys.executable, "-I", "-m", __name__], capture_output=True, text=True, timeout=30, check=False
    )
    if answer.returncode == 0:
        return None
    _, refused, rest = answer.stdout.partition(_PROBE_PREFIX)
    if not refused:
        return f"Network namespaces could not be tried: {answer.stderr.strip().splitlines()[-1:]}."
    number, _, what = rest.strip().partition(" ")
    return explain(int(number), what, os.geteuid(), _read)


def explain(error: int, what: str, uid: int, read: Callable[[str], str | None]) -> str:
    """The sentence for a refused step of the probe; `read` gives the kernel's switches, by their path."""
    cause = f"{what} was refused ({os.strerror(error)})"
    if what == _OPENING_TUN:
        command = "modprobe tun" if error in _NO_DRIVER else f"chmod 0666 {_TUN}"
        return f"Tunnel interfaces cannot be made here: {cause}; mend it with `sudo {command}`."
    if uid == 0:
        return (
            f"This root may not use network namespaces: {cause}; in a container, start it with "
            "`--cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined`."
        )
    for switch, bad, command in _SWITCHES:
        if read(switch) == bad:
            return (
                f"Ordinary users may not use network namespaces here: {cause}; "
                f"run it as root, or allow it with `{command}`."
            )
    if error == errno.ENOSPC:
        command = "sudo sysctl user.max_user_namespaces=15000"
        return f"No more user namespaces are allowed here: {cause}; allow more with `{command}`."
    return f"Ordinary users may not use network namespaces here: {cause}; run it as root."


def ordinary_uid() -> int | None:
    """An unprivileged uid that this process may become; None in a user namespace that knows root alone."""
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= _NOBODY < first + count:
            return _NOBODY
    return None


_OPENING_TUN = f"opening {_TUN}"
_NO_DRIVER = (errno.ENOENT, errno.ENODEV, errno.ENXIO)
_SWITCHES = (
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=15000"),
)


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _become_root_of_a_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)
    Path("/proc/self/setgroups").write_text("deny")  # the kernel's condition for the next line
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")


def _raise_loopback() -> None:
    """Needs CAP_NET_ADMIN over the calling thread's network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack_from("16sh", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def _unshare_everything() -> None:
    if os.geteuid() == 0:
        unshare(CLONE_NEWNS | CLONE_NEWNET)
    else:
        _become_root_of_a_user_namespace()


def probe() -> int:
    """Try each step that the lab needs in namespaces of this process's own; the first refusal is printed."""
    steps = (
        ("opening a namespace", _unshare_everything),
        ("changing a link in it", _raise_loopback),
        ("making its mounts private", lambda: mount("none", "/", flags=MS_REC | MS_PRIVATE)),
        ("opening a second one", lambda: unshare(CLONE_NEWNET)),
        (_OPENING_TUN, lambda: os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))),
    )
    for what, step in steps:
        try:
            step()
        except OSError as error:
            print(_PROBE_PREFIX, error.errno, what)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(probe())
