"""The text of a resolv.conf(5).  Pure.

Such a file cannot split: the servers in it are asked for every name, the second one only if the first is silent.
So the tunnels' servers come first, the full tunnel's before all; where no tunnel is full, what stood there
follows them, for the time when a tunnel does not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from ...ike.events import Address
from .choice import HEADER
from .model import DnsConfig

_MOST_SERVERS = 3  # MAXNS of the C library
_MOST_SEARCHED = 6  # of libraries before 2.26, and of others


def servers_of(configs: Sequence[DnsConfig]) -> tuple[Address, ...]:
    """The servers of all tunnels, as many as can be used; a full tunnel's first."""
    ordered = [server for config in _full_first(configs) for server in _alternating(config.servers)]
    return tuple(dict.fromkeys(ordered))[:_MOST_SERVERS]


def searched(configs: Sequence[DnsConfig]) -> tuple[str, ...]:
    """The domains that single words are tried with."""
    names = (name for config in _full_first(configs) for name in config.search)
    return tuple(dict.fromkeys(names))[:_MOST_SEARCHED]


def render(configs: Sequence[DnsConfig], before: str) -> str:
    """Our text in the place of `before`; its options stay, and its search list where we have none."""
    links = ", ".join(config.link for config in configs)
    lines = [f"{HEADER} for {links}; what stood here before comes back on `roam down` or `roam cleanup`."]
    servers: tuple[str, ...] = tuple(map(str, servers_of(configs)))
    if not any(config.default_route for config in configs):
        servers = tuple(dict.fromkeys((*servers, *nameservers(before))))[:_MOST_SERVERS]
    lines += [f"nameserver {server}" for server in servers]
    names = searched(configs) or _search_list(before)
    lines += [f"search {' '.join(names)}"] if names else []
    options = [option for option in _words(before, "options") if option != "trust-ad"]
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join(lines) + "\n"


def entry(config: DnsConfig) -> str:
    """One tunnel's contribution, as resolvconf(8) takes it."""
    lines = [f"nameserver {server}" for server in _alternating(config.servers)]
    lines += [f"search {' '.join(config.search)}"] if config.search else []
    return "\n".join(lines) + "\n"


def _full_first(configs: Sequence[DnsConfig]) -> list[DnsConfig]:
    return sorted(configs, key=lambda config: not config.default_route)


def _alternating(servers: Sequence[Address]) -> Iterable[Address]:
    """The families by turns: three servers of one family must not crowd the other out."""
    families = [[server for server in servers if server.version == version] for version in (4, 6)]
    for rank in range(max(map(len, families))):
        yield from (family[rank] for family in families if rank < len(family))


def nameservers(text: str) -> list[str]:
    """The addresses of a text's `nameserver` lines; anything else is left out."""
    found = []
    for word in _words(text, "nameserver"):
        try:
            found.append(str(ip_address(word)))
        except ValueError:
            continue
    return found


def _search_list(text: str) -> tuple[str, ...]:
    """The last `search` or `domain` line counts, as the C library has it."""
    lines = [line.split() for line in text.splitlines()]
    lists = [words[1:] for words in lines if words and words[0] in ("search", "domain")]
    return tuple(lists[-1]) if lists else ()


def _words(text: str, keyword: str) -> list[str]:
    lines = (line.split() for line in text.splitlines())
    return [word for words in lines if words and words[0] == keyword for word in words[1:]]
