"""Refusals of the client's own rekeys: what is tried next, when, and when it is enough."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from client.ike.events import IkeRekeyed, Kind
from client.ike.exchanges.rekey_child import RekeyChild
from client.ike.exchanges.rekey_ike import RekeyIke
from client.ike.message import Message
from client.ike.payloads import KeyExchange, SecurityAssociation
from client.ike.proposals import parse_offer
from client.ike.registry import Kex, NotifyType, ProtocolId, TransformType
from client.ike.sa import IkeSaState
from client.ike.states import SessionState
from tests.ike.crossings import CREATE, DELETE_IKE, REKEYING, REKEYING_CHILD, TEMPORARY, outstanding, refuse
from tests.ike.phases import Scene, scene
from tests.network import assert_agreement
from tests.pair import Pair, client_config, gateway_config

PFS = parse_offer(ProtocolId.ESP, ("aes256gcm16-x25519-ecp256",))


def rekeying_child_with_pfs() -> Scene:
    pair = Pair(replace(client_config(), esp_offer=PFS), replace(gateway_config(), esp_offer=PFS))
    assert pair.connect()
    pair.client.rekey_child(pair.now)
    pair.drain()
    assert pair.client._core.current is not None
    return scene(pair, pair.client._core.current)


def group_of(request: Message) -> int | None:
    share = request.first(KeyExchange)
    return None if share is None else share.method


def offers_groups(request: Message) -> bool:
    proposals = request.first(SecurityAssociation)
    assert proposals is not None
    return any(proposal.ids(TransformType.KE) for proposal in proposals.proposals)


def test_a_child_rekey_is_retried_with_the_group_that_the_gateway_wants() -> None:
    at = rekeying_child_with_pfs()
    (again,) = refuse(at, NotifyType.INVALID_KE_PAYLOAD, Kex.ECP_256.to_bytes(2))
    assert again.exchange == CREATE
    assert group_of(again) == Kex.ECP_256
    assert again.notify(NotifyType.REKEY_SA) is not None


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (NotifyType.NO_PROPOSAL_CHOSEN, b""),
        (NotifyType.INVALID_KE_PAYLOAD, Kex.MODP_4096.to_bytes(2)),
        (NotifyType.INVALID_KE_PAYLOAD, b""),
        (NotifyType.INVALID_KE_PAYLOAD, (0).to_bytes(2)),
    ],
)
def test_a_child_rekey_whose_groups_are_not_wanted_is_retried_without_any(
    error: NotifyType, data: bytes
) -> None:
    at = rekeying_child_with_pfs()
    (again,) = refuse(at, error, data)
    assert group_of(again) is None
    assert not offers_groups(again)


def test_a_gateway_that_only_rekeys_without_a_group_gets_what_it_wants() -> None:
    without = parse_offer(ProtocolId.ESP, ("aes256gcm16",))
    pair = Pair(replace(client_config(), esp_offer=PFS), replace(gateway_config(), esp_offer=without))
    assert pair.connect()
    pair.client.rekey_child(pair.now)
    pair.run(20)
    assert_agreement(pair)
    assert len(pair.children_up()) == 2


def test_a_gateway_with_a_group_of_its_own_gets_that() -> None:
    its_own = parse_offer(ProtocolId.ESP, ("aes256gcm16-ecp256",))
    pair = Pair(replace(client_config(), esp_offer=PFS), replace(gateway_config(), esp_offer=its_own))
    assert pair.connect()
    pair.client.rekey_child(pair.now)
    pair.run(20)
    assert_agreement(pair)
    assert len(pair.children_up()) == 2
    assert pair.client.child_suite is not None
    assert "ECP_256" in pair.client.child_suite.upper()


@pytest.mark.parametrize("error", [TEMPORARY, NotifyType.NO_ADDITIONAL_SAS, NotifyType.TS_UNACCEPTABLE, 100])
def test_a_refused_child_rekey_is_tried_again_less_and_less_often_and_ends_the_session_at_last(
    error: NotifyType,
) -> None:
    at = REKEYING_CHILD()
    times = refuse_for_ever(at, error, RekeyChild)
    assert times[1] - times[0] >= 2.0
    assert max(later - earlier for earlier, later in pairwise(times)) <= 65
    assert 7 <= len(times) <= 14
    assert at.pair.closed is not None
    assert at.pair.closed.failure.kind is Kind.PEER_PROTOCOL
    assert "refuses to replace the Child SA" in at.pair.closed.failure.evidence


@pytest.mark.parametrize("error", [TEMPORARY, NotifyType.NO_PROPOSAL_CHOSEN])
def test_a_refused_ike_rekey_is_tried_again_less_and_less_often_and_ends_the_session_at_last(
    error: NotifyType,
) -> None:
    at = REKEYING()
    times = refuse_for_ever(at, error, RekeyIke)
    assert 7 <= len(times) <= 14
    assert at.pair.closed is not None
    assert "refuses to replace the IKE SA" in at.pair.closed.failure.evidence


def refuse_for_ever(at: Scene, error: NotifyType, kind: type) -> list[float]:
    """The times at which the client asked, until it had enough."""
    pair, times = at.pair, []
    pair.fate = lambda flight: ()
    for _ in range(100):
        pair.run(
            100, lambda: any(isinstance(exchange, kind) for exchange in outstanding(pair)) or is_over(pair)
        )
        if is_over(pair):
            break
        times.append(pair.now)
        refuse(at, error)
        pair.drain()
    pair.run(10)
    return times


def is_over(pair: Pair) -> bool:
    return pair.client.state in (SessionState.CLOSING, SessionState.CLOSED)


def test_a_lost_child_sa_without_another_ends_the_session() -> None:
    at = REKEYING_CHILD()
    (farewell,) = refuse(at, NotifyType.CHILD_SA_NOT_FOUND)
    assert farewell.payloads == DELETE_IKE
    at.pair.run(10)
    assert at.pair.closed is not None
    assert at.pair.closed.failure.kind is Kind.PEER_DELETED


def test_an_ike_rekey_is_retried_with_the_group_that_the_gateway_wants() -> None:
    at = REKEYING()
    (again,) = refuse(at, NotifyType.INVALID_KE_PAYLOAD, Kex.ECP_256.to_bytes(2))
    assert group_of(again) == Kex.ECP_256
    assert not at.pair.events(IkeRekeyed)


@pytest.mark.parametrize("data", [b"", b"\x00", Kex.X25519.to_bytes(2), (1).to_bytes(2)])
def test_a_senseless_wish_for_a_group_is_a_refusal_like_others(data: bytes) -> None:
    at = REKEYING()
    assert refuse(at, NotifyType.INVALID_KE_PAYLOAD, data) == []
    assert at.ours is not None
    assert at.ours.state is IkeSaState.LIVE
    assert at.pair.client.state is SessionState.ESTABLISHED


def test_everything_that_an_ike_sa_had_its_successor_has() -> None:
    pair = Pair()
    pair.hide_behind("192.168.1.10", "198.51.100.7")
    assert pair.connect()
    before = (pair.client.nat, pair.client.path, pair.client.children, pair.client._core.mobike)
    sa = pair.client._core.current
    assert sa is not None
    pair.gateway.rekey_ike(pair.now)
    pair.settle()
    successor = pair.client._core.current
    assert successor is not None
    assert successor is not sa
    assert (pair.client.nat, pair.client.path, pair.client.children, pair.client._core.mobike) == before
    assert successor.fragmentation is sa.fragmentation
    assert (successor.window.next_request_id, successor.window.expected_request_id) == (0, 0)
    assert pair.client.ike_rekey_at is not None
    pair.client.probe(pair.now)
    pair.settle()
    assert pair.client._core.current is successor
