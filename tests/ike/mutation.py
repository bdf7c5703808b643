"""Deterministic ways to spoil the payloads inside a message, with the lengths around them right or wrong.

A message is taken apart into its chain; a mutant is a name and another chain, or octets that are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from client.ike.registry import PayloadType

CRITICAL = 0x80
UNKNOWN_TYPE = 200
HEADER_SIZE = 28


@dataclass(frozen=True)
class Link:
    """One payload of a chain; `length` is what its header claims, None for the truth."""

    kind: int
    body: bytes
    flags: int = 0
    length: int | None = None


Chain = tuple[Link, ...]


@dataclass(frozen=True)
class Mutant:
    """A spoiled chain; `harmless` where the receiver must take it like the genuine one (RFC 7296 section 2.5)."""

    name: str
    chain: Chain
    harmless: bool = False


def pull_chain(first: int, octets: bytes) -> Chain:
    """The payloads of a genuine chain."""
    links, kind, position = [], first, 0
    while kind:
        size = int.from_bytes(octets[position + 2 : position + 4])
        links.append(Link(kind, octets[position + 4 : position + size], octets[position + 1]))
        kind, position = octets[position], position + size
    assert position == len(octets)
    return tuple(links)


def push_chain(chain: Chain) -> tuple[int, bytes]:
    """Type of the first payload, and the octets of all."""
    kinds = [link.kind for link in chain] + [0]
    octets = b""
    for link, following in zip(chain, kinds[1:], strict=True):
        size = 4 + len(link.body) if link.length is None else link.length
        octets += bytes([following, link.flags]) + size.to_bytes(2) + link.body
    return kinds[0], octets


def mutants(chain: Chain) -> Iterator[Mutant]:
    """Everything that this module knows to do to a chain, to one payload at a time."""
    for place, link in enumerate(chain):
        name = f"payload {link.kind} at {place}"
        yield Mutant(f"{name} left out", chain[:place] + chain[place + 1 :])
        yield Mutant(f"{name} twice", (*chain[:place], link, *chain[place:]))
        yield Mutant(f"{name} moved to the front", (link, *chain[:place], *chain[place + 1 :]), harmless=True)
        yield Mutant(
            f"{name} with reserved bits", _with(chain, place, replace(link, flags=0x7F)), harmless=True
        )
        for flags, harmless in ((0, True), (CRITICAL, False)):
            unknown = (*chain[:place], Link(UNKNOWN_TYPE, b"unknown", flags), *chain[place:])
            yield Mutant(f"unknown payload, flags {flags:#x}, before {name}", unknown, harmless)
        for changed in _changed(link):
            yield Mutant(f"{name}: {changed}", _with(chain, place, changed))
    yield Mutant("all in reverse order", chain[::-1], harmless=True)
    yield Mutant("nothing", ())


def _with(chain: Chain, place: int, link: Link) -> Chain:
    return (*chain[:place], link, *chain[place + 1 :])


def _changed(link: Link) -> Iterator[Link]:
    """Truncated at every octet, called another type, and with every length and count field off or extreme."""
    for size in range(len(link.body)):
        yield replace(link, body=link.body[:size])
    yield replace(link, body=link.body + b"\0")
    for kind in PayloadType:
        if kind not in (link.kind, PayloadType.NONE):
            yield replace(link, kind=kind)
    genuine = 4 + len(link.body)
    for length in (0, 3, genuine - 1, genuine + 1, 0xFFFF):
        yield replace(link, length=length)
    for offset, size in fields_of(link):
        value, limit = int.from_bytes(link.body[offset : offset + size]), 1 << 8 * size
        for other in {0, (value - 1) % limit, (value + 1) % limit, limit - 1} - {value}:
            octets = link.body[:offset] + other.to_bytes(size) + link.body[offset + size :]
            yield replace(link, body=octets)


def fields_of(link: Link) -> list[tuple[int, int]]:
    """Where lengths and counts stand in a body: offset and size."""
    body = link.body
    match link.kind:
        case PayloadType.SA:
            return list(_proposal_fields(body))
        case PayloadType.TSI | PayloadType.TSR:
            return [(0, 1), *((at + 2, 2) for at in _substructures(body, 4, 2))]
        case PayloadType.CP:
            return [(at + 2, 2) for at in _attributes(body)]
        case PayloadType.NOTIFY:
            return [(1, 1)]
        case PayloadType.DELETE:
            return [(1, 1), (2, 2)]
        case PayloadType.CERT | PayloadType.AUTH | PayloadType.EAP:
            # Structures of their own, in DER or by rounds: every octet may be a length.
            return [(offset, 1) for offset in range(len(body))]
        case _:
            return []


def _proposal_fields(body: bytes) -> Iterator[tuple[int, int]]:
    """Both markers of a following substructure, lengths, SPI size and number of transforms."""
    for at in _substructures(body, 0, 2):
        yield from ((at, 1), (at + 2, 2), (at + 6, 1), (at + 7, 1))
        end = at + int.from_bytes(body[at + 2 : at + 4])
        for inner in _substructures(body[:end], at + 8 + body[at + 6], 2):
            yield from ((inner, 1), (inner + 2, 2))


def _substructures(body: bytes, start: int, length_at: int) -> Iterator[int]:
    while start < len(body):
        yield start
        start += int.from_bytes(body[start + length_at : start + length_at + 2])


def _attributes(body: bytes) -> Iterator[int]:
    start = 4
    while start < len(body):
        yield start
        start += 4 + int.from_bytes(body[start + 2 : start + 4])
