"""Links, addresses, routes, rules and settings of the namespace: read as `Actual`, changed step by step.

What is ours is recognisable without any note: links by their name, routes by the table, rules by their
priority, `protocol kernel` and what they say.  That protocol also keeps systemd-networkd from deleting what
it did not make.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Collection, Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from types import TracebackType
from typing import Any, Self, assert_never

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ..ike.events import Interface, Network
from ..tunnel.model import MAIN_TABLE, OWN_LINKS, RULE_PRIORITY, LinkEntry, RouteEntry, RuleEntry
from .plan import (
    Actual,
    DropAddress,
    DropLink,
    DropRoute,
    DropRule,
    PutAddress,
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
_IN6_ADDR_GEN_MODE_NONE = 1
_RTPROT_KERNEL = 2
_RT_SCOPE_LINK = 253
_WHOEVER_MADE_IT = {"proto": 0, "type": 0, "scope": 255}  # wildcards of a deletion (255: RT_SCOPE_NOWHERE)
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
_UPLINK_WENT = frozenset({errno.ENODEV, errno.ENETDOWN, errno.ENETUNREACH, errno.EINVAL})


class Kernel:
    """The namespace of the calling thread; blocking, and not to be used where an event loop runs."""

    def __init__(self) -> None:
        self._netlink = IPRoute()
        self._indices: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._netlink.close()

    def read(self, table: int, sysctls: Collection[str] = (), links: Collection[str] = ()) -> Actual:
        """What is ours; `links` are known to be, whatever their kind."""
        entries: list[LinkEntry] = []
        down: set[str] = set()
        try:
            self._indices = {}
            for message in self._netlink.get_links():
                name = message.get_attr("IFLA_IFNAME")
                self._indices[name] = message["index"]
                if name in links or _is_own_link(message, name):
                    addresses = tuple(self._addresses(message["index"]))
                    entries.append(LinkEntry(name, message.get_attr("IFLA_MTU"), addresses))
                    if not message["flags"] & _IFF_UP:
                        down.add(name)
            rules, routes = tuple(self._rules(table)), tuple(self._routes(table))
        except NetlinkError as error:
            raise OSError(error.code, os.strerror(error.code)) from error
        return Actual(tuple(entries), frozenset(down), rules, routes, dict(_settings(sysctls)))

    def perform(self, step: Step, table: int) -> None:
        """Carry a step out; it is no error if that has been done already.  `OSError` where it fails."""
        try:
            self._perform(step, table)
        except NetlinkError as error:
            if error.code not in self._tolerated(step):
                raise OSError(error.code, os.strerror(error.code)) from error

    def _perform(self, step: Step, table: int) -> None:
        match step:
            case PutRule(rule):
                self._netlink.rule("add", **_rule_fields(rule))
            case DropRule(rule):
                self._netlink.rule("del", **_rule_fields(rule))
            case PutRoute(route):
                self._netlink.route("replace", **self._route_fields(route, table))
            case DropRoute(route):
                self._netlink.route("del", **{**self._route_fields(route, table), **_WHOEVER_MADE_IT})
            case SetLink(name, mtu):
                self._set_link(name, mtu)
            case DropLink(name):
                self._netlink.link("del", index=self._index(name))
            case PutAddress(link, interface):
                self._netlink.addr("add", **self._address_fields(link, interface))
            case DropAddress(link, interface):
                self._netlink.addr("del", **self._address_fields(link, interface))
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
            case _:
                return _ALREADY_SO

    def _index(self, name: str) -> int:
        if name not in self._indices:
            raise NetlinkError(errno.ENODEV, f"link {name} is not there")
        return self._indices[name]

    def _set_link(self, name: str, mtu: int) -> None:
        """Up without a link-local address: the kernel would send router solicitations into the tunnel."""
        index = self._index(name)
        mode = {"attrs": [["IFLA_INET6_ADDR_GEN_MODE", _IN6_ADDR_GEN_MODE_NONE]]}
        with suppress(NetlinkError):  # no IPv6
            self._netlink.link("set", index=index, IFLA_AF_SPEC={"attrs": [["AF_INET6", mode]]})
        self._netlink.link("set", index=index, mtu=mtu, state="up")

    # --- addresses

    def _addresses(self, index: int) -> Iterator[Interface]:
        for message in self._netlink.get_addr(index=index):
            address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            interface = ip_interface(f"{address}/{message['prefixlen']}")
            if not interface.ip.is_link_local:
                yield interface

    def _address_fields(self, link: str, interface: Interface) -> dict[str, object]:
        flags = _IFA_F_NOPREFIXROUTE | (_IFA_F_NODAD if interface.version == 6 else 0)
        return {
            "index": self._index(link),
            "family": _FAMILIES[interface.version],
            "address": str(interface.ip),
            "prefixlen": interface.network.prefixlen,
            "flags": flags,
        }

    # --- routes

    def _routes(self, table: int) -> Iterator[RouteEntry]:
        names = {index: name for name, index in self._indices.items()}
        for version, family in _FAMILIES.items():
            for message in self._netlink.get_routes(family=family, table=table):
                if message["family"] == family:
                    yield _route(message, version, names)

    def _route_fields(self, route: RouteEntry, table: int) -> dict[str, object]:
        fields: dict[str, object] = {
            "family": _FAMILIES[route.destination.version],
            "dst": str(route.destination),
            "table": table,
            "priority": route.metric,
            "proto": _RTPROT_KERNEL,
        }
        if route.link is None:
            return {**fields, "type": "throw" if route.throw else "blackhole"}
        fields["oif"] = self._index(route.link)
        if route.gateway is not None:
            fields["gateway"] = str(route.gateway)
        elif route.destination.version == 4:
            fields["scope"] = _RT_SCOPE_LINK
        if route.source is not None:
            fields["prefsrc"] = str(route.source)
        return fields

    # --- rules

    def _rules(self, table: int) -> Iterator[RuleEntry]:
        for family, version in _VERSIONS.items():
            for message in self._netlink.get_rules(family=family):
                if message["family"] == family and _is_own_rule(message, table):
                    yield _rule(message, version)


def _is_own_link(message: Any, name: str) -> bool:  # noqa: ANN401 - pyroute2's messages have no types
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info is not None else None
    return kind in _OWN_KINDS and name.startswith(OWN_LINKS)


def _route(message: Any, version: int, names: dict[int, str]) -> RouteEntry:  # noqa: ANN401
    target = message.get_attr("RTA_DST")
    gateway, source = message.get_attr("RTA_GATEWAY"), message.get_attr("RTA_PREFSRC")
    leads_nowhere = message["type"] in _TYPES.values()
    return RouteEntry(
        destination=ip_network(f"{target}/{message['dst_len']}" if target else _DEFAULTS[version]),
        link=None if leads_nowhere else names.get(message.get_attr("RTA_OIF"), "?"),
        metric=message.get_attr("RTA_PRIORITY") or 0,
        gateway=ip_address(gateway) if gateway else None,
        source=ip_address(source) if source else None,
        throw=message["type"] == _TYPES["throw"],
    )


def _is_own_rule(message: Any, table: int) -> bool:  # noqa: ANN401
    """Ours by its priority and protocol, and because it leads to our table or lets our replies in."""
    if message.get_attr("FRA_PRIORITY") not in _OWN_PRIORITIES:
        return False
    if message.get_attr("FRA_PROTOCOL") != _RTPROT_KERNEL:
        return False
    target = message.get_attr("FRA_TABLE")
    return target == table or (target == MAIN_TABLE and message.get_attr("FRA_UID_RANGE") is not None)


def _rule(message: Any, version: int) -> RuleEntry:  # noqa: ANN401
    suppressed = message.get_attr("FRA_SUPPRESS_PREFIXLEN")
    ports, users = message.get_attr("FRA_SPORT_RANGE"), message.get_attr("FRA_UID_RANGE")
    return RuleEntry(
        family=version,
        priority=message.get_attr("FRA_PRIORITY"),
        table=message.get_attr("FRA_TABLE"),
        mark=message.get_attr("FRA_FWMARK"),
        mark_mask=message.get_attr("FRA_FWMASK") or 0,
        unmarked=bool(message["flags"] & _FIB_RULE_INVERT),
        suppress_prefixlength=None if suppressed in (None, _NO_SUPPRESSION) else suppressed,
        source=_prefix(message, "FRA_SRC", "src_len"),
        destination=_prefix(message, "FRA_DST", "dst_len"),
        protocol=message.get_attr("FRA_IP_PROTO") or 0,
        source_ports=_range(ports) if ports else None,
        uid=_range(users)[0] if users else None,
    )


def _prefix(message: Any, attribute: str, length: str) -> Network | None:  # noqa: ANN401
    address = message.get_attr(attribute)
    return ip_network(f"{address}/{message[length]}") if address else None


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    return int(first), int(last)


def _rule_fields(rule: RuleEntry) -> dict[str, object]:
    fields: dict[str, object | None] = {
        "family": _FAMILIES[rule.family],
        "priority": rule.priority,
        "table": rule.table,
        "protocol": _RTPROT_KERNEL,
        "flags": _FIB_RULE_INVERT if rule.unmarked else 0,
        "fwmark": rule.mark,
        "fwmask": rule.mark_mask or None,
        "suppress_prefixlen": rule.suppress_prefixlength,
        "src": str(rule.source.network_address) if rule.source else None,
        "src_len": rule.source.prefixlen if rule.source else None,
        "dst": str(rule.destination.network_address) if rule.destination else None,
        "dst_len": rule.destination.prefixlen if rule.destination else None,
        "ip_proto": rule.protocol or None,
        "sport_range": "{}:{}".format(*rule.source_ports) if rule.source_ports else None,
        "uid_range": f"{rule.uid}:{rule.uid}" if rule.uid is not None else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _settings(keys: Collection[str]) -> Iterator[tuple[str, str]]:
    for key in keys:
        with suppress(OSError):  # of a link that is gone
            yield key, (_SYSCTLS / key).read_text().strip()
