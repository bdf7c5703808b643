"""EAP-AKA with a card in the user's hands: the dialogue waits for it, and believes what a card can have said."""

from __future__ import annotations

import random

import pytest

from client.ike.eap.aka_wire import Subtype
from client.ike.eap.method import Ask, EapFailed
from client.ike.eap.peer import EapPeer
from client.ike.eap.usim import Answer, DistantUsim, Errand, Resynchronise, Usim
from client.ike.events import AnswerKind, Kind, SimChallenge
from client.ike.keys import Secret
from client.ike.options import EapLogin
from client.ike.registry import EapType
from tests.ike.eap.dialogue import seeded
from tests.ike.eap.test_aka import BOTH, IDENTITY, OPC, card, last_words, network

KEY = "sim:"


def said_by(usim: Usim, challenge: SimChallenge) -> Secret:
    """A card's answer, as whoever holds it hands it over."""
    match usim.authenticate(challenge.rand, challenge.autn):
        case Answer(res, ck, ik):
            return Secret(" ".join(part.reveal().hex() for part in (res, ck, ik)).encode())
        case Resynchronise(auts):
            return Secret(auts.hex().encode())
        case _:
            return Secret(b"impostor")


class Login:
    """A peer whose card is elsewhere, at a network; `challenges` are those that the card was asked."""

    def __init__(self, method: EapType, *, sqn: int = 0) -> None:
        self.there = network(method, sqn=sqn)
        self.peer = EapPeer(EapLogin(IDENTITY, Secret(b""), (method,), usim=DistantUsim(KEY)), seeded("peer"))
        self.challenges: list[SimChallenge] = []
        self.packet = self.there.start()

    def until_asked(self) -> Ask | None:
        """Until the card is needed, or all is over."""
        while (response := self.peer.handle(self.packet)) is not None:
            if isinstance(response, Ask):
                assert response.challenge is not None
                self.challenges.append(response.challenge)
                return response
            self.packet = self.there.handle(response)
        return None

    def answer(self, said: Secret) -> None:
        response = self.peer.resume(said)
        assert isinstance(response, bytes)
        self.packet = self.there.handle(response)

    def with_card(self, usim: Usim) -> None:
        """To the end."""
        while self.until_asked() is not None:
            self.answer(said_by(usim, self.challenges[-1]))


@pytest.mark.parametrize("method", BOTH)
def test_the_card_is_asked_once_and_both_ends_have_the_key(method: EapType) -> None:
    login = Login(method)
    ask = login.until_asked()
    assert ask is not None
    assert (ask.kind, ask.prompt) == (AnswerKind.SIM_CHALLENGE, "")
    (challenge,) = login.challenges
    assert (challenge.key, len(challenge.rand), len(challenge.autn)) == (KEY, 16, 16)
    login.answer(said_by(card(), challenge))
    assert login.until_asked() is None
    assert login.peer.finished
    assert login.peer.msk is not None
    assert login.peer.msk == login.there.msk


@pytest.mark.parametrize("method", BOTH)
def test_a_card_that_counts_further_is_asked_again(method: EapType) -> None:
    login = Login(method)
    login.with_card(card(highest=5000))
    assert login.peer.finished
    assert len(login.challenges) == 2


@pytest.mark.parametrize("method", BOTH)
def test_a_card_with_another_key_says_that_the_network_is_an_impostor(method: EapType) -> None:
    login = Login(method)
    with pytest.raises(EapFailed, match="does not know the subscription") as error:
        login.with_card(card(key=OPC))
    assert error.value.failure is not None
    assert error.value.failure.kind is Kind.TRUST_NO_PROOF
    assert last_words(error.value).subtype == Subtype.AUTHENTICATION_REJECT


WRONG = {
    "nothing": "",
    "no hexadecimal": "zz",
    "another word": "yes",
    "a RES too short": f"{'00' * 3} {'00' * 16} {'00' * 16}",
    "a RES too long": f"{'00' * 17} {'00' * 16} {'00' * 16}",
    "a CK too short": f"{'00' * 8} {'00' * 15} {'00' * 16}",
    "an IK too long": f"{'00' * 8} {'00' * 16} {'00' * 17}",
    "no IK": f"{'00' * 8} {'00' * 16}",
    "a fourth": f"{'00' * 8} {'00' * 16} {'00' * 16} {'00' * 8}",
    "AUTS too short": "00" * 13,
    "AUTS too long": "00" * 15,
    "letters of elsewhere": "\N{FULLWIDTH DIGIT ZERO}" * 28,
    "impostor and more": "impostor impostor",
}


@pytest.mark.parametrize("what", WRONG)
def test_what_no_card_says_ends_the_login_with_a_word_to_the_network(what: str) -> None:
    login = Login(EapType.AKA)
    login.until_asked()
    with pytest.raises(EapFailed, match="does not read") as error:
        login.answer(Secret(WRONG[what].encode()))
    assert error.value.failure is not None
    assert error.value.failure.kind is Kind.AUTH_NEEDS_SIGNER
    assert not error.value.failure.final
    assert last_words(error.value).subtype == Subtype.CLIENT_ERROR


def test_an_answer_by_another_key_does_not_open_the_login() -> None:
    login = Login(EapType.AKA)
    login.until_asked()
    with pytest.raises(EapFailed, match="not authentic"):
        login.answer(Secret(b" ".join([b"00" * 8, b"11" * 16, b"22" * 16])))


def test_whatever_is_answered_is_read_or_refused_in_one_way() -> None:
    rng, errand = random.Random(6), Errand(KEY)
    for size in range(120):
        for alphabet in (b"0123456789abcdef", b"0123456789abcdef ", bytes(range(256))):
            text = bytes(rng.choice(alphabet) for _ in range(size))
            try:
                read = errand.finish(Secret(text))
            except ValueError as error:
                assert str(error) == f"the answer of the SIM {KEY} does not read"  # noqa: PT017 - both ways are right
            else:
                assert isinstance(read, Answer | Resynchronise)
