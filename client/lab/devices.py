"""The TUN device for a daemon that is not root, on machines that keep it from other uids."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .syscalls import mount

_TUN = Path("/dev/net/tun")
_NUMBER = os.makedev(10, 200)  # of the Linux TUN/TAP driver
_EVERYONE = 0o666  # as distributions have it: making an interface needs CAP_NET_ADMIN all the same


def offer_tun() -> None:
    """Put a device that every uid may open over /dev/net, in the calling thread's private mounts; needs root."""
    if _TUN.exists() and _TUN.stat().st_mode & _EVERYONE == _EVERYONE:
        return
    mount("tmpfs", _TUN.parent, "tmpfs", data="mode=0755")
    os.mknod(_TUN, stat.S_IFCHR, _NUMBER)
    _TUN.chmod(_EVERYONE)
