"""What messages to nftables are made of: netlink's headers and attributes, with numbers in network order."""

from __future__ import annotations

import struct

NETLINK_NETFILTER = 12
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, sender

_ATTRIBUTE = struct.Struct("=HH")
_NETFILTER = struct.Struct("!BBH")  # nfgenmsg: family, version, resource
_ASKING = 0x1
_NESTED = 0x8000


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(len(value) + 4, kind) + value + bytes(-len(value) % 4)


def attributes_of(octets: bytes) -> dict[int, bytes]:
    """The attributes in `octets` by their kind; what is cut short ends them."""
    found: dict[int, bytes] = {}
    while len(octets) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(octets)
        if size < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = octets[4:size]
        octets = octets[(size + 3) & ~3 :]
    return found


def nest(kind: int, *parts: bytes) -> bytes:
    """An attribute of attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def text(kind: int, words: str) -> bytes:
    """An attribute of text."""
    return attribute(kind, words.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits."""
    return attribute(kind, value.to_bytes(4, signed=value < 0))


def message(kind: int, flags: int, family: int, body: bytes, resource: int = 0) -> bytes:
    """A request of netfilter."""
    size = HEADER.size + _NETFILTER.size + len(body)
    header = HEADER.pack(size, kind, _ASKING | flags, 0, 0)
    return header + _NETFILTER.pack(family, 0, resource) + body
