"""Other programs, as far as netlink and /proc tell of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def process_of(port: int) -> int:
    """Whose netlink port that is, as the kernel and the usual libraries number them; 0: nobody can tell.

    The first port of a process has its id; libnl and pyroute2 count further ones in the upper bits.
    """
    return 0 if port >> 31 else port & 0x3FFFFF


def program_name(process: int) -> str:
    """What a process calls itself, cut to 15 characters by the kernel; "" for one that is gone or hidden."""
    with suppress(OSError):
        return Path(f"/proc/{process}/comm").read_text(errors="replace").strip()
    return ""
