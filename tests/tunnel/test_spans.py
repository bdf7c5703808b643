"""Spans say the same as the prefixes that they are made of."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.events import Network
from client.tunnel.spans import guarded_spans

PREFIXES = st.lists(st.tuples(st.integers(0, 255), st.integers(24, 32), st.booleans()), max_size=12)


@given(PREFIXES)
def test_spans_say_of_each_address_what_the_longest_prefix_around_it_says(
    drawn: list[tuple[int, int, bool]],
) -> None:
    verdicts: dict[Network, bool] = {}
    for last, length, verdict in drawn:
        verdicts[ip_network(f"192.0.2.{last}/{length}", strict=False)] = verdict
    spans = list(guarded_spans(4, verdicts))
    assert list(guarded_spans(6, verdicts)) == []
    for number in range(256):
        address = ip_address(f"192.0.2.{number}")
        around = [prefix for prefix in verdicts if address in prefix]
        meant = bool(around) and verdicts[max(around, key=lambda prefix: prefix.prefixlen)]
        assert any(int(span.first) <= int(address) <= int(span.last) for span in spans) == meant
    ends = [(int(span.first), int(span.last)) for span in spans]
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ends))


@pytest.mark.parametrize(("version", "text"), [(4, "0.0.0.0/0"), (6, "::/0")])
def test_everything_is_one_span(version: int, text: str) -> None:
    network = ip_network(text)
    (span,) = guarded_spans(version, {network: True})
    assert (span.first, span.last) == (network.network_address, network.broadcast_address)
