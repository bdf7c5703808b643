"""Requests that cross: each row of RFC 7296 section 2.25, and simultaneous rekeys of one Child SA."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from client.ike.events import ChildUp, Kind
from client.ike.message import Decoded, decode
from client.ike.payloads import Nonce, Payload, SecurityAssociation
from client.ike.registry import NotifyType, ProtocolId
from client.ike.sa import ChildState
from client.ike.states import SessionState
from tests.ike.crossings import (
    CLOSING,
    CREATE,
    DELETE_IKE,
    INFORMATIONAL,
    REKEYING,
    REKEYING_CHILD,
    TEMPORARY,
    asked,
    closing_child,
    delete_child,
    error_of,
    refuse,
    rekey_child,
    rekey_ike,
    spi_of_gateway,
)
from tests.ike.phases import Scene, established, replaced
from tests.network import assert_agreement
from tests.pair import Pair, fit


@pytest.mark.parametrize(
    ("where", "request_of", "error"),
    [
        (closing_child, rekey_child, TEMPORARY),
        (closing_child, rekey_ike, TEMPORARY),
        (REKEYING_CHILD, rekey_ike, TEMPORARY),
        (REKEYING, rekey_ike, TEMPORARY),
        (REKEYING, rekey_child, TEMPORARY),
        (CLOSING, rekey_ike, TEMPORARY),
        (CLOSING, rekey_child, TEMPORARY),
        (replaced, rekey_ike, TEMPORARY),
        (replaced, rekey_child, TEMPORARY),
        (established, rekey_ike, None),
        (established, rekey_child, None),
        (REKEYING_CHILD, rekey_child, None),
    ],
)
def test_a_rekey_that_crosses_what_we_do_is_answered_by_the_table(
    where: Callable[[], Scene], request_of: Callable[[Scene], tuple[Payload, ...]], error: int | None
) -> None:
    at = where()
    assert error_of(asked(at, CREATE, request_of(at))) == error


def test_a_rekey_of_an_unknown_child_sa_is_told_its_spi_back() -> None:
    at = established()
    answer = asked(at, CREATE, rekey_child(at, b"\x01\x02\x03\x04"))
    (error,) = answer.notifies(NotifyType.CHILD_SA_NOT_FOUND)
    assert (error.protocol, error.spi) == (ProtocolId.ESP, b"\x01\x02\x03\x04")


def test_another_child_sa_is_refused_and_the_first_one_stays() -> None:
    at = established()
    assert error_of(asked(at, CREATE, rekey_child(at)[1:])) == NotifyType.NO_ADDITIONAL_SAS
    assert len(at.pair.client.children) == 1


def test_deletes_of_one_child_sa_that_cross_are_both_answered_without_a_delete() -> None:
    at = closing_child()
    assert asked(at, INFORMATIONAL, delete_child(spi_of_gateway(at))).payloads == ()


def test_a_delete_of_an_unknown_child_sa_is_answered_empty() -> None:
    at = established()
    assert asked(at, INFORMATIONAL, delete_child(b"\x01\x02\x03\x04")).payloads == ()
    assert at.pair.client.state is SessionState.ESTABLISHED


def test_a_delete_of_the_child_sa_that_we_replace_is_answered_and_waits_for_our_rekey() -> None:
    at = REKEYING_CHILD()
    ours = next(iter(at.pair.client._core.children))
    answer = asked(at, INFORMATIONAL, delete_child(spi_of_gateway(at)))
    assert answer.payloads == delete_child(ours.to_bytes(4))
    assert at.pair.client.state is SessionState.ESTABLISHED


@pytest.mark.parametrize("error", [NotifyType.CHILD_SA_NOT_FOUND, TEMPORARY, NotifyType.NO_PROPOSAL_CHOSEN])
def test_when_that_rekey_fails_too_nothing_is_left_and_the_session_ends(error: NotifyType) -> None:
    at = REKEYING_CHILD()
    asked(at, INFORMATIONAL, delete_child(spi_of_gateway(at)))
    assert at.ours is not None
    refuse(at, error)
    assert at.pair.client.state is SessionState.CLOSING
    at.pair.run(10)
    assert at.pair.closed is not None
    assert at.pair.closed.failure.kind is Kind.PEER_DELETED


def test_when_that_rekey_succeeds_the_session_goes_on_with_its_result() -> None:
    at = REKEYING_CHILD()
    asked(at, INFORMATIONAL, delete_child(spi_of_gateway(at)))
    at.pair.settle()  # the gateway's own answer to the rekey
    assert at.pair.client.state is SessionState.ESTABLISHED
    (child,) = at.pair.client.children
    assert at.pair.events(ChildUp)[-1] == ChildUp(child, at.pair.children_up()[0].child.spi_in)
    later = [flight for flight in at.pair.sent if flight.to_gateway and flight.data[18] == INFORMATIONAL]
    assert not later  # there is nothing left to delete


@pytest.mark.parametrize("where", [REKEYING, established, REKEYING_CHILD])
def test_a_delete_of_the_ike_sa_is_answered_empty_and_ends_everything(where: Callable[[], Scene]) -> None:
    at = where()
    assert asked(at, INFORMATIONAL, DELETE_IKE).payloads == ()
    assert at.pair.client.state is SessionState.CLOSED
    assert at.pair.closed is not None
    assert at.pair.closed.failure.kind is Kind.PEER_DELETED


def test_deletes_of_the_ike_sa_that_cross_end_the_session_as_the_user_wanted() -> None:
    at = CLOSING()
    assert asked(at, INFORMATIONAL, DELETE_IKE).payloads == ()
    assert at.pair.closed is not None
    assert at.pair.closed.failure.kind is Kind.USER_DOWN


def test_a_child_sa_can_be_deleted_while_its_ike_sa_is_replaced() -> None:
    at = REKEYING()
    ours = next(iter(at.pair.client._core.children))
    answer = asked(at, INFORMATIONAL, delete_child(spi_of_gateway(at)))
    assert answer.payloads == delete_child(ours.to_bytes(4))


def test_the_delete_of_a_replaced_ike_sa_ends_only_that_one() -> None:
    at = replaced()
    assert asked(at, INFORMATIONAL, DELETE_IKE).payloads == ()
    assert at.pair.client.state is SessionState.ESTABLISHED
    assert at.ours not in at.pair.client._core.sas.values()


# Simultaneous rekeys of one Child SA


def nonces_and_spis(pair: Pair) -> list[tuple[bytes, bytes]]:
    """The nonces of all CREATE_CHILD_SA messages with the SPIs that their senders chose."""
    client, gateway = pair.client._core.current, pair.gateway._core.current
    assert client is not None
    assert gateway is not None
    found = []
    for flight in pair.sent:
        if flight.data[18] == CREATE:
            outcome = decode(flight.data, gateway.opener if flight.to_gateway else client.opener)
            assert isinstance(outcome, Decoded)
            nonce, proposals = outcome.message.first(Nonce), outcome.message.first(SecurityAssociation)
            assert nonce is not None
            assert proposals is not None
            found.append((nonce.data, proposals.proposals[0].spi))
    return found


def test_the_exchange_with_the_lowest_of_four_nonces_loses_wherever_it_stands() -> None:
    positions = set()
    for seed in range(40):
        pair = Pair(seed=seed)
        assert pair.connect()
        pair.client.rekey_child(pair.now)
        pair.gateway.rekey_child(pair.now)
        pair.settle()
        found = nonces_and_spis(pair)
        assert (
            len(found) == 4
        )  # request of the client, of the gateway, answers of the gateway and of the client
        lowest = min(range(4), key=lambda position: found[position][0])
        positions.add(lowest)
        loser = {0: (0, 2), 1: (1, 3), 2: (0, 2), 3: (1, 3)}[lowest]
        pair.run(20)
        assert_agreement(pair)
        (child,) = pair.client.children
        assert child.spi_in.to_bytes(4) not in {found[position][1] for position in loser}
    assert positions == {0, 1, 2, 3}


def test_of_two_crossing_rekeys_only_one_result_is_ever_sent_on() -> None:
    for seed in range(20):
        pair = Pair(seed=seed)
        assert pair.connect()
        pair.client.rekey_child(pair.now)
        pair.gateway.rekey_child(pair.now)
        while pair.flights:
            pair.step()
            for end in (pair.client, pair.gateway):
                sending = [
                    child for child in end._core.children.values() if child.outbound and is_alive(child.state)
                ]
                assert len(sending) == 1
        assert fit(pair.client.children[0], pair.gateway.children[0])


def is_alive(state: ChildState) -> bool:
    return state in (ChildState.LIVE, ChildState.REKEYING)
