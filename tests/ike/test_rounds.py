"""Several rounds of authentication (RFC 4739), and gateways that prove themselves by EAP alone (RFC 5998)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike.authentication import KeySigner
from client.ike.eap.usim import SoftwareUsim
from client.ike.events import AnswerNeeded, Established, Kind
from client.ike.identity import Identity
from client.ike.keys import Secret
from client.ike.message import Decoded, Message, decode
from client.ike.options import (
    CertLogin,
    CertProof,
    EapLogin,
    EapProof,
    Login,
    PskLogin,
    Round,
    SessionConfig,
)
from client.ike.payloads import (
    Authentication,
    Certificate,
    Eap,
    IdInitiator,
    IdResponder,
    Notify,
    SecurityAssociation,
    TsInitiator,
)
from client.ike.registry import EapType, ExchangeType, NotifyType
from client.ike.states import SessionState
from client.ike.trust import Trust
from client.lab.accounts import Accounts, Subscription
from client.lab.responder import GatewayConfig, Means
from tests.ike.eap.tls_dialogue import NAME, OPTIONS, PASSWORD, SERVICE, STRANGERS, USER, identity_of
from tests.ike.phases import Letter, scene
from tests.pair import (
    AUTHORITY,
    CLIENT_CERT,
    GATEWAY_ID,
    PSK,
    VALID,
    WALL,
    Pair,
    client_config,
    gateway_config,
    path_from,
)

TRUST = Trust((AUTHORITY.certificate,), GATEWAY_ID)
ALICE = Identity.parse("alice@example.com")
BY_CERT = CertLogin(CLIENT_CERT.chain, KeySigner(CLIENT_CERT.key))
BY_EAP = EapLogin("alice", Secret(b"wonderland"))
BY_GTC = EapLogin("alice", Secret(b"wonderland"), (EapType.GTC,))
BY_PSK = PskLogin(PSK)
STRANGE_SERVER = STRANGERS.issue(f"CN={NAME}", dns=[NAME], **VALID)
LOGINS: dict[Means, Login] = {"cert": BY_CERT, "eap": BY_EAP, "psk": BY_PSK}


def client(first: Login, *further: Login) -> SessionConfig:
    rounds = tuple(Round(ALICE, login) for login in further)
    return replace(client_config(first, CertProof(TRUST)), further=rounds)


def gateway(first: Means, *further: Means) -> GatewayConfig:
    return replace(gateway_config(), clients=first, further=further, proof="cert")


def exchanged(pair: Pair) -> list[tuple[bool, Message]]:
    """All IKE_AUTH messages, opened: whether the client sent it, and what."""
    (ours,) = pair.client._core.sas.values()
    at = scene(pair, ours)
    assert at.theirs is not None
    messages = []
    for flight in pair.sent:
        if flight.data[18] == ExchangeType.IKE_AUTH:
            outcome = decode(flight.data, (at.theirs if flight.to_gateway else ours).opener)
            assert isinstance(outcome, Decoded)
            messages.append((flight.to_gateway, outcome.message))
    return messages


def words(message: Message) -> list[str]:
    """The payloads that matter here, by name, notifies by theirs."""
    kinds = (IdInitiator, IdResponder, Certificate, Authentication, Eap, SecurityAssociation, TsInitiator)
    shown = {NotifyType.MULTIPLE_AUTH_SUPPORTED, NotifyType.ANOTHER_AUTH_FOLLOWS}
    return [
        NotifyType(payload.type).name if isinstance(payload, Notify) else type(payload).__name__
        for payload in message.payloads
        if isinstance(payload, kinds) or (isinstance(payload, Notify) and payload.type in shown)
    ]


def test_a_certificate_and_then_eap_on_the_wire() -> None:
    pair = Pair(client(BY_CERT, BY_EAP), gateway("cert", "eap"))
    assert pair.connect()
    said = [(to_gateway, words(message)) for to_gateway, message in exchanged(pair)]
    # --> IDi, CERT, [IDr,] AUTH, N(ANOTHER_AUTH_FOLLOWS), SA, TSi, N(MULTIPLE_AUTH_SUPPORTED)
    assert said[0] == (
        True,
        [
            "IdInitiator",
            "Certificate",
            "IdResponder",
            "Authentication",
            "ANOTHER_AUTH_FOLLOWS",
            "SecurityAssociation",
            "TsInitiator",
            "MULTIPLE_AUTH_SUPPORTED",
        ],
    )
    # <-- IDr, CERT, AUTH and nothing of the Child SA yet
    assert said[1] == (False, ["IdResponder", "Certificate", "Authentication"])
    # --> IDi, which asks for EAP by its lack of AUTH
    assert said[2] == (True, ["IdInitiator"])
    assert said[3] == (False, ["Eap"])
    # --> AUTH of EAP's key, and this is the last
    assert said[-2] == (True, ["Authentication"])
    assert said[-1][1] == ["Authentication", "SecurityAssociation", "TsInitiator"]
    assert len(pair.children_up()) == 1


@pytest.mark.parametrize("second", LOGINS)
@pytest.mark.parametrize("first", LOGINS)
def test_two_rounds_of_every_kind(first: Means, second: Means) -> None:
    pair = Pair(client(LOGINS[first], LOGINS[second]), gateway(first, second))
    assert pair.connect()
    assert len(pair.responder.sessions) == 1


def test_three_rounds() -> None:
    assert Pair(client(BY_CERT, BY_PSK, BY_EAP), gateway("cert", "psk", "eap")).connect()


def test_a_second_round_may_ask_for_a_code() -> None:
    code = Accounts({"alice": Secret(b"wonderland")}, {"alice": Secret(b"123456")})
    config = replace(gateway("cert", "eap"), eap_methods=(EapType.GTC,), accounts=code)
    pair = Pair(client(BY_CERT, BY_GTC), config)
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    assert pair.run(30, lambda: bool(pair.events(AnswerNeeded)))
    pair.client.answer(Secret(b"123456"), pair.now)
    pair.run(30, lambda: pair.client.state is not SessionState.CONNECTING)
    assert pair.events(Established)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(("cert",), ("cert", "eap")), (("cert", "eap"), ("cert",)), (("cert", "eap"), ("cert", "psk"))],
)
def test_another_number_or_kind_of_rounds_is_no_login(
    ours: tuple[Means, ...], theirs: tuple[Means, ...]
) -> None:
    first, *further = [LOGINS[kind] for kind in ours]
    pair = Pair(client(first, *further), gateway(theirs[0], *theirs[1:]))
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind in {Kind.AUTH_REJECTED, Kind.AUTH_METHOD}
    assert not pair.responder.sessions


def test_a_gateway_that_does_not_know_rounds_gets_no_proof_at_all() -> None:
    pair = Pair(client(BY_CERT, BY_EAP), gateway("cert"))
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_METHOD
    assert "several rounds" in pair.closed.failure.evidence
    assert all(flight.data[18] != ExchangeType.IKE_AUTH for flight in pair.sent)


@pytest.mark.parametrize("wrong", [0, 1])
def test_every_round_must_succeed(wrong: int) -> None:
    strangers = EapLogin("alice", Secret(b"looking glass"))
    logins: list[Login] = [BY_EAP, BY_EAP]
    logins[wrong] = strangers
    pair = Pair(client(*logins), gateway("eap", "eap"))
    assert not pair.connect()
    assert pair.closed is not None
    assert (pair.closed.failure.kind, pair.closed.failure.final) == (Kind.AUTH_REJECTED, True)


def test_without_further_rounds_nothing_speaks_of_them() -> None:
    pair = Pair(client(BY_CERT), gateway("cert"))
    assert pair.connect()
    for _, message in exchanged(pair):
        assert not {"MULTIPLE_AUTH_SUPPORTED", "ANOTHER_AUTH_FOLLOWS"} & set(words(message))


@pytest.mark.parametrize("login", [BY_CERT, BY_PSK])
def test_no_login_is_complete_before_the_gateway_has_proven_itself(login: Login) -> None:
    """A configuration that no profile leads to: the proof is to come inside EAP, and there is none."""
    kind: Means = "cert" if isinstance(login, CertLogin) else "psk"
    config = replace(client_config(login, EapProof()), initial_contact=True)
    pair = Pair(config, replace(gateway(kind), proof="eap"))
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.TRUST_NO_PROOF
    assert not pair.events(Established)


@pytest.mark.parametrize("method", [EapType.MSCHAPV2, EapType.GTC, EapType.MD5])
def test_no_method_that_leaves_the_server_unproven_stands_for_a_certificate(method: EapType) -> None:
    login = EapLogin("alice", Secret(b"wonderland"), (method,))
    pair = Pair(client_config(login, EapProof()), replace(gateway("eap"), proof="eap", eap_methods=(method,)))
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_METHOD
    said = [flight for flight in pair.sent if flight.to_gateway and flight.data[18] == ExchangeType.IKE_AUTH]
    assert len(said) == 1  # without a name, and without any answer to EAP


@pytest.mark.parametrize("method", [EapType.TLS, EapType.TTLS, EapType.PEAP])
def test_a_gateway_proves_itself_by_eap_alone(method: EapType) -> None:
    login = EapLogin(USER, PASSWORD, (method,), OPTIONS)
    accounts = Accounts({USER: PASSWORD}, tls=SERVICE)
    config = replace(gateway("eap"), proof="eap", eap_methods=(method,), accounts=accounts)
    pair = Pair(client_config(login, EapProof()), config)
    assert pair.connect()
    assert pair.established.peer_identity == str(GATEWAY_ID)
    # --> IDi … N(EAP_ONLY_AUTHENTICATION), <-- IDr, EAP and neither CERT nor AUTH
    said = exchanged(pair)
    assert said[0][1].notify(NotifyType.EAP_ONLY_AUTHENTICATION) is not None
    assert words(said[1][1]) == ["IdResponder", "Eap"]


@pytest.mark.parametrize("proof", ["eap", "cert"])
@pytest.mark.parametrize("method", [EapType.AKA, EapType.AKA_PRIME])
def test_a_subscription_logs_in_behind_a_certificate_and_without_one(method: EapType, proof: Means) -> None:
    key, opc = Secret(bytes(range(16))), Secret(bytes(16))
    login = EapLogin("0555444333222111", Secret(b""), (method,), usim=SoftwareUsim(key, opc))
    accounts = Accounts({}, subscriptions={"0555444333222111": Subscription(key, opc)})
    config = replace(gateway("eap"), proof=proof, eap_methods=(method,), accounts=accounts)
    ours = EapProof() if proof == "eap" else CertProof(TRUST)
    assert Pair(client_config(login, ours), config).connect()
    stranger = EapLogin("0555444333222111", Secret(b""), (method,), usim=SoftwareUsim(opc, opc))
    pair = Pair(client_config(stranger, ours), config)
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.TRUST_NO_PROOF


def test_a_login_server_that_is_not_trusted_ends_a_login_by_eap_alone() -> None:
    login = EapLogin(USER, PASSWORD, (EapType.TTLS,), OPTIONS)
    accounts = Accounts({USER: PASSWORD}, tls=replace(SERVICE, identity=identity_of(STRANGE_SERVER)))
    config = replace(gateway("eap"), proof="eap", eap_methods=(EapType.TTLS,), accounts=accounts)
    pair = Pair(client_config(login, EapProof()), config)
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.TRUST_UNKNOWN_CA


def test_a_proof_that_is_shown_all_the_same_must_be_right() -> None:
    login = EapLogin(USER, PASSWORD, (EapType.TTLS,), OPTIONS)
    accounts = Accounts({USER: PASSWORD}, tls=SERVICE)
    config = replace(gateway("eap"), eap_methods=(EapType.TTLS,), accounts=accounts)
    assert Pair(client_config(login, EapProof(TRUST)), config).connect()
    wrong = replace(config, signer=KeySigner(CLIENT_CERT.key))
    pair = Pair(client_config(login, EapProof(TRUST)), wrong)
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.TRUST_NO_PROOF


def test_a_strict_profile_wants_the_gateways_name_also_by_eap_alone() -> None:
    login = EapLogin(USER, PASSWORD, (EapType.TTLS,), OPTIONS)
    accounts = Accounts({USER: PASSWORD}, tls=SERVICE)
    other = Identity.parse("other.example.com")
    config = replace(
        gateway("eap"), proof="eap", identity=other, eap_methods=(EapType.TTLS,), accounts=accounts
    )
    pair = Pair(client_config(login, EapProof()), config)
    assert not pair.connect()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.TRUST_NAME


def test_a_gateway_that_would_prove_itself_again_is_refused() -> None:
    pair = Pair(client(BY_CERT), gateway("cert"))
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.step()
    pair.step()
    pair.flights.clear()
    (ours,) = pair.client._core.sas.values()
    at = scene(pair, ours)
    answer = (
        IdResponder(*GATEWAY_ID.payload_fields()),
        Authentication(2, bytes(32)),
        Notify(NotifyType.ANOTHER_AUTH_FOLLOWS),
    )
    at.hear(at.authentic(Letter(ExchangeType.IKE_AUTH, 1, is_response=True, payloads=answer)))
    pair.run(100)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_METHOD
