"""A packet filter as values: what the guard lets through, hook by hook, in the words of nft(8).  Pure.

`client.tunnel.guard` makes such rules, `client.system.nft` gives them to the kernel.  The first rule of a chain
whose matches all hold decides; a packet that no rule decides goes on.  Going on is no permission: other programs'
tables are asked too, and each of them may drop.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from ..ike.events import Address, Network


class Chain(Enum):
    """Where rules stand, and so which packets they see."""

    PREROUTING = "prerouting"  # everything that comes in, before anything is made of it
    INPUT = "input"  # for this machine
    FORWARD_FROM = "forward_from"  # on its way through this machine, judged by where it comes from
    FORWARD_TO = "forward_to"  # the same, by where it goes
    POSTROUTING = "postrouting"  # everything that goes out, its way found
    SIZE_IN = "size_in"  # everything that comes in: how large TCP may make what it answers with
    SIZE_OUT = "size_out"  # everything that goes out, likewise
    ASKED = "asked"  # ARP that comes in


class End(Enum):
    """Which end of a packet: its source or its destination."""

    SOURCE = "s"
    DESTINATION = "d"


@dataclass(frozen=True, slots=True)
class Came:
    """In over this link, or over any but this one."""

    link: str
    other: bool = False

    def __str__(self) -> str:
        return f"iifname {'!= ' if self.other else ''}{self.link}"


@dataclass(frozen=True, slots=True)
class Leaves:
    """Out over this link, or over any but this one."""

    link: str
    other: bool = False

    def __str__(self) -> str:
        return f"oifname {'!= ' if self.other else ''}{self.link}"


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Not ours: it came in over a link."""

    def __str__(self) -> str:
        return "meta iif != 0"


@dataclass(frozen=True, slots=True)
class Family:
    """IPv4 or IPv6."""

    version: int

    def __str__(self) -> str:
        return f"meta nfproto ipv{self.version}"


@dataclass(frozen=True, slots=True)
class Protocol:
    """The transport protocol, behind extension headers too."""

    number: int

    def __str__(self) -> str:
        return f"meta l4proto {self.number}"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of TCP or UDP, which a `Protocol` before must have made sure of."""

    end: End
    first: int
    last: int

    def __str__(self) -> str:
        return f"th {self.end.value}port {_span(self.first, self.last)}"


@dataclass(frozen=True, slots=True)
class Syn:
    """TCP that begins a connection, which a `Protocol` before must have made sure of."""

    def __str__(self) -> str:
        return "tcp flags & (syn | rst) == syn"


@dataclass(frozen=True, slots=True)
class In:
    """One of its addresses lies in a network."""

    end: End
    network: Network

    def __str__(self) -> str:
        return f"{_ip(self.network.version)} {self.end.value}addr {self.network}"


@dataclass(frozen=True, slots=True)
class AsksFor:
    """ARP that wants to know who has an address."""

    address: IPv4Address

    def __str__(self) -> str:
        return f"arp daddr ip {self.address}"


@dataclass(frozen=True, slots=True)
class Guarded:
    """One of its addresses lies in what is guarded of this family (`RuleSet.guarded`)."""

    end: End
    version: int

    def __str__(self) -> str:
        return f"{_ip(self.version)} {self.end.value}addr @guarded{self.version}"


@dataclass(frozen=True, slots=True)
class Marked:
    """Its mark is this one."""

    mark: int
    mask: int

    def __str__(self) -> str:
        return f"meta mark & {self.mask:#x} == {self.mark:#x}"


@dataclass(frozen=True, slots=True)
class OfUser:
    """It comes from a socket that this uid has opened."""

    uid: int

    def __str__(self) -> str:
        return f"meta skuid {self.uid}"


@dataclass(frozen=True, slots=True)
class Control:
    """An ICMP message of these types, or (version 6) an ICMPv6 one."""

    version: int
    first: int
    last: int

    def __str__(self) -> str:
        return f"{'icmp' if self.version == 4 else 'icmpv6'} type {_span(self.first, self.last)}"


@dataclass(frozen=True, slots=True)
class Unrouted:
    """IPv6 that no router has passed on: its hop limit is 255 (RFC 4861 section 3.1)."""

    def __str__(self) -> str:
        return "ip6 hoplimit 255"


@dataclass(frozen=True, slots=True)
class Protected:
    """The kernel's IPsec will make ESP of it, which comes by here once more."""

    def __str__(self) -> str:
        return "rt ipsec exists"


@dataclass(frozen=True, slots=True)
class Until:
    """Before this time, in Unix seconds."""

    time: int

    def __str__(self) -> str:
        return f"meta time < {self.time}"


Match = (
    Came
    | Leaves
    | Forwarded
    | Family
    | Protocol
    | Ports
    | Syn
    | In
    | AsksFor
    | Guarded
    | Marked
    | OfUser
    | Control
    | Unrouted
    | Protected
    | Until
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Packets of `chain` for which all `matches` hold may pass, or are dropped; `why` is shown with the rule.

    `optional`: where the kernel cannot express it, the others do without.  Only rules that let through may be, and
    those about ARP.  With `mss` it decides nothing, but has TCP send segments of at most so many octets.
    """

    chain: Chain
    matches: tuple[Match, ...]
    passes: bool
    why: str
    optional: bool = False
    mss: int = 0

    def __str__(self) -> str:
        verdict = "accept" if self.passes else "drop"
        if self.mss:
            verdict = f"tcp option maxseg size set {self.mss}"
        return " ".join([self.chain.value, *(str(match) for match in self.matches), verdict])


@dataclass(frozen=True, slots=True)
class Span:
    """Addresses from the first to the last, both of one family."""

    first: Address
    last: Address

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One table: all rules in order, and the addresses that `Guarded` means."""

    rules: tuple[Rule, ...]
    guarded: tuple[Span, ...] = ()

    def __str__(self) -> str:
        return f"guard of {len(self.rules)} rules"

    def without_arp(self) -> RuleSet:
        """What remains for a kernel that does not filter ARP."""
        return RuleSet(tuple(rule for rule in self.rules if rule.chain is not Chain.ASKED), self.guarded)

    def without_optional(self) -> RuleSet:
        """What remains for a kernel that cannot express all."""
        return RuleSet(tuple(rule for rule in self.rules if not rule.optional), self.guarded)


def _ip(version: int) -> str:
    return "ip" if version == 4 else "ip6"


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
