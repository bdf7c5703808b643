"""Gateways that cannot prove who they are: by EAP they get nothing that derives from a password.

They hold the keys of the IKE SA, so that all they get to see is opened here.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from client.ike.events import Established, Kind
from client.ike.message import Decoded, Message, decode
from client.ike.options import EapLogin
from client.ike.payloads import (
    Authentication,
    Certificate,
    CertificateRequest,
    Configuration,
    Eap,
    IdInitiator,
    IdResponder,
    Notify,
    Payload,
    SecurityAssociation,
    TsInitiator,
    TsResponder,
)
from client.ike.registry import AuthMethod, CertEncoding, ExchangeType, NotifyType
from client.ike.states import SessionState
from tests.ike.failing_logins import BY_EAP, ROWS
from tests.ike.phases import Letter, Scene, scene
from tests.pair import GATEWAY_CERT, GATEWAY_ID, WALL, Pair, eap_client, path_from


def said_to(pair: Pair, at: Scene) -> list[Message]:
    """What the client has sent after IKE_SA_INIT, opened by the other end of its IKE SA."""
    assert at.theirs is not None
    messages = []
    for flight in pair.sent:
        if flight.to_gateway and flight.data[18] != ExchangeType.IKE_SA_INIT:
            outcome = decode(flight.data, at.theirs.opener)
            assert isinstance(outcome, Decoded)
            messages.append(outcome.message)
    return messages


INNOCENT = (
    IdInitiator,
    IdResponder,
    CertificateRequest,
    Configuration,
    SecurityAssociation,
    TsInitiator,
    TsResponder,
    Notify,
)
ROGUES = [
    case
    for case, row in ROWS.items()
    if isinstance(row.client.login, EapLogin) and row.kind.startswith("trust")
]


@pytest.mark.parametrize("case", ROGUES)
def test_a_rogue_gateway_gets_nothing_that_derives_from_the_password(case: str) -> None:
    row = ROWS[case]
    pair = Pair(row.client, row.gateway)
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.step()
    pair.step()
    (ours,) = pair.client._core.sas.values()
    at = scene(pair, ours)
    pair.run(100)
    assert pair.client.state is SessionState.CLOSED
    messages = said_to(pair, at)
    assert messages
    for message in messages:
        assert all(isinstance(payload, INNOCENT) for payload in message.payloads), message


def in_front_of_the_first_answer() -> Scene:
    """An EAP client whose IKE_AUTH request is out, and whose gateway is about to misbehave."""
    pair = Pair(eap_client(), BY_EAP)
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.step()
    pair.step()
    pair.flights.clear()
    (ours,) = pair.client._core.sas.values()
    return scene(pair, ours)


IDENTITY_REQUEST = Eap(bytes.fromhex("0101000501"))
CHALLENGE = Eap(bytes.fromhex("0102001a1a0102001510" + "00" * 16))
SUCCESS = Eap(bytes.fromhex("03010004"))
ID_R = IdResponder(*GATEWAY_ID.payload_fields())
CERT = Certificate(CertEncoding.X509_SIGNATURE, GATEWAY_CERT.chain[0])
_LOCATION = bytes(20) + b"http://gateway.example/certificate"
BY_URL = Certificate(CertEncoding.HASH_AND_URL, _LOCATION)
BUNDLE_BY_URL = Certificate(CertEncoding.HASH_AND_URL_BUNDLE, _LOCATION)
BARE_KEY = Certificate(
    CertEncoding.RAW_PUBLIC_KEY,
    GATEWAY_CERT.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
)
GUESSED = Authentication(AuthMethod.SHARED_KEY_MIC, bytes(32))
FIRST_ANSWERS: dict[str, tuple[Payload, ...]] = {
    "EAP alone": (IDENTITY_REQUEST,),
    "EAP-only authentication": (ID_R, IDENTITY_REQUEST),
    "EAP-only, announced": (ID_R, Notify(NotifyType.EAP_ONLY_AUTHENTICATION), IDENTITY_REQUEST),
    "a challenge at once": (ID_R, CHALLENGE),
    "a certificate without AUTH": (ID_R, CERT, IDENTITY_REQUEST),
    "AUTH without a certificate": (ID_R, GUESSED, IDENTITY_REQUEST),
    "a guessed AUTH": (ID_R, CERT, GUESSED, IDENTITY_REQUEST),
    "AUTH without IDr": (CERT, GUESSED, IDENTITY_REQUEST),
    "an empty signature": (ID_R, CERT, Authentication(AuthMethod.DIGITAL_SIGNATURE, b""), IDENTITY_REQUEST),
    "the NULL method": (ID_R, CERT, Authentication(AuthMethod.NULL, bytes(32)), IDENTITY_REQUEST),
    "EAP-Success at once": (ID_R, CERT, GUESSED, SUCCESS),
    "EAP-Success alone": (SUCCESS,),
    "nothing": (),
    "the address of a certificate": (ID_R, BY_URL, GUESSED, IDENTITY_REQUEST),
    "the address of a bundle": (ID_R, BUNDLE_BY_URL, GUESSED, IDENTITY_REQUEST),
    "an address before a certificate": (ID_R, BY_URL, CERT, GUESSED, IDENTITY_REQUEST),
    "a certificate before an address": (ID_R, CERT, BY_URL, GUESSED, IDENTITY_REQUEST),
    "a bare key": (ID_R, BARE_KEY, GUESSED, IDENTITY_REQUEST),
    "a certificate that is none": (
        ID_R,
        Certificate(CertEncoding.X509_SIGNATURE, b"\x30\x03\x02\x01\x01"),
        GUESSED,
        IDENTITY_REQUEST,
    ),
    "an empty certificate": (ID_R, Certificate(CertEncoding.X509_SIGNATURE, b""), GUESSED, IDENTITY_REQUEST),
    "a certificate in PKCS #7": (ID_R, Certificate(1, GATEWAY_CERT.chain[0]), GUESSED, IDENTITY_REQUEST),
    "our own identity": (IdResponder(2, b"alice@example.com"), CERT, GUESSED, IDENTITY_REQUEST),
    "an AUTH of ECDSA that is none": (
        ID_R,
        CERT,
        Authentication(AuthMethod.ECDSA_SHA256_P256, bytes(64)),
        IDENTITY_REQUEST,
    ),
    "an AUTH of an unknown algorithm": (
        ID_R,
        CERT,
        Authentication(AuthMethod.DIGITAL_SIGNATURE, b"\x02\x05\x00" + bytes(64)),
        IDENTITY_REQUEST,
    ),
}
NO_PROOFS = {Kind.TRUST_NO_PROOF, Kind.TRUST_NAME, Kind.TRUST_WEAK, Kind.TRUST_UNKNOWN_CA}


def test_the_matrix_of_rogues_is_as_large_as_it_says() -> None:
    assert len(ROGUES) + len(FIRST_ANSWERS) >= 24


@pytest.mark.parametrize("by_url", ["the address of a certificate", "the address of a bundle"])
def test_an_address_instead_of_a_certificate_is_refused_in_a_sentence_and_not_fetched(by_url: str) -> None:
    at = in_front_of_the_first_answer()
    asked = said_to(at.pair, at)
    assert not any(message.notify(NotifyType.HTTP_CERT_LOOKUP_SUPPORTED) for message in asked)
    payloads = FIRST_ANSWERS[by_url]
    at.hear(at.authentic(Letter(ExchangeType.IKE_AUTH, 1, is_response=True, payloads=payloads)))
    at.pair.run(100)
    assert at.pair.closed is not None
    assert "the address of its certificate (hash and URL)" in at.pair.closed.failure.evidence


@pytest.mark.parametrize("answer", FIRST_ANSWERS)
def test_an_unproven_gateway_hears_no_word_of_eap(answer: str) -> None:
    at = in_front_of_the_first_answer()
    pair = at.pair
    at.hear(at.authentic(Letter(ExchangeType.IKE_AUTH, 1, is_response=True, payloads=FIRST_ANSWERS[answer])))
    pair.run(100)
    assert pair.client.state is SessionState.CLOSED
    assert pair.closed is not None
    assert pair.closed.failure.kind in NO_PROOFS
    assert pair.closed.failure.evidence
    assert not pair.events(Established)
    for message in said_to(pair, at):
        assert not message.all(Eap)
        assert not message.all(Authentication)


def test_a_success_before_the_method_is_done_is_no_login() -> None:
    pair = Pair(eap_client(), BY_EAP)
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    while pair.client._core.peer_identity == "":
        pair.step()
    pair.flights.clear()
    (ours,) = pair.client._core.sas.values()
    at = scene(pair, ours)
    assert ours.window.outstanding is not None
    message_id = ours.window.outstanding[0].message_id
    at.hear(at.authentic(Letter(ExchangeType.IKE_AUTH, message_id, True, (SUCCESS,))))
    pair.drain()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.PEER_PROTOCOL
    assert "EAP-Success before the method was done" in pair.closed.failure.evidence


def before_the_last_answer() -> tuple[Scene, int]:
    """EAP is over, our AUTH is out; with the message ID of the answer."""
    pair = Pair(eap_client(), BY_EAP)
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    while not any(type(exchange).__name__ == "FinalAuth" for exchange in outstanding(pair)):
        pair.step()
    pair.flights.clear()
    (ours,) = pair.client._core.sas.values()
    assert ours.window.outstanding is not None
    return scene(pair, ours), ours.window.outstanding[0].message_id


@pytest.mark.parametrize(
    ("payloads", "kind", "evidence"),
    [
        ((GUESSED,), Kind.TRUST_NO_PROOF, "not bound to the EAP dialogue"),
        ((), Kind.TRUST_NO_PROOF, "lacks AUTH"),
        ((SUCCESS,), Kind.TRUST_NO_PROOF, "lacks AUTH"),
        ((Notify(NotifyType.AUTHENTICATION_FAILED),), Kind.AUTH_REJECTED, "AUTHENTICATION_FAILED"),
    ],
)
def test_a_last_answer_that_is_not_bound_to_eap_is_no_login(
    payloads: tuple[Payload, ...], kind: Kind, evidence: str
) -> None:
    at, message_id = before_the_last_answer()
    at.hear(at.authentic(Letter(ExchangeType.IKE_AUTH, message_id, True, payloads)))
    at.pair.drain()
    assert at.pair.closed is not None
    assert at.pair.closed.failure.kind is kind
    assert evidence in at.pair.closed.failure.evidence
    assert not at.pair.events(Established)


def outstanding(pair: Pair) -> list[object]:
    return [sa.window.outstanding[1] for sa in pair.client._core.sas.values() if sa.window.outstanding]
