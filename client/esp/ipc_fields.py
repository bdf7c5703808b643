"""The fields of which the messages between a daemon and its pump are made: sized octets, addresses, SAs."""

from __future__ import annotations

from ipaddress import ip_address

from ..ike.buffer import Reader, Writer
from ..ike.errors import InvalidSyntax
from ..ike.events import Address, ChildKeys, ChildSa, Endpoint, EspAlgorithms, Selector
from ..ike.keys import Secret


def push_sized(writer: Writer, octets: bytes) -> None:
    """Octets behind their number; at most 65,535."""
    writer.uint(len(octets), 2).write(octets)


def pull_sized(reader: Reader) -> bytes:
    """Octets behind their number."""
    return reader.take(reader.uint(2))


def pull_text(reader: Reader) -> str:
    """All that is left, as text."""
    return reader.rest().decode(errors="replace")


def pull_address(reader: Reader) -> Address:
    """An IPv4 or IPv6 address; `InvalidSyntax` where it has another size."""
    octets = pull_sized(reader)
    if len(octets) not in (4, 16):
        raise InvalidSyntax(f"an address of {len(octets)} octets")
    return ip_address(octets)


def push_endpoint(writer: Writer, endpoint: Endpoint) -> None:
    """An address and a port."""
    push_sized(writer, endpoint.address.packed)
    writer.uint(endpoint.port, 2)


def pull_endpoint(reader: Reader) -> Endpoint:
    """An address and a port."""
    return Endpoint(pull_address(reader), reader.uint(2))


def push_selectors(writer: Writer, selectors: tuple[Selector, ...]) -> None:
    """Traffic selectors (RFC 7296 3.13) behind their number."""
    writer.uint(len(selectors), 2)
    for selector in selectors:
        push_sized(writer, selector.first.packed)
        push_sized(writer, selector.last.packed)
        writer.uint(selector.protocol, 1).uint(selector.first_port, 2).uint(selector.last_port, 2)


def pull_selectors(reader: Reader) -> tuple[Selector, ...]:
    """Traffic selectors behind their number."""
    return tuple(
        Selector(pull_address(reader), pull_address(reader), reader.uint(1), reader.uint(2), reader.uint(2))
        for _ in range(reader.uint(2))
    )


def push_child(writer: Writer, child: ChildSa) -> None:
    """A Child SA with its keys."""
    algorithms, keys = child.algorithms, child.keys
    writer.uint(child.spi_in, 4).uint(child.spi_out, 4)
    writer.uint(algorithms.encr, 2).uint(algorithms.encr_key_bits, 2).uint(algorithms.integ, 2)
    writer.uint(algorithms.esn, 1)
    for key in (keys.encr_out, keys.integ_out, keys.encr_in, keys.integ_in):
        push_sized(writer, key.reveal())
    push_selectors(writer, child.local_selectors)
    push_selectors(writer, child.remote_selectors)
    writer.uint(child.encapsulate, 1)


def pull_child(reader: Reader) -> ChildSa:
    """A Child SA with its keys."""
    return ChildSa(
        spi_in=reader.uint(4),
        spi_out=reader.uint(4),
        algorithms=EspAlgorithms(reader.uint(2), reader.uint(2), reader.uint(2), bool(reader.uint(1))),
        keys=ChildKeys(*(Secret(pull_sized(reader)) for _ in range(4))),
        local_selectors=pull_selectors(reader),
        remote_selectors=pull_selectors(reader),
        encapsulate=bool(reader.uint(1)),
    )
