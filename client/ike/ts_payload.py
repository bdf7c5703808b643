"""The Traffic Selector payloads (RFC 7296 section 3.13)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar, Self

from .buffer import Reader, Writer
from .errors import InvalidSyntax
from .events import Selector
from .registry import PayloadType, TsType

OPAQUE_PORTS = (65535, 0)  # RFC 7296 section 3.13.1


@dataclass(frozen=True, slots=True)
class TrafficSelectors:
    """What both Traffic Selector payloads are, RFC 7296 section 3.13.

    `unknown` counts selectors of types that we do not know: an error in a response, ignored in a proposal
    (section 2.9).
    """

    TYPE: ClassVar[PayloadType]
    selectors: tuple[Selector, ...]
    unknown: int = 0

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body; `InvalidSyntax` where a length or a range is wrong."""
        count = reader.uint(1)
        reader.take(3)
        pulled = [_pull_selector(reader) for _ in range(count)]
        known = tuple(selector for selector in pulled if selector is not None)
        return cls(known, count - len(known))

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.uint(len(self.selectors), 1).uint(0, 3)
        for selector in self.selectors:
            _push_selector(writer, selector)


@dataclass(frozen=True, slots=True)
class TsInitiator(TrafficSelectors):
    """TSi payload."""

    TYPE: ClassVar[PayloadType] = PayloadType.TSI


@dataclass(frozen=True, slots=True)
class TsResponder(TrafficSelectors):
    """TSr payload."""

    TYPE: ClassVar[PayloadType] = PayloadType.TSR


def _pull_selector(reader: Reader) -> Selector | None:
    """One traffic selector, or None where its type is unknown (RFC 7296 section 3.13.1)."""
    kind = reader.uint(1)
    protocol = reader.uint(1)
    block = reader.block(reader.uint(2) - 4)
    if kind == TsType.IPV4_ADDR_RANGE:
        return _pull_range(block, protocol, 4, IPv4Address)
    if kind == TsType.IPV6_ADDR_RANGE:
        return _pull_range(block, protocol, 16, IPv6Address)
    return None


def _pull_range(
    reader: Reader, protocol: int, size: int, address: type[IPv4Address | IPv6Address]
) -> Selector:
    """Ports and addresses of a selector; a range that runs backwards is refused, except OPAQUE ports."""
    ports = reader.uint(2), reader.uint(2)
    first, last = reader.take(size), reader.take(size)
    reader.finish()
    if first > last or (ports[0] > ports[1] and ports != OPAQUE_PORTS):
        raise InvalidSyntax("a traffic selector whose range runs backwards")
    return Selector(address(first), address(last), protocol, *ports)


def _push_selector(writer: Writer, selector: Selector) -> None:
    kind = TsType.IPV4_ADDR_RANGE if selector.first.version == 4 else TsType.IPV6_ADDR_RANGE
    addresses = selector.first.packed + selector.last.packed
    writer.uint(kind, 1).uint(selector.protocol, 1).uint(8 + len(addresses), 2)
    writer.uint(selector.first_port, 2).uint(selector.last_port, 2).write(addresses)
