"""What the engine tells of messages: enough to explain a failure, and nothing that would help an impostor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike.events import Closed
from client.ike.facts import MessageFacts
from client.ike.message import Decoded, Header, Message, _push_chain, decode, decode_assembled
from client.ike.observation import observe, observe_clear, words
from client.ike.payloads import (
    Attribute,
    Authentication,
    Certificate,
    Configuration,
    Eap,
    IdResponder,
    Notify,
    Payload,
    TsInitiator,
    VendorId,
)
from client.ike.proposals import parse_offer
from client.ike.registry import ExchangeType, NotifyType, ProtocolId
from client.ike.selectors import ANY_IPV4
from client.ike.session import Session
from client.ike.trace import TraceEvent
from tests.ike.failing_logins import BY_EAP, ROWS
from tests.pair import GATEWAY_CERT, Pair, eap_client
from tests.rng import SeededRng


def observed(pair: Pair) -> list[MessageFacts]:
    """Connect, and return what the client told of messages."""
    events: list[TraceEvent] = []
    pair.client = Session(pair.config, SeededRng(1, "client"), events.append)
    pair.connect()
    return [event.message for event in events if event.message is not None]


def test_a_login_by_password_is_told_from_the_first_to_the_last_message() -> None:
    told = observed(Pair(eap_client(), BY_EAP))
    first, answer = told[0], told[1]
    assert (first.sent, first.exchange, first.channel, first.attempt) == (True, "IKE_SA_INIT", "init", 1)
    assert first.octets > 200
    assert first.proposals[0].startswith("aes256gcm16-")
    assert (answer.sent, answer.is_response, len(answer.proposals)) == (False, True, 1)
    names = [entry.name for entry in answer.notifies]
    assert "NAT_DETECTION_SOURCE_IP" in names
    login = [facts for facts in told if facts.exchange == "IKE_AUTH"]
    assert (login[0].id_type, login[0].identity, login[0].wants) == (
        "RFC822_ADDR",
        "alice@example.com",
        "vpn.example.com",
    )
    shown = login[1].certificates[0]
    assert (shown.subject, shown.issuer, shown.names) == (
        "CN=vpn.example.com",
        "CN=Test Root",
        ("vpn.example.com",),
    )
    assert [facts.eap for facts in login if not facts.sent and facts.eap] == [
        "request Identity",
        "request EAP-MSCHAPv2",
        "request EAP-MSCHAPv2",
        "success",
    ]
    assert login[-1].attributes[0] == "INTERNAL_IP4_ADDRESS 10.99.0.10"


def test_the_error_of_mschapv2_is_told_without_its_challenge() -> None:
    row = ROWS["wrong password"]
    last = observed(Pair(row.client, row.gateway))[-1]
    assert (last.eap, last.eap_detail) == ("request EAP-MSCHAPv2", "E=691")


def test_a_request_sent_again_is_counted() -> None:
    pair = Pair()
    pair.fate = lambda _: ()
    told = observed(pair)
    assert [facts.attempt for facts in told] == list(range(1, len(told) + 1))
    assert isinstance(pair.closed, Closed)


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        (NotifyType.INVALID_KE_PAYLOAD, b"\x00\x0e", ("INVALID_KE_PAYLOAD", "modp2048")),
        (NotifyType.MS_STATUS, b"\x00\x00\x35\xe9", ("MS_STATUS", "13801")),
        (NotifyType.AUTH_LIFETIME, b"\x00\x00\x0e\x10", ("AUTH_LIFETIME", "3600 s")),
        (16407, b"\x03\x07vpn2.ex", ("REDIRECT", "vpn2.ex")),
        (16407, b"\x01\x04\xc0\x00\x02\x07", ("REDIRECT", "192.0.2.7")),
        (16407, b"\x03", ("REDIRECT", "")),
        (9001, b"", ("notify 9001", "")),
    ],
)
def test_notifies_say_what_matters(kind: int, data: bytes, told: tuple[str, str]) -> None:
    message = Message(bytes(8), bytes(8), ExchangeType.IKE_AUTH, 1, (Notify(kind, data),), False, True)
    (entry,) = observe(message, sent=False).notifies
    assert (entry.name, entry.detail) == told


def test_a_gateway_cannot_make_the_facts_large() -> None:
    vendors = tuple(VendorId(bytes([number]) * 900) for number in range(200))
    message = Message(bytes(8), bytes(8), ExchangeType.IKE_SA_INIT, 0, vendors, False, True)
    assert len(repr(observe(message, sent=False))) < 4000


def test_whatever_reads_can_be_told() -> None:
    pair = Pair(eap_client(), BY_EAP)
    pair.connect()
    data = next(flight.data for flight in pair.sent if not flight.to_gateway)
    rng = SeededRng(7, "flips")
    for _ in range(2000):
        position, mask = int.from_bytes(rng(2)) % len(data), rng(1)[0]
        spoiled = data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]
        facts = observe_clear(spoiled, sent=False)
        assert (facts is None) is not isinstance(decode(spoiled, None), Decoded)


def test_proposals_read_as_a_profile_spells_them() -> None:
    text = "aes256-sha256-prfsha256-modp2048-ecp256"
    (proposal,) = parse_offer(ProtocolId.IKE, (text,)).proposals
    assert set(words(proposal).split("-")) == set(text.split("-"))
    stranger = replace(proposal, transforms=tuple(replace(t, id=999) for t in proposal.transforms))
    assert words(stranger).startswith("(1:999)-")


def test_an_authentic_message_can_be_told_however_it_is_spoilt() -> None:
    """A gateway that has keys can say anything inside them; who listens must not fall over it."""
    payloads: tuple[Payload, ...] = (
        IdResponder(9, GATEWAY_CERT.certificate.subject.public_bytes()),
        *(Certificate(4, der) for der in GATEWAY_CERT.chain),
        Authentication(14, bytes(40)),
        Configuration(2, (Attribute(1, bytes(4)), Attribute(8, bytes(17)), Attribute(25, b"example"))),
        Eap(bytes([1, 7, 0, 30, 26, 4, 7, 0, 25]) + b"E=691 R=0 M=no"),
        Notify(NotifyType.AUTH_LIFETIME, bytes(4)),
        Notify(NotifyType.MS_STATUS, bytes(4)),
        Notify(16407, b"\x01\x04\xc0\x00\x02\x07"),
        TsInitiator((ANY_IPV4,)),
    )
    first, plaintext = _push_chain(payloads)
    header = Header(bytes(8), bytes(8), first, 0x20, ExchangeType.IKE_AUTH, 0x20, 1, 28)
    rng, told = SeededRng(11, "spoilt"), 0
    for _ in range(3000):
        position = int.from_bytes(rng(2)) % len(plaintext)
        spoilt = plaintext[:position] + rng(1) + plaintext[position + 1 :]
        outcome = decode_assembled(header, first, spoilt)
        if isinstance(outcome, Decoded):
            told += bool(observe(outcome.message, sent=False).payloads)
    assert told > 1000
