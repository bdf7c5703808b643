"""A packet filter of paper: what a rule set says to a packet, rule by rule, as the kernel would."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from client.tunnel.ruleset import (
    AsksFor,
    Came,
    Chain,
    Control,
    End,
    Family,
    Forwarded,
    Guarded,
    In,
    Leaves,
    Marked,
    Match,
    OfUser,
    Ports,
    Protected,
    Protocol,
    RuleSet,
    Syn,
    Unrouted,
    Until,
)

NOW = 1_800_000_000
TCP, UDP, ICMP, ICMP6, ESP = 6, 17, 1, 58, 50


@dataclass(frozen=True)
class Packet:
    """One packet; `came` and `leaves` are the links, "" for where it begins or ends here."""

    source: str
    destination: str
    protocol: int = UDP
    ports: tuple[int, int] = (40000, 4433)
    came: str = ""
    leaves: str = ""
    uid: int = 1000
    mark: int = 0
    control: int = 128  # type of an ICMP message
    hops: int = 64
    is_protected: bool = False
    at: int = NOW

    @property
    def version(self) -> int:
        return ip_address(self.source).version

    @property
    def chains(self) -> tuple[Chain, ...]:
        """Where it comes by."""
        if not self.leaves:
            return (Chain.PREROUTING, Chain.INPUT)
        if not self.came:
            return (Chain.POSTROUTING,)
        return (Chain.PREROUTING, Chain.FORWARD_FROM, Chain.FORWARD_TO, Chain.POSTROUTING)

    def address(self, end: End) -> str:
        return self.source if end is End.SOURCE else self.destination


def passes(rules: RuleSet | None, packet: Packet) -> bool:
    """Whether it comes through all its chains."""
    return rules is None or all(_passes(rules, chain, packet) for chain in packet.chains)


def _passes(rules: RuleSet, chain: Chain, packet: Packet) -> bool:
    for rule in rules.rules:
        if rule.chain is chain and all(_holds(match, packet, rules) for match in rule.matches):
            return rule.passes
    return True


def _holds(match: Match, packet: Packet, rules: RuleSet) -> bool:
    match match:
        case Came(link, other):
            return (packet.came == link) is not other
        case Leaves(link, other):
            return (packet.leaves == link) is not other
        case Forwarded():
            return bool(packet.came)
        case Family(version):
            return packet.version == version
        case Protocol(number):
            return packet.protocol == number
        case Ports(end, first, last):
            return first <= packet.ports[end is End.DESTINATION] <= last
        case In(end, network):
            return ip_address(packet.address(end)) in network
        case Guarded(end, version):
            address = ip_address(packet.address(end))
            spans = (span for span in rules.guarded if span.first.version == version == address.version)
            return any(int(span.first) <= int(address) <= int(span.last) for span in spans)
        case Marked(mark, mask):
            return packet.mark & mask == mark
        case OfUser(uid):
            return not packet.came and packet.uid == uid
        case Control(version, first, last):
            number = ICMP if version == 4 else ICMP6
            return packet.protocol == number and first <= packet.control <= last
        case Unrouted():
            return packet.version == 6 and packet.hops == 255
        case Protected():
            return packet.is_protected
        case Until(time):
            return packet.at < time
        case Syn():
            return False  # rules about sizes let everything pass
        case AsksFor():
            return False  # that is ARP, and no packet of IP
