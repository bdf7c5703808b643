"""Logins at gateways whose certificate may have been revoked: what is asked, what leaves before, what is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.x509 import ocsp

from client.ike.authentication import KeySigner
from client.ike.eap.methods import warm
from client.ike.events import Established, Inquiry, Kind, Remark, Reply, RevocationNeeded
from client.ike.identity import Identity
from client.ike.inquest import WITHIN, Memory
from client.ike.keys import Secret
from client.ike.options import CertLogin, CertProof, EapLogin, Login, SessionConfig
from client.ike.registry import EapType
from client.ike.revocation import Link, Policy
from client.ike.states import SessionState
from client.ike.trust import Trust
from client.lab.responder import GatewayConfig
from tests.ike.failing_logins import BY_CERT, with_certificate
from tests.ike.statements import GATEWAY, HOUR, LIST_URL, OCSP_URL, OTHER, octets, response, revocation_list
from tests.pair import (
    AUTHORITY,
    CLIENT_CERT,
    GATEWAY_ID,
    WALL,
    Pair,
    client_config,
    path_from,
)

REVOKED = ocsp.OCSPCertStatus.REVOKED
THERE = with_certificate(GATEWAY)
GATEWAYS = {"password": THERE, "certificate": with_certificate(GATEWAY, BY_CERT)}
LOGINS: dict[str, Login] = {
    "password": EapLogin("alice", Secret(b"wonderland"), (EapType.MSCHAPV2,)),
    "certificate": CertLogin(CLIENT_CERT.chain, KeySigner(CLIENT_CERT.key)),
}
warm((EapType.MSCHAPV2,))


def config(policy: Policy, login: str = "password", **more: object) -> SessionConfig:
    trust = Trust((AUTHORITY.certificate,), GATEWAY_ID, revocation=policy)
    return replace(client_config(LOGINS[login], CertProof(trust)), **more)  # type: ignore[arg-type]


def started(policy: Policy, login: str = "password", **more: object) -> Pair:
    """Up to the point where the login waits for word about the gateway's certificate."""
    pair = Pair(config(policy, login, **more), GATEWAYS[login])
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    assert pair.run(3.0, lambda: bool(questions(pair)))
    return pair


def questions(pair: Pair) -> list[RevocationNeeded]:
    return [event for event in pair.client_events if isinstance(event, RevocationNeeded)]


def remarks(pair: Pair) -> list[str]:
    return [event.text for event in pair.client_events if isinstance(event, Remark)]


def answer(pair: Pair, *replies: Reply) -> None:
    pair.client.hear_revocation(replies, pair.now)
    pair.settle()


@pytest.mark.parametrize("policy", [Policy.RELAXED, Policy.STRICT])
@pytest.mark.parametrize("login", LOGINS)
def test_a_login_goes_on_once_the_certificate_is_known_to_be_good(policy: Policy, login: str) -> None:
    pair = started(policy, login)
    (asked,) = questions(pair)
    assert asked.inquiries[0].url == OCSP_URL
    assert asked.seconds <= WITHIN
    answer(pair, Reply(response()))
    pair.run(3.0, lambda: pair.client.state is SessionState.ESTABLISHED)
    assert pair.events(Established)
    assert remarks(pair) == []


@pytest.mark.parametrize("policy", [Policy.RELAXED, Policy.STRICT])
@pytest.mark.parametrize("login", LOGINS)
def test_a_revoked_gateway_gets_nothing_of_a_password_and_is_refused(policy: Policy, login: str) -> None:
    pair = started(policy, login)
    sent = len([flight for flight in pair.sent if flight.to_gateway])
    answer(pair, Reply(response(REVOKED)))
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.TRUST_REVOKED
    assert "key compromise" in pair.closed.failure.evidence
    after = [flight for flight in pair.sent if flight.to_gateway][sent:]
    assert len(after) == 1, "AUTHENTICATION_FAILED, and nothing else"
    assert not pair.events(Established)


def test_nothing_is_sent_while_the_login_waits() -> None:
    pair = started(Policy.STRICT)
    sent = len(pair.sent)
    pair.run(WITHIN)
    assert len(pair.sent) == sent


def test_a_shell_that_never_answers_ends_a_strict_login_and_not_a_relaxed_one() -> None:
    strict, relaxed = started(Policy.STRICT), started(Policy.RELAXED)
    for pair in (strict, relaxed):
        pair.run(WITHIN + 5.0)
    assert strict.closed is not None
    assert strict.closed.failure.kind is Kind.TRUST_REVOCATION_UNKNOWN
    assert relaxed.events(Established)
    assert "no answer in time" in remarks(relaxed)[0]


def test_the_list_is_the_second_chance() -> None:
    pair = started(Policy.STRICT)
    answer(pair, Reply(trouble="connection refused"))
    assert [asked.inquiries for asked in questions(pair)][1] == (Inquiry(LIST_URL),)
    answer(pair, Reply(octets(revocation_list())))
    pair.run(3.0, lambda: pair.client.state is SessionState.ESTABLISHED)
    assert pair.events(Established)


def test_the_next_login_asks_nobody_as_long_as_the_answer_holds() -> None:
    memory = Memory()
    pair = started(Policy.STRICT, memory=memory)
    answer(pair, Reply(response()))
    again = Pair(config(Policy.STRICT, memory=memory), THERE)
    assert again.connect()
    assert not questions(again)


def test_a_list_of_the_profile_needs_no_question() -> None:
    trust = Trust((AUTHORITY.certificate,), GATEWAY_ID, revocation=Policy.STRICT, lists=(revocation_list(),))
    assert Pair(client_config(LOGINS["password"], CertProof(trust)), THERE).connect()
    revoked = replace(trust, revocation=Policy.RELAXED, lists=(revocation_list([GATEWAY.certificate]),))
    pair = Pair(client_config(LOGINS["password"], CertProof(revoked)), THERE)
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.TRUST_REVOKED


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    pair = started(Policy.STRICT)
    pair.run(WITHIN + 5.0)
    answer(pair, Reply(response()))
    assert pair.client.state is SessionState.CLOSED


def handing_over(*said: bytes) -> GatewayConfig:
    """A gateway that knows RFC 4806."""
    return replace(THERE, ocsp=said)


def test_the_gateways_own_ocsp_response_needs_no_question() -> None:
    pair = Pair(config(Policy.STRICT), handing_over(response()))
    assert pair.connect()
    assert not questions(pair)
    assert Pair(config(Policy.OFF), handing_over(response(REVOKED))).connect(), "it is not asked for"


@pytest.mark.parametrize("policy", [Policy.RELAXED, Policy.STRICT])
def test_a_gateway_that_confesses_is_refused(policy: Policy) -> None:
    pair = Pair(config(policy), handing_over(response(REVOKED)))
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.TRUST_REVOKED
    assert not questions(pair)


def test_a_gateway_that_hands_over_nonsense_is_asked_about() -> None:
    pair = Pair(
        config(Policy.STRICT),
        handing_over(b"", bytes(100), response(since=WALL - 2 * HOUR, until=WALL - HOUR)),
    )
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    assert pair.run(3.0, lambda: bool(questions(pair)))
    assert questions(pair)[0].inquiries[0].url == OCSP_URL


def test_what_the_gateway_hands_over_and_is_of_no_use_is_told() -> None:
    """Nobody else is named who could be asked."""
    mute = with_certificate(OTHER)
    trust = Trust((AUTHORITY.certificate,), Identity.parse("other.example.com"), revocation=Policy.RELAXED)
    stale = response(
        about=Link(OTHER.certificate, AUTHORITY.certificate), since=WALL - 2 * HOUR, until=WALL - HOUR
    )
    for handed, words in ((stale, "the OCSP response is stale"), (b"noise", "does not read")):
        there = replace(mute, ocsp=(handed,), identity=Identity.parse("other.example.com"))
        pair = Pair(client_config(LOGINS["password"], CertProof(trust)), there)
        assert pair.connect()
        (remark,) = remarks(pair)
        assert "from the gateway itself: " in remark
        assert words in remark
        assert remark.startswith("it is not known whether a certificate was revoked")
        strict = replace(trust, revocation=Policy.STRICT)
        refused = Pair(client_config(LOGINS["password"], CertProof(strict)), there)
        assert not refused.connect()
        assert refused.closed is not None
        assert refused.closed.failure.kind is Kind.TRUST_REVOCATION_UNKNOWN
        assert words in refused.closed.failure.evidence
