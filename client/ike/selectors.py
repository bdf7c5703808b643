"""Traffic selectors: narrowing and its verification (RFC 7296 section 2.9)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, summarize_address_range

from .events import Address, Interface, Network, Selector

ANY_IPV4 = Selector(IPv4Address(0), IPv4Address(2**32 - 1))
ANY_IPV6 = Selector(IPv6Address(0), IPv6Address(2**128 - 1))


def selector_of(network: Network) -> Selector:
    """The selector of all packets to or from a network."""
    return Selector(network.network_address, network.broadcast_address)


def selectors_of_addresses(addresses: Iterable[Interface]) -> tuple[Selector, ...]:
    """One selector for each address alone."""
    return tuple(Selector(entry.ip, entry.ip) for entry in addresses)


def networks_of(selectors: Iterable[Selector]) -> tuple[Network, ...]:
    """The address ranges of selectors as prefixes, protocols and ports left aside."""
    return tuple(
        network
        for selector in selectors
        for network in summarize_address_range(selector.first, selector.last)
    )


def intersect(one: Selector, other: Selector) -> Selector | None:
    """What both selectors have in common, or None."""
    if one.first.version != other.first.version:
        return None
    if one.protocol and other.protocol and one.protocol != other.protocol:
        return None
    low, high = _overlap(int(one.first), int(one.last), int(other.first), int(other.last))
    low_port, high_port = _overlap(one.first_port, one.last_port, other.first_port, other.last_port)
    if low > high or low_port > high_port:
        return None
    return Selector(
        _address(low, one.first),
        _address(high, one.first),
        one.protocol or other.protocol,
        low_port,
        high_port,
    )


def narrow(offered: Iterable[Selector], wanted: Sequence[Selector]) -> tuple[Selector, ...]:
    """Every common part of two lists, without repetition: what a responder may choose."""
    common = (intersect(one, other) for one in offered for other in wanted)
    return tuple(dict.fromkeys(part for part in common if part is not None))


def is_within(selector: Selector, offered: Iterable[Selector]) -> bool:
    """Whether one of the offered selectors contains this one whole."""
    return any(intersect(selector, other) == selector for other in offered)


def all_within(chosen: Sequence[Selector], offered: Sequence[Selector]) -> bool:
    """Whether a choice is a non-empty subset of the offer: each part within one offered selector."""
    return bool(chosen) and all(is_within(selector, offered) for selector in chosen)


def _overlap(low: int, high: int, other_low: int, other_high: int) -> tuple[int, int]:
    return max(low, other_low), min(high, other_high)


def _address(value: int, like: Address) -> Address:
    return ip_address(value.to_bytes(len(like.packed)))
