"""Child SAs: selectors that may only shrink, and keys of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network

import pytest

from client.ike.buffer import Writer
from client.ike.events import ChildUp, Kind, Selector
from client.ike.options import SessionConfig
from client.ike.payloads import TsInitiator, TsResponder
from client.ike.registry import ExchangeType, NotifyType, PayloadType
from client.ike.selectors import ANY_IPV4, ANY_IPV6, selector_of
from client.ike.states import SessionState
from tests.ike.crossings import CREATE, asked, error_of, rekey_child
from tests.ike.mutation import Link
from tests.ike.phases import established
from tests.ike.resealing import ResealingPair
from tests.pair import Flight, Pair, client_config, gateway_config

INSIDE = selector_of(ip_network("10.77.0.0/24"))
POOL = selector_of(ip_network("10.99.0.0/24"))
SIDES = {"TSi": PayloadType.TSI, "TSr": PayloadType.TSR}


class Meddling(ResealingPair):
    """A gateway that answers with selectors of its own choice."""

    def __init__(self, config: SessionConfig) -> None:
        super().__init__(config, gateway_config())
        self.choice: dict[PayloadType, tuple[Selector, ...]] = {}

    def _arrive(self, flight: Flight) -> None:
        self.note_sas()
        if not flight.to_gateway and flight.data[18] != ExchangeType.IKE_SA_INIT:
            chain = tuple(self._chosen(link) for link in self.chain_of(flight))
            flight = replace(flight, data=self.sealed(flight, chain))
        super()._arrive(flight)

    def _chosen(self, link: Link) -> Link:
        for kind, selectors in self.choice.items():
            if link.kind == kind:
                body = Writer()
                TsInitiator(selectors).push(body)
                return replace(link, body=body.bytes())
        return link


@pytest.fixture
def pair() -> Meddling:
    """A client that wants some networks, not all."""
    return Meddling(replace(client_config(), local_selectors=(POOL,), remote_selectors=(INSIDE,)))


WIDER: Sequence[tuple[Selector, ...]] = (
    (ANY_IPV4,),
    (ANY_IPV6,),
    (INSIDE, POOL, ANY_IPV4),
    (selector_of(ip_network("10.77.0.0/23")),),
    (),
)


def test_the_gateways_own_choice_is_taken_over(pair: Meddling) -> None:
    assert pair.connect(), pair.closed
    assert pair.client.children[0].remote_selectors == (INSIDE,)


@pytest.mark.parametrize("choice", WIDER)
@pytest.mark.parametrize("side", SIDES)
def test_selectors_beyond_our_offer_are_refused_at_login(
    pair: Meddling, side: str, choice: tuple[Selector, ...]
) -> None:
    pair.choice = {SIDES[side]: choice}
    pair.connect()
    pair.run(10)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.TS_UNACCEPTABLE
    assert not pair.events(ChildUp)
    assert not pair.responder.sessions


@pytest.mark.parametrize("choice", WIDER)
@pytest.mark.parametrize("side", SIDES)
def test_selectors_never_widen_with_a_rekey(pair: Meddling, side: str, choice: tuple[Selector, ...]) -> None:
    assert pair.connect()
    pair.choice = {SIDES[side]: choice}
    pair.client.rekey_child(pair.now)
    pair.run(10)
    assert len(pair.children_up()) == 1
    assert pair.client.state is SessionState.CLOSED


def test_a_rekey_of_the_gateway_gets_no_more_than_the_old_child_sa_had(pair: Meddling) -> None:
    assert pair.connect()
    old = pair.client.children[0]
    wide = (ANY_IPV4, ANY_IPV6)
    for child in pair.gateway._core.children.values():
        child.sa = replace(child.sa, local_selectors=wide, remote_selectors=wide)
    pair.gateway.rekey_child(pair.now)
    pair.settle()
    new = pair.children_up()[1].child
    assert (new.local_selectors, new.remote_selectors) == (old.local_selectors, old.remote_selectors)


def test_a_rekey_of_the_gateway_about_other_networks_is_refused_and_the_old_child_sa_stays() -> None:
    at = established()
    *others, _, _ = rekey_child(at)
    elsewhere = (selector_of(ip_network("203.0.113.0/24")),)
    answer = asked(at, CREATE, (*others, TsInitiator(elsewhere), TsResponder(elsewhere)))
    assert error_of(answer) == NotifyType.TS_UNACCEPTABLE
    assert len(at.pair.client.children) == 1
    assert len(at.pair.children_up()) == 1


def test_every_child_sa_and_each_direction_has_keys_of_its_own() -> None:
    pair = Pair()
    assert pair.connect()
    for _ in range(5):
        pair.client.rekey_child(pair.now)
        pair.gateway.rekey_ike(pair.now)
        pair.run(20)
        pair.gateway.rekey_child(pair.now)
        pair.run(20)
    keys = [
        key.reveal() for up in pair.children_up() for key in (up.child.keys.encr_in, up.child.keys.encr_out)
    ]
    assert len(keys) == len(set(keys)) == 2 * 11
    spis = [up.child.spi_in for up in pair.children_up()]
    assert len(set(spis)) == 11
    assert min(spis) >= 256
