"""Every single bit of every datagram of whole sessions, flipped: before the genuine datagram, and instead of it.

Protected datagrams change nothing at all, so that all flips of one can meet the same live engine one after the
other, which is compared with its frozen state after each octet.  IKE_SA_INIT is open to changes until AUTH covers
it: there each flip has a copy of both engines of its own, that runs to the end.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace
from typing import Self

import pytest

from client.ike.events import Kind, Output, Transmit
from client.ike.message import Rejected, decode
from client.ike.options import SessionConfig
from client.ike.proposals import parse_offer
from client.ike.registry import EapType, ExchangeType, NotifyType, ProtocolId
from client.ike.states import SessionState
from client.lab.acceptance import Acceptance
from client.lab.responder import GatewayConfig, HalfOpen
from tests.ike.test_tls_logins import client as tls_client
from tests.ike.test_tls_logins import gateway as tls_gateway
from tests.network import assert_agreement
from tests.pair import WALL, Flight, Pair, cert_client, client_config, eap_client, gateway_config, path_from
from tests.snapshot import Camera, forked

FRAGMENTS = 300  # octets: small enough that the larger messages of the client come in parts
LOGINS = {
    "psk": (client_config(), gateway_config()),
    "cert": (
        replace(cert_client(), fragment_size=FRAGMENTS),
        replace(gateway_config(), clients="cert", proof="cert"),
    ),
    "eap": (
        replace(eap_client(), fragment_size=FRAGMENTS),
        replace(gateway_config(), clients="eap", proof="cert"),
    ),
}


def flips_of(octet: int) -> Iterator[int]:
    return (octet ^ 1 << bit for bit in range(8))


class FlippingPair(Pair):
    """Delivers all flips of a protected datagram when it arrives for the first time."""

    def __init__(self, config: SessionConfig, gateway: GatewayConfig, *, instead: bool) -> None:
        super().__init__(config, gateway)
        self.instead = instead
        self.flipped: set[bytes] = set()
        self._camera: Camera[object] = Camera()

    def positions(self, flight: Flight) -> range:
        """Octets of the datagram whose bits are flipped."""
        return range(len(flight.data))

    def _arrive(self, flight: Flight) -> None:
        is_new = flight.data not in self.flipped and flight.data[18] != ExchangeType.IKE_SA_INIT
        if is_new:
            self.flipped.add(flight.data)
            for position in self.positions(flight):
                self._flip(flight, position)
        if not (is_new and self.instead):
            super()._arrive(flight)

    def _flip(self, flight: Flight, position: int) -> None:
        before = self._fingerprint()
        data = flight.data
        for octet in flips_of(data[position]):
            super()._arrive(replace(flight, data=data[:position] + bytes([octet]) + data[position + 1 :]))
            assert list(self.client.outputs()) == []
            for _, output in self.responder.outputs():
                self._arrive_at_client(output)
        assert self._fingerprint() == before, f"octet {position} of {data.hex()}"

    def _arrive_at_client(self, output: Output) -> None:
        """What the gateway says about an SPI that it does not know."""
        assert isinstance(output, Transmit)
        outcome = decode(output.data, None)
        assert isinstance(outcome, Rejected)
        assert outcome.hint is not None
        assert outcome.hint.type == NotifyType.INVALID_IKE_SPI
        source, target = output.path.ends(output.channel)
        super()._arrive(Flight(self.now, 0, output.data, False, output.channel, source, target))
        assert list(self.client.outputs()) == []

    def _fingerprint(self) -> bytes:
        """Everything that can change at both ends, but for the counters of dropped datagrams."""
        for session in (self.client, *self.responder.sessions.values()):
            session._core.dropped = 0
        return self._camera.freeze((self.client, self.responder))


@pytest.mark.slow
@pytest.mark.parametrize("instead", [False, True], ids=["before", "instead of the first transmission"])
@pytest.mark.parametrize("login", LOGINS)
def test_a_flipped_bit_of_a_protected_datagram_changes_nothing(login: str, instead: bool) -> None:
    pair = FlippingPair(*LOGINS[login], instead=instead)
    assert pair.connect(), pair.closed
    pair.run(10)
    assert_agreement(pair)
    for command in ("rekey_child", "rekey_ike", "probe") if login == "psk" else ():
        for end in ("client", "gateway"):
            getattr(getattr(pair, end), command)(pair.now)
            pair.run(70)  # an old IKE SA whose Delete was answered in vain is kept for a minute
            assert_agreement(pair)
    pair.client.move(path_from("10.64.0.10"), pair.now)
    pair.run(20)
    assert_agreement(pair)
    pair.client.close(pair.now)
    pair.run(10)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.USER_DOWN
    assert not pair.responder.sessions


class SparselyFlippingPair(FlippingPair):
    """Flips the bits of every seventh octet, of others in each datagram: certificates inside TLS are long."""

    def positions(self, flight: Flight) -> range:
        return range(len(self.flipped) % 7, len(flight.data), 7)


@pytest.mark.slow
@pytest.mark.parametrize("method", [EapType.TLS, EapType.TTLS, EapType.PEAP], ids=lambda method: method.name)
def test_a_flipped_bit_of_a_login_inside_tls_changes_nothing(method: EapType) -> None:
    pair = SparselyFlippingPair(tls_client(method), tls_gateway(method), instead=False)
    assert pair.connect(), pair.closed
    assert len(pair.flipped) >= 18
    assert_agreement(pair)


@pytest.mark.slow
def test_a_flipped_bit_of_the_gateways_delete_changes_nothing() -> None:
    for instead in (False, True):
        pair = FlippingPair(*LOGINS["psk"], instead=instead)
        assert pair.connect()
        pair.gateway.close(pair.now)
        pair.run(10)
        assert pair.closed is not None
        assert pair.closed.failure.kind is Kind.PEER_DELETED


# IKE_SA_INIT


class Remembering(dict[bytes, Acceptance]):
    """The gateway's half-open connections, with what those that are over had said and heard."""

    ever: dict[bytes, HalfOpen]

    def __new__(cls) -> Self:
        made = super().__new__(cls)
        made.ever = {}
        return made

    def __setitem__(self, spi: bytes, acceptance: Acceptance) -> None:
        super().__setitem__(spi, acceptance)
        self.ever[spi] = acceptance.opened


def opening_pair() -> Pair:
    """Both ends with a short offer: copies of them are to run thousands of times."""
    ike = parse_offer(ProtocolId.IKE, ("aes256gcm16-prfsha256-x25519",))
    esp = parse_offer(ProtocolId.ESP, ("aes256gcm16",))
    pair = Pair(
        replace(client_config(), ike_offer=ike, esp_offer=esp),
        replace(gateway_config(), ike_offer=ike, esp_offer=esp),
    )
    pair.responder._half_open = Remembering()
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.drain()
    return pair


def copies_with_a_flip(pair: Pair, *, instead: bool) -> Iterator[tuple[str, Pair]]:
    """A copy of the pair for each bit of the datagram under way."""
    (flight,) = pair.flights
    fork = forked(pair)
    for position in range(len(flight.data)):
        for octet in flips_of(flight.data[position]):
            copy = fork()
            data = flight.data[:position] + bytes([octet]) + flight.data[position + 1 :]
            if instead:
                copy.flights.clear()
            heapq.heappush(copy.flights, replace(flight, data=data, arrives=flight.arrives - 0.001))
            yield f"octet {position} becomes {octet:#x}", copy


def run_attempt(pair: Pair) -> bool:
    """Run until the attempt is over; True where it connects, which must be on what both ends really said."""
    pair.run(200, lambda: pair.client.state is not SessionState.CONNECTING)
    if pair.client.state is not SessionState.ESTABLISHED:
        return False
    opened = pair.responder._half_open
    assert isinstance(opened, Remembering)
    assert pair.client.spis is not None
    said = {flight.data for flight in pair.sent}
    transcript = opened.ever[pair.client.spis[1]]
    assert {transcript.request, transcript.response} <= said, "the gateway believes in a message never sent"
    pair.settle()
    assert_agreement(pair)
    return True


def count_of_responses(pair: Pair) -> int:
    """How often the gateway has answered IKE_SA_INIT."""
    return sum(not flight.to_gateway and flight.data[18] == ExchangeType.IKE_SA_INIT for flight in pair.sent)


def next_attempt(pair: Pair) -> bool:
    """What the tunnel controller does after a failure."""
    pair.new_client()
    pair.client_events.clear()
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    return run_attempt(pair)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["request", "response"])
def test_a_flipped_ike_sa_init_before_the_genuine_one_does_not_cost_the_attempt(end: str) -> None:
    pair = opening_pair()
    if end == "response":
        pair.step()
    for what, copy in copies_with_a_flip(pair, instead=False):
        assert run_attempt(copy), (what, copy.closed)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["request", "response"])
def test_a_flipped_ike_sa_init_instead_of_the_genuine_one_costs_one_attempt_at_most(end: str) -> None:
    pair = opening_pair()
    if end == "response":
        pair.step()
    for what, copy in copies_with_a_flip(pair, instead=True):
        connected = run_attempt(copy)
        if connected and end == "response":
            assert count_of_responses(copy) > 1, f"{what}: the flipped response was believed"
        assert connected or next_attempt(copy), (what, copy.closed)
