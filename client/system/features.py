"""What this kernel has of what Roam uses: asked in ways that leave nothing behind and disturb no tunnel."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL, rtnl
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from ..rtnetlink import Rtnetlink, message
from .nft import Conversation
from .xfrm import Xfrm

_TUN = Path("/dev/net/tun")
_TUNGETFEATURES = 0x800454CF
_NO_NAME = "roam/probe"
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


def read_link_kind(kind: str = "xfrm") -> Feature:
    """Links of a kind: one is asked for under an impossible name, which a kernel looks at if it knows the kind."""
    about = {"attrs": [["IFLA_INFO_KIND", kind]]}
    request = message(ifinfmsg, {"IFLA_IFNAME": _NO_NAME, "IFLA_LINKINFO": about})
    try:
        with Rtnetlink() as netlink:
            netlink.change(rtnl.RTM_NEWLINK, request, NLM_F_CREATE | NLM_F_EXCL)
    except OSError as error:
        return Feature(present=True) if error.errno == errno.EINVAL else _lacking(error)
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
