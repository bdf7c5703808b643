"""Networks to put between the two ends of a `Pair`, and what must be true of these ends whatever it did."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from random import Random

from client.ike.events import ChildDown, ChildOutbound, ChildSa, ChildUp, Output
from client.ike.message import Header
from client.ike.registry import PayloadType
from client.ike.states import SessionState
from tests.pair import Flight, Pair, fit


class TerribleNetwork:
    """Loses, duplicates and delays datagrams of both directions, and so reorders them; one seed, one fate."""

    def __init__(
        self,
        seed: int,
        *,
        loss: float = 0.3,
        duplication: float = 0.1,
        delayed: float = 0.2,
        longest_delay: float = 2.0,
    ) -> None:
        self._random = Random(seed)
        self._loss = loss
        self._duplication = duplication
        self._delayed = delayed
        self._longest_delay = longest_delay

    def __call__(self, flight: Flight) -> Iterable[Flight]:
        if self._random.random() < self._loss:
            return ()
        copies = 2 if self._random.random() < self._duplication else 1
        return [replace(flight, arrives=flight.arrives + self._delay()) for _ in range(copies)]

    def _delay(self) -> float:
        if self._random.random() >= self._delayed:
            return 0.0
        return self._random.random() * self._longest_delay


def digest(pair: Pair) -> str:
    """Everything that was sent, when and in which order, in few characters."""
    lines = hashlib.sha256()
    for flight in pair.sent:
        lines.update(f"{flight.arrives!r} {flight.to_gateway} {flight.source} {flight.target}".encode())
        lines.update(flight.data)
    return lines.hexdigest()


def data_path(events: Iterable[Output]) -> dict[int, tuple[ChildSa, bool]]:
    """What a data path holds after these events, with whether it sends there: by inbound SPI."""
    table: dict[int, tuple[ChildSa, bool]] = {}
    for event in events:
        match event:
            case ChildUp(child, _, outbound):
                assert child.spi_in not in table, "installed twice"
                table[child.spi_in] = child, outbound
            case ChildOutbound(spi_in):
                table[spi_in] = table[spi_in][0], True
            case ChildDown(spi_in):
                del table[spi_in]
            case _:
                pass
    return table


def assert_agreement(pair: Pair) -> None:
    """Both ends stand on one IKE SA, with one Child SA that fits, over the same addresses, data paths included."""
    assert pair.client.state is SessionState.ESTABLISHED, pair.closed
    assert len(pair.responder.sessions) == 1, pair.gateway_events[-1:]
    ends = (pair.client, pair.gateway)
    assert pair.client.spis == pair.gateway.spis
    assert [len(end.local_spis) for end in ends] == [1, 1], "an old IKE SA is still there"
    assert [len(end.children) for end in ends] == [1, 1]
    assert fit(pair.client.children[0], pair.gateway.children[0])
    assert pair.client.path is not None
    assert pair.gateway.path is not None
    assert pair.gateway.path.remote == pair.client.path.local
    for end, events in zip(ends, (pair.client_events, pair.gateway_events), strict=True):
        assert data_path(events) == {end.children[0].spi_in: (end.children[0], True)}


def assert_discipline(pair: Pair) -> None:
    """On the wire: no IV twice under one key, requests numbered without a gap, one message for one number."""
    ivs: dict[tuple[bytes, bool, bytes], bytes] = {}
    messages: dict[tuple[bytes, bool, bool, int, bytes], bytes] = {}
    numbers: dict[tuple[bytes, bool], set[int]] = {}
    for flight in pair.sent:
        data, header = flight.data, Header.pull(flight.data)
        if header.next_payload not in (PayloadType.SK, PayloadType.SKF):
            continue
        fragment = data[32:36] if header.next_payload == PayloadType.SKF else b""
        start, spis = 32 + len(fragment), header.spi_i + header.spi_r
        iv = data[start : start + 8]
        assert ivs.setdefault((spis, flight.to_gateway, iv), data) == data, "an IV was used twice"
        key = (spis, flight.to_gateway, header.is_response, header.message_id, fragment)
        assert messages.setdefault(key, data) == data, "a message changed between its transmissions"
        if not header.is_response:
            numbers.setdefault((spis, flight.to_gateway), set()).add(header.message_id)
    for found in numbers.values():
        assert found == set(range(min(found), max(found) + 1)), "a message ID was left out"
