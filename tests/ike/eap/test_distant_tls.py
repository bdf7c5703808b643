"""EAP with TLS and a private key that somebody else holds: who is asked for what, and what leaves when."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from client.ike.eap.method import Ask, EapFailed
from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import EapPeer
from client.ike.eap.tls_framing import ACKNOWLEDGEMENT, TlsPacket
from client.ike.errors import ProtocolError
from client.ike.events import AnswerKind, Kind
from client.ike.keys import Secret
from client.ike.options import EapLogin, Inner, TlsOptions
from client.ike.registry import EapCode, EapType
from client.ike.trust import Trust
from client.lab.eap_tls import TlsService
from client.lab.pki import Issued
from tests.ike.eap.dialogue import request, seeded
from tests.ike.eap.tls_dialogue import (
    OPTIONS,
    SERVICE,
    STRANGER,
    STRANGERS,
    VERSIONS,
    WALL,
    Dialogue,
    dialogue,
    identity_of,
    kind_of,
    login,
    records,
)
from tests.ike.test_distant_signers import answer
from tests.ike.tls.holding import CARD, identity, user

WAYS = {
    "EAP-TLS": (EapType.TLS, (Inner.MSCHAPV2,)),
    "TTLS": (EapType.TTLS, (Inner.EAP_TLS,)),
    "PEAP": (EapType.PEAP, (Inner.EAP_TLS,)),
}
HANDSHAKE = 22
FATAL, CERTIFICATE_UNKNOWN = 2, 46


def options(issued: Issued) -> TlsOptions:
    return replace(OPTIONS, identity=identity(issued))


def service(version: str, **changes: object) -> TlsService:
    made = replace(SERVICE, newest=VERSIONS[version], inner=(EapType.TLS,))
    return replace(made, **changes)  # type: ignore[arg-type]


def way(name: str, issued: Issued) -> EapLogin:
    method, inner = WAYS[name]
    return login(method, inner=inner, options=options(issued))


def asked(there: Dialogue) -> Ask:
    """Until our signature is due."""
    packet = there.server.start()
    while True:
        there.requests.append(packet)
        outcome = there.peer.handle(packet)
        assert outcome is not None
        if isinstance(outcome, Ask):
            return outcome
        there.responses.append(outcome)
        packet = there.server.handle(outcome)


def resumed(there: Dialogue, ask: Ask, issued: Issued) -> bytes:
    assert ask.signature is not None
    outcome = there.peer.resume(answer(issued.key, ask.signature))
    assert isinstance(outcome, bytes)
    return outcome


def finished(there: Dialogue, response: bytes) -> Dialogue:
    """From our flight to the end."""
    while True:
        there.responses.append(response)
        outcome = there.peer.handle(there.server.handle(response))
        if outcome is None:
            return there
        assert isinstance(outcome, bytes)
        response = outcome


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", WAYS)
def test_both_ends_have_one_key(name: str, version: str) -> None:
    issued = user("rsa")
    there = dialogue(way(name, issued), service(version))
    ask = asked(there)
    assert ask.kind is AnswerKind.SIGNATURE
    assert ask.signature is not None
    assert ask.signature.key == CARD
    finished(there, resumed(there, ask, issued))
    assert there.server.succeeded
    assert there.peer.msk is not None
    assert there.peer.msk == there.server.msk


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [100, 1004, 8000])
def test_fragments_may_be_of_any_size(size: int, version: str) -> None:
    issued = user("rsa")
    there = dialogue(way("EAP-TLS", issued), service(version, fragment=size))
    finished(there, resumed(there, asked(there), issued))
    assert there.peer.msk == there.server.msk
    assert max(map(len, there.responses)) <= 1020


@pytest.mark.parametrize("version", VERSIONS)
def test_until_the_holder_has_signed_a_hello_is_all_that_has_left(version: str) -> None:
    there = dialogue(way("EAP-TLS", user()), service(version))
    asked(there)
    assert records(there.responses) == [HANDSHAKE]
    again = there.peer
    with pytest.raises(EapFailed, match="before the last one was answered"):
        again.handle(request(EapType.TLS, ACKNOWLEDGEMENT, 77))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", WAYS)
def test_a_server_that_is_not_trusted_gets_no_signature(name: str, version: str) -> None:
    trust = Trust((STRANGERS.certificate,), OPTIONS.trust.expected)
    client = way(name, user())
    assert client.tls is not None
    there = dialogue(replace(client, tls=replace(client.tls, trust=trust)), service(version))
    with pytest.raises(EapFailed) as raised:
        asked(there)
    assert kind_of(raised.value) is Kind.TRUST_UNKNOWN_CA


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_does_not_know_our_certificate_refuses_the_login(version: str) -> None:
    there = dialogue(way("EAP-TLS", STRANGER), service(version))
    response = resumed(there, asked(there), STRANGER)
    with pytest.raises(EapFailed, match="refuses our certificate: unknown ca") as raised:
        finished(there, response)
    assert kind_of(raised.value) is Kind.AUTH_REJECTED


@pytest.mark.parametrize("version", VERSIONS)
def test_a_signature_by_another_key_is_the_holders_fault(version: str) -> None:
    there = dialogue(way("EAP-TLS", user()), service(version))
    ask = asked(there)
    assert ask.signature is not None
    with pytest.raises(EapFailed, match="does not fit our certificate") as raised:
        there.peer.resume(answer(STRANGER.key, ask.signature))
    assert kind_of(raised.value) is Kind.AUTH_NEEDS_SIGNER
    assert raised.value.last_words is not None  # an alert
    assert len(raised.value.last_words) < 60


def test_an_answer_that_does_not_read_is_the_holders_fault() -> None:
    there = dialogue(way("EAP-TLS", user()), service("1.3"))
    asked(there)
    with pytest.raises(EapFailed) as raised:
        there.peer.resume(Secret(b"yes"))
    assert kind_of(raised.value) is Kind.AUTH_NEEDS_SIGNER


@pytest.mark.parametrize("distant", [True, False], ids=["key elsewhere", "key in memory"])
def test_a_server_may_refuse_our_certificate_in_the_middle_of_our_fragments(*, distant: bool) -> None:
    """As strongSwan does."""
    issued = user("rsa")
    client = replace(OPTIONS, identity=identity(issued) if distant else identity_of(issued), fragment=300)
    there = Dialogue(
        EapPeer(login(EapType.TLS, options=client), seeded("peer"), WALL),
        dialogue(login(EapType.TLS), service("1.2")).server,
    )
    packet = there.server.start()
    outcome: bytes | Ask | None = None
    while not isinstance(outcome, bytes) or EapPacket.pull(outcome).data[:1] != b"\xc0":
        outcome = there.peer.handle(packet)
        if isinstance(outcome, Ask):
            outcome = resumed(there, outcome, issued)
        assert isinstance(outcome, bytes)
        packet = there.server.handle(outcome)
    alert = bytes([21, 3, 3, 0, 2, FATAL, CERTIFICATE_UNKNOWN])
    said = EapPacket(EapCode.REQUEST, 88, EapType.TLS, TlsPacket(0, alert).push()).push()
    with pytest.raises(EapFailed, match="refuses our certificate: certificate unknown") as raised:
        there.peer.handle(said)
    assert kind_of(raised.value) is Kind.AUTH_REJECTED
    assert raised.value.last_words is not None
    assert EapPacket.pull(raised.value.last_words).data == ACKNOWLEDGEMENT


@pytest.mark.parametrize("version", VERSIONS)
def test_spoilt_packets_raise_nothing_but_errors_of_the_protocol(version: str) -> None:
    genuine = dialogue(way("EAP-TLS", user()), service(version))
    asked(genuine)
    random = Random(version)
    for _ in range(200):
        peer = EapPeer(way("EAP-TLS", user()), seeded("peer"), WALL)
        for packet in genuine.requests:
            octets = bytearray(packet)
            for _ in range(random.randrange(3)):
                octets[random.randrange(4, len(octets))] = random.randrange(256)
            try:
                outcome = peer.handle(bytes(octets))
            except (EapFailed, ProtocolError):
                break
            if isinstance(outcome, Ask):
                break
        assert not peer.finished
