"""Netlink messages of nftables (<linux/netfilter/nf_tables.h>): a rule set in, octets out; and what is read back.

A rule is a list of small expressions that pass values on in a register: one loads a field of the packet, the next
compares it.  They are written as nft(8) writes them, so that it can list our table; a golden of it stands beside
the tests.  Numbers are in network order, unless the kernel itself compares them in its own: marks, uids, indices.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache
from typing import assert_never

from ..ike.events import Network
from ..tunnel.ruleset import (
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
    Rule,
    RuleSet,
    Span,
    Syn,
    Unrouted,
    Until,
)

NETLINK_NETFILTER = 12
TABLE = "roam"
WITNESS = "roam-witness"  # a table that stands while the doctor looks who is asked for names
INET, ARP = 1, 3  # families, NFPROTO_…: IPv4 and IPv6 together, and ARP
_ANY = 0
COMMENT = "Roam's guard: docs/leaks.md says what may pass"

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, sender
_ATTRIBUTE = struct.Struct("=HH")
_NETFILTER = struct.Struct("!BBH")  # nfgenmsg: family, version, resource

_ASKING, _ACK, _DUMP = 0x1, 0x4, 0x300
_CREATE, _APPEND = 0x400, 0x800
_NESTED = 0x8000
SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11


class Kind(IntEnum):
    """Message types: NFT_MSG_…"""

    NEWTABLE = 0
    GETTABLE = 1
    DELTABLE = 2
    NEWCHAIN = 3
    GETCHAIN = 4
    NEWRULE = 6
    GETRULE = 7
    NEWSET = 9
    NEWSETELEM = 12
    NEWGEN = 15
    GETGEN = 16


TABLE_NAME, TABLE_FLAGS, TABLE_HANDLE, TABLE_USERDATA = 1, 2, 4, 6
RULE_TABLE, RULE_CHAIN, RULE_HANDLE = 1, 2, 3
GENERATION_ID = 1

_HOOKS = {  # of Chain: hook and priority
    Chain.PREROUTING: (0, -300),  # as early as `raw`: before anybody has changed addresses
    Chain.INPUT: (1, 0),
    Chain.FORWARD_FROM: (2, -1),
    Chain.FORWARD_TO: (2, 0),
    Chain.POSTROUTING: (4, 0),
    Chain.SIZE_IN: (0, -150),  # as `mangle`
    Chain.SIZE_OUT: (4, -150),
    Chain.ASKED: (0, 0),
}
_DROP, _ACCEPT = 0, 1
_REGISTER, _VERDICT = 1, 0
_SET_CONSTANT, _SET_INTERVAL = 0x2, 0x4
_INTERVAL_END = 1
_IPV4, _IPV6 = 2, 10  # NFPROTO_…
_KEYS = {4: (7, 4), 6: (8, 16)}  # of a set: nft's number for the type, and its size
_ELEMENTS_AT_ONCE = 512  # an attribute holds less than 64 KiB
_LONGEST_COMMENT = 120

_MARK, _IIF, _IIFNAME, _OIFNAME, _SKUID, _NFPROTO, _L4PROTO, _TIME = 3, 4, 6, 7, 10, 15, 16, 30  # NFT_META_…
_NETWORK, _TRANSPORT = 1, 2  # NFT_PAYLOAD_…_HEADER
_EQUAL, _OTHER, _LESS, _MOST, _LEAST = 0, 1, 2, 3, 5  # NFT_CMP_…: ==, !=, <, <=, >=
_RT_XFRM = 4
_HOST_TO_NETWORK = 1
_TCP_FLAGS, _SYN, _RST = 13, 0x02, 0x04  # offset of the octet, and two of its bits (RFC 9293 section 3.1)
_MAXSEG, _TCP_OPTION = 2, 1  # kind of the option; NFT_EXTHDR_OP_TCPOPT
_ADDRESSES = {4: (12, 16, 4), 6: (8, 24, 16)}  # offsets of source and destination, size
_ARP_TARGET = 24  # offset of the address asked for, with Ethernet's addresses before it
_ICMP = {4: 1, 6: 58}
_NAME_SIZE = 16
_POSTROUTING, _LAST = 4, 1000  # hook, and a priority behind everybody else's
_OWNED = 0x2  # NFT_TABLE_F_OWNER
_UDP, _DNS_PORT = 17, 53


# --- what netlink is made of


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


def _nest(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def _text(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, signed=value < 0))


def _message(kind: int, flags: int, family: int, body: bytes, resource: int = 0) -> bytes:
    size = HEADER.size + _NETFILTER.size + len(body)
    header = HEADER.pack(size, kind, _ASKING | flags, 0, 0)
    return header + _NETFILTER.pack(family, 0, resource) + body


def _request(kind: Kind, flags: int, family: int, body: bytes) -> bytes:
    return _message(SUBSYSTEM << 8 | kind, flags, family, body)


# --- requests


def replacement(rules: RuleSet | None, families: Iterable[int] = (INET, ARP)) -> list[bytes]:
    """One transaction after which the tables of these families are so, whatever they were; None: they are gone."""
    return _transaction([message for family in families for message in _table(rules, family)])


def _table(rules: RuleSet | None, family: int) -> Iterator[bytes]:
    name = _text(TABLE_NAME, TABLE)
    yield _request(Kind.NEWTABLE, _CREATE, family, name)  # so that there is one to delete
    yield _request(Kind.DELTABLE, 0, family, name)
    mine = [rule for rule in rules.rules if _family(rule.chain) == family] if rules is not None else []
    if rules is None or not mine:
        return
    yield _request(Kind.NEWTABLE, _CREATE, family, name + attribute(TABLE_USERDATA, _remark(COMMENT)))
    if family == INET:
        yield from _sets(rules.guarded)
    for chain in dict.fromkeys(rule.chain for rule in mine):
        yield _request(Kind.NEWCHAIN, _CREATE, family, _chain(chain))
    for rule in mine:
        yield _request(Kind.NEWRULE, _CREATE | _APPEND, family, _rule(rule))


def _family(chain: Chain) -> int:
    return ARP if chain is Chain.ASKED else INET


def table_request(family: int) -> bytes:
    """Ask for one of our tables; ENOENT if there is none."""
    return _request(Kind.GETTABLE, 0, family, _text(TABLE_NAME, TABLE))


def generation_request() -> bytes:
    """Ask for the number that every transaction of anybody raises."""
    return _request(Kind.GETGEN, 0, _ANY, b"")


def rules_request() -> bytes:
    """Ask for the rules of all tables of our name, in order."""
    return _request(Kind.GETRULE, _DUMP, _ANY, _text(RULE_TABLE, TABLE))


def tables_request() -> bytes:
    """Ask for all tables of all families, whoever made them."""
    return _request(Kind.GETTABLE, _DUMP, _ANY, b"")


def chains_request() -> bytes:
    """Ask for the chains of all tables."""
    return _request(Kind.GETCHAIN, _DUMP, _ANY, b"")


def witness(group: int) -> list[bytes]:
    """One transaction: a table that ends with our socket, and copies what leaves for port 53 to this group."""
    table = _text(TABLE_NAME, WITNESS)
    hook = _nest(4, _number(1, _POSTROUTING), _number(2, _LAST))
    chain = _text(1, WITNESS) + _text(3, "asked") + hook + _number(5, _ACCEPT) + _text(7, "filter")
    to_port = _payload(_TRANSPORT, 2, 2), _compare(_EQUAL, _DNS_PORT.to_bytes(2))
    log = _expression("log", attribute(1, group.to_bytes(2)), attribute(4, (1).to_bytes(2)))
    parts = (_meta(_L4PROTO), _compare(_EQUAL, bytes([_UDP])), *to_port, log)
    rule = _text(RULE_TABLE, WITNESS) + _text(RULE_CHAIN, "asked") + _nest(4, *parts)
    return _transaction(
        [
            _request(Kind.NEWTABLE, _CREATE, INET, table + _number(TABLE_FLAGS, _OWNED)),
            _request(Kind.NEWCHAIN, _CREATE, INET, chain),
            _request(Kind.NEWRULE, _CREATE | _APPEND, INET, rule),
        ]
    )


def _transaction(messages: list[bytes]) -> list[bytes]:
    """The last message asks for an answer: the kernel carries all out, or none."""
    *before, last = messages
    size, kind, flags, *rest = HEADER.unpack_from(last)
    asking = HEADER.pack(size, kind, flags | _ACK, *rest) + last[HEADER.size :]
    begin, end = (_message(kind, 0, _ANY, b"", SUBSYSTEM) for kind in (_BATCH_BEGIN, _BATCH_END))
    return [begin, *before, asking, end]


def _remark(text: str) -> bytes:
    """User data that nft(8) shows as a comment: a type-length-value of its own."""
    octets = text[:_LONGEST_COMMENT].encode("ascii", "replace") + b"\0"
    return bytes([0, len(octets)]) + octets


def _chain(chain: Chain) -> bytes:
    """What no rule decides goes on: the policy is to accept."""
    hook, priority = _HOOKS[chain]
    place = _nest(4, _number(1, hook), _number(2, priority))
    return _text(1, TABLE) + _text(3, chain.value) + place + _number(5, _ACCEPT) + _text(7, "filter")


def _sets(spans: Iterable[Span]) -> Iterator[bytes]:
    """The guarded addresses of each family that has some: a set that nobody can change while rules name it."""
    for version, (kind, size) in _KEYS.items():
        mine = [span for span in spans if span.first.version == version]
        if not mine:
            continue
        name = f"guarded{version}"
        order = attribute(13, bytes([0, 4]) + (2).to_bytes(4, sys.byteorder))  # for nft(8): in network order
        yield _request(
            Kind.NEWSET,
            _CREATE,
            INET,
            _text(1, TABLE)
            + _text(2, name)
            + _number(3, _SET_CONSTANT | _SET_INTERVAL)
            + _number(4, kind)
            + _number(5, size)
            + _number(10, version)
            + order,
        )
        elements = [element for span in mine for element in _elements(span, size)]
        for start in range(0, len(elements), _ELEMENTS_AT_ONCE):
            some = b"".join(elements[start : start + _ELEMENTS_AT_ONCE])
            body = _text(1, TABLE) + _text(2, name) + _number(4, version) + _nest(3, some)
            yield _request(Kind.NEWSETELEM, _CREATE, INET, body)


def _elements(span: Span, size: int) -> Iterator[bytes]:
    """Where it begins, and where it is over; the end of all addresses is no element."""
    yield _nest(1, _nest(1, attribute(1, span.first.packed)))
    after = int(span.last) + 1
    if after < 1 << 8 * size:
        yield _nest(1, _number(3, _INTERVAL_END), _nest(1, attribute(1, after.to_bytes(size))))


# --- rules


@lru_cache(maxsize=1024)
def _rule(rule: Rule) -> bytes:
    """Most rules stay the same from one state to the next."""
    parts = [expression for match in rule.matches for expression in _expressions(match)]
    if not rule.passes:
        parts.append(_expression("counter", b""))
    parts += _largest_segment(rule.mss) if rule.mss else (_immediate(_ACCEPT if rule.passes else _DROP),)
    return (
        _text(RULE_TABLE, TABLE)
        + _text(RULE_CHAIN, rule.chain.value)
        + _nest(4, *parts)
        + attribute(7, _remark(rule.why))
    )


def _expressions(match: Match) -> tuple[bytes, ...]:
    match match:
        case Came(link, other):
            return _meta(_IIFNAME), _compare(_OTHER if other else _EQUAL, _link(link))
        case Leaves(link, other):
            return _meta(_OIFNAME), _compare(_OTHER if other else _EQUAL, _link(link))
        case Forwarded():
            return _meta(_IIF), _compare(_OTHER, bytes(4))
        case Family(version):
            return _meta(_NFPROTO), _compare(_EQUAL, bytes([_IPV4 if version == 4 else _IPV6]))
        case Protocol(number):
            return _meta(_L4PROTO), _compare(_EQUAL, bytes([number]))
        case Ports(end, first, last):
            field = _payload(_TRANSPORT, 0 if end is End.SOURCE else 2, 2)
            return (field, *_between(first.to_bytes(2), last.to_bytes(2)))
        case Syn():
            flags = _payload(_TRANSPORT, _TCP_FLAGS, 1)
            return flags, _masked(bytes([_SYN | _RST])), _compare(_EQUAL, bytes([_SYN]))
        case In(end, network):
            return (*_address(network.version, end), *_within(network))
        case AsksFor(address):
            return _payload(_NETWORK, _ARP_TARGET, 4), _compare(_EQUAL, address.packed)
        case Guarded(end, version):
            return (
                *_address(version, end),
                _expression(
                    "lookup", _text(1, f"guarded{version}"), _number(2, _REGISTER), _number(4, version)
                ),
            )
        case Marked(mark, mask):
            return _meta(_MARK), _masked(_own(mask)), _compare(_EQUAL, _own(mark))
        case OfUser(uid):
            return _meta(_SKUID), _compare(_EQUAL, _own(uid))
        case Control(version, first, last):
            kinds = _between(bytes([first]), bytes([last]))
            return (*_expressions(Protocol(_ICMP[version])), _payload(_TRANSPORT, 0, 1), *kinds)
        case Unrouted():
            return (*_expressions(Family(6)), _payload(_NETWORK, 7, 1), _compare(_EQUAL, bytes([255])))
        case Protected():
            return _expression("rt", _number(1, _REGISTER), _number(2, _RT_XFRM)), _compare(
                _EQUAL, bytes([1])
            )
        case Until(time):
            return (_meta(_TIME), _to_network_order(8), _compare(_LESS, (time * 10**9).to_bytes(8)))
        case _:
            assert_never(match)


def _expression(name: str, *attributes: bytes) -> bytes:
    return _nest(1, _text(1, name), _nest(2, *attributes))


def _meta(key: int) -> bytes:
    return _expression("meta", _number(2, key), _number(1, _REGISTER))


def _payload(base: int, offset: int, size: int) -> bytes:
    return _expression(
        "payload", _number(1, _REGISTER), _number(2, base), _number(3, offset), _number(4, size)
    )


def _compare(operator: int, value: bytes) -> bytes:
    return _expression("cmp", _number(1, _REGISTER), _number(2, operator), _nest(3, attribute(1, value)))


def _between(first: bytes, last: bytes) -> tuple[bytes, ...]:
    if first == last:
        return (_compare(_EQUAL, first),)
    return _compare(_LEAST, first), _compare(_MOST, last)


def _masked(mask: bytes) -> bytes:
    return _expression(
        "bitwise",
        _number(1, _REGISTER),
        _number(2, _REGISTER),
        _number(3, len(mask)),
        _nest(4, attribute(1, mask)),
        _nest(5, attribute(1, bytes(len(mask)))),
    )


def _to_network_order(size: int) -> bytes:
    return _expression(
        "byteorder",
        _number(1, _REGISTER),
        _number(2, _REGISTER),
        _number(3, _HOST_TO_NETWORK),
        _number(4, size),
        _number(5, size),
    )


def _address(version: int, end: End) -> tuple[bytes, ...]:
    source, destination, size = _ADDRESSES[version]
    offset = source if end is End.SOURCE else destination
    return (*_expressions(Family(version)), _payload(_NETWORK, offset, size))


def _within(network: Network) -> tuple[bytes, ...]:
    compared = _compare(_EQUAL, network.network_address.packed)
    if network.prefixlen == network.max_prefixlen:
        return (compared,)
    return _masked(network.netmask.packed), compared


def _immediate(verdict: int) -> bytes:
    return _expression("immediate", _number(1, _VERDICT), _nest(2, _nest(2, _number(1, verdict))))


def _largest_segment(mss: int) -> tuple[bytes, ...]:
    """`tcp option maxseg size set`: the kernel only ever makes it smaller."""
    value = _expression("immediate", _number(1, _REGISTER), _nest(2, attribute(1, mss.to_bytes(2))))
    write = _expression(
        "exthdr",
        attribute(2, bytes([_MAXSEG])),
        _number(3, 2),
        _number(4, 2),
        _number(6, _TCP_OPTION),
        _number(7, _REGISTER),
    )
    return value, write


def _link(name: str) -> bytes:
    return name.encode().ljust(_NAME_SIZE, b"\0")


def _own(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)
