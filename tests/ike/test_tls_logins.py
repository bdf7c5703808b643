"""Whole logins by EAP with TLS, in virtual time: the gateway is one server, the login server another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from client.ike.authentication import KeySigner
from client.ike.core import SIGN_WITHIN
from client.ike.events import Kind
from client.ike.identity import Identity
from client.ike.keys import Secret
from client.ike.options import CertProof, EapLogin, Inner, SessionConfig, TlsOptions
from client.ike.registry import EapType
from client.ike.trust import Trust
from client.lab.eap_methods import Accounts
from client.lab.eap_tls import TlsService
from client.lab.pki import Issued
from client.lab.responder import GatewayConfig
from tests.ike.eap.tls_dialogue import AUTHORITY as LOGIN_AUTHORITY
from tests.ike.eap.tls_dialogue import (
    NAME,
    OPTIONS,
    PASSWORD,
    SERVICE,
    STRANGER,
    STRANGERS,
    TLS_METHODS,
    USER,
    VALID,
    VERSIONS,
    identity_of,
)
from tests.ike.test_distant_signers import answer, asked, finish
from tests.ike.tls.holding import CARD, identity, user
from tests.pair import AUTHORITY, GATEWAY_ID, Flight, Pair, client_config, fit, gateway_config


def client(
    *methods: EapType,
    options: TlsOptions = OPTIONS,
    password: Secret = PASSWORD,
    inner: tuple[Inner, ...] = (Inner.MSCHAPV2,),
) -> SessionConfig:
    proof = CertProof(Trust((AUTHORITY.certificate,), GATEWAY_ID))
    return client_config(EapLogin(USER, password, methods, replace(options, inner=inner)), proof)


def gateway(*methods: EapType, service: TlsService = SERVICE) -> GatewayConfig:
    accounts = Accounts({USER: PASSWORD}, tls=service)
    return replace(gateway_config(), clients="eap", proof="cert", accounts=accounts, eap_methods=methods)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", TLS_METHODS)
def test_the_tunnel_stands_after_a_login_inside_tls(method: EapType, version: str) -> None:
    pair = Pair(client(method), gateway(method, service=replace(SERVICE, newest=VERSIONS[version])))
    assert pair.connect()
    (child,) = pair.children_up()
    assert fit(child.child, pair.gateway.children[0])


def test_the_gateway_may_begin_with_another_method() -> None:
    pair = Pair(client(EapType.PEAP, EapType.MSCHAPV2), gateway(EapType.MD5, EapType.PEAP, EapType.MSCHAPV2))
    assert pair.connect()


@pytest.mark.parametrize("method", TLS_METHODS)
def test_lost_and_doubled_packets_do_no_harm(method: EapType) -> None:
    pair = Pair(client(method), gateway(method))
    pair.fate = lambda flight: () if flight.number % 3 == 0 else (flight, flight)
    assert pair.connect()


def test_a_wrong_password_inside_is_refused_for_good() -> None:
    for method in (EapType.TTLS, EapType.PEAP):
        pair = Pair(client(method, password=Secret(b"wrong")), gateway(method))
        assert not pair.connect()
        assert pair.closed is not None
        assert (pair.closed.failure.kind, pair.closed.failure.final) == (Kind.AUTH_REJECTED, True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_that_the_server_does_not_know_is_refused_for_good(version: str) -> None:
    pair = Pair(
        client(EapType.TLS, options=replace(OPTIONS, identity=identity_of(STRANGER))),
        gateway(EapType.TLS, service=replace(SERVICE, newest=VERSIONS[version])),
    )
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_REJECTED
    assert "unknown ca" in pair.closed.failure.evidence


UNTRUSTED = {
    "another authority": (Trust((STRANGERS.certificate,), Identity.parse(NAME)), Kind.TRUST_UNKNOWN_CA),
    "another name": (replace(OPTIONS.trust, expected=GATEWAY_ID), Kind.TRUST_NAME),
    "the gateway's authority": (Trust((AUTHORITY.certificate,), GATEWAY_ID), Kind.TRUST_UNKNOWN_CA),
}


@pytest.mark.parametrize("method", TLS_METHODS)
@pytest.mark.parametrize("name", UNTRUSTED)
def test_the_login_server_is_judged_apart_from_the_gateway(name: str, method: EapType) -> None:
    trust, kind = UNTRUSTED[name]
    pair = Pair(client(method, options=replace(OPTIONS, trust=trust)), gateway(method))
    assert not pair.connect()
    assert outcome(pair) == (kind, True)


@pytest.mark.parametrize("method", TLS_METHODS)
def test_a_gateway_that_falls_silent_after_our_alert_changes_nothing(method: EapType) -> None:
    config = client(method, options=replace(OPTIONS, trust=UNTRUSTED["another authority"][0]))
    first = Pair(config, gateway(method))
    assert not first.connect()
    alert = sum(flight.to_gateway for flight in first.sent) - 1  # what follows it is AUTHENTICATION_FAILED
    pair = Pair(config, gateway(method))

    def fate(flight: Flight) -> Iterable[Flight]:
        spoken = sum(sent.to_gateway for sent in pair.sent)
        return (flight,) if flight.to_gateway or spoken < alert else ()

    pair.fate = fate
    assert not pair.connect()
    assert outcome(pair) == (Kind.TRUST_UNKNOWN_CA, True)


GATEWAY_NAMES = {
    "its own": ["vpn.example.com"],
    "the login server's": [NAME],
    "both": [NAME, "vpn.example.com"],
}
LOGIN_NAMES = {"its own": [NAME], "the gateway's": ["vpn.example.com"], "both": [NAME, "vpn.example.com"]}
CLAIMS = ["vpn.example.com", NAME, "CN=vpn.example.com"]


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("gateway_names", GATEWAY_NAMES)
@pytest.mark.parametrize("login_names", LOGIN_NAMES)
def test_each_certificate_must_bear_the_name_of_its_own_server(
    claim: str, gateway_names: str, login_names: str
) -> None:
    """That of the gateway by what is expected of it, whatever it calls itself."""
    own = AUTHORITY.issue("CN=gateway", dns=GATEWAY_NAMES[gateway_names], **VALID)
    inner = LOGIN_AUTHORITY.issue("CN=login", dns=LOGIN_NAMES[login_names], **VALID)
    served = gateway(EapType.PEAP, service=replace(SERVICE, identity=identity_of(inner)))
    pair = Pair(
        client(EapType.PEAP),
        replace(served, identity=Identity.parse(claim), chain=own.chain, signer=KeySigner(own.key)),
    )
    is_right = gateway_names != "the login server's"
    assert pair.connect() is (is_right and login_names != "the gateway's")
    if not is_right:
        assert outcome(pair) == (Kind.TRUST_NAME, False)
    elif login_names == "the gateway's":
        assert outcome(pair) == (Kind.TRUST_NAME, True)


def outcome(pair: Pair) -> tuple[Kind, bool]:
    """Why it ended, and whether the user reads that it is not the gateway who is not trusted."""
    assert pair.closed is not None
    failure = pair.closed.failure
    return failure.kind, "the login server inside EAP" in failure.evidence


# A private key that somebody else holds


def holding(issued: Issued) -> SessionConfig:
    return client(EapType.TLS, options=replace(OPTIONS, identity=identity(issued)))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_keys_holder_signs_in_the_course_of_eap_and_the_tunnel_stands(version: str) -> None:
    issued = user("rsa")
    pair, wanted = asked(
        holding(issued), gateway(EapType.TLS, service=replace(SERVICE, newest=VERSIONS[version]))
    )
    sent = len(pair.sent)
    pair.run(SIGN_WITHIN / 2)  # nothing is sent while the card thinks
    assert len(pair.sent) == sent
    pair.client.answer(answer(issued.key, wanted), pair.now)
    assert finish(pair)


def test_nobody_signs_in_the_course_of_eap() -> None:
    pair, _ = asked(holding(user()), gateway(EapType.TLS))
    pair.run(SIGN_WITHIN + 1)
    assert pair.closed is not None
    assert (pair.closed.failure.kind, pair.closed.failure.final) == (Kind.AUTH_NEEDS_SIGNER, True)
    assert CARD in pair.closed.failure.evidence
    pair, _ = asked(holding(user()), gateway(EapType.TLS))
    pair.client.decline(pair.now, "the card is not in its reader")
    pair.settle()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_NEEDS_SIGNER


def test_a_signature_in_the_course_of_eap_that_will_not_do_ends_the_login() -> None:
    pair, wanted = asked(holding(user()), gateway(EapType.TLS))
    pair.client.answer(answer(STRANGER.key, wanted), pair.now)
    assert not finish(pair)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_NEEDS_SIGNER
    assert "does not fit" in pair.closed.failure.evidence
