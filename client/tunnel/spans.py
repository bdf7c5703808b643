"""Which addresses are guarded: prefixes with a verdict each, of which the longest counts, as few spans.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address

from ..ike.events import Address, Network
from .ruleset import Span


def guarded_spans(version: int, verdicts: Mapping[Network, bool]) -> Iterator[Span]:
    """Where the longest prefix around an address says True, as few spans as possible, in order."""
    size = 32 if version == 4 else 128
    kind = IPv4Network if version == 4 else IPv6Network
    merged: list[list[int]] = []
    for first, last in _painted(verdicts, kind, (1 << size) - 1):
        if merged and merged[-1][1] + 1 == first:
            merged[-1][1] = last
        else:
            merged.append([first, last])
    for first, last in merged:
        yield Span(_address(version, first), _address(version, last))


def _painted(
    verdicts: Mapping[Network, bool], kind: type[IPv4Network | IPv6Network], largest: int
) -> Iterator[tuple[int, int]]:
    """Prefixes nest or lie apart: walk through them from left to right, the ones around on a stack."""
    around = [(largest, False)]
    reached = 0
    prefixes = sorted(
        (int(prefix.network_address), prefix.prefixlen, int(prefix.broadcast_address), verdict)
        for prefix, verdict in verdicts.items()
        if isinstance(prefix, kind)
    )
    for first, _, last, verdict in [*prefixes, (largest + 1, 0, largest, False)]:
        while around and around[-1][0] < first:
            end, is_guarded = around.pop()
            if is_guarded and reached <= end:
                yield reached, end
            reached = max(reached, end + 1)
        if around and around[-1][1] and reached < first:
            yield reached, first - 1
        reached = max(reached, first)
        around.append((last, verdict))


def _address(version: int, number: int) -> Address:
    return ip_address(number.to_bytes(4 if version == 4 else 16))
