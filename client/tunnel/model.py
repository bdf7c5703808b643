"""Frozen values of the tunnel layer: the network as it is, and the system as it should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..ike.events import Address, Assigned, Interface, Network, Selector
from .ruleset import RuleSet

OverTls = Literal["auto", "system", "no", "opportunistic", "yes"]
Forward = Literal["tunnelled", "blocked", "allowed"]
"""What becomes of selected packets that this machine forwards for others."""


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface."""

    index: int
    name: str
    up: bool  # administratively up and with a carrier
    mtu: int = 1500
    kind: str = ""  # "wifi", "ethernet", "wwan", "tun", "loopback", … as far as known


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """An address on an interface; tentative and deprecated ones are left out of a snapshot."""

    link: int
    interface: Interface


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the main table."""

    destination: Network
    link: int
    gateway: Address | None = None
    metric: int = 0
    source: Address | None = None
    protocol: int = 0


@dataclass(frozen=True, slots=True)
class NetworkState:
    """One snapshot of links, addresses and main-table routes, without Roam's own."""

    links: tuple[Link, ...] = ()
    addresses: tuple[LinkAddress, ...] = ()
    routes: tuple[Route, ...] = ()

    def link(self, index: int) -> Link | None:
        """The link with this index."""
        return next((link for link in self.links if link.index == index), None)

    def has_address(self, address: Address) -> bool:
        """Whether `address` is on a link that is up."""
        return any(
            entry.interface.ip == address and (link := self.link(entry.link)) is not None and link.up
            for entry in self.addresses
        )


@dataclass(frozen=True, slots=True)
class NetworkChange:
    """Two successive snapshots."""

    old: NetworkState
    new: NetworkState

    def address_gone(self, address: Address) -> bool:
        """Whether `address` was usable before and is not now."""
        return not self.new.has_address(address)


@dataclass(frozen=True, slots=True)
class Underlay:
    """A choice of outer addresses: what a `Path` is opened from."""

    interface: str
    local: Address
    remote: Address


@dataclass(frozen=True, slots=True)
class TunnelConfig:
    """What the user wants of one tunnel, apart from IKE itself (made by `client.config`)."""

    name: str
    gateways: tuple[str, ...]  # names or literals, in order of preference
    port: int = 500
    full: bool = True
    include: tuple[Network, ...] = ()  # split: these and what the gateway assigns
    exclude: tuple[Network, ...] = ()
    use_ts_from_gateway: bool = True
    allow_lan: bool = True
    block_other_families: bool = True
    guard: bool = True
    mtu: int | None = None
    forward: Forward = "tunnelled"
    dns_servers: tuple[Address, ...] = ()  # in place of those that the gateway assigns
    dns_search: tuple[str, ...] = ()
    dns_route_only: tuple[str, ...] = ()
    dns_over_tls: OverTls = "auto"


@dataclass(frozen=True, slots=True)
class Lockdown:
    """The guard stands for everything, also while no tunnel is wanted."""

    allow_lan: bool = True


@dataclass(frozen=True, slots=True)
class PortalPass:
    """A way out for one user's browser, to log in to a network; and for anybody's questions to its resolvers."""

    uid: int
    resolvers: tuple[Address, ...]
    until: int  # Unix seconds


@dataclass(frozen=True, slots=True)
class Stance:
    """How the machine stands apart from its tunnels; `uid` is whose marked sockets are ours."""

    uid: int = 0
    lockdown: Lockdown | None = None
    portal: PortalPass | None = None


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """A route that should exist in Roam's own table.

    `link` None makes it a blackhole, or with `throw` a hole: such packets look further, in the main table.
    """

    destination: Network
    link: str | None
    metric: int = 0
    gateway: Address | None = None
    source: Address | None = None
    throw: bool = False

    def __str__(self) -> str:
        """As ip-route(8) writes it."""
        kind = "" if self.link is not None else "throw " if self.throw else "blackhole "
        options = {"via": self.gateway, "dev": self.link, "src": self.source, "metric": self.metric or None}
        return f"{kind}{self.destination}{_words(options)}"


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """A routing policy rule that should exist, `protocol kernel`."""

    family: int  # 4 or 6
    priority: int
    table: int
    mark: int | None = None  # the rule is for packets that do *not* carry this mark, where `unmarked`
    mark_mask: int = 0
    unmarked: bool = False
    suppress_prefixlength: int | None = None
    source: Network | None = None
    destination: Network | None = None
    protocol: int = 0  # of the transport layer; 0 is any
    source_ports: tuple[int, int] | None = None  # first and last
    destination_ports: tuple[int, int] | None = None
    uid: int | None = None
    came: str | None = None  # the link that it came in over; "lo" for our own packets

    def __str__(self) -> str:
        """As ip-rule(8) writes it."""
        options = {
            "from": self.source,
            "to": self.destination,
            "iif": self.came,
            "fwmark": None if self.mark is None else f"{self.mark:#x}/{self.mark_mask:#x}",
            "uidrange": None if self.uid is None else f"{self.uid}-{self.uid}",
            "ipproto": self.protocol or None,
            "sport": None if self.source_ports is None else "{}-{}".format(*self.source_ports),
            "dport": None if self.destination_ports is None else "{}-{}".format(*self.destination_ports),
            "lookup": self.table,
            "suppress_prefixlength": self.suppress_prefixlength,
        }
        return f"IPv{self.family} {self.priority}:{' not' if self.unmarked else ''}{_words(options)}"


@dataclass(frozen=True, slots=True)
class LinkEntry:
    """Roam's own link of one tunnel with its inside addresses."""

    name: str
    mtu: int
    addresses: tuple[Interface, ...]


@dataclass(frozen=True, slots=True)
class SystemConfig:
    """What the machine should look like: the input of `client.system.reconcile`."""

    links: tuple[LinkEntry, ...] = ()
    rules: tuple[RuleEntry, ...] = ()
    routes: tuple[RouteEntry, ...] = ()
    table: int = 29440
    sysctls: tuple[tuple[str, str], ...] = ()
    guard: RuleSet | None = None
    coming: frozenset[str] = frozenset()
    """Links that a data path may make at any moment: noted as ours before that."""
    loose: tuple[str, ...] = ()
    """Uplinks over which answers come in, though the network may prefer another: no strict reverse path filter."""
    fail_closed: bool = False
    """What closes is wanted by itself, and stays whatever else fails: under lockdown."""


@dataclass(frozen=True, slots=True)
class TunnelUp:
    """What a running tunnel contributes to the machine's configuration."""

    link: str
    assigned: Assigned
    remote_selectors: tuple[Selector, ...] = field(default=())
    resolvers: tuple[Address, ...] = ()
    """The name servers that this machine asks through it: some of those assigned, or the user's own."""
    remarks: tuple[str, ...] = field(default=(), compare=False)
    """What of the assignment is not used, and why."""
    offered: Assigned | None = field(default=None, compare=False)
    """The whole assignment, where not all of it is used."""
    spared: tuple[Network, ...] = ()
    """Local networks that the gateway cannot claim: only the user can have them through the tunnel."""
    mtu: int | None = None
    """The largest packet that its path carries, as far as that is known."""


def _words(options: Mapping[str, object | None]) -> str:
    return "".join(f" {word} {value}" for word, value in options.items() if value is not None)


MARK = 0x7300
MARK_MASK = 0xFF00
TABLE = 29440
RULE_PRIORITY = 7300  # the first of ten that are ours
MAIN_TABLE = 254
OWN_LINKS = "roam"  # how the names of our own links begin
SOURCE_PORTS = (61440, 62463)
"""Where our marked sockets bind: above the ports that Linux gives to programs which ask for none."""
