"""What Child SAs are in the kernel's tables: two SAs each, and the policies of all; pure.

Theory of operation.  All SAs and policies of a tunnel bear the if_id of its xfrm interface, so they concern no
other packet.  What goes out over the interface needs a policy, which names one SA by its SPI: so we decide, and
not the kernel, on which SA of two is sent, and changing over is one replacement of a policy.  What comes in needs a
policy too, one that any SA of the interface satisfies: so moving or adding SAs changes nothing there.  A packet
without a policy is dropped, in both directions.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import summarize_address_range
from itertools import islice, product

from ..ike.events import ChildSa, Endpoint, EspAlgorithms, Network, Selector
from ..ike.keys import Secret
from ..ike.transforms import encryption, integrity
from ..tunnel.model import MARK, MARK_MASK
from .xfrm_model import (
    Aead,
    CipherWithHmac,
    Direction,
    Encapsulation,
    Flow,
    Limits,
    Mark,
    Policy,
    Ports,
    Replay,
    Sa,
    Template,
)
from .xfrm_offload import is_whole

WINDOW = 1024  # packets; the kernel's own default of 32 is little where packets overtake each other
_OUTBOUND_WINDOW = 32  # unused, but with ESN the kernel wants one
_MAPPING_INTERVAL = 1  # seconds
_PRIORITY = 1000
_MOST_FLOWS = 256
_OUTPUT_MARK = Mark(MARK, MARK_MASK)
SOFT_SEQUENCE = (1 << 32) // 4 * 3  # without ESN (RFC 4303 section 3.3.3): time for a rekey is left

_ICMP, _ICMPV6, _MOBILITY = 1, 58, 135
_TYPED = frozenset({_ICMP, _ICMPV6, _MOBILITY})  # type and code stand for both ports
_WITH_PORTS = frozenset({6, 17, 33, 132, 136})
_ANY_PORT, _OPAQUE = (0, 65535), (65535, 0)


@dataclass(frozen=True, slots=True)
class Outer:
    """The outer ends of all SAs of a tunnel; the ports matter with `encapsulate` only.

    `device` is the number of a network device that is to take over work of the SAs, 0: none.
    """

    local: Endpoint
    remote: Endpoint
    encapsulate: bool
    device: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A Child SA as it stands in the kernel; its SAs' devices are what do work of theirs."""

    child: ChildSa
    inbound: Sa
    outbound: Sa

    def moved(self, outer: Outer) -> Pair:
        """The same between other outer ends, where no device has been asked yet."""
        return Pair(self.child, _inbound_over(self.inbound, outer), _outbound_over(self.outbound, outer))


def pair_of(child: ChildSa, reqid: int, if_id: int, outer: Outer, limits: Limits) -> Pair:
    """The two SAs; each gets the same `reqid`, by which no other SA of the interface is known."""
    algorithms, keys = child.algorithms, child.keys
    common = Sa(
        source=outer.local.address,
        destination=outer.remote.address,
        spi=child.spi_out,
        reqid=reqid,
        if_id=if_id,
        protection=_protection(algorithms, keys.encr_out, keys.integ_out),
        esn=algorithms.esn,
        limits=limits,
    )
    inbound = replace(
        common,
        spi=child.spi_in,
        protection=_protection(algorithms, keys.encr_in, keys.integ_in),
        replay=Replay(WINDOW),
    )
    outbound = replace(
        common,
        replay=Replay(_OUTBOUND_WINDOW),
        output_mark=_OUTPUT_MARK,
    )
    return Pair(child, inbound, outbound).moved(outer)


def _outbound_over(sa: Sa, outer: Outer) -> Sa:
    return replace(
        sa,
        source=outer.local.address,
        destination=outer.remote.address,
        encapsulation=Encapsulation(outer.local.port, outer.remote.port) if outer.encapsulate else None,
        device=None,
    )


def _inbound_over(sa: Sa, outer: Outer) -> Sa:
    return replace(
        sa,
        source=outer.remote.address,
        destination=outer.local.address,
        encapsulation=Encapsulation(outer.remote.port, outer.local.port) if outer.encapsulate else None,
        mapping_interval=_MAPPING_INTERVAL if outer.encapsulate else 0,
        device=None,
    )


def _protection(algorithms: EspAlgorithms, encr_key: Secret, integ_key: Secret) -> Aead | CipherWithHmac:
    encr = encryption(algorithms.encr, algorithms.encr_key_bits)
    if encr is None:
        raise OSError(errno.EPROTONOSUPPORT, f"encryption transform {algorithms.encr} is unknown")
    if encr.aead:
        return Aead(encr.kernel, encr_key, encr.icv_size)
    integ = integrity(algorithms.integ)
    if integ is None:
        raise OSError(errno.EPROTONOSUPPORT, f"integrity transform {algorithms.integ} is unknown")
    return CipherWithHmac(encr.kernel, encr_key, integ.kernel, integ_key, integ.icv_size)


# Policies


def policies(
    pairs: Sequence[Pair], senders: Sequence[Pair], if_id: int, *, closed: bool = False
) -> dict[tuple[Direction, Flow], Policy]:
    """All policies for these Child SAs; of `senders` the first one that has a flow sends it.

    `closed`: for the time of a move nothing goes out.
    """
    wanted: dict[tuple[Direction, Flow], Policy] = {}
    for rank, pair in enumerate(senders):
        for policy in outbound_policies(pair.child, pair.outbound, if_id, rank, closed=closed):
            wanted.setdefault(policy.key, policy)
    for pair, direction in product(pairs, (Direction.IN, Direction.FORWARD)):
        for flow in flows(pair.child.remote_selectors, pair.child.local_selectors):
            policy = Policy(flow, direction, if_id, _PRIORITY, Template())
            wanted[policy.key] = policy
    return wanted


def outbound_policies(
    child: ChildSa, sa: Sa, if_id: int, rank: int = 0, *, closed: bool = False
) -> Iterator[Policy]:
    """What sends a Child SA's packets on `sa`; a device that takes whole packets takes these policies too."""
    template = Template(sa.source, sa.destination, sa.spi, sa.reqid)
    device = sa.device if is_whole(sa.device) else None
    for flow in flows(child.local_selectors, child.remote_selectors):
        if closed:
            yield Policy(flow, Direction.OUT, if_id, _PRIORITY + rank, None)
        else:
            yield Policy(flow, Direction.OUT, if_id, _PRIORITY + rank, template, device)


def changes(
    present: Mapping[tuple[Direction, Flow], Policy], wanted: Mapping[tuple[Direction, Flow], Policy]
) -> tuple[list[Policy], list[Policy]]:
    """Policies to put, inbound before outbound, and to delete after that."""
    put = sorted(
        (policy for key, policy in wanted.items() if present.get(key) != policy),
        key=lambda policy: policy.direction is Direction.OUT,
    )
    return put, [policy for key, policy in present.items() if key not in wanted]


def flows(sources: Sequence[Selector], destinations: Sequence[Selector]) -> tuple[Flow, ...]:
    """The flows of which one end matches a selector of each list, by the kernel's means: prefixes and masks.

    Where selectors would need very many of them `OSError` (E2BIG) says so.
    """
    found = tuple(dict.fromkeys(islice(_flows(sources, destinations), _MOST_FLOWS + 1)))
    if len(found) > _MOST_FLOWS:
        raise OSError(
            errno.E2BIG, f"the traffic selectors need more than {_MOST_FLOWS} policies for each direction"
        )
    return found


def _flows(sources: Sequence[Selector], destinations: Sequence[Selector]) -> Iterator[Flow]:
    for source, destination in product(sources, destinations):
        if source.first.version != destination.first.version:
            continue
        if source.protocol and destination.protocol not in (0, source.protocol):
            continue
        protocol = source.protocol or destination.protocol
        for here, there in product(_networks(source), _networks(destination)):
            for from_ports, to_ports in _port_pairs(protocol, source, destination):
                yield Flow(here, there, protocol, from_ports, to_ports)


def _networks(selector: Selector) -> Iterator[Network]:
    if selector.first <= selector.last:  # type: ignore[operator]  # of one family
        yield from summarize_address_range(selector.first, selector.last)


def _port_pairs(protocol: int, source: Selector, destination: Selector) -> Iterator[tuple[Ports, Ports]]:
    """Selectors that hide their ports (OPAQUE) match packets without ports, and no others (RFC 4301 4.4.1.1)."""
    from_range, to_range = (_range(selector, protocol) for selector in (source, destination))
    if from_range is None or to_range is None:
        return
    if protocol in _TYPED:
        low, high = max(from_range[0], to_range[0]), min(from_range[1], to_range[1])
        for both in _prefixes(low, high):
            yield Ports(both.value >> 8, both.mask >> 8), Ports(both.value & 0xFF, both.mask & 0xFF)
    else:
        yield from product(_prefixes(*from_range), _prefixes(*to_range))


def _range(selector: Selector, protocol: int) -> tuple[int, int] | None:
    ports = (selector.first_port, selector.last_port)
    if ports == _OPAQUE:
        return None if protocol in _WITH_PORTS | _TYPED else _ANY_PORT
    return ports


def _prefixes(first: int, last: int) -> Iterator[Ports]:
    """A range of 16-bit numbers as values with masks."""
    while first <= last:
        size = first & -first or 1 << 16
        while first + size - 1 > last:
            size >>= 1
        yield Ports(first, 0x10000 - size)
        first += size
