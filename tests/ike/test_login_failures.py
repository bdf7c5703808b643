"""Logins that cannot succeed: the cause, its evidence in words, no secret in them, and nothing left behind."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise

import pytest

from client.ike.authentication import KeySigner
from client.ike.eap.mschapv2 import nt_hash
from client.ike.events import ChildUp, Established, Kind
from client.ike.keys import Secret
from client.ike.options import CertLogin
from client.ike.registry import ExchangeType, NotifyType
from client.ike.session import Session
from client.ike.states import SessionState
from client.ike.trace import TraceEvent
from tests.ike.failing_logins import BY_CERT, PASSWORD, ROWS, Row
from tests.pair import AUTHORITY, PSK, VALID, Flight, Pair, cert_client, path_from
from tests.rng import SeededRng


def connect_in_vain(row: Row) -> tuple[Pair, list[TraceEvent]]:
    trace: list[TraceEvent] = []
    pair = Pair(row.client, row.gateway)
    pair.client = Session(row.client, SeededRng(1, "client"), trace.append)
    assert not pair.connect(seconds=200)
    pair.run(20)
    return pair, trace


@pytest.mark.parametrize("case", ROWS)
def test_a_login_that_fails_tells_why(case: str) -> None:
    row = ROWS[case]
    pair, _ = connect_in_vain(row)
    assert pair.closed is not None
    failure = pair.closed.failure
    assert failure.kind is row.kind, failure
    assert failure.final is row.final
    for words in row.evidence:
        assert words in failure.evidence
    assert len(failure.evidence) < 250
    assert failure.evidence.isprintable()


@pytest.mark.parametrize("case", ROWS)
def test_a_login_that_fails_leaves_nothing_behind(case: str) -> None:
    pair, _ = connect_in_vain(ROWS[case])
    assert pair.client.state is SessionState.CLOSED
    assert pair.client.next_deadline() is None
    assert pair.client.children == ()
    assert not pair.events(ChildUp)
    assert not pair.responder.sessions


@pytest.mark.parametrize("case", ROWS)
def test_no_word_about_a_failed_login_holds_a_secret(case: str) -> None:
    row = ROWS[case]
    pair, trace = connect_in_vain(row)
    said = " ".join(
        [repr(pair.client_events), repr(pair.closed), *(repr(event) for event in trace), repr(row.client)]
    )
    secrets = [PSK.reveal(), PASSWORD, b"looking glass", nt_hash(Secret(PASSWORD)).reveal()]
    for secret in secrets:
        for form in (secret.decode("latin-1"), secret.hex(), base64.b64encode(secret).decode(), repr(secret)):
            assert form not in said


def test_a_refused_child_sa_is_deleted_with_its_ike_sa_and_without_waiting() -> None:
    pair, _ = connect_in_vain(ROWS["nothing in common to reach"])
    assert len(pair.events(Established)) == 1  # the login itself was right
    last = [flight.data for flight in pair.sent if flight.to_gateway][-1]
    assert last[18] == ExchangeType.INFORMATIONAL


# Silence


def only(*exchanges: ExchangeType) -> Callable[[Flight], Iterable[Flight]]:
    return lambda flight: (flight,) if flight.data[18] in exchanges else ()


def test_silence_from_the_start_names_the_address_and_how_often_it_was_tried() -> None:
    pair = Pair()
    pair.fate = only()
    began = pair.now
    assert not pair.connect(seconds=200)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.NET_NO_RESPONSE
    assert "192.0.2.1:500" in pair.closed.failure.evidence
    tries = len(pair.sent)
    assert f"no answer to {tries} IKE_SA_INIT requests" in pair.closed.failure.evidence
    assert tries >= 10
    assert pair.now - began <= 61


def test_silence_after_ike_sa_init_points_to_port_4500_and_to_large_packets() -> None:
    pair = Pair()
    pair.fate = only(ExchangeType.IKE_SA_INIT)
    began = pair.now
    assert not pair.connect(seconds=200)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.NET_NO_RESPONSE
    assert "192.0.2.1:4500" in pair.closed.failure.evidence
    assert "UDP port 4500 may be blocked" in pair.closed.failure.evidence
    assert pair.now - began <= 62


def test_the_same_request_is_sent_at_growing_intervals_never_more_than_four_a_second() -> None:
    for network in (only(), only(ExchangeType.IKE_SA_INIT)):
        pair = Pair()
        pair.fate = network
        pair.connect(seconds=200)
        requests = [flight for flight in pair.sent if flight.to_gateway]
        times = [flight.arrives for flight in requests if flight.data[18] == requests[-1].data[18]]
        assert len({flight.data for flight in requests}) <= 2
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(later >= earlier - 1e-6 for earlier, later in pairwise(gaps[:-1]))
        assert min(gaps) >= 0.25
        assert max(gaps) <= 5.001


def test_a_closed_session_stays_closed_and_silent() -> None:
    pair, _ = connect_in_vain(ROWS["wrong password"])
    for flight in list(pair.sent):
        pair.client.handle_datagram(flight.data, flight.channel, flight.source, pair.now)
    pair.client.handle_timeout(pair.now + 1000)
    for command in (pair.client.rekey_child, pair.client.rekey_ike, pair.client.probe, pair.client.close):
        command(pair.now)
    pair.client.move(path_from("10.64.0.10"), pair.now)
    assert list(pair.client.outputs()) == []


# Our own credentials


def test_an_rsa_key_meets_a_gateway_that_knows_sha1_only() -> None:
    issued = AUTHORITY.issue("CN=alice", emails=["alice@example.com"], server=False, key="rsa", **VALID)
    client = replace(cert_client(), login=CertLogin(issued.chain, KeySigner(issued.key)))
    pair = Pair(client, BY_CERT)
    pair.fate = without_hashes
    assert not pair.connect(seconds=100)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_METHOD
    assert "SHA-1" in pair.closed.failure.evidence


def without_hashes(flight: Flight) -> Iterable[Flight]:
    """A network that makes SIGNATURE_HASH_ALGORITHMS another, unknown notify."""
    known = NotifyType.SIGNATURE_HASH_ALGORITHMS.to_bytes(2)
    is_init = flight.data[18] == ExchangeType.IKE_SA_INIT
    return (
        replace(flight, data=flight.data.replace(b"\0\0" + known, b"\0\0\x9f\xff")) if is_init else flight,
    )
