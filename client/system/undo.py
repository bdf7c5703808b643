"""What takes a step back, and what to tell a person whose change was taken back.  Pure."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from .plan import (
    Actual,
    DropAddress,
    DropGuard,
    DropLink,
    DropRoute,
    DropRule,
    PutAddress,
    PutGuard,
    PutRoute,
    PutRule,
    PutSysctl,
    SetLink,
    Step,
)


def undo(done: Sequence[Step], before: Actual) -> list[Step]:
    """The steps that lead back to `before`, from the last one done to the first."""
    return [back for step in reversed(done) if (back := inverse(step, before)) is not None]


def inverse(step: Step, before: Actual) -> Step | None:
    """The step that takes `step` back; None where nothing can.

    A packet filter that another program had changed is not known well enough to be put back: ours stays, closed.
    A link of ours that was deleted belongs to a data path, which makes its own.
    """
    match step:
        case PutGuard():
            return _guard_before(before)
        case DropGuard():
            return _guard_before(before)
        case PutRule(rule):
            return DropRule(rule)
        case DropRule(rule):
            return PutRule(rule)
        case PutRoute(route):
            same_place = (route.destination, route.metric)
            replaced = [old for old in before.routes if (old.destination, old.metric) == same_place]
            return PutRoute(replaced[0]) if replaced else DropRoute(route)
        case DropRoute(route):
            return PutRoute(route)
        case PutAddress(link, interface):
            return DropAddress(link, interface)
        case DropAddress(link, interface):
            return PutAddress(link, interface)
        case SetLink(name):
            mtu = next(link.mtu for link in before.links if link.name == name)
            return SetLink(name, mtu, up=name not in before.down)
        case PutSysctl(key):
            return PutSysctl(key, before.sysctls[key]) if key in before.sysctls else None
        case DropLink():
            return None


def may_be_done(error: OSError) -> bool:
    """Whether the kernel may have done what it did not answer: then it is undone too, which does no harm."""
    return isinstance(error, TimeoutError) or error.errno == errno.ENOBUFS


def number_of(error: OSError) -> int | None:
    """Its error number; a socket that timed out has none of its own."""
    return errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno


def _guard_before(before: Actual) -> PutGuard | DropGuard | None:
    if before.guard is None:
        return DropGuard()
    return PutGuard(before.guard) if before.guard.rules else None


_PERMISSION = frozenset({errno.EPERM, errno.EACCES})
_ROOM = frozenset({errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC, errno.E2BIG, errno.EMFILE, errno.ENFILE})
_LACK = frozenset({errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ENOSYS})
_BUSY = frozenset({errno.EBUSY, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT})
_MOVED = frozenset(
    {
        errno.ENODEV,
        errno.ENXIO,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EADDRNOTAVAIL,
        errno.ESRCH,
    }
)

_PARTS: dict[type, tuple[str, str, str]] = {
    PutGuard: ("packet filters", "nf_tables and nft_fib_inet", "nft list ruleset"),
    DropGuard: ("packet filters", "nf_tables and nft_fib_inet", "nft list ruleset"),
    PutRule: ("policy routing", "CONFIG_IP_MULTIPLE_TABLES and CONFIG_IPV6_MULTIPLE_TABLES", "ip rule"),
    DropRule: ("policy routing", "CONFIG_IP_MULTIPLE_TABLES and CONFIG_IPV6_MULTIPLE_TABLES", "ip rule"),
    PutSysctl: ("network settings", "a writable /proc/sys", "sysctl -a"),
}
_ROUTING = ("routes of ours", "IPv6, or policy routing", "ip route show table 29440")
_LINK = ("such links", "IPv6, or TUN", "ip address")


def advice(step: Step, number: int | None) -> str:
    """What a person can do about a step that failed with this error number; "" where only the log helps."""
    parts, needed, shown_by = _part(step)
    if number in _PERMISSION:
        return "roamd lacks CAP_NET_ADMIN here: start it by its unit, 'systemctl start roamd', or as root."
    if number == errno.EROFS:
        return f"roamd may not change {parts} here: it needs {needed} (see the sandbox of its unit)."
    if number in _ROOM:
        return f"The kernel has no room for {parts}: free memory; Roam tries again by itself."
    if number in _LACK:
        return f"This kernel lacks {needed}: load or install its modules, or use another kernel."
    if number in _BUSY:
        return f"Another program keeps the kernel busy with {parts}; Roam tries again by itself."
    if number in _MOVED:
        return "The network changed meanwhile; Roam tries again by itself."
    if number in (errno.EEXIST, errno.ENOENT):
        return (
            f"Another program changes what is Roam's, see '{shown_by}': end it, or have it leave that alone."
        )
    if number == errno.EINVAL:
        return f"The kernel does not take this: report it with 'uname -r' and what '{shown_by}' says."
    return ""


def _part(step: Step) -> tuple[str, str, str]:
    """What it is about, what the kernel needs for it, and which command shows it."""
    match step:
        case PutRoute() | DropRoute():
            return _ROUTING
        case PutAddress() | DropAddress() | SetLink() | DropLink():
            return _LINK
        case _:
            return _PARTS[type(step)]
