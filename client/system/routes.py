"""Links, addresses, routes, rules and settings of the namespace: read as `Actual`, changed step by step.

What is ours is recognisable without any note: links by their name, routes by the table, rules by their
priority, `protocol kernel` and what they say.  That protocol also keeps systemd-networkd from deleting what
it did not make.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from types import TracebackType
from typing import Any, Self, assert_never

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, rtnl
from pyroute2.netlink.rtnl.fibmsg import FR_ACT_TO_TBL, fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from ..ike.events import Interface, Network
from ..rtnetlink import Rtnetlink, message
from ..tunnel.model import MAIN_TABLE, OWN_LINKS, RULE_PRIORITY, LinkEntry, RouteEntry, RuleEntry
from .nft import Nftables
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

_OWN_KINDS = frozenset({"tun", "xfrm"})
_OWN_PRIORITIES = range(RULE_PRIORITY, RULE_PRIORITY + 10)

_IFF_UP = 1
_IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = (
    0x02,
    0x200,
)  # nobody else is on the wire; and no route of the kernel's own
_IN6_ADDR_GEN_MODE_EUI64, _IN6_ADDR_GEN_MODE_NONE = 0, 1
_RTPROT_KERNEL = 2
_RT_SCOPE_LINK, _RT_SCOPE_NOWHERE = 253, 255
_RTN_UNICAST = 1
_WHOEVER_MADE_IT = {"proto": 0, "type": 0, "scope": _RT_SCOPE_NOWHERE}  # wildcards of a deletion
_ADD, _REPLACE = NLM_F_CREATE | NLM_F_EXCL, NLM_F_CREATE | NLM_F_REPLACE
_FIB_RULE_INVERT = 2
_NO_SUPPRESSION = 0xFFFFFFFF
_TYPES = {"blackhole": 6, "throw": 9}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_VERSIONS = {family: version for version, family in _FAMILIES.items()}
_DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}
_SYSCTLS = Path("/proc/sys")

_ALREADY_SO = frozenset({errno.EEXIST})
_ALREADY_GONE = frozenset({errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL})
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EACCES})
"""IPv6 is not built in, or switched off on the link (`disable_ipv6`): no such packet can leave there."""
_NOT_OURS_TO_SET = frozenset({errno.ENOENT, errno.EROFS, errno.EACCES, errno.EPERM})
"""The link has gone, or somebody keeps network settings from us: a tunnel can do without, on most networks."""
_UPLINK_WENT = frozenset({errno.ENODEV, errno.ENETDOWN, errno.ENETUNREACH, errno.EINVAL})


class Kernel:
    """The namespace of the calling thread; blocking, and not to be used where an event loop runs."""

    def __init__(self, packet_filter: Nftables | None = None) -> None:
        """`packet_filter` knows what it has put there; to a new one, whatever stands there is strange."""
        self._is_filter_ours = packet_filter is None
        self._filter = packet_filter if packet_filter is not None else Nftables()
        self._netlink = Rtnetlink()
        self._indices: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._netlink.close()
        if self._is_filter_ours:
            self._filter.close()

    def read(self, table: int, sysctls: Collection[str] = (), links: Collection[str] = ()) -> Actual:
        """What is ours; `links` are known to be, whatever their kind."""
        entries: list[LinkEntry] = []
        down: set[str] = set()
        self._indices = {name: index for index, name in socket.if_nameindex()}
        for name, index in self._indices.items():
            if name not in links and not name.startswith(OWN_LINKS):
                continue
            found = self._netlink.get(rtnl.RTM_GETLINK, message(ifinfmsg, index=index))
            if found is not None and (name in links or _is_of_own_kind(found)):
                addresses = tuple(self._addresses(index))
                entries.append(LinkEntry(name, found.get_attr("IFLA_MTU"), addresses))
                if not found["flags"] & _IFF_UP:
                    down.add(name)
        rules, routes = tuple(self._rules(table)), tuple(self._routes(table))
        guard = self._filter.read()
        return Actual(tuple(entries), frozenset(down), rules, routes, dict(_settings(sysctls)), guard)

    def perform(self, step: Step, table: int) -> bool:
        """Carry a step out; False if that has been done already, or need not be.  `OSError` where it fails."""
        try:
            self._perform(step, table)
        except OSError as error:
            if error.errno not in self._tolerated(step):
                raise
            return False
        return True

    def _perform(self, step: Step, table: int) -> None:
        match step:
            case PutGuard(rules):
                self._filter.replace(rules)
            case DropGuard():
                self._filter.remove()
            case PutRule(rule):
                self._netlink.change(rtnl.RTM_NEWRULE, _rule_message(rule), _ADD)
            case DropRule(rule):
                self._netlink.change(rtnl.RTM_DELRULE, _rule_message(rule))
            case PutRoute(route):
                self._netlink.change(rtnl.RTM_NEWROUTE, self._route_message(route, table), _REPLACE)
            case DropRoute(route):
                request = self._route_message(route, table, **_WHOEVER_MADE_IT)
                self._netlink.change(rtnl.RTM_DELROUTE, request)
            case SetLink(name, mtu, up):
                self._set_link(self._index(name), mtu, up=up)
            case DropLink(name):
                self._netlink.change(rtnl.RTM_DELLINK, message(ifinfmsg, index=self._index(name)))
            case PutAddress(link, interface):
                self._netlink.change(rtnl.RTM_NEWADDR, self._address_message(link, interface), _ADD)
            case DropAddress(link, interface):
                self._netlink.change(rtnl.RTM_DELADDR, self._address_message(link, interface))
            case PutSysctl(key, value):
                (_SYSCTLS / key).write_text(f"{value}\n")
            case _:
                assert_never(step)

    def _tolerated(self, step: Step) -> frozenset[int]:
        match step:
            case DropRule() | DropRoute() | DropLink() | DropAddress():
                return _ALREADY_GONE
            case PutRoute(RouteEntry(link=str(link)) as route) if not link.startswith(OWN_LINKS):
                return _UPLINK_WENT | (_NO_IPV6 if route.destination.version == 6 else frozenset())
            case PutRoute(RouteEntry(destination=destination)) if destination.version == 6:
                return _ALREADY_SO | _NO_IPV6
            case PutAddress(interface=interface) if interface.version == 6:
                return _ALREADY_SO | _NO_IPV6
            case PutRule(rule) if rule.family == 6:
                return _ALREADY_SO | _NO_IPV6
            case PutSysctl():
                return _NOT_OURS_TO_SET
            case _:
                return _ALREADY_SO

    def _index(self, name: str) -> int:
        if name not in self._indices:
            raise OSError(errno.ENODEV, f"link {name} is not there")
        return self._indices[name]

    # --- links and addresses

    def _set_link(self, index: int, mtu: int, *, up: bool) -> None:
        """Up without a link-local address: the kernel would send router solicitations into the tunnel."""
        if up:
            self._set_generation(index, _IN6_ADDR_GEN_MODE_NONE)
        flags = _IFF_UP if up else 0
        request = message(ifinfmsg, {"IFLA_MTU": mtu}, index=index, flags=flags, change=_IFF_UP)
        self._netlink.change(rtnl.RTM_NEWLINK, request)
        if not up:
            self._set_generation(index, _IN6_ADDR_GEN_MODE_EUI64)

    def _set_generation(self, index: int, mode: int) -> None:
        """Whether, and how, the kernel makes a link-local address when the link goes up."""
        family = {"attrs": [["IFLA_INET6_ADDR_GEN_MODE", mode]]}
        attributes = {"IFLA_AF_SPEC": {"attrs": [["AF_INET6", family]]}}
        try:
            self._netlink.change(rtnl.RTM_NEWLINK, message(ifinfmsg, attributes, index=index))
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise

    def _addresses(self, index: int) -> Iterator[Interface]:
        for found in self._netlink.dump(rtnl.RTM_GETADDR, message(ifaddrmsg, index=index)):
            if found["index"] == index:
                address = found.get_attr("IFA_LOCAL") or found.get_attr("IFA_ADDRESS")
                interface = ip_interface(f"{address}/{found['prefixlen']}")
                if not interface.ip.is_link_local:
                    yield interface

    def _address_message(self, link: str, interface: Interface) -> Any:  # noqa: ANN401
        address = str(interface.ip)
        marks = _IFA_F_NOPREFIXROUTE | (_IFA_F_NODAD if interface.version == 6 else 0)
        return message(
            ifaddrmsg,
            {"IFA_LOCAL": address, "IFA_ADDRESS": address, "IFA_FLAGS": marks},
            family=_FAMILIES[interface.version],
            prefixlen=interface.network.prefixlen,
            index=self._index(link),
        )

    # --- routes

    def _routes(self, table: int) -> Iterator[RouteEntry]:
        names = {index: name for name, index in self._indices.items()}
        for version, family in _FAMILIES.items():
            request = message(rtmsg, {"RTA_TABLE": table}, family=family)
            with suppress(FileNotFoundError):  # no route has ever been in such a table
                for found in self._netlink.dump(rtnl.RTM_GETROUTE, request):
                    if found["family"] == family and _table(found) == table:
                        yield _route(found, version, names)

    def _route_message(self, route: RouteEntry, table: int, **fields: int) -> Any:  # noqa: ANN401
        head: dict[str, object] = {
            "family": _FAMILIES[route.destination.version],
            "dst_len": route.destination.prefixlen,
            "proto": _RTPROT_KERNEL,
            "type": _type(route),
            "scope": _RT_SCOPE_LINK if _is_on_link(route) else 0,
        }
        attributes = {
            "RTA_DST": str(route.destination.network_address),
            "RTA_TABLE": table,
            "RTA_PRIORITY": route.metric,
            "RTA_OIF": self._index(route.link) if route.link is not None else None,
            "RTA_GATEWAY": str(route.gateway) if route.gateway is not None else None,
            "RTA_PREFSRC": str(route.source) if route.source is not None else None,
        }
        return message(rtmsg, attributes, **{**head, **fields})

    # --- rules

    def _rules(self, table: int) -> Iterator[RuleEntry]:
        for family, version in _VERSIONS.items():
            for found in self._netlink.dump(rtnl.RTM_GETRULE, message(fibmsg, family=family)):
                if found["family"] == family and _is_own_rule(found, table):
                    yield _rule(found, version)


def _is_of_own_kind(found: Any) -> bool:  # noqa: ANN401 - pyroute2's messages have no types
    info = found.get_attr("IFLA_LINKINFO")
    return info is not None and info.get_attr("IFLA_INFO_KIND") in _OWN_KINDS


def _route(found: Any, version: int, names: dict[int, str]) -> RouteEntry:  # noqa: ANN401
    target = found.get_attr("RTA_DST")
    gateway, source = found.get_attr("RTA_GATEWAY"), found.get_attr("RTA_PREFSRC")
    leads_nowhere = found["type"] in _TYPES.values()
    return RouteEntry(
        destination=ip_network(f"{target}/{found['dst_len']}" if target else _DEFAULTS[version]),
        link=None if leads_nowhere else names.get(found.get_attr("RTA_OIF"), "?"),
        metric=found.get_attr("RTA_PRIORITY") or 0,
        gateway=ip_address(gateway) if gateway else None,
        source=ip_address(source) if source else None,
        throw=found["type"] == _TYPES["throw"],
    )


def _table(found: Any) -> int:  # noqa: ANN401
    return int(found.get_attr("RTA_TABLE") or found["table"])


def _type(route: RouteEntry) -> int:
    if route.link is not None:
        return _RTN_UNICAST
    return _TYPES["throw" if route.throw else "blackhole"]


def _is_on_link(route: RouteEntry) -> bool:
    """IPv6 has no scopes of routes."""
    return route.link is not None and route.gateway is None and route.destination.version == 4


def _is_own_rule(found: Any, table: int) -> bool:  # noqa: ANN401
    """Ours by its priority and protocol, and because it leads to our table, or to main for a reason of ours."""
    if found.get_attr("FRA_PRIORITY") not in _OWN_PRIORITIES:
        return False
    if found.get_attr("FRA_PROTOCOL") != _RTPROT_KERNEL:
        return False
    target = found.get_attr("FRA_TABLE")
    reasons = (found.get_attr(name) for name in ("FRA_UID_RANGE", "FRA_DPORT_RANGE", "FRA_IIFNAME"))
    return target == table or (target == MAIN_TABLE and any(reasons))


def _rule(found: Any, version: int) -> RuleEntry:  # noqa: ANN401
    suppressed = found.get_attr("FRA_SUPPRESS_PREFIXLEN")
    ports, users = found.get_attr("FRA_SPORT_RANGE"), found.get_attr("FRA_UID_RANGE")
    targets = found.get_attr("FRA_DPORT_RANGE")
    return RuleEntry(
        family=version,
        priority=found.get_attr("FRA_PRIORITY"),
        table=found.get_attr("FRA_TABLE"),
        mark=found.get_attr("FRA_FWMARK"),
        mark_mask=found.get_attr("FRA_FWMASK") or 0,
        unmarked=bool(found["flags"] & _FIB_RULE_INVERT),
        suppress_prefixlength=None if suppressed in (None, _NO_SUPPRESSION) else suppressed,
        source=_prefix(found, "FRA_SRC", "src_len"),
        destination=_prefix(found, "FRA_DST", "dst_len"),
        protocol=found.get_attr("FRA_IP_PROTO") or 0,
        source_ports=_range(ports) if ports else None,
        destination_ports=_range(targets) if targets else None,
        uid=_range(users)[0] if users else None,
        came=found.get_attr("FRA_IIFNAME"),
    )


def _prefix(found: Any, attribute: str, length: str) -> Network | None:  # noqa: ANN401
    address = found.get_attr(attribute)
    return ip_network(f"{address}/{found[length]}") if address else None


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    return int(first), int(last)


def _rule_message(rule: RuleEntry) -> Any:  # noqa: ANN401
    ports, targets = rule.source_ports, rule.destination_ports
    attributes = {
        "FRA_PRIORITY": rule.priority,
        "FRA_TABLE": rule.table,
        "FRA_PROTOCOL": _RTPROT_KERNEL,
        "FRA_FWMARK": rule.mark,
        "FRA_FWMASK": rule.mark_mask or None,
        "FRA_SUPPRESS_PREFIXLEN": rule.suppress_prefixlength,
        "FRA_SRC": str(rule.source.network_address) if rule.source else None,
        "FRA_DST": str(rule.destination.network_address) if rule.destination else None,
        "FRA_IP_PROTO": rule.protocol or None,
        "FRA_SPORT_RANGE": "{}:{}".format(*ports) if ports else None,
        "FRA_DPORT_RANGE": "{}:{}".format(*targets) if targets else None,
        "FRA_IIFNAME": rule.came,
        "FRA_UID_RANGE": f"{rule.uid}:{rule.uid}" if rule.uid is not None else None,
    }
    return message(
        fibmsg,
        attributes,
        family=_FAMILIES[rule.family],
        src_len=rule.source.prefixlen if rule.source else 0,
        dst_len=rule.destination.prefixlen if rule.destination else 0,
        action=FR_ACT_TO_TBL,
        flags=_FIB_RULE_INVERT if rule.unmarked else 0,
    )


def _settings(keys: Collection[str]) -> Iterator[tuple[str, str]]:
    for key in keys:
        with suppress(OSError):  # of a link that is gone
            yield key, (_SYSCTLS / key).read_text().strip()
