"""Netlink messages of nftables (<linux/netfilter/nf_tables.h>): a rule set in, octets out.

They are as nft(8) writes them, so that it can list our table; a golden of it stands beside the tests.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache

from ..tunnel.ruleset import Chain, Rule, RuleSet, Span
from .nft_expressions import (
    EQUAL,
    L4PROTO,
    TRANSPORT,
    compare,
    expression,
    expressions,
    immediate,
    largest_segment,
    meta,
    payload,
)
from .nft_wire import HEADER, SUBSYSTEM, attribute, message, nest, number, text

TABLE = "roam"
WITNESS = "roam-witness"  # a table that stands while the doctor looks who is asked for names
INET, ARP = 1, 3  # families, NFPROTO_…: IPv4 and IPv6 together, and ARP
_ANY = 0
COMMENT = "Roam's guard: docs/leaks.md says what may pass"

_ACK, _DUMP = 0x4, 0x300
_CREATE, _APPEND = 0x400, 0x800
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
_SET_CONSTANT, _SET_INTERVAL = 0x2, 0x4
_INTERVAL_END = 1
_KEYS = {4: (7, 4), 6: (8, 16)}  # of a set: nft's number for the type, and its size
_ELEMENTS_AT_ONCE = 512  # an attribute holds less than 64 KiB
_LONGEST_COMMENT = 120

_POSTROUTING, _LAST = 4, 1000  # hook, and a priority behind everybody else's
_OWNED = 0x2  # NFT_TABLE_F_OWNER
_UDP, _DNS_PORT = 17, 53


# --- requests


def replacement(rules: RuleSet | None, families: Iterable[int] = (INET, ARP)) -> list[bytes]:
    """One transaction after which the tables of these families are so, whatever they were; None: they are gone."""
    return _transaction([request for family in families for request in _table(rules, family)])


def _table(rules: RuleSet | None, family: int) -> Iterator[bytes]:
    name = text(TABLE_NAME, TABLE)
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
    return _request(Kind.GETTABLE, 0, family, text(TABLE_NAME, TABLE))


def generation_request() -> bytes:
    """Ask for the number that every transaction of anybody raises."""
    return _request(Kind.GETGEN, 0, _ANY, b"")


def rules_request() -> bytes:
    """Ask for the rules of all tables of our name, in order."""
    return _request(Kind.GETRULE, _DUMP, _ANY, text(RULE_TABLE, TABLE))


def tables_request() -> bytes:
    """Ask for all tables of all families, whoever made them."""
    return _request(Kind.GETTABLE, _DUMP, _ANY, b"")


def chains_request() -> bytes:
    """Ask for the chains of all tables."""
    return _request(Kind.GETCHAIN, _DUMP, _ANY, b"")


def witness(group: int) -> list[bytes]:
    """One transaction: a table that ends with our socket, and copies what leaves for port 53 to this group."""
    table = text(TABLE_NAME, WITNESS)
    hook = nest(4, number(1, _POSTROUTING), number(2, _LAST))
    chain = text(1, WITNESS) + text(3, "asked") + hook + number(5, _ACCEPT) + text(7, "filter")
    to_port = payload(TRANSPORT, 2, 2), compare(EQUAL, _DNS_PORT.to_bytes(2))
    log = expression("log", attribute(1, group.to_bytes(2)), attribute(4, (1).to_bytes(2)))
    parts = (meta(L4PROTO), compare(EQUAL, bytes([_UDP])), *to_port, log)
    rule = text(RULE_TABLE, WITNESS) + text(RULE_CHAIN, "asked") + nest(4, *parts)
    return _transaction(
        [
            _request(Kind.NEWTABLE, _CREATE, INET, table + number(TABLE_FLAGS, _OWNED)),
            _request(Kind.NEWCHAIN, _CREATE, INET, chain),
            _request(Kind.NEWRULE, _CREATE | _APPEND, INET, rule),
        ]
    )


def _request(kind: Kind, flags: int, family: int, body: bytes) -> bytes:
    return message(SUBSYSTEM << 8 | kind, flags, family, body)


def _transaction(messages: list[bytes]) -> list[bytes]:
    """The last message asks for an answer: the kernel carries all out, or none."""
    *before, last = messages
    size, kind, flags, *rest = HEADER.unpack_from(last)
    asking = HEADER.pack(size, kind, flags | _ACK, *rest) + last[HEADER.size :]
    begin, end = (message(kind, 0, _ANY, b"", SUBSYSTEM) for kind in (_BATCH_BEGIN, _BATCH_END))
    return [begin, *before, asking, end]


def _remark(words: str) -> bytes:
    """User data that nft(8) shows as a comment: a type-length-value of its own."""
    octets = words[:_LONGEST_COMMENT].encode("ascii", "replace") + b"\0"
    return bytes([0, len(octets)]) + octets


def _chain(chain: Chain) -> bytes:
    """What no rule decides goes on: the policy is to accept."""
    hook, priority = _HOOKS[chain]
    place = nest(4, number(1, hook), number(2, priority))
    return text(1, TABLE) + text(3, chain.value) + place + number(5, _ACCEPT) + text(7, "filter")


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
            text(1, TABLE)
            + text(2, name)
            + number(3, _SET_CONSTANT | _SET_INTERVAL)
            + number(4, kind)
            + number(5, size)
            + number(10, version)
            + order,
        )
        elements = [element for span in mine for element in _elements(span, size)]
        for start in range(0, len(elements), _ELEMENTS_AT_ONCE):
            some = b"".join(elements[start : start + _ELEMENTS_AT_ONCE])
            body = text(1, TABLE) + text(2, name) + number(4, version) + nest(3, some)
            yield _request(Kind.NEWSETELEM, _CREATE, INET, body)


def _elements(span: Span, size: int) -> Iterator[bytes]:
    """Where it begins, and where it is over; the end of all addresses is no element."""
    yield nest(1, nest(1, attribute(1, span.first.packed)))
    after = int(span.last) + 1
    if after < 1 << 8 * size:
        yield nest(1, number(3, _INTERVAL_END), nest(1, attribute(1, after.to_bytes(size))))


# --- rules


@lru_cache(maxsize=1024)
def _rule(rule: Rule) -> bytes:
    """Most rules stay the same from one state to the next."""
    parts = [expression for match in rule.matches for expression in expressions(match)]
    if not rule.passes:
        parts.append(expression("counter", b""))
    parts += largest_segment(rule.mss) if rule.mss else (immediate(_ACCEPT if rule.passes else _DROP),)
    return (
        text(RULE_TABLE, TABLE)
        + text(RULE_CHAIN, rule.chain.value)
        + nest(4, *parts)
        + attribute(7, _remark(rule.why))
    )
