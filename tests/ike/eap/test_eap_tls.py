"""EAP-TLS, and what all methods with TLS have in common: order, fragments, trust, and nothing before it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ike.eap.method import EapFailed
from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import EapPeer
from client.ike.eap.tls_framing import ACKNOWLEDGEMENT, LENGTH, MORE, START, TlsPacket
from client.ike.errors import ProtocolError
from client.ike.events import Kind
from client.ike.identity import Identity
from client.ike.options import EapLogin, Inner
from client.ike.registry import EapCode, EapType
from client.ike.trust import Trust
from client.lab.eap_tls import TlsService
from tests.ike.eap.dialogue import FAILURE, SUCCESS, request, seeded
from tests.ike.eap.tls_dialogue import (
    AUTHORITY,
    OPTIONS,
    PASSWORD,
    SERVICE,
    STRANGER,
    STRANGERS,
    TLS_METHODS,
    USER,
    VERSIONS,
    WALL,
    Dialogue,
    dialogue,
    identity_of,
    kind_of,
    login,
    records,
    scripted,
    server,
)

HANDSHAKE, ALERT = 22, 21
FLAGS_END = 6
STRANGE_TRUST = Trust((STRANGERS.certificate,), Identity.parse("aaa.example.org"))


def service(version: str) -> TlsService:
    return replace(SERVICE, newest=VERSIONS[version])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", TLS_METHODS)
def test_both_ends_have_one_key(method: EapType, version: str) -> None:
    there = dialogue(login(method), service(version)).run()
    assert there.peer.finished
    assert there.server.succeeded
    assert there.peer.msk is not None
    assert len(there.peer.msk) == 64
    assert there.peer.msk == there.server.msk


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", TLS_METHODS)
@pytest.mark.parametrize("size", [100, 257, 1004, 1400, 8000])
def test_fragments_may_be_of_any_size(method: EapType, version: str, size: int) -> None:
    there = dialogue(login(method), replace(service(version), fragment=size)).run()
    assert there.peer.msk == there.server.msk
    assert max(map(len, there.responses)) <= 1020


@pytest.mark.parametrize("method", TLS_METHODS)
def test_two_dialogues_have_two_keys(method: EapType) -> None:
    first, second = dialogue(login(method)).run(), dialogue(login(method)).run()
    assert first.peer.msk != second.peer.msk


@pytest.mark.parametrize("method", TLS_METHODS)
def test_the_server_may_offer_something_else_first(method: EapType) -> None:
    # <-- MD5, --> Nak(TLS), <-- Start …
    there = dialogue(login(method), SERVICE, EapType.MD5, method).run()
    assert there.peer.finished
    nak = EapPacket.pull(there.responses[1])
    assert (nak.type, nak.data) == (EapType.NAK, bytes([method]))


def test_the_first_of_ours_that_the_server_knows_is_taken() -> None:
    there = dialogue(login(EapType.PEAP, EapType.TTLS, EapType.TLS), SERVICE, EapType.MD5, EapType.TTLS).run()
    assert EapPacket.pull(there.responses[1]).data == bytes([EapType.PEAP, EapType.TTLS, EapType.TLS])
    assert EapPacket.pull(there.responses[-1]).type == EapType.TTLS


@pytest.mark.parametrize("method", TLS_METHODS)
def test_another_name_may_be_said_outside(method: EapType) -> None:
    there = dialogue(login(method, options=replace(OPTIONS, outer_identity="@example.org"))).run()
    assert there.peer.finished
    assert EapPacket.pull(there.responses[0]).data == b"@example.org"
    assert all(USER.encode() not in packet for packet in there.responses)


# Trust


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "client",
    [login(EapType.TLS), *(login(EapType.TTLS, inner=(inner,)) for inner in Inner), login(EapType.PEAP)],
    ids=["TLS", *(f"TTLS {inner}" for inner in Inner), "PEAP"],
)
def test_an_untrusted_server_hears_a_hello_and_an_alert(client: EapLogin, version: str) -> None:
    assert client.tls is not None
    there = dialogue(replace(client, tls=replace(client.tls, trust=STRANGE_TRUST)), service(version))
    with pytest.raises(EapFailed, match="“CN=Login Root”, not trusted here") as raised:
        there.run()
    assert kind_of(raised.value) is Kind.TRUST_UNKNOWN_CA
    assert records(there.responses) == [HANDSHAKE]
    words = raised.value.last_words
    assert words is not None
    assert records([words]) == [ALERT]
    assert len(words) == 13  # EAP, flags, and an alert of two octets in clear
    for secret in (PASSWORD.reveal(), PASSWORD.reveal().decode().encode("utf-16-le")):
        assert all(secret not in packet for packet in [*there.responses, words])


@pytest.mark.parametrize("version", VERSIONS)
def test_our_certificate_is_not_shown_to_a_server_that_is_not_trusted(version: str) -> None:
    there = dialogue(login(EapType.TLS, options=replace(OPTIONS, trust=STRANGE_TRUST)), service(version))
    with pytest.raises(EapFailed):
        there.run()
    assert all(
        OPTIONS.identity is None or OPTIONS.identity.chain[0] not in packet for packet in there.responses
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_does_not_know_our_certificate_says_so(version: str) -> None:
    there = dialogue(
        login(EapType.TLS, options=replace(OPTIONS, identity=identity_of(STRANGER))), service(version)
    )
    with pytest.raises(EapFailed, match="refuses our certificate: unknown ca") as raised:
        there.run()
    assert kind_of(raised.value) is Kind.AUTH_REJECTED
    assert raised.value.failure is not None
    assert raised.value.failure.final
    assert raised.value.last_words is not None  # an acknowledgement of the alert (RFC 5216 section 2.1.3)


def test_without_a_certificate_there_is_no_login() -> None:
    there = dialogue(login(EapType.TLS, options=replace(OPTIONS, identity=None)))
    with pytest.raises(EapFailed, match="certificate required") as raised:
        there.run()
    assert kind_of(raised.value) is Kind.AUTH_REJECTED


def test_at_an_unknown_time_no_certificate_is_valid() -> None:
    there = Dialogue(EapPeer(login(EapType.TLS), seeded("peer")), server(EapType.TLS))
    with pytest.raises(EapFailed) as raised:
        there.run()
    assert kind_of(raised.value) is Kind.TRUST_EXPIRED


def test_another_name_may_be_expected_of_the_server() -> None:
    trust = Trust((AUTHORITY.certificate,), Identity.parse("gateway.example.org"))
    there = dialogue(login(EapType.PEAP, options=replace(OPTIONS, trust=trust)))
    with pytest.raises(EapFailed, match=r"gateway\.example\.org is wanted") as raised:
        there.run()
    assert kind_of(raised.value) is Kind.TRUST_NAME


# TLS 1.3 of EAP-TLS


@pytest.mark.parametrize("said", [b"", b"\1", b"\0\0", b"welcome"])
def test_without_the_servers_commitment_there_is_no_success(said: bytes) -> None:
    there = dialogue(login(EapType.TLS), replace(SERVICE, commitment=said))
    with pytest.raises(EapFailed) as raised:
        there.run()
    assert kind_of(raised.value) is Kind.PEER_PROTOCOL
    assert not there.peer.finished
    assert there.peer.msk is None


def test_a_second_commitment_is_one_too_many() -> None:
    with pytest.raises(EapFailed, match="application data in EAP-TLS"):
        scripted(login(EapType.TLS), b"\0\0")


def test_nothing_is_said_inside_tls_1_2() -> None:
    with pytest.raises(EapFailed, match="application data in EAP-TLS"):
        scripted(login(EapType.TLS), b"\0", service=service("1.2"))


# Order


def after(count: int, method: EapType, version: str = "1.3") -> EapPeer:
    """A peer that has answered so many requests."""
    there = dialogue(login(method), service(version))
    packet = there.server.start()
    for _ in range(count):
        response = there.peer.handle(packet)
        assert isinstance(response, bytes)
        packet = there.server.handle(response)
    return there.peer


def length_of(method: EapType, version: str) -> int:
    return len(dialogue(login(method), service(version)).run().responses)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", TLS_METHODS)
def test_early_success_fails_at_every_point(method: EapType, version: str) -> None:
    for count in range(length_of(method, version)):
        peer = after(count, method, version)
        with pytest.raises(EapFailed) as raised:
            peer.handle(SUCCESS)
        assert kind_of(raised.value) is Kind.PEER_PROTOCOL
        assert not peer.finished
        assert peer.msk is None


@pytest.mark.parametrize("method", TLS_METHODS)
def test_failure_ends_it_at_every_point(method: EapType) -> None:
    for count in range(length_of(method, "1.3")):
        with pytest.raises(EapFailed) as raised:
            after(count, method).handle(FAILURE)
        assert kind_of(raised.value) is Kind.AUTH_REJECTED


WRONG = {
    "a second start": TlsPacket(START).push(),
    "no flags at all": b"",
    "a length that is cut": b"\x80\0\0",
    "an empty fragment": TlsPacket(MORE).push(),
    "a length that is too long": TlsPacket(LENGTH, b"x", 2).push(),
    "a length that is too short": TlsPacket(LENGTH, b"xy", 1).push(),
    "more than there can be": TlsPacket(LENGTH | MORE, b"x", 2**32 - 1).push(),
    "octets of no meaning": TlsPacket(0, b"\xff" * 40).push(),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("method", TLS_METHODS)
def test_what_does_not_fit_ends_it_at_every_point(method: EapType, data: bytes) -> None:
    for count in range(2, length_of(method, "1.3")):
        with pytest.raises(ProtocolError):
            after(count, method).handle(request(method, data, 250))


@pytest.mark.parametrize("method", TLS_METHODS)
def test_a_dialogue_begins_with_a_start(method: EapType) -> None:
    for data in (ACKNOWLEDGEMENT, TlsPacket(0, b"hello").push(), TlsPacket(LENGTH | MORE, b"x", 9).push()):
        with pytest.raises(EapFailed, match="no start"):
            after(1, method).handle(request(method, data))


def test_a_fragment_of_ours_is_acknowledged_or_nothing() -> None:
    there = dialogue(login(EapType.TLS))
    packet = there.server.start()
    for _ in range(2):
        packet = there.server.handle(there.peer.handle(packet))  # type: ignore[arg-type]
    assert TlsPacket.pull(EapPacket.pull(packet).data).is_empty  # our ClientHello needs two packets
    with pytest.raises(EapFailed, match="no acknowledgement of a fragment"):
        there.peer.handle(request(EapType.TLS, TlsPacket(0, b"x").push(), 77))


@pytest.mark.parametrize("method", [EapType.TTLS, EapType.PEAP])
@pytest.mark.parametrize("version", [1, 2])
def test_another_version_of_the_method_may_be_offered_but_not_insisted_on(
    method: EapType, version: int
) -> None:
    peer = after(1, method)
    answer = peer.handle(request(method, bytes([START | version]), 2))
    assert isinstance(answer, bytes)
    assert TlsPacket.pull(EapPacket.pull(answer).data).version == 0
    with pytest.raises(EapFailed, match=f"insists on version {version}"):
        peer.handle(request(method, bytes([version]), 3))


@pytest.mark.parametrize(
    "kind", [EapType.IDENTITY, EapType.NAK, EapType.MD5, EapType.MSCHAPV2, EapType.EXPANDED, 255]
)
@pytest.mark.parametrize("method", TLS_METHODS)
def test_no_other_method_once_tls_has_begun(method: EapType, kind: int) -> None:
    for count in range(2, length_of(method, "1.3")):
        with pytest.raises(EapFailed, match="in the middle of"):
            after(count, method).handle(request(kind, bytes(20), 250))


TYPES = (0, 1, 3, 4, 5, 6, 13, 18, 21, 23, 25, 26, 33, 43, 254, 255)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", TLS_METHODS)
def test_every_code_and_type_at_every_point(method: EapType, version: str) -> None:
    """Of 64 packets at each point none is answered but what continues the method."""
    cells = 0
    for count in range(2, length_of(method, version) + 1):
        peer = after(count, method, version)
        for code, kind in product(range(1, 5), TYPES):
            if code in (EapCode.SUCCESS, EapCode.FAILURE):
                packet = bytes([code, 99, 0, 5, kind])
            else:
                packet = bytes([code, 99, 0, 6, kind, START])
            with pytest.raises(ProtocolError):
                peer.handle(packet)
            cells += 1
        assert not peer.finished
        assert peer.msk is None
    assert cells >= 64 * 4


@pytest.mark.parametrize("method", TLS_METHODS)
def test_nothing_follows_success(method: EapType) -> None:
    there = dialogue(login(method)).run()
    for packet in (SUCCESS, FAILURE, request(method, ACKNOWLEDGEMENT, 99)):
        with pytest.raises(EapFailed):
            there.peer.handle(packet)


# Octets

CORPUS = [packet for method in TLS_METHODS for packet in dialogue(login(method)).run().requests]


@pytest.mark.parametrize("method", TLS_METHODS)
def test_a_changed_octet_never_leads_to_success(method: EapType) -> None:
    """TLS finds out, or the framing does: behind the flags nothing is without meaning."""
    chance = Random(method)
    for _ in range(100):
        there, at = dialogue(login(method)), chance.randrange(1, 7)
        packet = there.server.start()
        with suppress(ProtocolError):
            for count in range(40):
                if count == at:
                    packet = spoilt(packet, chance)
                outcome = there.peer.handle(packet)
                assert isinstance(outcome, bytes)
                packet = there.server.handle(outcome)
        assert not there.peer.finished
        assert there.peer.msk is None


def spoilt(packet: bytes, chance: Random) -> bytes:
    """The request with one octet changed that is not its flags; what is too short for that is cut."""
    if len(packet) <= FLAGS_END:
        return packet[:-1]
    changed = bytearray(packet)
    changed[chance.randrange(FLAGS_END, len(packet))] ^= chance.randrange(1, 256)
    return bytes(changed)


@settings(max_examples=60)
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(CORPUS)), max_size=8))
def test_no_sequence_of_packets_raises_another_family(packets: list[bytes]) -> None:
    peer = EapPeer(login(*TLS_METHODS), seeded("peer"), WALL)
    for packet in packets:
        with suppress(ProtocolError):
            peer.handle(packet)
    assert not peer.finished
    assert peer.msk is None
