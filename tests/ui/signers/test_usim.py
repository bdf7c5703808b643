"""What is said to a USIM: against a virtual one by the standards, and against cards that answer anything."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from client.ike.keys import Secret
from tests.ike.eap.test_usim import AMF, MILENAGE, RAND, SET, autn, functions
from tests.ike.published import Vector, source
from tests.secrecy.scanner import kept_secret
from tests.ui.signers.virtual_usim import AID, VirtualUsim, digits, tlv
from ui.signers.apdu import Dialogue, drive
from ui.signers.sim_plugin import Auts, Impostor, Judgement, PinRefused, SimError, Subscriber, Vectors
from ui.signers.usim import Lock, Look, authenticate, imsi_of, look, subscriber, unlock

IMSI = "234150999999999"
PIN, WRONG_PIN = kept_secret("48151623"), kept_secret("16234815")


def virtual(
    pin: str | None = PIN, *, blocks: bool = False, highest_sqn: int = -1, key: str = "k"
) -> VirtualUsim:
    return VirtualUsim(
        Secret(SET.octets(key)),
        Secret(SET.octets("opc")),
        IMSI,
        pin=pin,
        blocks=blocks,
        highest_sqn=highest_sqn,
    )


def whole(pin: str | None, rand: bytes, challenge: bytes) -> Dialogue[tuple[Subscriber, Judgement]]:
    """Everything that is ever said to a card."""
    seen = yield from look()
    yield from unlock(seen, pin)
    whose = yield from subscriber()
    return whose, (yield from authenticate(rand, challenge))


def answered(card: VirtualUsim, rand: bytes = RAND, challenge: bytes | None = None) -> Judgement:
    """What a card that is open says to a challenge."""
    dialogue = whole(PIN, rand, autn(SET) if challenge is None else challenge)
    return drive(dialogue, card.process, blocks=card.blocks)[1]


@pytest.mark.parametrize("blocks", [False, True], ids=["T=0", "T=1"])
@pytest.mark.parametrize("pin", [PIN, None], ids=["PIN", "no PIN"])
def test_a_card_is_found_opened_and_answers(pin: str | None, blocks: bool) -> None:
    card = virtual(pin, blocks=blocks)
    seen = drive(look(), card.process, blocks=blocks)
    assert seen.lock == (None if pin is None else Lock(1, 3))
    whose, judgement = drive(whole(pin, RAND, autn(SET)), card.process, blocks=blocks)
    assert whose == Subscriber(IMSI, 2)
    assert whose.name == f"{IMSI}@nai.epc.mnc015.mcc234.3gppnetwork.org"
    assert judgement == Vectors(SET.octets("f2"), SET.octets("f3"), SET.octets("f4"))
    assert (card.refused, card.tries_left) == (0, 3)


@pytest.mark.parametrize("vector", MILENAGE, ids=source)
def test_the_published_vectors_come_through_the_card(vector: Vector) -> None:
    card = VirtualUsim(Secret(vector.octets("k")), Secret(vector.octets("opc")), IMSI)
    _, judgement = drive(whole(None, vector.octets("rand"), autn(vector)), card.process, blocks=False)
    assert judgement == Vectors(vector.octets("f2"), vector.octets("f3"), vector.octets("f4"))


def test_a_card_that_counts_further_says_how_far_it_is() -> None:
    highest = int.from_bytes(SET.octets("sqn")) + 7
    judgement = answered(virtual(highest_sqn=highest))
    assert isinstance(judgement, Auts)
    hidden = int.from_bytes(judgement.auts[:6]) ^ int.from_bytes(SET.octets("f5_star"))
    assert hidden == highest
    assert judgement.auts[6:] == functions(SET).f1_star(RAND, highest.to_bytes(6), bytes(2))


def test_a_network_with_another_key_is_an_impostor() -> None:
    assert answered(virtual(key="opc")) == Impostor()


def test_another_amf_is_another_mac() -> None:
    changed = autn(SET)[:6] + bytes([AMF[0] ^ 1]) + autn(SET)[7:]
    assert answered(virtual(), challenge=changed) == Impostor()


def test_a_wrong_pin_is_tried_once_and_the_rest_is_told() -> None:
    card = virtual()
    seen = drive(look(), card.process, blocks=False)
    with pytest.raises(PinRefused, match=r"not tried again \(2 tries are left\)") as error:
        drive(unlock(seen, WRONG_PIN), card.process, blocks=False)
    assert card.refused == 1
    assert WRONG_PIN not in str(error.value)
    assert drive(look(), card.process, blocks=False).lock == Lock(1, 2)  # which costs no try
    card.tries_left = 1
    with pytest.raises(PinRefused, match="locked now"):
        drive(unlock(seen, WRONG_PIN), card.process, blocks=False)
    assert drive(look(), card.process, blocks=False).lock == Lock(1, 0)


@pytest.mark.parametrize("pin", ["123", "123456789", "12a4", "", "１２３４"])
def test_what_can_be_no_pin_is_not_tried(pin: str) -> None:
    card = virtual()
    with pytest.raises(PinRefused, match="was not tried"):
        drive(unlock(drive(look(), card.process, blocks=False), pin), card.process, blocks=False)
    assert card.refused == 0


def test_no_pin_goes_to_another_card_nor_where_none_is_wanted() -> None:
    card = virtual()
    with pytest.raises(SimError, match="another card"):
        drive(unlock(Look(b"another number", AID, Lock(1, 3)), WRONG_PIN), card.process, blocks=False)
    assert card.refused == 0
    free = virtual(None)
    drive(unlock(drive(look(), free.process, blocks=False), WRONG_PIN), free.process, blocks=False)
    assert free.refused == 0


def test_a_card_whose_pin_has_been_enabled_meanwhile_is_not_opened() -> None:
    card = virtual()
    seen = drive(look(), card.process, blocks=False)
    with pytest.raises(SimError, match="wants its PIN"):
        drive(unlock(seen, None), card.process, blocks=False)


def test_a_card_without_a_usim_says_so() -> None:
    card = virtual()
    card._records.pop()
    with pytest.raises(SimError, match="no USIM"):
        drive(look(), card.process, blocks=False)


@pytest.mark.parametrize("imsi", ["234150999999999", "23415099999999", "310150", "310410123456789"])
def test_an_imsi_is_read_whatever_its_length(imsi: str) -> None:
    coded = digits(("9" if len(imsi) % 2 else "1") + imsi)
    assert imsi_of((bytes([len(coded)]) + coded).ljust(9, b"\xff")) == imsi


@pytest.mark.parametrize(
    "octets", ["", "00", "08", "0829431505", "09" + "ff" * 9, "0829431a0599999999", "02f921"]
)
def test_what_is_no_imsi_is_refused(octets: str) -> None:
    with pytest.raises(SimError, match="IMSI does not read"):
        imsi_of(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("imsi", "digits_of_network", "realm"),
    [
        ("310410123456789", 3, "mnc410.mcc310"),
        ("001010123456789", 2, "mnc001.mcc001"),
        ("234150999999999", 2, "mnc015.mcc234"),
    ],
)
def test_the_realm_has_the_networks_code_with_three_digits(
    imsi: str, digits_of_network: int, realm: str
) -> None:
    assert Subscriber(imsi, digits_of_network).name == f"{imsi}@nai.epc.{realm}.3gppnetwork.org"


def test_how_the_network_counts_is_the_cards_word_if_it_has_one() -> None:
    for digit, read in ((3, 3), (2, 2), (0, 2), (15, 2)):
        card = virtual(None)
        card._files[0x6FAD] = bytes([0, 0, 0, digit])
        whose, _ = drive(whole(None, RAND, autn(SET)), card.process, blocks=False)
        assert whose.mnc_digits == read


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "db",
        "dc0e" + "00" * 13,
        "dc0d" + "00" * 13,
        "db03" + "00" * 3 + "10" + "00" * 16 + "10" + "00" * 16,
        "db11" + "00" * 17 + "10" + "00" * 16 + "10" + "00" * 16,
        "db08" + "00" * 8 + "0f" + "00" * 15 + "10" + "00" * 16,
        "db08" + "00" * 8 + "10" + "00" * 16,
        "04" + "00" * 12,
    ],
)
def test_an_answer_that_is_none_is_refused(answer: str) -> None:
    octets = bytes.fromhex(answer) + b"\x90\x00"
    with pytest.raises(SimError, match="does not read"):
        drive(authenticate(RAND, autn(SET)), lambda _: octets, blocks=True)


def test_an_answer_cut_anywhere_is_refused_or_whole() -> None:
    answer = tlv(0xDB, bytes(4))[:1] + b"\x04" + bytes(4) + b"\x10" + bytes(16) + b"\x10" + bytes(16)
    for size in range(len(answer)):
        with pytest.raises(SimError):
            drive(authenticate(RAND, autn(SET)), always(answer[:size] + b"\x90\x00"), blocks=True)
    assert isinstance(
        drive(authenticate(RAND, autn(SET)), always(answer + b"\x90\x00"), blocks=True), Vectors
    )


def always(answer: bytes) -> Callable[[bytes], bytes]:
    """A card that knows one answer."""
    return lambda _: answer


def broken(card: VirtualUsim, at: int, break_it: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A card whose answer to the command of that number is another."""
    turns = iter(range(1 << 16))
    return lambda command: break_it(card.process(command)) if next(turns) == at else card.process(command)


def survives(transmit: Callable[[bytes], bytes], *, blocks: bool) -> bool:
    """Whether everything went well; whatever else happens is the one family of errors."""
    try:
        drive(whole(PIN, RAND, autn(SET)), transmit, blocks=blocks)
    except SimError:
        return False
    return True


@pytest.mark.parametrize("blocks", [False, True], ids=["T=0", "T=1"])
def test_whatever_a_card_answers_and_when_only_one_family_of_errors_is_raised(blocks: bool) -> None:
    """Each answer of a login cut to every length, with octets changed, and with other statuses."""
    rng = random.Random(4)
    card = virtual(blocks=blocks)
    lengths: list[int] = []
    assert survives(lambda asked: noted(card.process(asked), lengths), blocks=blocks)
    for at, length in enumerate(lengths):
        for size in range(length):
            survives(broken(virtual(blocks=blocks), at, cut(size)), blocks=blocks)
        for _ in range(12):
            change = flip(rng.randrange(length), rng.randrange(1, 256))
            survives(broken(virtual(blocks=blocks), at, change), blocks=blocks)
        for status in (
            0x6100,
            0x61FF,
            0x6C00,
            0x9F01,
            0x6300,
            0x63C0,
            0x6982,
            0x6983,
            0x6A82,
            0x9862,
            0xFFFF,
        ):
            survives(broken(virtual(blocks=blocks), at, always(status.to_bytes(2))), blocks=blocks)


def noted(answer: bytes, lengths: list[int]) -> bytes:
    lengths.append(len(answer))
    return answer


def cut(size: int) -> Callable[[bytes], bytes]:
    return lambda octets: octets[:size]


def flip(place: int, bits: int) -> Callable[[bytes], bytes]:
    return lambda octets: bytes(octet ^ bits if n == place else octet for n, octet in enumerate(octets))


def test_a_card_of_random_octets_raises_the_same_family() -> None:
    rng = random.Random(5)
    for size in range(259):
        for _ in range(8):
            assert not survives(always(rng.randbytes(size)), blocks=bool(size % 2))
