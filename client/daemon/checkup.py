"""Read what the doctor judges: a few files, the kernel's tables, and the clock.  It blocks."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from profiles.errors import ProfileError

from ..control.access import group_id
from ..material import anchors
from ..net.netlink import snapshot
from ..system.choice import Choice
from ..system.features import read_link_kind, read_migrate, read_nftables, read_tun
from .findings import ClockFacts, ForwardingFacts, KernelFacts, RightsFacts
from .order import system_authorities

_CAP_NET_ADMIN = 12
_TIMEX = struct.Struct("@Illlli")  # the beginning of struct timex: modes, four numbers, status
_TIMEX_SIZE = 512  # octets, more than the kernel writes
_STA_UNSYNC = 0x40
_FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
_OF_OTHERS = frozenset({"bridge", "veth"})
"""Kinds of links behind which there are containers, virtual machines, or guests of a hotspot."""


def read_kernel(data_path: Choice | None) -> KernelFacts:
    """`data_path` is what was found when nothing could be disturbed by the look; the rest is asked now."""
    return KernelFacts(read_tun(), read_nftables(), read_migrate(), data_path, read_link_kind())


def read_forwarding(settings: Path = Path("/proc/sys")) -> ForwardingFacts:
    """What the kernel forwards, and for whom probably."""
    families = tuple(version for version, name in _FORWARDING.items() if _is_on(settings / name))
    inner: tuple[str, ...] = ()
    with suppress(OSError):
        inner = tuple(link.name for link in snapshot().links if link.up and link.kind in _OF_OTHERS)
    return ForwardingFacts(families, inner if families else ())


def _is_on(setting: Path) -> bool:
    try:
        return setting.read_text().strip() != "0"
    except OSError:  # IPv6 may be missing altogether
        return False


def read_clock() -> ClockFacts:
    """The clock, and what speaks for or against it."""
    now = time.time()
    spans = list(_validities())
    valid = sum(begin <= now <= end for begin, end in spans)
    return ClockFacts(now, Path(__file__).stat().st_mtime, _is_synchronized(), len(spans), valid)


def _validities() -> Iterator[tuple[float, float]]:
    try:
        found = anchors(system_authorities(), "")
    except (OSError, ProfileError):
        return
    for certificate in found:
        yield certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def _is_synchronized() -> bool | None:
    """Whether a time service keeps the kernel's clock, adjtimex(2); None where it does not say."""
    buffer = ctypes.create_string_buffer(_TIMEX_SIZE)
    if ctypes.CDLL(None).adjtimex(buffer) < 0:
        return None
    *_, status = _TIMEX.unpack_from(buffer.raw)
    return not status & _STA_UNSYNC


def read_rights(state: Path, secrets: Path, *, standalone: bool) -> RightsFacts:
    """As whom we look, and who else may use what is the daemon's."""
    modes = (_mode(secrets), _mode(state))
    return RightsFacts(os.geteuid(), has_net_admin(), standalone, group_id() is not None, *modes)


def _mode(directory: Path) -> int | None:
    try:
        return stat.S_IMODE(directory.stat().st_mode)
    except OSError:
        return None


def has_net_admin() -> bool:
    """Whether this process may change the network."""
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return bool(effective >> _CAP_NET_ADMIN & 1)
