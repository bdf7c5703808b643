"""What this kernel has of what Roam uses: asked in ways that leave nothing behind and disturb no tunnel."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from .nft import Conversation
from .xfrm import Xfrm

_TUN = Path("/dev/net/tun")
_TUNGETFEATURES = 0x800454CF
_DENIED = frozenset({errno.EPERM, errno.EACCES})


@dataclass(frozen=True, slots=True)
class Feature:
    """Whether it is there; None where we were not permitted to find out."""

    present: bool | None
    why: str = ""


def read_tun() -> Feature:
    """TUN links, which the userspace data path needs."""
    try:
        descriptor = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return replace(_lacking(error), why=f"{_TUN}: {error.strerror}")
    try:
        fcntl.ioctl(descriptor, _TUNGETFEATURES, bytes(4))
    except OSError as error:
        return Feature(present=False, why=f"{_TUN}: {error.strerror}")
    finally:
        os.close(descriptor)
    return Feature(present=True)


def read_nftables() -> Feature:
    """The packet filter that the guard is made by."""
    try:
        with closing(Conversation()) as kernel:
            kernel.generation()
    except OSError as error:
        return _lacking(error)
    return Feature(present=True)


def read_migrate() -> Feature:
    """Moving an SA to other addresses in the kernel (XFRM_MIGRATE)."""
    try:
        with Xfrm() as tables:
            return Feature(tables.can_migrate())
    except OSError as error:
        return _lacking(error)


def _lacking(error: OSError) -> Feature:
    return Feature(None if error.errno in _DENIED else False, error.strerror or str(error))
