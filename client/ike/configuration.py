"""The configuration payload from the client's side, RFC 7296 sections 2.19 and 3.15.

A reply may hold anything: unknown and unasked attributes, odd lengths, thousands of values.  What does not parse
is left out, what repeats is capped, and both are told; nothing of it can fail an IKE SA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Interface, ip_interface, ip_network
from typing import TypeVar

from .events import Address, Assigned, Interface, Network
from .payloads import Attribute, Configuration
from .registry import CfgAttribute, CfgType

ALL_ONES = 2**32 - 1
BROADCAST = IPv4Address(ALL_ONES)
MAX_VALUES = 64  # of one kind in one reply: more is a fault or an attack
MOST_READ = 4 * MAX_VALUES

Value = TypeVar("Value")


def build_request(*, ipv4: bool, ipv6: bool, wish: Iterable[Interface] = ()) -> Configuration:
    """CFG_REQUEST for the families wanted, with earlier addresses as a wish (C2)."""
    attributes = [_wish(interface) for interface in wish if (ipv4 if interface.version == 4 else ipv6)]
    asked = {attribute.type for attribute in attributes}
    names = []
    if ipv4:
        names += [
            CfgAttribute.INTERNAL_IP4_ADDRESS,
            CfgAttribute.INTERNAL_IP4_NETMASK,
            CfgAttribute.INTERNAL_IP4_DNS,
            CfgAttribute.INTERNAL_IP4_SUBNET,
        ]
    if ipv6:
        names += [
            CfgAttribute.INTERNAL_IP6_ADDRESS,
            CfgAttribute.INTERNAL_IP6_DNS,
            CfgAttribute.INTERNAL_IP6_SUBNET,
        ]
    names.append(CfgAttribute.INTERNAL_DNS_DOMAIN)
    attributes += [Attribute(name, b"") for name in names if name not in asked]
    return Configuration(CfgType.REQUEST, tuple(attributes))


def has_prefixed_dns(configuration: Configuration | None) -> bool:
    """Whether a name server's IPv6 address comes with a prefix length, as only our own address should."""
    attributes = () if configuration is None else configuration.attributes
    return any(a.type == CfgAttribute.INTERNAL_IP6_DNS and len(a.value) == 17 for a in attributes)


def parse_reply(
    configuration: Configuration | None, *, ipv4: bool, ipv6: bool, cuts_prefix: bool = False
) -> Assigned:
    """The usable content of a CFG_REPLY: addresses of the families asked for, nothing where none was (C3).

    With `cuts_prefix` the address of a name server may have a prefix length behind it.
    """
    if configuration is None or configuration.cfg_type != CfgType.REPLY or not (ipv4 or ipv6):
        return Assigned()
    reply = _Reply(configuration.attributes)
    return Assigned(
        addresses=(
            *reply.values(CfgAttribute.INTERNAL_IP4_ADDRESS, _ipv4_host)[: int(ipv4)],
            *reply.values(CfgAttribute.INTERNAL_IP6_ADDRESS, _ipv6_interface)[: int(ipv6)],
        ),
        dns=(
            *reply.values(CfgAttribute.INTERNAL_IP4_DNS, _ipv4),
            *reply.values(CfgAttribute.INTERNAL_IP6_DNS, _ipv6_prefixed if cuts_prefix else _ipv6),
        ),
        domains=reply.values(CfgAttribute.INTERNAL_DNS_DOMAIN, _domain),
        subnets=(
            *reply.values(CfgAttribute.INTERNAL_IP4_SUBNET, _ipv4_subnet),
            *reply.values(CfgAttribute.INTERNAL_IP6_SUBNET, _ipv6_subnet),
        ),
        ignored=tuple(reply.ignored),
    )


def _wish(interface: Interface) -> Attribute:
    if isinstance(interface, IPv6Interface):
        value = interface.ip.packed + bytes([interface.network.prefixlen])
        return Attribute(CfgAttribute.INTERNAL_IP6_ADDRESS, value)
    return Attribute(CfgAttribute.INTERNAL_IP4_ADDRESS, interface.ip.packed)


WORDS = {
    CfgAttribute.INTERNAL_IP4_ADDRESS: "inside addresses",
    CfgAttribute.INTERNAL_IP6_ADDRESS: "inside addresses of IPv6",
    CfgAttribute.INTERNAL_IP4_DNS: "name servers",
    CfgAttribute.INTERNAL_IP6_DNS: "name servers of IPv6",
    CfgAttribute.INTERNAL_DNS_DOMAIN: "domains",
    CfgAttribute.INTERNAL_IP4_SUBNET: "networks",
    CfgAttribute.INTERNAL_IP6_SUBNET: "networks of IPv6",
}


class _Reply:
    """The attributes of a reply; `ignored` says what of those that were read is of no use."""

    def __init__(self, attributes: tuple[Attribute, ...]) -> None:
        self._attributes = attributes
        self.ignored: list[str] = []

    def values(self, name: CfgAttribute, parse: Callable[[bytes], Value]) -> tuple[Value, ...]:
        """The usable values of one kind, each once."""
        given = [attribute.value for attribute in self._attributes if attribute.type == name]
        values: dict[Value, None] = {}
        odd = 0
        for value in given[:MOST_READ]:
            try:
                values[parse(value)] = None
            except ValueError:
                odd += 1  # no reason to refuse the others (C3)
        if odd:
            self.ignored.append(f"{odd} of the gateway's {WORDS[name]} make no sense, and are left out")
        kept = tuple(values)[:MAX_VALUES]
        if len(given) > MOST_READ or len(values) > MAX_VALUES:
            self.ignored.append(f"the gateway gives {len(given)} {WORDS[name]}: {len(kept)} are used")
        return kept


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise ValueError(f"{size} octets expected")
    return value


def _usable(address: Address) -> Address:
    if address.is_unspecified or address.is_multicast or address.is_loopback or address == BROADCAST:
        raise ValueError("not an address of a host")
    return address


def _ipv4(value: bytes) -> Address:
    return _usable(IPv4Address(_sized(value, 4)))


def _ipv6(value: bytes) -> Address:
    return _usable(IPv6Address(_sized(value, 16)))


def _ipv6_prefixed(value: bytes) -> Address:
    return _ipv6(value[:16] if len(value) == 17 else value)


def _ipv4_host(value: bytes) -> Interface:
    return ip_interface(_ipv4(value))


def _ipv6_interface(value: bytes) -> Interface:
    address = _ipv6_prefixed(value)
    prefix = _sized(value, 17)[16] if len(value) > 16 else 128
    return ip_interface((address.packed, prefix))


def _ipv4_subnet(value: bytes) -> Network:
    mask = int.from_bytes(_sized(value, 8)[4:])
    host_bits = (~mask & ALL_ONES).bit_length()
    if mask != ALL_ONES >> host_bits << host_bits:
        raise ValueError("a netmask with holes, or upside down")
    return ip_network((value[:4], 32 - host_bits), strict=False)


def _ipv6_subnet(value: bytes) -> Network:
    _sized(value, 17)
    return ip_network((value[:16], value[16]), strict=False)


def _domain(value: bytes) -> str:
    name = value.decode("ascii").rstrip(".").lower()
    labels = name.split(".")
    if len(name) > 253 or not all(_is_label(label) for label in labels):
        raise ValueError("not a domain name")
    return name


def _is_label(label: str) -> bool:
    return 0 < len(label) < 64 and all(letter.isalnum() or letter in "-_" for letter in label)
