"""EAP-AKA and EAP-AKA': keys as published, both ends' proofs, and networks that do not play by the rules."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ike.eap.aka_wire import (
    AkaPacket,
    At,
    Attribute,
    Subtype,
    aka_prime_keys,
    bound_to_network,
    counted,
    is_authentic,
    plain,
    with_mac,
)
from client.ike.eap.method import EapFailed
from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import EapPeer
from client.ike.eap.usim import SoftwareUsim
from client.ike.errors import InvalidSyntax, ProtocolError
from client.ike.events import Kind
from client.ike.keys import Secret
from client.ike.options import EapLogin
from client.ike.registry import EapCode, EapType
from client.lab.accounts import Accounts, Subscription
from client.lab.eap_aka import AMF, AkaPrimeServer
from client.lab.eap_server import EapServer
from tests.ike.eap.dialogue import FAILURE, SUCCESS, seeded
from tests.ike.published import Vector, load, source

SET = load("milenage")[17]  # test set 19
KEY, OPC = Secret(SET.octets("k")), Secret(SET.octets("opc"))
IDENTITY = "0555444333222111@nai.example.org"
BOTH = (EapType.AKA, EapType.AKA_PRIME)


def card(highest: int = -1, key: Secret = KEY) -> SoftwareUsim:
    return SoftwareUsim(key, OPC, highest)


def peer_of(*methods: EapType, usim: SoftwareUsim | None = None) -> EapPeer:
    return EapPeer(EapLogin(IDENTITY, Secret(b""), methods, usim=usim or card()), seeded("peer"))


def network(*methods: EapType, sqn: int = 0, key: Secret = KEY) -> EapServer:
    subscriptions = {IDENTITY: Subscription(key, OPC, sqn)}
    return EapServer(Accounts({}, subscriptions=subscriptions), seeded("network"), methods)


Change = Callable[[bytes], bytes]


@dataclass
class Talk:
    """A dialogue: what the network sent, maybe changed on the way, and what the peer answered."""

    there: EapServer
    peer: EapPeer
    change: Change = field(default=lambda packet: packet)
    said: list[AkaPacket] = field(default_factory=list)

    def run(self) -> Talk:
        packet = self.there.start()
        while True:
            response = self.peer.handle(self.change(packet))
            if response is None:
                return self
            assert isinstance(response, bytes)
            parsed = EapPacket.pull(response)
            if parsed.type in BOTH:
                self.said.append(AkaPacket.pull(parsed.data))
            packet = self.there.handle(response)


def changing(subtype: Subtype, edit: Callable[[AkaPacket], AkaPacket]) -> Change:
    """Edit the network's packets of one subtype, the MAC left as it was."""

    def change(packet: bytes) -> bytes:
        parsed = EapPacket.pull(packet)
        if parsed.code is not EapCode.REQUEST or parsed.type not in BOTH:
            return packet
        aka = AkaPacket.pull(parsed.data)
        return replace(parsed, data=edit(aka).push()).push() if aka.subtype == subtype else packet

    return change


def without(*kinds: At) -> Callable[[AkaPacket], AkaPacket]:
    return lambda packet: replace(
        packet, attributes=tuple(a for a in packet.attributes if a.type not in kinds)
    )


def adding(attribute: Attribute) -> Callable[[AkaPacket], AkaPacket]:
    return lambda packet: replace(packet, attributes=(attribute, *packet.attributes))


def flipping(kind: At, octet: int = -1) -> Callable[[AkaPacket], AkaPacket]:
    def flip(attribute: Attribute) -> Attribute:
        value = bytearray(attribute.value)
        value[octet] ^= 1
        return Attribute(attribute.type, bytes(value))

    return lambda packet: replace(
        packet, attributes=tuple(flip(a) if a.type == kind else a for a in packet.attributes)
    )


def failing(talk: Talk) -> EapFailed:
    with pytest.raises(EapFailed) as raised:
        talk.run()
    assert not talk.there.succeeded
    assert talk.peer.msk is None
    return raised.value


def last_words(error: EapFailed) -> AkaPacket:
    assert error.last_words is not None
    return AkaPacket.pull(EapPacket.pull(error.last_words).data)


def kind_of(error: EapFailed) -> Kind:
    assert error.failure is not None
    return error.failure.kind


# As it should be


@pytest.mark.parametrize("vector", load("aka_prime"), ids=source)
def test_the_keys_of_aka_prime_are_the_published_ones(vector: Vector) -> None:
    ck, ik = Secret(vector.octets("ck")), Secret(vector.octets("ik"))
    network_name = vector.text("network").encode()
    ck_prime, ik_prime = bound_to_network(ck, ik, network_name, vector.octets("autn")[:6])
    assert ck_prime.reveal() == vector.octets("ck_prime")
    assert ik_prime.reveal() == vector.octets("ik_prime")
    keys = aka_prime_keys(b"0555444333222111", ck_prime, ik_prime)
    assert keys.k_re is not None
    for name, made in (
        ("k_encr", keys.k_encr),
        ("k_aut", keys.k_aut),
        ("k_re", keys.k_re),
        ("msk", keys.msk),
        ("emsk", keys.emsk),
    ):
        assert made.reveal() == vector.octets(name), name


@pytest.mark.parametrize("method", BOTH)
def test_both_ends_derive_the_same_key(method: EapType) -> None:
    talk = Talk(network(method), peer_of(method)).run()
    assert talk.there.succeeded
    assert talk.peer.msk is not None
    assert talk.peer.msk == talk.there.msk
    assert len(talk.peer.msk) == 64
    assert [packet.subtype for packet in talk.said] == [Subtype.IDENTITY, Subtype.CHALLENGE]


def test_a_network_that_asks_for_the_other_one_is_told() -> None:
    talk = Talk(network(EapType.AKA, EapType.AKA_PRIME), peer_of(EapType.AKA_PRIME)).run()
    assert talk.there.succeeded


@pytest.mark.parametrize("method", BOTH)
def test_a_network_that_counts_otherwise_is_told_once(method: EapType) -> None:
    talk = Talk(network(method), peer_of(method, usim=card(highest=1000))).run()
    assert [packet.subtype for packet in talk.said] == [
        Subtype.IDENTITY,
        Subtype.SYNCHRONIZATION_FAILURE,
        Subtype.CHALLENGE,
    ]
    assert talk.there.succeeded


# Impostors


@pytest.mark.parametrize("method", BOTH)
def test_an_impostor_is_rejected(method: EapType) -> None:
    error = failing(Talk(network(method, key=Secret(bytes(16))), peer_of(method)))
    assert kind_of(error) is Kind.TRUST_NO_PROOF
    assert last_words(error).subtype == Subtype.AUTHENTICATION_REJECT


EDITS: dict[str, tuple[Subtype, Callable[[AkaPacket], AkaPacket], Subtype]] = {
    "another RAND": (Subtype.CHALLENGE, flipping(At.RAND), Subtype.AUTHENTICATION_REJECT),
    "another AUTN": (Subtype.CHALLENGE, flipping(At.AUTN), Subtype.AUTHENTICATION_REJECT),
    "another MAC": (Subtype.CHALLENGE, flipping(At.MAC), Subtype.CLIENT_ERROR),
    "no MAC": (Subtype.CHALLENGE, without(At.MAC), Subtype.CLIENT_ERROR),
    "two MACs": (Subtype.CHALLENGE, adding(plain(At.MAC, bytes(16))), Subtype.CLIENT_ERROR),
    "a short MAC": (Subtype.CHALLENGE, adding(plain(At.MAC, bytes(4))), Subtype.CLIENT_ERROR),
    "no RAND": (Subtype.CHALLENGE, without(At.RAND), Subtype.CLIENT_ERROR),
    "no AUTN": (Subtype.CHALLENGE, without(At.AUTN), Subtype.CLIENT_ERROR),
    "another checkcode": (Subtype.CHALLENGE, flipping(At.CHECKCODE), Subtype.CLIENT_ERROR),
    "something unknown": (Subtype.CHALLENGE, adding(Attribute(99, bytes(2))), Subtype.CLIENT_ERROR),
    "something new that may be ignored, outside the MAC": (
        Subtype.CHALLENGE,
        adding(Attribute(200, bytes(2))),
        Subtype.CLIENT_ERROR,
    ),
    "no kind of identity": (Subtype.IDENTITY, without(At.PERMANENT_ID_REQ), Subtype.CLIENT_ERROR),
    "two kinds of identity": (Subtype.IDENTITY, adding(plain(At.ANY_ID_REQ, b"")), Subtype.CLIENT_ERROR),
}


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("method", BOTH)
def test_a_packet_that_was_changed_ends_the_login(method: EapType, name: str) -> None:
    subtype, edit, answer = EDITS[name]
    error = failing(Talk(network(method), peer_of(method), changing(subtype, edit)))
    assert last_words(error).subtype == answer


def test_a_request_for_the_identity_that_was_changed_is_noticed_by_its_checkcode() -> None:
    def other(packet: AkaPacket) -> AkaPacket:
        return replace(packet, attributes=(plain(At.ANY_ID_REQ, b""),))

    error = failing(Talk(network(EapType.AKA), peer_of(EapType.AKA), changing(Subtype.IDENTITY, other)))
    assert "messages about the identity" in str(error)


PRIME_EDITS: dict[str, Callable[[AkaPacket], AkaPacket]] = {
    "no name of the network": without(At.KDF_INPUT),
    "an empty name of the network": lambda packet: adding(counted(At.KDF_INPUT, b""))(
        without(At.KDF_INPUT)(packet)
    ),
    "no function": without(At.KDF),
    "unknown functions": lambda packet: adding(Attribute(At.KDF, b"\0\7"))(without(At.KDF)(packet)),
    "no separation bit": lambda packet: flipping_amf(packet),
}


def flipping_amf(packet: AkaPacket) -> AkaPacket:
    autn = packet.first(At.AUTN)
    assert autn is not None
    body = autn.body[:6] + bytes([AMF[0] ^ 0x80]) + autn.body[7:]
    return adding(plain(At.AUTN, body))(without(At.AUTN)(packet))


@pytest.mark.parametrize("name", PRIME_EDITS)
def test_what_aka_prime_adds_must_be_there(name: str) -> None:
    change = changing(Subtype.CHALLENGE, PRIME_EDITS[name])
    error = failing(Talk(network(EapType.AKA_PRIME), peer_of(EapType.AKA_PRIME), change))
    assert kind_of(error) is Kind.TRUST_NO_PROOF
    assert last_words(error).subtype == Subtype.AUTHENTICATION_REJECT


def test_a_network_of_another_name_has_other_keys() -> None:
    class Elsewhere(AkaPrimeServer):
        NETWORK = b"HRPD"

    def rename(packet: AkaPacket) -> AkaPacket:
        return adding(counted(At.KDF_INPUT, Elsewhere.NETWORK))(without(At.KDF_INPUT)(packet))

    change = changing(Subtype.CHALLENGE, rename)
    error = failing(Talk(network(EapType.AKA_PRIME), peer_of(EapType.AKA_PRIME), change))
    assert "not authentic" in str(error)


def test_a_function_that_we_do_not_know_is_answered_with_the_one_that_we_do() -> None:
    peer = peer_of(EapType.AKA_PRIME)
    challenges: list[bytes] = []

    def offer(packet: AkaPacket) -> AkaPacket:
        first = () if challenges else (Attribute(At.KDF, b"\0\7"),)
        challenges.append(b"")
        return replace(packet, attributes=(*first, *packet.attributes))

    talk = Talk(network(EapType.AKA_PRIME), peer, changing(Subtype.CHALLENGE, offer))
    packet = talk.change(talk.there.start())
    for _ in range(2):
        response = peer.handle(talk.change(packet))
        assert isinstance(response, bytes)
        packet = talk.there.handle(response)
    # --> AKA'-Challenge { AT_KDF = 1 } and nothing else
    answer = peer.handle(talk.change(packet))
    assert isinstance(answer, bytes)
    said = AkaPacket.pull(EapPacket.pull(answer).data)
    assert said == AkaPacket(Subtype.CHALLENGE, (Attribute(At.KDF, b"\0\1"),))
    # What follows must repeat the offer with our choice in front.
    other = replace(EapPacket.pull(packet), identifier=99).push()
    with pytest.raises(EapFailed, match="changed what it offered"):
        peer.handle(other)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_network_that_knows_aka_prime_must_not_be_kept_from_it(allowed: bool) -> None:
    methods = BOTH if allowed else (EapType.AKA,)
    change = changing(Subtype.CHALLENGE, adding(Attribute(At.BIDDING, b"\x80\0")))
    error = failing(Talk(network(EapType.AKA), peer_of(*methods), change))
    assert ("kept EAP-AKA' from us" in str(error)) is allowed  # else only its MAC is wrong


# Notifications


def notification(code: int, identifier: int = 9) -> bytes:
    data = AkaPacket(Subtype.NOTIFICATION, (Attribute(At.NOTIFICATION, code.to_bytes(2)),)).push()
    return EapPacket(EapCode.REQUEST, identifier, EapType.AKA, data).push()


@pytest.mark.parametrize(
    ("code", "meaning"),
    [(16384, "before the challenge"), (16384 + 5, "refuses the login")],
)
def test_a_refusal_before_the_challenge_is_told_in_words(code: int, meaning: str) -> None:
    with pytest.raises(EapFailed, match=meaning) as raised:
        peer_of(EapType.AKA).handle(notification(code))
    assert kind_of(raised.value) is Kind.AUTH_REJECTED
    assert last_words(raised.value) == AkaPacket(Subtype.NOTIFICATION)


@pytest.mark.parametrize("code", [0, 1026, 1031, 32768])
def test_a_word_from_after_the_challenge_needs_a_challenge(code: int) -> None:
    with pytest.raises(EapFailed, match="not authentic"):
        peer_of(EapType.AKA).handle(notification(code))


@pytest.mark.parametrize(
    ("code", "meaning"), [(1026, "barred"), (1031, "does not include"), (0, "ended the login"), (32768, "")]
)
def test_a_word_after_the_challenge_is_protected_both_ways(code: int, meaning: str) -> None:
    talk = Talk(network(EapType.AKA), peer_of(EapType.AKA))
    packet = talk.there.start()
    for _ in range(3):
        response = talk.peer.handle(packet)
        assert isinstance(response, bytes)
        packet = talk.there.handle(response)
    method = talk.peer._method
    keys = getattr(method, "_keys", None)
    assert keys is not None
    header = EapPacket(EapCode.REQUEST, 77)
    bare = AkaPacket(Subtype.NOTIFICATION, (Attribute(At.NOTIFICATION, code.to_bytes(2)),))
    request = replace(header, type=EapType.AKA, data=with_mac(bare, header, EapType.AKA, keys.k_aut))
    if meaning:
        with pytest.raises(EapFailed, match=meaning) as raised:
            talk.peer.handle(request.push())
        assert raised.value.last_words is not None
        answer = raised.value.last_words
    else:
        said = talk.peer.handle(request.push())
        assert isinstance(said, bytes)
        answer = said
    assert is_authentic(EapPacket.pull(answer), EapType.AKA, keys.k_aut)


# Order and shapes


@pytest.mark.parametrize("method", BOTH)
def test_success_before_the_challenge_fails(method: EapType) -> None:
    peer = peer_of(method)
    packet = network(method).start()
    peer.handle(packet)
    with pytest.raises(EapFailed, match="before the method was done"):
        peer.handle(SUCCESS)


def test_failure_is_a_refusal() -> None:
    with pytest.raises(EapFailed) as raised:
        Talk(network(EapType.AKA), peer_of(EapType.AKA)).peer.handle(FAILURE)
    assert kind_of(raised.value) is Kind.AUTH_REJECTED


@pytest.mark.parametrize("subtype", [Subtype.REAUTHENTICATION, Subtype.CLIENT_ERROR, 3, 99])
def test_a_subtype_that_has_no_business_here_is_an_error(subtype: int) -> None:
    request = EapPacket(EapCode.REQUEST, 1, EapType.AKA, AkaPacket(subtype).push()).push()
    with pytest.raises(EapFailed, match="out of turn") as raised:
        peer_of(EapType.AKA).handle(request)
    assert last_words(raised.value).subtype == Subtype.CLIENT_ERROR


def test_the_identity_is_not_told_for_ever() -> None:
    peer = peer_of(EapType.AKA)
    for count in range(4):
        data = AkaPacket(Subtype.IDENTITY, (plain(At.ANY_ID_REQ, b""),)).push()
        request = EapPacket(EapCode.REQUEST, count, EapType.AKA, data).push()
        if count < 3:
            assert isinstance(peer.handle(request), bytes)
            continue
        with pytest.raises(EapFailed):
            peer.handle(request)


def test_an_attribute_of_no_size_ends_the_packet() -> None:
    for kind in range(256):
        with pytest.raises(InvalidSyntax):
            AkaPacket.pull(bytes([1, 0, 0, kind, 0, 0, 0]))


def test_lengths_of_attributes_raise_one_family_only_over_their_whole_range() -> None:
    for size in range(256):
        for present in range(0, 1100, 61):
            data = bytes([Subtype.CHALLENGE, 0, 0, At.RAND, size]) + bytes(present)
            with suppress(ProtocolError):
                peer_of(EapType.AKA).handle(EapPacket(EapCode.REQUEST, 1, EapType.AKA, data).push())


def test_a_count_beyond_its_attribute_is_refused() -> None:
    for size in range(0, 65536, 257):
        attribute = Attribute(At.KDF_INPUT, size.to_bytes(2) + b"WLAN")
        if size <= 4:
            assert attribute.counted == b"WLAN"[:size]
        else:
            with pytest.raises(InvalidSyntax):
                _ = attribute.counted


@settings(max_examples=200)
@given(st.sampled_from(BOTH), st.lists(st.binary(max_size=80), max_size=4))
def test_no_octets_without_the_key_make_a_success(method: EapType, packets: list[bytes]) -> None:
    peer = peer_of(method)
    for number, data in enumerate(packets):
        with suppress(ProtocolError):
            peer.handle(EapPacket(EapCode.REQUEST, number, method, data).push())
    with suppress(ProtocolError):
        peer.handle(SUCCESS)
    assert peer.msk is None


def test_nothing_of_a_login_shows_the_subscription() -> None:
    login = EapLogin(IDENTITY, Secret(b""), BOTH, usim=card())
    assert SET.text("k") not in repr(login)
    assert KEY.reveal().hex() not in repr(card()) + repr(login)
