"""Passwords that have expired, and those that the server lets the user type once more, in the course of a login."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike.core import ANSWER_WITHIN
from client.ike.eap.mschapv2 import NT_RESPONSE_SIZE
from client.ike.events import AnswerKind, AnswerNeeded, Established, Failure, Kind, SecretReplaced
from client.ike.keys import Secret
from client.ike.options import CertProof, EapLogin, SessionConfig, TlsOptions
from client.ike.registry import EapType
from client.ike.states import SessionState
from client.ike.trust import Trust
from client.lab.accounts import Accounts
from client.lab.responder import GatewayConfig
from tests.ike.eap.tls_dialogue import OPTIONS, SERVICE
from tests.pair import AUTHORITY, GATEWAY_ID, WALL, Pair, client_config, gateway_config, path_from
from tests.secrecy.scanner import kept_secret

OLD, NEW, WRONG = (
    Secret(kept_secret(text).encode()) for text in ("wonderland", "looking-glass", "jabberwock")
)
METHODS = (EapType.MSCHAPV2, EapType.PEAP)
CHANGING = (*METHODS, EapType.TTLS)  # MS-CHAPv2 without EAP inside, which allows no second try


def client(method: EapType, password: Secret = OLD, options: TlsOptions = OPTIONS) -> SessionConfig:
    proof = CertProof(Trust((AUTHORITY.certificate,), GATEWAY_ID))
    return client_config(EapLogin("alice", password, (method,), options), proof)


def gateway(method: EapType, *, expired: bool = False) -> GatewayConfig:
    accounts = Accounts(
        {"alice": OLD}, tls=SERVICE, retries=not expired, expired={"alice"} if expired else set()
    )
    return replace(gateway_config(), clients="eap", proof="cert", accounts=accounts, eap_methods=(method,))


def asked(config: SessionConfig, gateway: GatewayConfig, kind: AnswerKind) -> Pair:
    """A login that waits for its user's other password."""
    pair = Pair(config, gateway)
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    assert pair.run(30, lambda: bool(pair.events(AnswerNeeded)))
    (needed,) = pair.events(AnswerNeeded)
    assert isinstance(needed, AnswerNeeded)
    assert needed.kind is kind
    return pair


def finish(pair: Pair) -> bool:
    pair.run(30, lambda: pair.client.state is not SessionState.CONNECTING)
    pair.settle()
    return bool(pair.events(Established))


def failure(pair: Pair) -> Failure:
    assert pair.closed is not None
    return pair.closed.failure


def assert_only_farewell(pair: Pair, sent: int) -> None:
    """All that we have sent since is a Failure response, too short for a proof."""
    (farewell,) = (flight.data for flight in pair.sent[sent:] if flight.to_gateway)
    proof = [flight.data for flight in pair.sent[:sent] if flight.to_gateway][-1]
    assert len(farewell) < len(proof) - NT_RESPONSE_SIZE


@pytest.mark.parametrize("method", CHANGING)
def test_an_expired_password_is_changed_and_the_login_goes_on(method: EapType) -> None:
    config = gateway(method, expired=True)
    pair = asked(client(method), config, AnswerKind.NEW_PASSWORD)
    assert "expired" in str(pair.events(AnswerNeeded)[0])
    assert not pair.events(SecretReplaced)
    pair.client.answer(NEW, pair.now)
    assert finish(pair)
    assert config.accounts.passwords["alice"] == NEW
    assert pair.events(SecretReplaced) == [SecretReplaced(OLD, NEW)]
    assert Pair(client(method, NEW), config).connect()


@pytest.mark.parametrize("method", CHANGING)
def test_a_new_password_that_the_server_does_not_take_ends_the_login(method: EapType) -> None:
    config = gateway(method, expired=True)
    pair = asked(client(method), config, AnswerKind.NEW_PASSWORD)
    pair.client.answer(Secret(b"short"), pair.now)
    assert not finish(pair)
    assert (failure(pair).kind, failure(pair).final) == (Kind.AUTH_REJECTED, True)
    assert "could not be changed (E=709)" in failure(pair).evidence
    assert failure(pair).barred
    assert config.accounts.passwords["alice"] == OLD
    assert not pair.events(SecretReplaced)


@pytest.mark.parametrize("method", METHODS)
def test_another_password_is_tried_in_the_same_login(method: EapType) -> None:
    pair = asked(client(method, WRONG), gateway(method), AnswerKind.PASSWORD)
    assert "user name or password is wrong (E=691)" in str(pair.events(AnswerNeeded)[0])
    pair.client.answer(OLD, pair.now)
    assert finish(pair)
    assert pair.events(SecretReplaced) == [SecretReplaced(WRONG, OLD)]


@pytest.mark.parametrize("method", METHODS)
def test_the_right_password_may_turn_out_to_have_expired(method: EapType) -> None:
    config = gateway(method, expired=True)
    config = replace(config, accounts=replace(config.accounts, retries=True))
    pair = asked(client(method, WRONG), config, AnswerKind.PASSWORD)
    pair.client.answer(OLD, pair.now)
    assert pair.run(30, lambda: len(pair.events(AnswerNeeded)) == 2)
    pair.client.answer(NEW, pair.now)
    assert finish(pair)
    assert pair.events(SecretReplaced) == [SecretReplaced(WRONG, OLD), SecretReplaced(OLD, NEW)]
    assert config.accounts.passwords["alice"] == NEW


def test_a_new_password_counts_as_soon_as_the_server_has_proven_it() -> None:
    config = gateway(EapType.MSCHAPV2, expired=True)
    pair = asked(client(EapType.MSCHAPV2), config, AnswerKind.NEW_PASSWORD)
    pair.client.answer(NEW, pair.now)
    assert pair.run(30, lambda: bool(pair.events(SecretReplaced)))
    assert not pair.events(Established)  # whatever becomes of the login now


def test_a_second_refusal_is_the_last() -> None:
    pair = asked(client(EapType.MSCHAPV2, WRONG), gateway(EapType.MSCHAPV2), AnswerKind.PASSWORD)
    pair.client.answer(NEW, pair.now)
    assert not finish(pair)
    assert (failure(pair).kind, failure(pair).final) == (Kind.AUTH_REJECTED, True)
    assert len(pair.events(AnswerNeeded)) == 1
    assert pair.events(SecretReplaced) == [SecretReplaced(WRONG, NEW)]  # neither is tried again


@pytest.mark.parametrize("answer", [WRONG, Secret(b"")])
def test_the_refused_password_does_not_leave_a_second_time(answer: Secret) -> None:
    pair = asked(client(EapType.MSCHAPV2, WRONG), gateway(EapType.MSCHAPV2), AnswerKind.PASSWORD)
    sent = len(pair.sent)
    pair.client.answer(answer, pair.now)
    assert not finish(pair)
    assert (failure(pair).kind, failure(pair).final) == (Kind.AUTH_REJECTED, True)
    assert_only_farewell(pair, sent)


@pytest.mark.parametrize("expired", [False, True])
def test_without_an_answer_it_is_a_refusal_as_ever(*, expired: bool) -> None:
    for decline in (False, True):
        password = OLD if expired else WRONG
        kind = AnswerKind.NEW_PASSWORD if expired else AnswerKind.PASSWORD
        pair = asked(client(EapType.MSCHAPV2, password), gateway(EapType.MSCHAPV2, expired=expired), kind)
        sent = len(pair.sent)
        if decline:
            pair.client.decline(pair.now)
            pair.settle()
        else:
            pair.run(ANSWER_WITHIN + 1)
        assert (failure(pair).kind, failure(pair).final) == (Kind.AUTH_REJECTED, True)
        assert ("expired" in failure(pair).evidence) is expired
        assert_only_farewell(pair, sent)


def test_a_login_that_is_given_up_while_it_asks_leaves_with_a_farewell() -> None:
    pair = asked(client(EapType.MSCHAPV2, WRONG), gateway(EapType.MSCHAPV2), AnswerKind.PASSWORD)
    sent = len(pair.sent)
    pair.client.close(pair.now)
    pair.settle()
    assert failure(pair).kind is Kind.USER_DOWN
    assert_only_farewell(pair, sent)


def test_the_configuration_with_another_password_has_it_where_the_old_one_was() -> None:
    config = client(EapType.MSCHAPV2)
    changed = config.with_password(OLD, NEW)
    assert isinstance(changed.login, EapLogin)
    assert changed.login.password == NEW
    assert config.with_password(WRONG, NEW) == config
    for shown in (repr(SecretReplaced(OLD, NEW)), repr(changed)):
        assert NEW.reveal().decode() not in shown
