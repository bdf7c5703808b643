"""EAP-MSCHAPv2: the RFCs' vectors, the order of its packets, and every length field over its range."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.eap.md4 import md4
from client.ike.eap.method import EapFailed
from client.ike.eap.mschap_errors import MschapError, push_error
from client.ike.eap.mschapv2 import (
    Mschapv2,
    OpCode,
    Packet,
    Response,
    authenticator_response,
    challenge_hash,
    nt_hash,
    nt_response,
    pull_challenge,
    push_challenge,
    session_key,
)
from client.ike.eap.packet import EapPacket
from client.ike.errors import InvalidSyntax, ProtocolError
from client.ike.events import Kind
from client.ike.keys import Secret
from client.ike.registry import EapCode, EapType
from tests.ike.eap.dialogue import CHALLENGE, PASSWORD, USER, seeded
from tests.ike.published import Vector, load, source

VECTORS = load("mschapv2")


@pytest.mark.parametrize("vector", VECTORS, ids=source)
def test_every_step_of_rfc_2759_gives_its_published_value(vector: Vector) -> None:
    password_hash = nt_hash(Secret(vector.text("password").encode()))
    assert password_hash.reveal() == vector.octets("password_hash")
    assert md4(password_hash.reveal()) == vector.octets("password_hash_hash")
    digest = challenge_hash(
        vector.octets("peer_challenge"), vector.octets("authenticator_challenge"), vector.text("user")
    )
    assert digest == vector.octets("challenge")
    proof = nt_response(password_hash, digest)
    assert proof == vector.octets("nt_response")
    wanted = vector.text("authenticator_response").encode()
    assert authenticator_response(password_hash, proof, digest) == wanted


@pytest.mark.parametrize("vector", VECTORS, ids=source)
def test_the_key_is_both_session_keys_of_rfc_3079_and_zeroes(vector: Vector) -> None:
    key = session_key(Secret(vector.octets("password_hash")), vector.octets("nt_response"))
    wanted = vector.octets("client_send_key") + vector.octets("client_receive_key") + bytes(32)
    assert key.reveal() == wanted


@pytest.mark.parametrize("vector", VECTORS, ids=source)
def test_the_peer_answers_the_published_dialogue(vector: Vector) -> None:
    method = Mschapv2(
        vector.text("user"),
        Secret(vector.text("password").encode()),
        lambda size: vector.octets("peer_challenge")[:size],
    )
    # <-- Challenge
    body = push_challenge(vector.octets("authenticator_challenge"), "server")
    answer = method.answer(_of(Packet(OpCode.CHALLENGE, 5, body)))
    # --> Response: op-code, identifier, MS-Length, Value-Size, challenge, eight zeroes, proof, flags, name
    wanted = "02 05 003a 31" + vector.text("peer_challenge") + "00" * 8 + vector.text("nt_response") + "00"
    assert answer == bytes.fromhex(wanted) + b"User"
    assert method.msk is None
    # <-- Success
    text = b"S=" + vector.text("authenticator_response").encode()
    assert method.answer(_of(Packet(OpCode.SUCCESS, 5, text))) == b"\x03"
    assert method.msk == session_key(Secret(vector.octets("password_hash")), vector.octets("nt_response"))


def test_the_domain_is_sent_and_not_hashed() -> None:
    assert challenge_hash(bytes(16), bytes(16), "CORP\\anna") == challenge_hash(bytes(16), bytes(16), "anna")
    assert Response.pull(Packet.pull(_asked().answer).body).name == USER


def test_passwords_are_hashed_as_utf_16_with_surrogate_pairs() -> None:
    assert nt_hash(Secret("😀".encode())).reveal() == md4(bytes.fromhex("3dd800de"))


def test_a_password_that_is_no_utf_8_is_hashed_all_the_same() -> None:
    assert len(nt_hash(Secret(b"\xff\xfe"))) == 16


@dataclass
class Asked:
    """A method that has answered the challenge, its answer, and the proof that it waits for."""

    method: Mschapv2
    answer: bytes
    proof: bytes


def _asked() -> Asked:
    method = Mschapv2(USER, PASSWORD, seeded("method"))
    answer = method.answer(_packet(OpCode.CHALLENGE, push_challenge(CHALLENGE, "server")))
    assert isinstance(answer, bytes)
    response = Response.pull(Packet.pull(answer).body)
    digest = challenge_hash(response.challenge, CHALLENGE, USER)
    return Asked(method, answer, authenticator_response(nt_hash(PASSWORD), response.proof, digest))


def _packet(opcode: int, body: bytes = b"") -> EapPacket:
    return _of(Packet(opcode, 1, body))


def _of(packet: Packet) -> EapPacket:
    return EapPacket(EapCode.REQUEST, 1, EapType.MSCHAPV2, packet.push())


def _wrong(proof: bytes) -> bytes:
    return proof[:-1] + (b"0" if proof[-1:] != b"0" else b"1")


SUCCESS_TEXTS: list[tuple[str, Callable[[bytes], bytes], bool]] = [
    ("as documented", lambda proof: b"S=" + proof + b" M=hello", True),
    ("without a message", lambda proof: b"S=" + proof, True),
    ("in small letters", lambda proof: b"S=" + proof.lower(), True),
    ("with a terminating zero", lambda proof: b"S=" + proof + b"\0", True),
    ("of another password", lambda proof: b"S=" + _wrong(proof), False),
    ("truncated", lambda proof: b"S=" + proof[:-1], False),
    ("too long", lambda proof: b"S=" + proof + b"0", False),
    ("empty", lambda proof: b"", False),
    ("only S=", lambda proof: b"S=", False),
    ("later in the text", lambda proof: b"M=hello S=" + proof, False),
    ("of NULs", lambda proof: b"S=" + bytes(40), False),
]


@pytest.mark.parametrize(("name", "text", "good"), SUCCESS_TEXTS, ids=[row[0] for row in SUCCESS_TEXTS])
def test_only_the_right_proof_makes_a_success(name: str, text: Callable[[bytes], bytes], good: bool) -> None:
    asked = _asked()
    packet = _packet(OpCode.SUCCESS, text(asked.proof))
    if good:
        assert asked.method.answer(packet) == bytes([OpCode.SUCCESS])
        assert asked.method.msk is not None
        return
    with pytest.raises(EapFailed) as raised:
        asked.method.answer(packet)
    assert raised.value.failure is not None
    assert raised.value.failure.kind is Kind.TRUST_NO_PROOF
    assert asked.method.msk is None


@pytest.mark.parametrize("opcode", [0, 2, 3, 4, 5, 7, 255])
def test_the_first_packet_must_be_a_challenge(opcode: int) -> None:
    with pytest.raises(EapFailed, match="waits for the challenge"):
        Mschapv2(USER, PASSWORD, seeded("method")).answer(_packet(opcode, b"S=" + b"0" * 40))


@pytest.mark.parametrize("opcode", [0, 1, 2, 5, 7, 255])
def test_after_the_response_only_a_result_is_taken(opcode: int) -> None:
    with pytest.raises(EapFailed, match="waits for the result"):
        _asked().method.answer(_packet(opcode, push_challenge(CHALLENGE, "server")))


@pytest.mark.parametrize("opcode", list(OpCode))
def test_after_success_there_is_nothing_more(opcode: OpCode) -> None:
    asked = _asked()
    asked.method.answer(_packet(OpCode.SUCCESS, b"S=" + asked.proof))
    with pytest.raises(EapFailed, match="has succeeded"):
        asked.method.answer(_packet(opcode, b"S=" + asked.proof))


FAILURES = [
    ("E=691 R=0 C=" + "00" * 16 + " V=3 M=Go away", "user name or password is wrong"),
    ("E=691 R=0 C=" + "00" * 16 + " V=3 M=Go away", "Go away"),
    ("E=646 R=0", "hour"),
    ("E=647 R=0", "disabled"),
    ("E=691 R=1 C=00 V=3", "user name or password is wrong"),  # no challenge that could be answered
    ("E=648 R=0 C=00 V=3", "expired"),
    ("E=649 R=0", "dial in"),
    ("E=709 R=0", "could not be changed"),
    ("R=0 V=3 E=691", "user name or password is wrong (E=691)"),
    ("E=12345 R=0", "refuses the login (E=12345)"),
    ("", "refuses the login"),
    ("nonsense", "refuses the login"),
    ("E=" + "9" * 500, "refuses the login"),
    ("M=\x1b[31mred\n", "says: \ufffd[31mred\ufffd"),
]


@pytest.mark.parametrize(("text", "meaning"), FAILURES)
def test_each_failure_code_has_its_meaning(text: str, meaning: str) -> None:
    with pytest.raises(EapFailed) as raised:
        _asked().method.answer(_packet(OpCode.FAILURE, text.encode()))
    assert raised.value.failure is not None
    assert raised.value.failure.kind is Kind.AUTH_REJECTED
    assert raised.value.failure.final
    assert meaning in raised.value.failure.evidence


def test_our_own_failure_text_is_understood() -> None:
    assert "(E=691)" in str(MschapError.pull(push_error(CHALLENGE, 691, "no")).refusal())


def test_ms_length_must_be_the_size_of_the_data() -> None:
    good = _packet(OpCode.CHALLENGE, push_challenge(CHALLENGE, "x" * 200)).data
    assert Packet.pull(good).push() == good
    for length in set(range(601)) - {len(good)}:
        with pytest.raises(InvalidSyntax):
            Packet.pull(good[:2] + length.to_bytes(2) + good[4:])


@pytest.mark.parametrize(("pull", "wanted"), [(pull_challenge, 16), (Response.pull, 49)])
def test_one_value_size_is_right_and_no_other(pull: Callable[[bytes], object], wanted: int) -> None:
    pull(bytes([wanted]) + bytes(300))
    for size in set(range(256)) - {wanted}:
        with pytest.raises(InvalidSyntax):
            pull(bytes([size]) + bytes(300))


@pytest.mark.parametrize("opcode", [OpCode.CHALLENGE, OpCode.SUCCESS, OpCode.FAILURE])
def test_bodies_of_every_size_raise_one_family_only(opcode: OpCode) -> None:
    for size in range(601):
        method = Mschapv2(USER, PASSWORD, seeded("m")) if opcode is OpCode.CHALLENGE else _asked().method
        with suppress(ProtocolError):
            method.answer(_packet(opcode, b"\x10" * size))
        assert method.msk is None


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_octets_raise_one_family_only(packets: list[bytes]) -> None:
    method = Mschapv2(USER, PASSWORD, seeded("method"))
    for packet in packets:
        with suppress(ProtocolError):
            method.answer(EapPacket(EapCode.REQUEST, 1, EapType.MSCHAPV2, packet))
    assert method.msk is None
