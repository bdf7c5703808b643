"""EAP-TTLS: what is said inside, and when the server's word counts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from client.ike.eap.avp import MICROSOFT, Avp, AvpCode, MicrosoftCode, pull_avps
from client.ike.eap.method import Ask, EapFailed
from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import EapPeer
from client.ike.errors import ProtocolError
from client.ike.events import Kind
from client.ike.keys import OneTimeCode, Secret
from client.ike.options import Inner
from client.ike.registry import EapCode, EapType
from client.lab.eap_methods import Outcome as Ending
from tests.ike.eap.dialogue import SUCCESS, seeded
from tests.ike.eap.tls_dialogue import (
    CODE,
    OPTIONS,
    PASSWORD,
    SERVICE,
    STRANGER,
    USER,
    VERSIONS,
    WALL,
    Scripted,
    dialogue,
    drive,
    identity_of,
    kind_of,
    login,
    scripted,
)

INNER: dict[Inner, tuple[EapType, ...]] = {
    Inner.PAP: (),
    Inner.MSCHAPV2: (),
    Inner.EAP_MSCHAPV2: (EapType.MSCHAPV2,),
    Inner.EAP_MD5: (EapType.MD5,),
    Inner.EAP_TLS: (EapType.TLS,),
}
GTC = replace(SERVICE, inner=(EapType.GTC,))
REPLY = Avp(AvpCode.REPLY_MESSAGE, b"welcome").push()


def eap(packet: EapPacket) -> bytes:
    return Avp(AvpCode.EAP_MESSAGE, packet.push()).push()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("inner", INNER)
def test_every_inner_method_leads_to_one_key(inner: Inner, version: str) -> None:
    service = replace(SERVICE, inner=INNER[inner], newest=VERSIONS[version])
    there = dialogue(login(EapType.TTLS, inner=(inner,)), service).run()
    assert there.peer.finished
    assert there.peer.msk is not None
    assert there.peer.msk == there.server.msk


@pytest.mark.parametrize("inner", [inner for inner in INNER if inner is not Inner.EAP_TLS])
def test_a_wrong_password_is_refused_for_good(inner: Inner) -> None:
    wrong = login(EapType.TTLS, inner=(inner,), password=Secret(b"wrong"))
    there = dialogue(wrong, replace(SERVICE, inner=INNER[inner]))
    with pytest.raises(EapFailed) as raised:
        there.run()
    assert kind_of(raised.value) is Kind.AUTH_REJECTED
    assert raised.value.failure is not None
    assert raised.value.failure.final


def test_a_wrong_certificate_inside_is_refused_for_good() -> None:
    options = replace(OPTIONS, identity=identity_of(STRANGER))
    client = login(EapType.TTLS, inner=(Inner.EAP_TLS,), options=options)
    with pytest.raises(EapFailed, match="refuses our certificate: unknown ca") as raised:
        dialogue(client, replace(SERVICE, inner=(EapType.TLS,))).run()
    assert kind_of(raised.value) is Kind.AUTH_REJECTED


def test_the_password_leaves_padded_and_once() -> None:
    # --> User-Name, User-Password
    (heard,) = scripted(login(EapType.TTLS, inner=(Inner.PAP,), password=Secret(b"x" * 17)))
    assert pull_avps(heard) == (
        Avp(AvpCode.USER_NAME, USER.encode()),
        Avp(AvpCode.USER_PASSWORD, b"x" * 17 + bytes(15)),
    )


def test_mschapv2_sends_a_response_over_the_challenge_of_tls() -> None:
    # --> User-Name, MS-CHAP-Challenge, MS-CHAP2-Response
    with pytest.raises(EapFailed, match="Success before"):
        scripted(login(EapType.TTLS))
    there = Scripted(EapType.TTLS, ())
    with suppress(EapFailed):
        drive(EapPeer(login(EapType.TTLS), seeded("peer"), WALL), EapType.TTLS, there)
    name, challenge, response = pull_avps(there.heard[0])
    assert (name.code, name.data) == (AvpCode.USER_NAME, USER.encode())
    assert (challenge.vendor, challenge.code, len(challenge.data)) == (MICROSOFT, 11, 16)
    assert (response.vendor, response.code, len(response.data)) == (MICROSOFT, 25, 50)
    assert (response.data[1], response.data[18:26]) == (0, bytes(8))


def test_eap_inside_begins_with_the_identity_unasked() -> None:
    there = Scripted(EapType.TTLS, ())
    with suppress(EapFailed):
        drive(EapPeer(login(EapType.TTLS, inner=(Inner.EAP_GTC,)), seeded("peer"), WALL), EapType.TTLS, there)
    (avp,) = pull_avps(there.heard[0])
    assert EapPacket.pull(avp.data) == EapPacket(EapCode.RESPONSE, 0, EapType.IDENTITY, USER.encode())


def test_of_several_the_server_chooses_among_those_with_eap() -> None:
    client = login(EapType.TTLS, inner=(Inner.EAP_TLS, Inner.PAP, Inner.EAP_MSCHAPV2))
    there = dialogue(client, replace(SERVICE, inner=(EapType.MD5, EapType.MSCHAPV2))).run()
    assert there.peer.finished


def test_a_server_without_a_common_inner_method_is_told_and_left() -> None:
    client = login(EapType.TTLS, inner=(Inner.EAP_MSCHAPV2,))
    with pytest.raises(EapFailed) as raised:
        dialogue(client, replace(SERVICE, inner=(EapType.MD5,))).run()
    assert kind_of(raised.value) is Kind.AUTH_REJECTED


# What the user is asked in the course


def test_a_code_is_asked_for_inside() -> None:
    there = dialogue(login(EapType.TTLS, inner=(Inner.EAP_GTC,)), GTC)
    packet = there.server.start()
    asked = []
    while not there.peer.finished:
        outcome = there.peer.handle(packet)
        if isinstance(outcome, Ask):
            asked.append(outcome.prompt)
            outcome = there.peer.resume(CODE)
        if outcome is not None:
            assert isinstance(outcome, bytes)
            packet = there.server.handle(outcome)
    assert asked == ["Code of your token:"]
    assert there.peer.msk == there.server.msk


@pytest.mark.parametrize("inner", [Inner.PAP, Inner.MSCHAPV2, Inner.EAP_MSCHAPV2])
def test_a_spent_code_is_not_sent_again(inner: Inner) -> None:
    code = OneTimeCode(PASSWORD)
    client = login(EapType.TTLS, inner=(inner,), password=code)
    service = replace(SERVICE, inner=INNER[inner])
    assert dialogue(client, service).run().peer.finished
    assert code.is_spent
    with pytest.raises(EapFailed) as raised:
        dialogue(client, service).run()
    assert kind_of(raised.value) is Kind.AUTH_NEEDS_SECRET


# A server that does not play by the rules

PROOF = b"S=" + b"0" * 40


def success(data: bytes) -> bytes:
    return Avp(MicrosoftCode.CHAP2_SUCCESS, data, MICROSOFT).push()


@pytest.mark.parametrize("data", [b"", b"\0", b"\0" + PROOF, b"\0S=", b"\0" + PROOF[:-1], PROOF])
def test_a_server_without_the_password_cannot_prove_itself(data: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        scripted(login(EapType.TTLS), success(data))
    assert raised.value.failure is None or raised.value.failure.kind is Kind.TRUST_NO_PROOF


@pytest.mark.parametrize("length", range(60))
def test_results_of_every_size_raise_one_family_only(length: int) -> None:
    for code in (MicrosoftCode.CHAP2_SUCCESS, MicrosoftCode.CHAP_ERROR):
        with pytest.raises(ProtocolError):
            scripted(login(EapType.TTLS), Avp(code, bytes(length), MICROSOFT).push())


def test_a_refusal_inside_says_why() -> None:
    error = Avp(MicrosoftCode.CHAP_ERROR, b"\0E=648 R=0 C=00 V=3 M=old", MICROSOFT).push()
    with pytest.raises(EapFailed, match="the password has expired"):
        scripted(login(EapType.TTLS), error)


SENSELESS: dict[str, Callable[[int], bytes]] = {
    "an unknown pair that is mandatory": lambda _: Avp(4711, b"x").push(),
    "an unknown pair of a vendor": lambda _: Avp(26, b"x", 9999).push(),
    "a length below the header": lambda _: bytes(4) + b"\x40\0\0\7" + bytes(4),
    "a length beyond the end": lambda length: bytes(4) + b"\0" + length.to_bytes(3),
    "half a header": lambda _: bytes(5),
}


@pytest.mark.parametrize("name", SENSELESS)
@pytest.mark.parametrize("inner", Inner)
def test_senseless_pairs_end_the_dialogue(name: str, inner: Inner) -> None:
    for length in (9, 100, 2**24 - 1):
        with pytest.raises(ProtocolError):
            scripted(login(EapType.TTLS, inner=(inner,)), SENSELESS[name](length))


@pytest.mark.parametrize("inner", [Inner.EAP_GTC, Inner.EAP_MD5, Inner.EAP_MSCHAPV2, Inner.EAP_TLS])
def test_every_length_of_eap_inside_raises_one_family_only(inner: Inner) -> None:
    for length in (*range(0, 600, 7), 65535):
        packet = bytes([EapCode.REQUEST, 1]) + length.to_bytes(2) + bytes([EapType.MD5]) + bytes(20)
        with pytest.raises(ProtocolError):
            scripted(login(EapType.TTLS, inner=(inner,)), Avp(AvpCode.EAP_MESSAGE, packet).push())


def test_a_message_for_people_changes_nothing() -> None:
    assert len(scripted(login(EapType.TTLS, inner=(Inner.PAP,)), REPLY)) == 1


@pytest.mark.parametrize("inner", [inner for inner in Inner if inner is not Inner.PAP])
def test_success_before_the_inner_method_is_done_fails(inner: Inner) -> None:
    with pytest.raises(EapFailed, match="EAP-Success before the method was done"):
        scripted(login(EapType.TTLS, inner=(inner,)))


@pytest.mark.parametrize("said", [success(b"\0" + PROOF), eap(EapPacket(EapCode.SUCCESS, 1))])
def test_nothing_but_words_follows_the_password(said: bytes) -> None:
    with pytest.raises(EapFailed, match="AVPs after the password"):
        scripted(login(EapType.TTLS, inner=(Inner.PAP,)), said)


def test_success_of_eap_inside_counts_only_when_it_is_done() -> None:
    with pytest.raises(EapFailed, match="before the method was done"):
        scripted(login(EapType.TTLS, inner=(Inner.EAP_GTC,)), eap(EapPacket(EapCode.SUCCESS, 1)))


def test_failure_of_eap_inside_is_a_refusal() -> None:
    with pytest.raises(EapFailed) as raised:
        scripted(login(EapType.TTLS, inner=(Inner.EAP_GTC,)), eap(EapPacket(EapCode.FAILURE, 1)))
    assert kind_of(raised.value) is Kind.AUTH_REJECTED


@pytest.mark.parametrize("inner", [Inner.PAP, Inner.MSCHAPV2, Inner.EAP_GTC])
def test_a_server_that_closes_tls_refuses_the_login(inner: Inner) -> None:
    class Closing(Scripted):
        def _reply(self, plaintext: bytes) -> bytes | Ending:
            self._tls._connection.shutdown()
            return b""

    with pytest.raises(EapFailed, match="refuses the login inside EAP-TTLS") as raised:
        drive(
            EapPeer(login(EapType.TTLS, inner=(inner,)), seeded("peer"), WALL),
            EapType.TTLS,
            Closing(EapType.TTLS, ()),
        )
    assert kind_of(raised.value) is Kind.AUTH_REJECTED
    assert raised.value.last_words is not None


def test_success_outside_is_not_believed_before_the_proof() -> None:
    peer = EapPeer(login(EapType.TTLS), seeded("peer"), WALL)
    with pytest.raises(EapFailed):
        peer.handle(SUCCESS)
