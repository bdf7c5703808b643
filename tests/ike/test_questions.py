"""Logins in the course of which the gateway asks something that only the user can answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike.core import ANSWER_WITHIN
from client.ike.events import AnswerKind, AnswerNeeded, Closed, Established, Kind
from client.ike.keys import OneTimeCode, Secret
from client.ike.options import CertProof, EapLogin, PskProof, SessionConfig
from client.ike.registry import EapType
from client.ike.states import SessionState
from client.ike.trust import Trust
from client.lab.eap_methods import Accounts
from client.lab.responder import GatewayConfig
from tests.pair import AUTHORITY, GATEWAY_ID, PSK, WALL, Pair, client_config, gateway_config, path_from

PASSWORD, CODE = Secret(b"wonderland"), Secret(b"123456")
TRUST = Trust((AUTHORITY.certificate,), GATEWAY_ID)


def client(*methods: EapType, password: Secret | OneTimeCode = PASSWORD) -> SessionConfig:
    return client_config(EapLogin("alice", password, methods), CertProof(TRUST))


def gateway(*methods: EapType, code: Secret = CODE) -> GatewayConfig:
    accounts = Accounts({"alice": PASSWORD}, {"alice": code})
    return replace(gateway_config(), clients="eap", proof="cert", accounts=accounts, eap_methods=methods)


def asked_pair(*methods: EapType) -> Pair:
    """A login that waits for its user."""
    pair = Pair(client(*methods), gateway(*methods))
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    assert pair.run(30, lambda: bool(pair.events(AnswerNeeded)))
    return pair


def finish(pair: Pair) -> None:
    pair.run(30, lambda: pair.client.state is not SessionState.CONNECTING)
    pair.settle()


@pytest.mark.parametrize("method", [EapType.MD5, EapType.GTC])
def test_a_method_without_a_key_logs_in_behind_a_certificate(method: EapType) -> None:
    accounts = Accounts({"alice": PASSWORD})
    config = replace(gateway(method), accounts=accounts)
    pair = Pair(client(method), config)
    assert pair.connect()
    assert len(pair.responder.sessions) == 1


@pytest.mark.parametrize("method", [EapType.MD5, EapType.GTC, EapType.OTP])
def test_a_method_without_a_key_is_not_for_a_gateway_that_shows_no_certificate(method: EapType) -> None:
    config = replace(client(method), proof=PskProof(PSK))
    pair = Pair(config, replace(gateway(method), proof="psk"))
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_METHOD


def test_a_password_with_a_key_may_follow_a_pre_shared_key() -> None:
    config = replace(client(EapType.MSCHAPV2), proof=PskProof(PSK))
    assert Pair(config, replace(gateway(EapType.MSCHAPV2), proof="psk")).connect()


@pytest.mark.parametrize(
    ("method", "prompt"), [(EapType.GTC, "Code of your token:"), (EapType.OTP, "otp-sha1 487 lab4711")]
)
def test_the_login_waits_for_the_users_answer_and_goes_on(method: EapType, prompt: str) -> None:
    pair = asked_pair(method)
    assert pair.events(AnswerNeeded) == [AnswerNeeded(AnswerKind.OTP, prompt)]
    sent = len(pair.sent)
    pair.run(60)  # nothing is sent while a person types
    assert len(pair.sent) == sent
    assert not pair.events(Established)
    pair.client.answer(CODE, pair.now)
    finish(pair)
    assert pair.client.state is SessionState.ESTABLISHED
    assert len(pair.responder.sessions) == 1


def test_a_wrong_code_is_a_refusal_for_good() -> None:
    pair = asked_pair(EapType.GTC)
    pair.client.answer(Secret(b"000000"), pair.now)
    finish(pair)
    assert pair.closed is not None
    assert (pair.closed.failure.kind, pair.closed.failure.final) == (Kind.AUTH_REJECTED, True)


def test_a_question_that_nobody_answers_ends_the_login() -> None:
    pair = asked_pair(EapType.GTC)
    began = pair.now
    pair.run(300, lambda: pair.closed is not None)
    assert pair.now - began <= ANSWER_WITHIN + 0.1
    assert pair.closed is not None
    assert (pair.closed.failure.kind, pair.closed.failure.final) == (Kind.AUTH_NEEDS_SECRET, True)
    assert pair.client.next_deadline() is None
    pair.client.answer(CODE, pair.now)  # too late: nobody waits any more
    assert list(pair.client.outputs()) == []


def test_a_question_can_be_declined() -> None:
    pair = asked_pair(EapType.OTP)
    pair.client.decline(pair.now)
    pair.drain()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_NEEDS_SECRET


def test_a_session_can_be_closed_while_it_waits() -> None:
    pair = asked_pair(EapType.OTP)
    pair.client.close(pair.now)
    pair.drain()
    assert isinstance(pair.closed, Closed)
    assert pair.closed.failure.kind is Kind.USER_DOWN
    pair.client.decline(pair.now)
    assert list(pair.client.outputs()) == []


def test_an_answer_that_nobody_needs_changes_nothing() -> None:
    pair = Pair(client(EapType.GTC), replace(gateway(EapType.GTC), accounts=Accounts({"alice": PASSWORD})))
    pair.client.answer(CODE, pair.now)
    assert pair.connect()
    before = len(pair.sent)
    pair.client.answer(CODE, pair.now)
    pair.client.decline(pair.now)
    pair.settle()
    assert len(pair.sent) == before
    assert pair.client.state is SessionState.ESTABLISHED


def test_a_code_serves_one_login_and_the_next_one_asks() -> None:
    code = OneTimeCode(CODE)
    config = client(EapType.GTC, password=code)
    pair = Pair(config, replace(gateway(EapType.GTC), accounts=Accounts({}, {"alice": CODE})))
    assert pair.connect()
    assert code.is_spent
    pair.client_events.clear()
    pair.new_client().initiate(path_from("192.168.1.10"), pair.now, WALL)
    assert pair.run(30, lambda: bool(pair.events(AnswerNeeded)))
    assert not pair.events(Established)


def test_a_repeated_answer_of_the_gateway_asks_only_once() -> None:
    pair = Pair(client(EapType.OTP), gateway(EapType.OTP))
    pair.fate = lambda flight: (flight, flight)
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.run(5)
    assert len(pair.events(AnswerNeeded)) == 1


def test_nothing_that_is_told_shows_an_answer() -> None:
    pair = asked_pair(EapType.GTC)
    pair.client.answer(CODE, pair.now)
    finish(pair)
    assert "123456" not in repr(pair.client_events) + repr(pair.config)
