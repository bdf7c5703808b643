"""Authentic messages whose payloads are spoiled: what a peer can do that holds the keys, and means harm.

Each datagram of a session is replaced by all of its mutants, each in a copy of both engines of its own.  Nothing
may raise, no attempt may hang, and what a session says in the end is one of few things.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from client.ike.events import Closed, Kind
from client.ike.options import SessionConfig
from client.ike.proposals import parse_offer
from client.ike.registry import EapType, ExchangeType, ProtocolId
from client.ike.states import SessionState
from client.lab.responder import GatewayConfig
from tests.ike.mutation import Mutant, mutants
from tests.ike.resealing import ResealingPair
from tests.ike.test_tls_logins import client as tls_client
from tests.ike.test_tls_logins import gateway as tls_gateway
from tests.network import data_path
from tests.pair import Flight, Pair, cert_client, client_config, eap_client, gateway_config, path_from
from tests.snapshot import forked

IKE = parse_offer(ProtocolId.IKE, ("aes256gcm16-prfsha256-x25519",))
ESP = parse_offer(ProtocolId.ESP, ("aes256gcm16-x25519",))
LOGINS = {
    "psk": (client_config(), gateway_config()),
    "cert": (cert_client(), replace(gateway_config(), clients="cert", proof="cert")),
    "eap": (eap_client(), replace(gateway_config(), clients="eap", proof="cert")),
}
BEFORE_LOGIN = {
    Kind.AUTH_REJECTED,
    Kind.AUTH_METHOD,
    Kind.CRYPTO_NO_PROPOSAL,
    Kind.NET_NO_RESPONSE,
    Kind.PEER_DELETED,
    Kind.PEER_PROTOCOL,
    Kind.TRUST_NO_PROOF,
    Kind.TRUST_EXPIRED,
    Kind.TRUST_UNKNOWN_CA,
    Kind.TRUST_WEAK,
    Kind.TRUST_NAME,
    Kind.TS_UNACCEPTABLE,
    Kind.ADDRESS_NONE,
}
AFTER_LOGIN = {Kind.PEER_PROTOCOL, Kind.PEER_DELETED, Kind.NET_NO_RESPONSE, Kind.USER_DOWN}


class MutatingPair(ResealingPair):
    """Lets copies of itself meet every mutant of a datagram before it meets the genuine one."""

    def __init__(self, config: SessionConfig, gateway: GatewayConfig) -> None:
        super().__init__(
            replace(config, ike_offer=IKE, esp_offer=ESP), replace(gateway, ike_offer=IKE, esp_offer=ESP)
        )
        self.is_mutating = True
        self.may_close = False
        self.met: set[bytes] = set()
        self.count = 0

    def _arrive(self, flight: Flight) -> None:
        self.note_sas()
        if self.is_mutating and flight.data not in self.met:
            self.met.add(flight.data)
            self._meet_mutants(flight)
        super()._arrive(flight)

    def _meet_mutants(self, flight: Flight) -> None:
        fork: Callable[[], MutatingPair] = forked(self)
        for mutant in mutants(self.chain_of(flight)):
            copy = fork()
            copy.is_mutating = False
            copy.meet(flight, mutant)
            self.count += 1

    def meet(self, flight: Flight, mutant: Mutant) -> None:
        """What becomes of this pair when the mutant arrives instead of the datagram."""
        where = f"exchange {flight.data[18]}, flags {flight.data[19]:#x}, {mutant.name}"
        was_connecting = self.client.state is SessionState.CONNECTING
        try:
            super()._arrive(replace(flight, data=self.sealed(flight, mutant.chain)))
            self.run(130, lambda: was_connecting and self.client.state is not SessionState.CONNECTING)
            self.run(6)
        except Exception as error:
            raise AssertionError(f"{where}: raised") from error
        if mutant.harmless and flight.data[18] != ExchangeType.IKE_SA_INIT:
            assert self.may_close or self.client.state is SessionState.ESTABLISHED, (where, self.closed)
        self.check_outcome(where, was_connecting)

    def check_outcome(self, where: str, was_connecting: bool) -> None:
        """Either end stands and can be used, or has ended for a documented reason and left nothing behind."""
        assert self.client.state in (SessionState.ESTABLISHED, SessionState.CLOSED), where
        for events in (self.client_events, self.gateway_events):
            closed = [event for event in events if isinstance(event, Closed)]
            assert len(closed) <= 1, where
            if closed:
                assert closed[0].failure.kind in (BEFORE_LOGIN if was_connecting else AFTER_LOGIN), (
                    where,
                    closed,
                )
                assert data_path(events) == {}, where
                assert isinstance(events[-1], Closed), where
        if self.client.state is SessionState.ESTABLISHED:
            assert self.client.next_deadline() is not None, where
            sending = [entry for entry in data_path(self.client_events).values() if entry[1]]
            assert sending, f"{where}: nothing to send on"


@pytest.mark.slow
@pytest.mark.parametrize("login", LOGINS)
def test_spoiled_payloads_of_every_message_of_a_login_end_in_a_documented_way(login: str) -> None:
    pair = MutatingPair(*LOGINS[login])
    assert pair.connect()
    assert pair.count > 500


@pytest.fixture
def pair() -> MutatingPair:
    pair = MutatingPair(*LOGINS["psk"])
    pair.is_mutating = False
    assert pair.connect()
    pair.is_mutating = True
    return pair


@pytest.mark.slow
@pytest.mark.parametrize("end", ["client", "gateway"])
@pytest.mark.parametrize("command", ["rekey_child", "rekey_ike", "probe", "close"])
def test_spoiled_payloads_of_every_later_message_end_in_a_documented_way(
    pair: MutatingPair, command: str, end: str
) -> None:
    pair.may_close = command == "close"
    getattr(getattr(pair, end), command)(pair.now)
    pair.run(2)
    assert pair.count >= {"rekey_child": 500, "rekey_ike": 300, "probe": 4, "close": 20}[command]


@pytest.mark.slow
def test_spoiled_payloads_of_a_move_end_in_a_documented_way(pair: MutatingPair) -> None:
    pair.client.move(path_from("10.64.0.10"), pair.now)
    pair.run(2)
    assert pair.count > 100


# TLS inside EAP, whose state nobody can copy: every mutant has a login of its own.


class ReplayingPair(MutatingPair):
    """Meets one mutant of one datagram (None: of none, but counts them), and is itself otherwise."""

    def __init__(
        self, config: SessionConfig, gateway: GatewayConfig, target: int | None, number: int
    ) -> None:
        super().__init__(config, gateway)
        self.target = target
        self.number = number
        self.sizes: list[int] = []  # mutants of each datagram, where none is met
        self.has_met = False

    def is_decided(self) -> bool:
        return self.client.state is not SessionState.CONNECTING

    def _arrive(self, flight: Flight) -> None:
        self.note_sas()
        if flight.data[18] != ExchangeType.IKE_AUTH or flight.data in self.met or self.has_met:
            Pair._arrive(self, flight)
            return
        self.met.add(flight.data)
        is_target = len(self.met) - 1 == self.target
        if is_target or self.target is None:
            choices = list(mutants(self.chain_of(flight)))
            self.sizes.append(len(choices))
        if not is_target:
            Pair._arrive(self, flight)
            return
        self.has_met = True
        mutant = choices[self.number % len(choices)]
        Pair._arrive(self, replace(flight, data=self.sealed(flight, mutant.chain)))


TLS_LOGINS = {
    EapType.TLS: 72,
    EapType.TTLS: 72,
    EapType.PEAP: 72,
}
"""How many of their mutants each of these meets: evenly spread over all datagrams of a login."""


def tls_pair(method: EapType, target: int | None, number: int) -> ReplayingPair:
    return ReplayingPair(tls_client(method), tls_gateway(method), target, number)


@pytest.mark.slow
@pytest.mark.parametrize("method", TLS_LOGINS, ids=lambda method: method.name)
def test_spoiled_payloads_of_a_login_inside_tls_end_in_a_documented_way(method: EapType) -> None:
    whole = tls_pair(method, None, 0)
    assert whole.connect()
    each = -(-TLS_LOGINS[method] // len(whole.sizes))
    chosen = [
        (target, number)
        for target, size in enumerate(whole.sizes)
        for number in range(0, size, max(size // each, 1))
    ]
    assert len(chosen) >= TLS_LOGINS[method]
    for target, number in chosen:
        where = f"{method.name}, datagram {target}, mutant {number}"
        pair = tls_pair(method, target, number)
        try:
            pair.connect()
            pair.run(130, pair.is_decided)
            pair.run(6)
        except Exception as error:
            raise AssertionError(f"{where}: raised") from error
        assert pair.has_met, where
        pair.check_outcome(where, was_connecting=True)
