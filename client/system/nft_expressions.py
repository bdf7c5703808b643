"""What a rule of nftables is made of: small expressions that pass values on in a register.

One loads a field of the packet, the next compares it, as nft(8) writes them.  Numbers are in network order, unless
the kernel itself compares them in its own: marks, uids, indices.
"""

from __future__ import annotations

import sys
from typing import assert_never

from ..ike.events import Network
from ..tunnel.ruleset import (
    AsksFor,
    Came,
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
    Syn,
    Unrouted,
    Until,
)
from .nft_wire import attribute, nest, number, text

_REGISTER, _VERDICT = 1, 0
_IPV4, _IPV6 = 2, 10  # NFPROTO_…
_MARK, _IIF, _IIFNAME, _OIFNAME, _SKUID, _NFPROTO, L4PROTO, _TIME = 3, 4, 6, 7, 10, 15, 16, 30  # NFT_META_…
_NETWORK, TRANSPORT = 1, 2  # NFT_PAYLOAD_…_HEADER
EQUAL, _OTHER, _LESS, _MOST, _LEAST = 0, 1, 2, 3, 5  # NFT_CMP_…: ==, !=, <, <=, >=
_RT_XFRM = 4
_HOST_TO_NETWORK = 1
_TCP_FLAGS, _SYN, _RST = 13, 0x02, 0x04  # offset of the octet, and two of its bits (RFC 9293 section 3.1)
_MAXSEG, _TCP_OPTION = 2, 1  # kind of the option; NFT_EXTHDR_OP_TCPOPT
_ADDRESSES = {4: (12, 16, 4), 6: (8, 24, 16)}  # offsets of source and destination, size
_ARP_TARGET = 24  # offset of the address asked for, with Ethernet's addresses before it
_ICMP = {4: 1, 6: 58}
_NAME_SIZE = 16


def expressions(match: Match) -> tuple[bytes, ...]:
    """What compares a packet with this, and ends the rule where it differs."""
    match match:
        case Came(link, other):
            return meta(_IIFNAME), compare(_OTHER if other else EQUAL, _link(link))
        case Leaves(link, other):
            return meta(_OIFNAME), compare(_OTHER if other else EQUAL, _link(link))
        case Forwarded():
            return meta(_IIF), compare(_OTHER, bytes(4))
        case Family(version):
            return meta(_NFPROTO), compare(EQUAL, bytes([_IPV4 if version == 4 else _IPV6]))
        case Protocol(code):
            return meta(L4PROTO), compare(EQUAL, bytes([code]))
        case Ports(end, first, last):
            field = payload(TRANSPORT, 0 if end is End.SOURCE else 2, 2)
            return (field, *_between(first.to_bytes(2), last.to_bytes(2)))
        case Syn():
            flags = payload(TRANSPORT, _TCP_FLAGS, 1)
            return flags, _masked(bytes([_SYN | _RST])), compare(EQUAL, bytes([_SYN]))
        case In(end, network):
            return (*_address(network.version, end), *_within(network))
        case AsksFor(address):
            return payload(_NETWORK, _ARP_TARGET, 4), compare(EQUAL, address.packed)
        case Guarded(end, version):
            return (
                *_address(version, end),
                expression("lookup", text(1, f"guarded{version}"), number(2, _REGISTER), number(4, version)),
            )
        case Marked(mark, mask):
            return meta(_MARK), _masked(_own(mask)), compare(EQUAL, _own(mark))
        case OfUser(uid):
            return meta(_SKUID), compare(EQUAL, _own(uid))
        case Control(version, first, last):
            kinds = _between(bytes([first]), bytes([last]))
            return (*expressions(Protocol(_ICMP[version])), payload(TRANSPORT, 0, 1), *kinds)
        case Unrouted():
            return (*expressions(Family(6)), payload(_NETWORK, 7, 1), compare(EQUAL, bytes([255])))
        case Protected():
            return expression("rt", number(1, _REGISTER), number(2, _RT_XFRM)), compare(EQUAL, bytes([1]))
        case Until(time):
            return (meta(_TIME), _to_network_order(8), compare(_LESS, (time * 10**9).to_bytes(8)))
        case _:
            assert_never(match)


def expression(name: str, *attributes: bytes) -> bytes:
    """One of the kernel's expressions, by its name."""
    return nest(1, text(1, name), nest(2, *attributes))


def meta(key: int) -> bytes:
    """Load what the kernel knows of the packet."""
    return expression("meta", number(2, key), number(1, _REGISTER))


def payload(base: int, offset: int, size: int) -> bytes:
    """Load a field of the packet."""
    return expression("payload", number(1, _REGISTER), number(2, base), number(3, offset), number(4, size))


def compare(operator: int, value: bytes) -> bytes:
    """Compare what was loaded."""
    return expression("cmp", number(1, _REGISTER), number(2, operator), nest(3, attribute(1, value)))


def _between(first: bytes, last: bytes) -> tuple[bytes, ...]:
    if first == last:
        return (compare(EQUAL, first),)
    return compare(_LEAST, first), compare(_MOST, last)


def _masked(mask: bytes) -> bytes:
    return expression(
        "bitwise",
        number(1, _REGISTER),
        number(2, _REGISTER),
        number(3, len(mask)),
        nest(4, attribute(1, mask)),
        nest(5, attribute(1, bytes(len(mask)))),
    )


def _to_network_order(size: int) -> bytes:
    return expression(
        "byteorder",
        number(1, _REGISTER),
        number(2, _REGISTER),
        number(3, _HOST_TO_NETWORK),
        number(4, size),
        number(5, size),
    )


def _address(version: int, end: End) -> tuple[bytes, ...]:
    source, destination, size = _ADDRESSES[version]
    offset = source if end is End.SOURCE else destination
    return (*expressions(Family(version)), payload(_NETWORK, offset, size))


def _within(network: Network) -> tuple[bytes, ...]:
    compared = compare(EQUAL, network.network_address.packed)
    if network.prefixlen == network.max_prefixlen:
        return (compared,)
    return _masked(network.netmask.packed), compared


def immediate(verdict: int) -> bytes:
    """The verdict."""
    return expression("immediate", number(1, _VERDICT), nest(2, nest(2, number(1, verdict))))


def largest_segment(mss: int) -> tuple[bytes, ...]:
    """`tcp option maxseg size set`: the kernel only ever makes it smaller."""
    value = expression("immediate", number(1, _REGISTER), nest(2, attribute(1, mss.to_bytes(2))))
    write = expression(
        "exthdr",
        attribute(2, bytes([_MAXSEG])),
        number(3, 2),
        number(4, 2),
        number(6, _TCP_OPTION),
        number(7, _REGISTER),
    )
    return value, write


def _link(name: str) -> bytes:
    return name.encode().ljust(_NAME_SIZE, b"\0")


def _own(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)
