"""Methods that hand a password or a code over: what leaves, how often, and what only the user can answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from client.ike.eap.method import Ask, EapFailed
from client.ike.eap.packet import EapPacket
from client.ike.eap.password import Gtc, Md5, Otp, md5_digest, pull_md5
from client.ike.eap.peer import EapPeer
from client.ike.errors import InvalidSyntax
from client.ike.events import AnswerKind, Kind
from client.ike.keys import OneTimeCode, Secret
from client.ike.options import EapLogin
from client.ike.registry import EapCode, EapType
from client.lab.eap_methods import Accounts
from client.lab.eap_server import EapServer
from tests.ike.eap.dialogue import FAILURE, SUCCESS, answered, request, seeded

PASSWORD, CODE = Secret(b"swordfish"), Secret(b"123456")
ACCOUNTS = Accounts({"bert": PASSWORD}, {"carla": CODE})
BOTH = Accounts({"bert": PASSWORD}, {"bert": CODE})
KEYLESS = (EapType.MD5, EapType.OTP, EapType.GTC)


def peer_of(*methods: EapType, password: Secret | OneTimeCode = PASSWORD, user: str = "bert") -> EapPeer:
    return EapPeer(EapLogin(user, password, methods), seeded("peer"))


def converse(
    there: EapServer, peer: EapPeer, answer: Callable[[Ask], Secret] = lambda _ask: CODE
) -> list[str]:
    """Carry packets to and fro until the peer has nothing more to say; returns what the user was asked."""
    asked: list[str] = []
    packet = there.start()
    while True:
        outcome = peer.handle(packet)
        while isinstance(outcome, Ask):
            asked.append(outcome.prompt)
            outcome = peer.resume(answer(outcome))
        if outcome is None:
            return asked
        packet = there.handle(outcome)


def kind_of(error: EapFailed) -> Kind:
    assert error.failure is not None
    return error.failure.kind


@pytest.mark.parametrize("method", [EapType.MD5, EapType.GTC])
def test_the_password_is_accepted_and_makes_no_key(method: EapType) -> None:
    there, peer = EapServer(ACCOUNTS, seeded("server"), (method,)), peer_of(method)
    assert converse(there, peer) == []
    assert there.succeeded
    assert peer.finished
    assert (there.msk, peer.msk) == (None, None)


@pytest.mark.parametrize("method", [EapType.MD5, EapType.GTC])
def test_a_wrong_password_is_refused_for_good(method: EapType) -> None:
    there, peer = EapServer(ACCOUNTS, seeded("server"), (method,)), peer_of(method, password=CODE)
    with pytest.raises(EapFailed) as raised:
        converse(there, peer)
    assert kind_of(raised.value) is Kind.AUTH_REJECTED
    assert raised.value.failure is not None
    assert raised.value.failure.final


def test_md5_answers_over_identifier_password_and_challenge() -> None:
    # <-- Challenge, --> 16 octets with their size in front
    answer = EapPacket.pull(answered(peer_of(EapType.MD5), request(EapType.MD5, b"\x03abcname", 7)))
    assert answer.data == b"\x10" + hashlib.md5(b"\x07swordfishabc").digest()
    assert answer.data[1:] == md5_digest(7, PASSWORD, b"abc")


def test_a_second_md5_challenge_is_not_answered() -> None:
    peer = peer_of(EapType.MD5)
    answered(peer, request(EapType.MD5, b"\x03abc", 7))
    with pytest.raises(EapFailed):
        peer.handle(request(EapType.MD5, b"\x03xyz", 8))


def test_lengths_of_an_md5_value_are_checked_over_their_whole_range() -> None:
    for size in range(256):
        for present in (0, size - 1, size, size + 1, 300):
            data = bytes([size]) + bytes(max(present, 0))
            if 0 < size <= present:
                assert pull_md5(data) == bytes(size)
            else:
                with pytest.raises(InvalidSyntax):
                    pull_md5(data)


def test_gtc_answers_the_first_question_itself_and_asks_the_user_for_a_further_code() -> None:
    there, peer = EapServer(BOTH, seeded("server"), (EapType.GTC,)), peer_of(EapType.GTC)
    assert converse(there, peer) == ["Code of your token:"]
    assert there.succeeded


def test_a_one_time_code_answers_once_and_then_never_again() -> None:
    code = OneTimeCode(CODE)
    only_code = Accounts({}, {"bert": CODE})
    there = EapServer(only_code, seeded("server"), (EapType.GTC,))
    assert converse(there, peer_of(EapType.GTC, password=code)) == []
    assert code.is_spent
    # The next login asks for another one instead.
    outcome = peer_of(EapType.GTC, password=code).handle(request(EapType.GTC, b"Code: "))
    assert isinstance(outcome, Ask)
    assert (outcome.kind, outcome.prompt) == (AnswerKind.OTP, "Code:")
    with pytest.raises(EapFailed) as raised:
        peer_of(EapType.MD5, password=code).handle(request(EapType.MD5, b"\x01a"))
    assert kind_of(raised.value) is Kind.AUTH_NEEDS_SECRET


def test_a_challenge_for_a_calculator_is_shown_to_the_user() -> None:
    there = EapServer(ACCOUNTS, seeded("server"), (EapType.OTP,))
    peer = peer_of(EapType.OTP, password=OneTimeCode(), user="carla")
    assert converse(there, peer) == ["otp-sha1 487 lab4711"]
    assert there.succeeded


def test_what_the_server_asks_is_shown_without_control_characters() -> None:
    outcome = peer_of(EapType.OTP).handle(request(EapType.OTP, b"\x1b[2Jcode\xff\n" + b"x" * 500))
    assert isinstance(outcome, Ask)
    assert outcome.prompt.isprintable()
    assert len(outcome.prompt) == 200


@pytest.mark.parametrize("method", KEYLESS)
def test_success_counts_only_after_something_was_answered(method: EapType) -> None:
    with pytest.raises(EapFailed, match="before the method was done"):
        peer_of(method).handle(SUCCESS)


def test_success_while_the_user_is_asked_fails() -> None:
    peer = peer_of(EapType.OTP)
    assert isinstance(peer.handle(request(EapType.OTP, b"challenge")), Ask)
    with pytest.raises(EapFailed, match="before the method was done"):
        peer.handle(SUCCESS)
    with pytest.raises(EapFailed, match="before the last one was answered"):
        peer.handle(request(EapType.OTP, b"another challenge", 2))
    with pytest.raises(EapFailed):
        peer.handle(FAILURE)


def test_an_answer_that_nobody_asked_for_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="nobody was asked"):
        peer_of(EapType.GTC).resume(CODE)


@pytest.mark.parametrize(
    ("offered", "allowed", "taken"),
    [
        ((EapType.MD5, EapType.MSCHAPV2), (EapType.MSCHAPV2,), EapType.MSCHAPV2),
        ((EapType.MD5, EapType.GTC), (EapType.MSCHAPV2, EapType.GTC), EapType.GTC),
        ((EapType.GTC, EapType.MSCHAPV2), (EapType.MSCHAPV2, EapType.GTC), EapType.GTC),
    ],
)
def test_the_gateways_request_is_followed_among_what_the_profile_allows(
    offered: tuple[EapType, ...], allowed: tuple[EapType, ...], taken: EapType
) -> None:
    there, peer = EapServer(ACCOUNTS, seeded("server"), offered), peer_of(*allowed)
    converse(there, peer)
    assert there.succeeded
    assert (peer.msk is not None) is (taken is EapType.MSCHAPV2)


def test_no_method_in_common_is_told_with_both_sides() -> None:
    there, peer = EapServer(ACCOUNTS, seeded("server"), (EapType.MD5,)), peer_of(EapType.MSCHAPV2)
    with pytest.raises(EapFailed, match="none of the EAP methods EAP-MSCHAPv2") as raised:
        converse(there, peer)
    assert kind_of(raised.value) is Kind.AUTH_METHOD


@pytest.mark.parametrize("secret", [PASSWORD, OneTimeCode(PASSWORD)])
def test_nothing_of_a_login_shows_its_password(secret: Secret | OneTimeCode) -> None:
    login = EapLogin("bert", secret, KEYLESS)
    assert "swordfish" not in repr(login) + repr(secret) + repr(Gtc(PASSWORD)) + repr(Md5(PASSWORD))
    assert "swordfish" not in repr(Otp(None).answer(EapPacket(EapCode.REQUEST, 1, EapType.OTP, b"x")))


def test_codes_are_equal_and_cannot_be_copied_out() -> None:
    assert OneTimeCode(CODE) == OneTimeCode()
    assert OneTimeCode(CODE) != CODE
    with pytest.raises(TypeError):
        hash(OneTimeCode(CODE))
    with pytest.raises(TypeError):
        OneTimeCode(CODE).__reduce__()
