"""Address translation and loss on a router: nftables spoken over netlink, without the `nft` program.

Each function acts on the calling thread's namespace.  A rule is a list of small expressions that pass values
on in registers, as the kernel knows it (linux/netfilter/nf_tables.h); pyroute2 carries them.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from pyroute2 import NFCTSocket
from pyroute2.nftables.main import NFTables

_TABLE = "lab"
_NFPROTO_IPV4 = 2
_NFPROTO_INET = 1
_PRIORITY_SOURCE_NAT, _PRIORITY_DESTINATION_NAT = 100, -100
_DESTINATION_NAT = 1
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_ACCEPT = 1
_DROP = 0
_REGISTER = 1
_VERDICT_REGISTER = 0
_META_LENGTH, _META_OUTPUT_LINK = 0, 7
_EQUAL, _NOT_EQUAL, _LESS, _GREATER = 0, 1, 2, 4
_RANDOM = 1
_HOST_TO_NETWORK = 1

Expression = dict[str, Any]


def masquerade(link: str) -> None:
    """Translate whatever leaves over `link` to its address, with random ports, as carriers do."""
    nft = NFTables(nfgen_family=_NFPROTO_IPV4)
    try:
        nft.table("add", name=_TABLE)
        nft.chain(
            "add",
            table=_TABLE,
            name="translate",
            type="nat",
            hook="postrouting",
            priority=_PRIORITY_SOURCE_NAT,
            policy=_ACCEPT,
        )
        rule = [
            _expression("meta", "META", KEY=_META_OUTPUT_LINK, DREG=_REGISTER),
            _compare(_EQUAL, link.encode().ljust(16, b"\0")),
            _expression("masq", "MASQ", FLAGS=("NF_NAT_RANGE_PROTO_RANDOM_FULLY",)),
        ]
        nft.rule("add", table=_TABLE, chain="translate", expressions=(rule,))
    finally:
        nft.close()


def forward_udp(address: IPv4Address, ports: Sequence[int], to: IPv4Address) -> None:
    """Have what is sent to these ports of an address of the router go to `to`, whoever sends it."""
    nft = NFTables(nfgen_family=_NFPROTO_IPV4)
    try:
        nft.table("add", name=_TABLE)
        nft.chain(
            "add",
            table=_TABLE,
            name="forwarded",
            type="nat",
            hook="prerouting",
            priority=_PRIORITY_DESTINATION_NAT,
            policy=_ACCEPT,
        )
        for port in ports:
            nft.rule("add", table=_TABLE, chain="forwarded", expressions=(_send_on(address, port, to),))
    finally:
        nft.close()


def _send_on(address: IPv4Address, port: int, to: IPv4Address) -> list[Expression]:
    """ip daddr address udp dport port dnat to …"""
    value = {"attrs": [("NFTA_DATA_VALUE", to.packed)]}
    return [
        _load(_NETWORK_HEADER, 16, 4),
        _compare(_EQUAL, address.packed),
        _load(_NETWORK_HEADER, 9, 1),
        _compare(_EQUAL, bytes([socket.IPPROTO_UDP])),
        _load(_TRANSPORT_HEADER, 2, 2),
        _compare(_EQUAL, port.to_bytes(2)),
        _expression("immediate", "IMMEDIATE", DREG=_REGISTER, DATA=value),
        _expression("nat", "NAT", TYPE=_DESTINATION_NAT, FAMILY=_NFPROTO_IPV4, REG_ADDR_MIN=_REGISTER),
    ]


def _load(header: int, offset: int, size: int) -> Expression:
    return _expression("payload", "PAYLOAD", DREG=_REGISTER, BASE=header, OFFSET=offset, LEN=size)


def lose(percent: int) -> None:
    """Drop this share of the forwarded packets, at random, in both directions; 0 heals."""
    _drop_forwarded("loss", _drop_some(percent) if percent else [])


def swallow(largest: int) -> None:
    """Drop forwarded packets of more octets than this, and say nothing: a black hole; 0 heals.

    What one link hands to the next as a train of segments is one packet here.
    """
    _drop_forwarded("swallowed", _drop_large(largest) if largest else [])


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What a router drops of the packets to or from a gateway: UDP to a port, ESP in UDP from it, what is large."""

    gateway: IPv4Address
    port: int = 0
    esp: bool = False
    larger_than: int = 0

    def rule(self) -> list[Expression]:
        """Its conditions, one after the other, and the verdict."""
        whose = [_load(_NETWORK_HEADER, 12 if self.esp else 16, 4), _compare(_EQUAL, self.gateway.packed)]
        if self.larger_than:
            return [*whose, *_drop_large(self.larger_than)]
        port = (4500 if self.esp else self.port).to_bytes(2)
        udp = [
            _load(_NETWORK_HEADER, 9, 1),
            _compare(_EQUAL, bytes([socket.IPPROTO_UDP])),
            _load(_TRANSPORT_HEADER, 0 if self.esp else 2, 2),
            _compare(_EQUAL, port),
        ]
        marker = [_load(_TRANSPORT_HEADER, 8, 4), _compare(_NOT_EQUAL, bytes(4))] if self.esp else []
        return [*whose, *udp, *marker, _drop()]


def obstruct(obstacles: Sequence[Obstacle]) -> None:
    """Drop all of these on their way through; none: heal."""
    _drop_forwarded("obstacles", *(obstacle.rule() for obstacle in obstacles))


def _drop_forwarded(table: str, *rules: list[Expression]) -> None:
    """What an earlier call asked for goes first."""
    nft = NFTables(nfgen_family=_NFPROTO_INET)
    try:
        nft.table("add", name=table)
        nft.table("del", name=table)  # idempotent
        if not any(rules):
            return
        nft.table("add", name=table)
        nft.chain(
            "add", table=table, name="forwarded", type="filter", hook="forward", priority=0, policy=_ACCEPT
        )
        for rule in rules:
            nft.rule("add", table=table, chain="forwarded", expressions=(rule,))
    finally:
        nft.close()


def forget() -> None:
    """Drop every translation: the next packet of each flow gets another port, as after a router's restart."""
    with NFCTSocket() as conntrack:
        conntrack.flush()


def _drop_some(percent: int) -> list[Expression]:
    """numgen random mod 100 < percent drop; numbers are compared as octets, hence in network order."""
    number = _expression("numgen", "NG", DREG=_REGISTER, MODULUS=100, TYPE=_RANDOM, OFFSET=0)
    return _drop_where(number, _LESS, percent)


def _drop_large(largest: int) -> list[Expression]:
    """meta length > largest drop."""
    return _drop_where(_expression("meta", "META", KEY=_META_LENGTH, DREG=_REGISTER), _GREATER, largest)


def _drop_where(loaded: Expression, operator: int, number: int) -> list[Expression]:
    return [
        loaded,
        _expression(
            "byteorder", "BYTEORDER", SREG=_REGISTER, DREG=_REGISTER, OP=_HOST_TO_NETWORK, LEN=4, SIZE=4
        ),
        _compare(operator, number.to_bytes(4, "big")),
        _drop(),
    ]


def _drop() -> Expression:
    return _expression("immediate", "IMMEDIATE", DREG=_VERDICT_REGISTER, DATA=_verdict(_DROP))


def _compare(operator: int, value: bytes) -> Expression:
    data = {"attrs": [("NFTA_DATA_VALUE", value)]}
    return _expression("cmp", "CMP", SREG=_REGISTER, OP=operator, DATA=data)


def _verdict(code: int) -> Expression:
    return {"attrs": [("NFTA_DATA_VERDICT", {"attrs": [("NFTA_VERDICT_CODE", code)]})]}


def _expression(name: str, prefix: str, **attributes: object) -> Expression:
    data = [(f"NFTA_{prefix}_{key}", value) for key, value in attributes.items()]
    return {"attrs": [("NFTA_EXPR_NAME", name), ("NFTA_EXPR_DATA", {"attrs": data})]}
