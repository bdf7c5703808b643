"""The lab's EAP server against our own peer, and against peers that do not play by the rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.eap.mschapv2 import OpCode
from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import EapPeer
from client.ike.errors import ProtocolError
from client.ike.events import Kind
from client.ike.keys import Secret
from client.ike.options import EapLogin
from client.ike.registry import EapCode, EapType
from client.lab.eap_methods import Accounts
from client.lab.eap_server import EapServer
from tests.ike.eap.dialogue import PASSWORD, USER, answered, seeded

USERS = {USER: PASSWORD, "bert": Secret(b"swordfish")}


def server() -> EapServer:
    return EapServer(Accounts(USERS), seeded("server"))


def converse(there: EapServer, login: EapLogin) -> EapPeer:
    """Carry packets to and fro until the peer has nothing more to say."""
    peer = EapPeer(login, seeded("peer"))
    answer = peer.handle(there.start())
    while isinstance(answer, bytes):
        answer = peer.handle(there.handle(answer))
    return peer


@pytest.mark.parametrize("user", USERS)
def test_both_ends_derive_the_same_key(user: str) -> None:
    there = server()
    peer = converse(there, EapLogin(user, USERS[user]))
    assert there.identity == user
    assert there.msk is not None
    assert there.msk == peer.msk
    assert len(there.msk) == 64


def test_two_dialogues_have_two_keys() -> None:
    first, second = server(), EapServer(Accounts(USERS), seeded("another"))
    converse(first, EapLogin("bert", USERS["bert"]))
    converse(second, EapLogin("bert", USERS["bert"]))
    assert first.msk is not None
    assert first.msk != second.msk


@pytest.mark.parametrize(
    ("user", "password"),
    [("bert", Secret(b"wrong")), ("bert", Secret(b"")), ("nobody", Secret(b"swordfish"))],
)
def test_a_wrong_login_is_refused_with_its_reason(user: str, password: Secret) -> None:
    there = server()
    with pytest.raises(ProtocolError, match="E=691") as raised:
        converse(there, EapLogin(user, password))
    assert raised.value.failure is not None
    assert raised.value.failure.kind is Kind.AUTH_REJECTED
    assert there.msk is None


def test_a_refusal_that_was_acknowledged_ends_in_failure() -> None:
    there = server()
    peer = EapPeer(EapLogin("bert", Secret(b"wrong")), seeded("peer"))
    challenge = there.handle(answered(peer, there.start()))
    refusal = there.handle(answered(peer, challenge))
    # --> Failure response, which our own peer never sends
    assert code(there.handle(response(refusal, bytes([OpCode.FAILURE])))) is EapCode.FAILURE
    assert there.failed
    assert there.msk is None


def test_there_is_no_key_before_the_peer_has_accepted_the_proof() -> None:
    there = server()
    peer = EapPeer(EapLogin("bert", USERS["bert"]), seeded("peer"))
    proof = there.handle(answered(peer, there.handle(answered(peer, there.start()))))
    assert code(proof) is EapCode.REQUEST
    assert there.msk is None
    # --> Failure response instead of Success
    assert code(there.handle(response(proof, bytes([OpCode.FAILURE])))) is EapCode.FAILURE
    assert there.msk is None


def test_acknowledging_success_before_it_was_proven_fails() -> None:
    there = server()
    challenge = there.handle(
        answered(EapPeer(EapLogin("bert", USERS["bert"]), seeded("peer")), there.start())
    )
    assert code(there.handle(response(challenge, bytes([OpCode.SUCCESS])))) is EapCode.FAILURE
    assert there.msk is None


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_octets_without_a_password_never_succeed(packets: list[bytes]) -> None:
    there = server()
    there.start()
    for packet in packets:
        there.handle(packet)
        assert there.msk is None


def response(request: bytes, data: bytes) -> bytes:
    """An EAP-MSCHAPv2 response to a request."""
    return EapPacket(EapCode.RESPONSE, EapPacket.pull(request).identifier, EapType.MSCHAPV2, data).push()


def code(packet: bytes) -> EapCode:
    return EapPacket.pull(packet).code
