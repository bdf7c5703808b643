"""What a namespace looks like, as sorted lines of text, so that "nothing was left behind" is a comparison.

Counters, ages and lifetimes are left out: they change by themselves.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.nftables.main import NFTables

from .namespaces import Namespace
from .xfrm_dump import xfrm_lines

RESOLV_CONF = Path("/etc/resolv.conf")

_IFF_UP = 1
_RTM_F_CLONED = 0x200  # a cached exception (path MTU), not a route that somebody made
_NFPROTO_UNSPEC = 0
_ROUTE_TYPES = (
    "",
    "",
    "local ",
    "broadcast ",
    "anycast ",
    "multicast ",
    "blackhole ",
    "unreachable ",
    "prohibit ",
    "throw ",
)
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_NO_SUPPRESSION = 0xFFFFFFFF
_VOLATILE_SETTINGS = frozenset({"nf_conntrack_count", "route_flush", "flush"})
_VOLATILE_ATTRIBUTES = ("_handle", "counter_bytes", "counter_packets", "_use", "_position")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sections such as "routes" with their sorted lines."""

    sections: Mapping[str, tuple[str, ...]]

    def as_json(self) -> dict[str, list[str]]:
        """For a report."""
        return {name: list(lines) for name, lines in self.sections.items()}


def snapshot(namespace: Namespace, files: Iterable[Path] = (RESOLV_CONF,)) -> Snapshot:
    """Everything in `namespace` that a VPN client changes, and the contents of `files` as hashes."""
    sections = namespace.run(lambda: {name: _sorted(read()) for name, read in _READERS.items()})
    return Snapshot({**sections, "files": _sorted(_file_line(path) for path in files)})


def difference(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Lines such as "routes: + default dev roam0 table 29440"; empty when nothing differs."""
    lines: list[str] = []
    for name, old in before.sections.items():
        lines += _changes(name, old, after.sections.get(name, ()))
    return tuple(lines)


def _changes(section: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    if section == "settings":  # those of a link come and go with it, and the link has a line of its own
        common = {_setting(line) for line in old} & {_setting(line) for line in new}
        old, new = ([line for line in lines if _setting(line) in common] for lines in (old, new))
    yield from (f"{section}: - {line}" for line in old if line not in new)
    yield from (f"{section}: + {line}" for line in new if line not in old)


def _setting(line: str) -> str:
    return line.partition(" = ")[0]


def _sorted(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(lines))


def _links() -> Iterator[str]:
    with IPRoute() as netlink:
        for message in netlink.get_links():
            info = message.get_attr("IFLA_LINKINFO")
            kind = info.get_attr("IFLA_INFO_KIND") if info is not None else "-"
            state = "up" if message["flags"] & _IFF_UP else "down"
            name, mtu = message.get_attr("IFLA_IFNAME"), message.get_attr("IFLA_MTU")
            yield f"{name} {kind} mtu {mtu} {state} {message.get_attr('IFLA_ADDRESS') or ''}".rstrip()


def _addresses() -> Iterator[str]:
    with IPRoute() as netlink:
        names = _names(netlink)
        for message in netlink.get_addr():
            address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            yield f"{names[message['index']]} {address}/{message['prefixlen']}"


def _routes() -> Iterator[str]:
    with IPRoute() as netlink:
        names = _names(netlink)
        for version, family in _FAMILIES.items():
            for message in netlink.get_routes(family=family):
                if not message["flags"] & _RTM_F_CLONED:
                    yield _route_line(version, message, names)


def _route_line(version: int, message: Any, names: Mapping[int, str]) -> str:  # noqa: ANN401 - pyroute2's message
    attributes = dict(message["attrs"])
    destination = attributes.get("RTA_DST")
    target = f"{destination}/{message['dst_len']}" if destination else f"default IPv{version}"
    link = attributes.get("RTA_OIF")
    words = {
        "via": attributes.get("RTA_GATEWAY"),
        "dev": names.get(link) if link else None,
        "src": attributes.get("RTA_PREFSRC"),
        "metric": attributes.get("RTA_PRIORITY"),
        "nexthops": attributes.get("RTA_MULTIPATH"),
        "proto": message["proto"],
        "table": attributes.get("RTA_TABLE"),
    }
    described = " ".join(f"{word} {value}" for word, value in words.items() if value)
    return f"{_ROUTE_TYPES[message['type']]}{target} {described}"


def _rules() -> Iterator[str]:
    with IPRoute() as netlink:
        for version, family in _FAMILIES.items():
            for message in netlink.get_rules(family=family):
                attributes = sorted(dict(message["attrs"]).items())
                shown = {key.removeprefix("FRA_").lower(): value for key, value in attributes}
                if shown.get("suppress_prefixlen") == _NO_SUPPRESSION:
                    del shown["suppress_prefixlen"]
                words = " ".join(f"{key} {value}" for key, value in shown.items())
                yield f"IPv{version} action {message['action']} flags {message['flags']} {words}"


def _names(netlink: IPRoute) -> dict[int, str]:
    return {message["index"]: message.get_attr("IFLA_IFNAME") for message in netlink.get_links()}


def _nftables() -> Iterator[str]:
    nft = NFTables(nfgen_family=_NFPROTO_UNSPEC)
    try:
        for kind, read in (("table", nft.get_tables), ("chain", nft.get_chains), ("rule", nft.get_rules)):
            for message in read():
                yield f"{kind} family {message['nfgen_family']} {json.dumps(_attributes(message))}"
    finally:
        nft.close()


def _attributes(message: Any) -> dict[str, object]:  # noqa: ANN401 - pyroute2's message
    """An nftables message without handles and counters, which differ between equal rulesets."""
    named = {slot[0].partition("_")[2].lower(): slot[1] for slot in message["attrs"]}
    return {name: _plain(value) for name, value in named.items() if not name.endswith(_VOLATILE_ATTRIBUTES)}


def _plain(value: Any) -> object:  # noqa: ANN401 - an attribute of any shape
    if isinstance(value, Mapping) and "attrs" in value:
        return _attributes(value)
    if isinstance(value, (list, tuple, frozenset)):
        return (
            [_plain(item) for item in value] if not isinstance(value, frozenset) else sorted(map(str, value))
        )
    return value if isinstance(value, (int, str)) else str(value)


def _settings() -> Iterator[str]:
    """The namespace's own sysctls; the kernel shows each thread those of its own namespace."""
    root = Path("/proc/sys/net")
    for directory, _, names in os.walk(root):
        for name in names:
            if name not in _VOLATILE_SETTINGS:
                path = Path(directory, name)
                with suppress(OSError):  # write-only, or for the machine's root alone
                    value = " ".join(path.read_text().split())
                    yield f"{'.'.join(path.relative_to('/proc/sys').parts)} = {value}"


def _file_line(path: Path) -> str:
    link = f" -> {path.readlink()}" if path.is_symlink() else ""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError:
        digest = "absent"
    return f"{path}{link} {digest}"


_READERS: Mapping[str, Callable[[], Iterable[str]]] = {
    "links": _links,
    "addresses": _addresses,
    "routes": _routes,
    "rules": _rules,
    "nftables": _nftables,
    "xfrm": xfrm_lines,
    "settings": _settings,
}
