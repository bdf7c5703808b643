"""What name resolution should be: frozen values, checked once, whoever they come from.  Pure.

A gateway can send anything, and so can whoever reaches the socket of `roam-dns`.  Therefore a `DnsConfig` cannot
be made with a value that would mean something else in a file or to a resolver; `wanted` leaves such values out
and says which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ...ike.events import Address, Assigned
from ...tunnel.model import OWN_LINKS, OverTls

MOST_SERVERS = 3
"""Of each family; what resolv.conf(5) takes at all."""
MOST_DOMAINS = 32
"""Of each kind.  The C library reads more since 2.26; a gateway with more is at fault."""
MOST_LINKS = 16

TLS_MODES = ("no", "opportunistic", "yes")

EVERYTHING = "."
"""As a domain: all names."""

_LINK = re.compile(rf"{OWN_LINKS}[0-9a-z_-]{{0,{15 - len(OWN_LINKS)}}}")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LONGEST_NAME = 253  # characters, RFC 1035 section 2.3.4 without the root's
_SPECIAL = frozenset({"local", "localhost", "onion", "invalid"})
"""Names that no server is asked for: RFC 6761, RFC 6762 section 3, RFC 7686.  Those below `local` are."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """What one of our links does for name resolution.

    Names in `search` are tried behind single words, and asked of these servers; those in `route_only` are asked of
    these servers without being tried; with `default_route` so is every other name.  `over_tls` is one of
    `TLS_MODES`; empty: as the machine has it for all links.  Raises `ValueError`.
    """

    link: str
    servers: tuple[Address, ...]
    search: tuple[str, ...] = ()
    route_only: tuple[str, ...] = ()
    default_route: bool = True
    over_tls: str = ""

    def __post_init__(self) -> None:
        if self.over_tls and self.over_tls not in TLS_MODES:
            raise ValueError(f"{self.over_tls!r} is no way to use DNS over TLS")
        if not is_own_link(self.link):
            raise ValueError(f"{self.link!r} is not a link of ours")
        if not self.servers:
            raise ValueError("no name server")
        for version in (4, 6):
            if sum(server.version == version for server in self.servers) > MOST_SERVERS:
                raise ValueError(f"more than {MOST_SERVERS} name servers with IPv{version} addresses")
        for names in (self.search, self.route_only):
            if len(names) > MOST_DOMAINS:
                raise ValueError(f"more than {MOST_DOMAINS} domains")
        for value in self.servers:
            check_server(value)
        for name in (*self.search, *self.route_only):
            if domain(name) != name:
                raise ValueError(f"{name!r} is not in its plain form")

    def __str__(self) -> str:
        """In the notation of resolvectl(1): `~` marks a domain that is not searched."""
        words = [*map(str, self.servers), *self.search, *(f"~{name}" for name in self.route_only)]
        return f"{self.link}: {' '.join(words)}{' ~.' if self.default_route else ''}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A configuration, if any, and one sentence for each thing that was left out of it."""

    config: DnsConfig | None
    remarks: tuple[str, ...] = ()


def wanted(
    link: str,
    assigned: Assigned,
    *,
    full: bool,
    servers: Sequence[Address] = (),
    search: Sequence[str] = (),
    route_only: Sequence[str] = (),
    over_tls: OverTls = "auto",
) -> Wanted:
    """What a tunnel that stands on `link` should do.

    `servers`, `search` and `route_only` are the profile's.  Its servers take the place of the gateway's; the
    gateway's domains (RFC 8598) are asked of the servers and never searched, so that a gateway cannot make
    single words mean something else.  Servers that only the gateway names, without any domain, are used by a full
    tunnel alone: a split one would divert every name to them, or none.

    What goes to the gateway's servers is protected by the tunnel as far as the gateway, and they rarely speak TLS:
    with `auto` none is asked for, though the machine insists on it for the networks that it is in.
    """
    remarks: list[str] = []
    usable = _usable(check_server, servers or assigned.dns, remarks)
    kept = [server for version in (4, 6) for server in _first(usable, version, remarks)]
    searched = _capped(_usable(domain, search, remarks), remarks)
    routed = _usable(domain, [*route_only, *assigned.domains], remarks)
    routed = _capped([name for name in routed if name not in searched], remarks)
    if not kept:
        return Wanted(None, (*remarks, "no name server is given") if searched or routed else tuple(remarks))
    has_domains = bool(searched or routed)
    if not (full or has_domains or servers):
        reason = "the gateway names servers but no domains: name them in `search` or `route_only` of [dns]"
        return Wanted(None, (*remarks, reason))
    tls = ("" if servers else "no") if over_tls == "auto" else "" if over_tls == "system" else over_tls
    config = DnsConfig(link, tuple(kept), tuple(searched), tuple(routed), full or not has_domains, tls)
    return Wanted(config, tuple(remarks))


def is_own_link(name: str) -> bool:
    """Whether a link of this name can only be ours."""
    return _LINK.fullmatch(name) is not None


def check_server(address: Address) -> Address:
    """The address again, if a name server beyond our own links can have it; else `ValueError`."""
    if address.is_unspecified or address.is_loopback or address.is_multicast or address.is_reserved:
        raise ValueError(f"{address} is no name server's address")
    if address.is_link_local or getattr(address, "scope_id", None) is not None:
        raise ValueError(f"the name server {address} is on the local link, not behind the tunnel")
    return address


def domain(text: str) -> str:
    """A domain in its plain form: ASCII (RFC 5890), lower case, without the last dot.  Raises `ValueError`."""
    shown = repr(text[:64])
    try:
        plain = text.removesuffix(".").encode("idna").decode().lower()
    except UnicodeError:
        raise ValueError(f"{shown} is not a domain") from None
    labels = plain.split(".")
    if len(plain) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        raise ValueError(f"{shown} is not a domain")
    if plain in _SPECIAL or labels[-1] in _SPECIAL - {"local"}:
        raise ValueError(f"{shown} is not a domain that servers are asked for")
    return plain


def _usable(check: Callable[[_Value], _Value], values: Iterable[_Value], remarks: list[str]) -> list[_Value]:
    """What passes `check`, each once; the first few refusals are remarked."""
    passed: dict[_Value, None] = {}
    refused: list[str] = []
    for value in values:
        try:
            passed[check(value)] = None
        except ValueError as error:
            refused.append(str(error))
    remarks += refused[:3]
    if len(refused) > 3:
        remarks.append(f"and {len(refused) - 3} more like these")
    return list(passed)


def _first(servers: Iterable[Address], version: int, remarks: list[str]) -> list[Address]:
    of_family = [server for server in servers if server.version == version]
    if len(of_family) > MOST_SERVERS:
        remarks.append(f"{len(of_family)} name servers with IPv{version} addresses: {MOST_SERVERS} are used")
    return of_family[:MOST_SERVERS]


def _capped(names: list[str], remarks: list[str]) -> list[str]:
    if len(names) > MOST_DOMAINS:
        remarks.append(f"{len(names)} domains: {MOST_DOMAINS} are used")
    return names[:MOST_DOMAINS]
