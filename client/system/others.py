"""What other programs have made of this machine's network: their links, rules, filters, policies and sockets.

Only read, never judged here: `client.daemon.findings` does that.  What we may not see is None.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pyroute2.netlink import rtnl
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from ..rtnetlink import Rtnetlink, message
from ..tunnel.model import MARK, OWN_LINKS, RULE_PRIORITY, TABLE
from . import nft_codec as codec
from .nft import Conversation
from .nft_wire import attributes_of
from .xfrm import Xfrm
from .xfrm_tunnel import IF_IDS

IKE_PORTS = (500, 4500)

_VPN_KINDS = frozenset(
    {"wireguard", "tun", "ppp", "xfrm", "vti", "vti6", "ipip", "gre", "sit", "ip6tnl", "ovpn"}
)
_VPN_HARDWARE = frozenset(
    {512, 65534}
)  # ARPHRD_PPP, ARPHRD_NONE: tunnels that say nothing else of themselves
_UNUSED = frozenset({"sit0", "tunl0", "ip6tnl0", "gre0", "ip_vti0", "ip6_vti0"})  # come with their modules
_EVERYBODYS_TABLES = range(253, 256)  # default, main, local
_KERNELS_RULES = frozenset({0, 32766, 32767})
_L3MDEV = 1000  # the kernel's own rule, once there is a VRF
_FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 6}
_IFF_UP = 1
_FIB_RULE_INVERT = 2
_NO_NFTABLES = frozenset(
    {errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EINVAL, errno.EPERM, errno.EACCES}
)
_FILTER_FAMILIES = {0: "any", 1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_HOOKS = {0: "prerouting", 1: "input", 2: "forward", 3: "output", 4: "postrouting"}
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY = 1, 3, 4, 5
_HOOK_NUMBER = 1
_DROP = 0


@dataclass(frozen=True, slots=True)
class OtherLink:
    """A tunnel that is not ours."""

    name: str
    kind: str
    up: bool


@dataclass(frozen=True, slots=True)
class OtherRule:
    """A routing rule that is neither ours nor one that every machine has."""

    family: int
    priority: int
    table: int
    mark: int | None = None
    mask: int = 0xFFFFFFFF
    inverted: bool = False

    def takes_ours(self) -> bool:
        """Whether it takes packets with our mark: by that mark, or because they lack the other's."""
        return self.mark is not None and (MARK & self.mask == self.mark & self.mask) != self.inverted

    def __str__(self) -> str:
        mark = "" if self.mark is None else f" fwmark {self.mark:#x}/{self.mask:#x}"
        return f"IPv{self.family} {self.priority}:{' not' if self.inverted else ''}{mark} lookup {self.table}"


@dataclass(frozen=True, slots=True)
class OtherFilter:
    """A table of the packet filter; `drops` are the hooks at which it drops what it does not allow."""

    name: str  # with its family: "inet filter"
    drops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Others:
    """Everything that was found; None is what we were not permitted to see, or the kernel does not have."""

    links: tuple[OtherLink, ...] = ()
    rules: tuple[OtherRule, ...] = ()
    filters: tuple[OtherFilter, ...] | None = ()
    policies: int | None = 0
    listeners: tuple[int, ...] = ()  # of IKE_PORTS, those on which somebody listens


def read_others() -> Others:
    """All of it, as it is in the calling thread's namespace; blocks for some milliseconds.

    `OSError` where the kernel does not answer at all.
    """
    with Rtnetlink() as netlink:
        links = tuple(_links(netlink))
        rules = tuple(_rules(netlink))
    return Others(links, rules, _filters(), _policies(), tuple(_listeners(Path("/proc/net"))))


def _links(netlink: Rtnetlink) -> Iterator[OtherLink]:
    for found in netlink.dump(rtnl.RTM_GETLINK, message(ifinfmsg)):
        name = found.get_attr("IFLA_IFNAME")
        info = found.get_attr("IFLA_LINKINFO")
        kind = (info.get_attr("IFLA_INFO_KIND") if info is not None else None) or ""
        is_tunnel = kind in _VPN_KINDS or (not kind and found["ifi_type"] in _VPN_HARDWARE)
        if is_tunnel and name not in _UNUSED and not name.startswith(OWN_LINKS):
            yield OtherLink(name, kind or "tunnel", bool(found["flags"] & _IFF_UP))


def _rules(netlink: Rtnetlink) -> Iterator[OtherRule]:
    for family, version in _FAMILIES.items():
        for found in netlink.dump(rtnl.RTM_GETRULE, message(fibmsg, family=family)):
            rule = _rule(found, version)
            if not _is_everybodys(rule) and not _is_ours(rule):
                yield rule


def _rule(found: object, version: int) -> OtherRule:
    get = found.get_attr  # type: ignore[attr-defined]
    header = found["table"], found["flags"]  # type: ignore[index]
    mask = get("FRA_FWMASK")
    return OtherRule(
        version,
        get("FRA_PRIORITY") or 0,
        get("FRA_TABLE") or header[0],
        get("FRA_FWMARK"),
        0xFFFFFFFF if mask is None else mask,
        bool(header[1] & _FIB_RULE_INVERT),
    )


def _is_everybodys(rule: OtherRule) -> bool:
    is_kernels = rule.priority in _KERNELS_RULES and rule.table in _EVERYBODYS_TABLES
    return (is_kernels or rule.priority == _L3MDEV) and rule.mark is None


def _is_ours(rule: OtherRule) -> bool:
    """By its priority, and by what only our own rules say: our table, or our mark."""
    in_range = RULE_PRIORITY <= rule.priority < RULE_PRIORITY + 10
    return in_range and (rule.table == TABLE or rule.mark == MARK or rule.table in _EVERYBODYS_TABLES)


def _filters() -> tuple[OtherFilter, ...] | None:
    try:
        with closing(Conversation()) as kernel:
            tables = kernel.listing(codec.tables_request())
            chains = kernel.listing(codec.chains_request())
    except OSError as error:
        if error.errno not in _NO_NFTABLES:
            raise
        return None
    named = [(family, _name(attributes.get(codec.TABLE_NAME, b""))) for family, attributes in tables]
    drops = [found for family, attributes in chains if (found := _dropping(family, attributes)) is not None]
    return tuple(
        OtherFilter(
            f"{_FILTER_FAMILIES.get(family, family)} {name}",
            tuple(sorted({hook for *owner, hook in drops if owner == [family, name]})),
        )
        for family, name in named
        if name not in (codec.TABLE, codec.WITNESS)
    )


def _dropping(family: int, attributes: dict[int, bytes]) -> tuple[int, str, str] | None:
    """Table and hook of a chain that drops what none of its rules decides."""
    policy = attributes.get(_CHAIN_POLICY)
    if policy is None or int.from_bytes(policy) != _DROP:
        return None
    number = int.from_bytes(attributes_of(attributes.get(_CHAIN_HOOK, b"")).get(_HOOK_NUMBER, b""))
    return family, _name(attributes.get(_CHAIN_TABLE, b"")), _HOOKS.get(number, str(number))


def _name(octets: bytes) -> str:
    return octets.rstrip(b"\0").decode(errors="replace")


def _policies() -> int | None:
    """How many IPsec policies are not ours."""
    try:
        with Xfrm() as tables:
            return sum(policy.if_id not in IF_IDS for policy in tables.policies())
    except OSError:  # no XFRM in this kernel, or no permission
        return None


def _listeners(proc: Path) -> Iterator[int]:
    used = set()
    for name in ("udp", "udp6"):
        try:
            lines = (proc / name).read_text().splitlines()[1:]
        except OSError:  # a kernel without IPv6, or a hidden /proc
            continue
        used |= {int(line.split()[1].rpartition(":")[2], 16) for line in lines if len(line.split()) > 1}
    yield from (port for port in IKE_PORTS if port in used)
