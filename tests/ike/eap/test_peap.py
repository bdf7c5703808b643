"""PEAP: packets without headers, and a result that both ends confirm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from client.ike.eap.compound import NONCE_SIZE, CompoundKeys, CryptoBinding, SubType
from client.ike.eap.method import EapFailed
from client.ike.eap.packet import EapPacket
from client.ike.eap.peap import EXTENSIONS, Outcome, pull_tlvs, push_result, push_tlv
from client.ike.eap.peer import EapPeer
from client.ike.errors import InvalidSyntax, ProtocolError
from client.ike.events import Kind
from client.ike.keys import Secret
from client.ike.options import Inner
from client.ike.registry import EapCode, EapType
from client.lab.eap_methods import Accounts
from client.lab.eap_methods import Outcome as Ending
from client.lab.eap_tls import PeapServer, TlsService
from tests.ike.eap.dialogue import seeded
from tests.ike.eap.tls_dialogue import (
    PASSWORD,
    SERVICE,
    USER,
    VERSIONS,
    WALL,
    dialogue,
    drive,
    kind_of,
    login,
    scripted,
)

IDENTITY = bytes([EapType.IDENTITY])
INNER: dict[Inner, tuple[EapType, ...]] = {
    Inner.MSCHAPV2: (EapType.MSCHAPV2,),
    Inner.EAP_MSCHAPV2: (EapType.MSCHAPV2,),
    Inner.EAP_TLS: (EapType.TLS,),
}


def extensions(tlvs: bytes, identifier: int = 7) -> bytes:
    return EapPacket(EapCode.REQUEST, identifier, EXTENSIONS, tlvs).push()


@pytest.mark.parametrize("binding", [True, False], ids=["cryptobinding", "none"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("inner", INNER)
def test_every_inner_method_leads_to_one_key(inner: Inner, version: str, binding: bool) -> None:
    service = replace(SERVICE, inner=INNER[inner], newest=VERSIONS[version], binding=binding)
    there = dialogue(login(EapType.PEAP, inner=(inner,)), service).run()
    assert there.peer.finished
    assert there.peer.msk is not None
    assert there.peer.msk == there.server.msk


def test_inside_the_server_may_offer_something_else_first() -> None:
    service = replace(SERVICE, inner=(EapType.MD5, EapType.MSCHAPV2))
    there = dialogue(login(EapType.PEAP), service).run()
    assert there.peer.finished


def test_a_wrong_password_is_refused_for_good() -> None:
    with pytest.raises(EapFailed, match="user name or password is wrong") as raised:
        dialogue(login(EapType.PEAP, password=Secret(b"wrong"))).run()
    assert kind_of(raised.value) is Kind.AUTH_REJECTED
    assert raised.value.failure is not None
    assert raised.value.failure.final


def test_no_common_inner_method_is_a_refusal() -> None:
    with pytest.raises(EapFailed) as raised:
        dialogue(login(EapType.PEAP), replace(SERVICE, inner=(EapType.MD5,))).run()
    assert kind_of(raised.value) is Kind.AUTH_REJECTED
    assert raised.value.last_words is not None  # Result (failure), inside TLS


# Packets with and without header


def heard(*says: bytes) -> list[bytes]:
    """What a server hears inside until we refuse its unfounded success."""
    there = Recorder()
    with pytest.raises(EapFailed):
        drive(EapPeer(login(EapType.PEAP), seeded("peer"), WALL), EapType.PEAP, there.saying(says))
    return there.heard


class Recorder(PeapServer):
    """A server that says inside what it is told to."""

    def __init__(self, service: TlsService = SERVICE) -> None:
        super().__init__(Accounts({USER: PASSWORD}, tls=service), USER, seeded("server"))
        self.says: list[bytes] = []
        self.heard: list[bytes] = []

    def saying(self, says: tuple[bytes, ...]) -> Recorder:
        self.says = list(says)
        return self

    def _open(self) -> bytes:
        return self.says.pop(0)

    def _reply(self, plaintext: bytes) -> bytes | Ending:
        self.heard.append(plaintext)
        return self.says.pop(0) if self.says else Ending.SUCCESS


def test_the_identity_has_no_header() -> None:
    # <-- 01, --> 01 anna
    assert heard(IDENTITY) == [IDENTITY + USER.encode()]


def test_a_request_with_header_is_answered_without() -> None:
    """As FreeRADIUS wants it."""
    whole = EapPacket(EapCode.REQUEST, 9, EapType.IDENTITY).push()
    assert heard(whole) == [IDENTITY + USER.encode()]


def test_health_and_capabilities_are_declined() -> None:
    for vendor_type in (0x21, 0x22):
        request = bytes.fromhex("000137") + vendor_type.to_bytes(4) + bytes(8)
        asked = EapPacket(EapCode.REQUEST, 9, EapType.EXPANDED, request).push()
        assert heard(IDENTITY, asked)[1] == bytes([EapType.NAK, EapType.MSCHAPV2])


def test_alike_requests_in_a_row_are_no_repetition() -> None:
    assert heard(IDENTITY, IDENTITY) == [IDENTITY + USER.encode()] * 2


# Result and cryptobinding


class Spoiling(PeapServer):
    """A server whose last word is changed on the way."""

    def __init__(self, spoil: Callable[[Spoiling], bytes]) -> None:
        super().__init__(Accounts({USER: PASSWORD}, tls=SERVICE), USER, seeded("server"))
        self.spoil = spoil
        self.answer = b""

    def keys(self, inner: Secret | None = None) -> CompoundKeys:
        return CompoundKeys.derive(self._material(), inner or self._inner.msk)

    def _reply(self, plaintext: bytes) -> bytes | Ending:
        if self._told:
            self.answer = plaintext
            self._accept()
            return Ending.SUCCESS
        reply = super()._reply(plaintext)
        return extensions(self.spoil(self)) if self._told else reply


def binding(keys: CompoundKeys, subtype: int = SubType.REQUEST) -> bytes:
    return push_tlv(CryptoBinding.TYPE, CryptoBinding(subtype, bytes(NONCE_SIZE)).sealed(keys).push())


SUCCESS = push_result(Outcome.SUCCESS)
GOOD: dict[str, Callable[[Spoiling], bytes]] = {
    "binding first": lambda there: binding(there.keys()) + SUCCESS,
    "an unknown TLV that is optional": lambda there: SUCCESS + push_tlv(99, b"x") + binding(there.keys()),
    "no binding": lambda _: SUCCESS,
}
BAD: dict[str, tuple[Kind, Callable[[Spoiling], bytes]]] = {
    "another inner key": (
        Kind.TRUST_NO_PROOF,
        lambda there: SUCCESS + binding(there.keys(Secret(bytes(64)))),
    ),
    "another tunnel": (
        Kind.TRUST_NO_PROOF,
        lambda _: SUCCESS + binding(CompoundKeys.derive(Secret(bytes(128)), None)),
    ),
    "a response for a request": (
        Kind.TRUST_NO_PROOF,
        lambda there: SUCCESS + binding(there.keys(), SubType.RESPONSE),
    ),
    "failure": (Kind.AUTH_REJECTED, lambda _: push_result(Outcome.FAILURE)),
    "failure, with a good binding": (
        Kind.AUTH_REJECTED,
        lambda there: push_result(Outcome.FAILURE) + binding(there.keys()),
    ),
    "no result": (Kind.PEER_PROTOCOL, lambda there: binding(there.keys())),
    "nothing": (Kind.PEER_PROTOCOL, lambda _: b""),
    "a third result": (Kind.PEER_PROTOCOL, lambda _: push_tlv(3, b"\0\3")),
    "a result of one octet": (Kind.PEER_PROTOCOL, lambda _: push_tlv(3, b"\1")),
}


def finish(spoil: Callable[[Spoiling], bytes]) -> tuple[EapPeer, Spoiling]:
    peer, there = EapPeer(login(EapType.PEAP), seeded("peer"), WALL), Spoiling(spoil)
    drive(peer, EapType.PEAP, there)
    return peer, there


@pytest.mark.parametrize("name", GOOD)
def test_success_is_confirmed_inside(name: str) -> None:
    peer, there = finish(GOOD[name])
    assert peer.finished
    answer = pull_tlvs(EapPacket.pull(there.answer).data)
    assert answer[3] == b"\0\1"
    assert (CryptoBinding.TYPE in answer) is (name != "no binding")
    if name != "no binding":
        mine = CryptoBinding.pull(answer[CryptoBinding.TYPE])
        assert mine.subtype == SubType.RESPONSE
        assert mine.is_proven(there.keys())
        assert mine.nonce != bytes(NONCE_SIZE)


def test_a_binding_that_does_not_come_is_missed_where_the_profile_says_so() -> None:
    insisting = login(EapType.PEAP)
    assert insisting.tls is not None
    insisting = replace(insisting, tls=replace(insisting.tls, insists_on_binding=True))
    there = Spoiling(GOOD["no binding"])
    with pytest.raises(EapFailed, match="leaves out the cryptobinding") as raised:
        drive(EapPeer(insisting, seeded("peer"), WALL), EapType.PEAP, there)
    assert kind_of(raised.value) is Kind.TRUST_NO_PROOF
    assert raised.value.last_words is not None
    peer = EapPeer(insisting, seeded("peer"), WALL)
    drive(peer, EapType.PEAP, Spoiling(GOOD["binding first"]))
    assert peer.finished


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_answered_with_failure_and_ends_it(name: str) -> None:
    kind, spoil = BAD[name]
    with pytest.raises(EapFailed) as raised:
        finish(spoil)
    assert kind_of(raised.value) is kind
    assert raised.value.last_words is not None


@pytest.mark.parametrize(
    "tlvs",
    [
        SUCCESS + SUCCESS,
        SUCCESS + push_result(Outcome.FAILURE),
        SUCCESS + push_tlv(0x8000 | 99, b"x"),
        SUCCESS + push_tlv(CryptoBinding.TYPE, bytes(55)),
        SUCCESS + push_tlv(CryptoBinding.TYPE, bytes([0, 0, 0, 2]) + bytes(52)),
        SUCCESS[:-1],
        b"\x80",
        b"\x80\3\xff\xff\0\1",
    ],
)
def test_tlvs_of_no_meaning_end_it(tlvs: bytes) -> None:
    with pytest.raises(ProtocolError):
        finish(lambda _: tlvs)


def test_tlv_lengths_out_of_range_raise_one_family_only() -> None:
    for length in (*range(601), 65535):
        octets = b"\0\x63" + length.to_bytes(2) + bytes(300)
        if length == 300:
            assert pull_tlvs(octets) == {99: bytes(300)}
        elif length > 300:
            with pytest.raises(InvalidSyntax):
                pull_tlvs(octets)


@pytest.mark.parametrize("says", [(extensions(SUCCESS),), (IDENTITY, extensions(SUCCESS))])
def test_success_before_the_inner_method_is_done_is_refused(says: tuple[bytes, ...]) -> None:
    there = Recorder().saying(says)
    peer = EapPeer(login(EapType.PEAP), seeded("peer"), WALL)
    with pytest.raises(EapFailed, match="success before the inner method was done") as raised:
        drive(peer, EapType.PEAP, there)
    assert raised.value.last_words is not None
    assert len(there.heard) == len(says) - 1


def test_a_request_after_the_confirmation_is_not_answered() -> None:
    class Insisting(Spoiling):
        def _reply(self, plaintext: bytes) -> bytes | Ending:
            return IDENTITY if self._told else super()._reply(plaintext)

    there = Insisting(GOOD["no binding"])
    with pytest.raises(EapFailed, match="a request after success"):
        drive(EapPeer(login(EapType.PEAP), seeded("peer"), WALL), EapType.PEAP, there)


def test_every_length_of_a_packet_inside_raises_one_family_only() -> None:
    for length in (*range(0, 600, 11), 65535):
        packet = bytes([EapCode.REQUEST, 1]) + length.to_bytes(2) + bytes([EXTENSIONS]) + bytes(20)
        with pytest.raises(ProtocolError):
            scripted(login(EapType.PEAP), packet)
