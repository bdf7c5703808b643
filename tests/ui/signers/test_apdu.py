"""Commands and replies of cards: both protocols, answers in pieces, and nothing that a card could break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.signers.apdu import MEANINGS, MOST_TURNS, Command, Reply, converse, drive, find_tlv, require, tlvs
from ui.signers.sim_plugin import SimError

SELECT = Command(0xA4, 0x04, 0x04, "open its USIM", bytes(7), expected=0)
READ = Command(0xB0, 0, 0, "read its number", expected=10)
VERIFY = Command(0x20, 0, 1, "say how many tries its PIN has")


class Script:
    """A card that answers from a list, and notes what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = [bytes.fromhex(answer) for answer in answers]
        self.asked: list[str] = []

    def __call__(self, command: bytes) -> bytes:
        self.asked.append(command.hex())
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("command", "blocks", "octets"),
    [
        (SELECT, False, "00a404040700000000000000"),
        (SELECT, True, "00a40404070000000000000000"),
        (READ, False, "00b000000a"),
        (READ, True, "00b000000a"),
        (VERIFY, False, "0020000100"),
        (VERIFY, True, "00200001"),
        (Command(0xC0, 0, 0, "", expected=256), False, "00c0000000"),
    ],
)
def test_a_command_is_written_as_its_protocol_wants_it(command: Command, blocks: bool, octets: str) -> None:
    assert command.push(blocks=blocks).hex() == octets


def test_an_answer_comes_in_pieces_and_another_length_is_tried() -> None:
    card = Script("6110", "6c02", "01026103", "0304059000")
    assert drive(require(SELECT), card, blocks=False) == bytes([1, 2, 3, 4, 5])
    assert card.asked == [
        "00a404040700000000000000",
        "00c0000010",
        "00c0000002",
        "00c0000003",
    ]


def test_the_way_of_old_cards_is_known() -> None:
    assert drive(require(SELECT), Script("9f02", "01029000"), blocks=False) == b"\x01\x02"


def test_a_wrong_length_is_asked_again_with_the_right_one() -> None:
    card = Script("6c09", "0102030405060708099000")
    assert len(drive(require(READ), card, blocks=True)) == 9
    assert card.asked == ["00b000000a", "00b0000009"]


@pytest.mark.parametrize("again", ["6100", "6c01", "9f01", "00" * 255 + "6101"])
def test_a_card_that_never_ends_is_left(again: str) -> None:
    card = Script(*[again] * (MOST_TURNS + 1))
    with pytest.raises(SimError, match="has no end"):
        drive(converse(READ), card, blocks=False)
    assert len(card.asked) == MOST_TURNS


@pytest.mark.parametrize("status", MEANINGS)
def test_a_refusal_says_what_was_wanted_and_what_the_card_said(status: int) -> None:
    with pytest.raises(SimError) as error:
        drive(require(READ), lambda _: status.to_bytes(2), blocks=False)
    assert str(error.value) == f"the card did not read its number: {MEANINGS[status]} (status {status:04X})"


def test_a_status_beyond_the_table_is_told_by_its_kind_or_as_unknown() -> None:
    assert Reply(b"", 0x6912).meaning == "it does not allow this command (status 6912)"
    assert Reply(b"", 0x1234).meaning == "it answers with something unknown (status 1234)"
    assert Reply(b"", 0x63C2).tries_left == 2
    assert Reply(b"", 0x6983).tries_left == 0
    assert Reply(b"", 0x6300).tries_left is None


@pytest.mark.parametrize("size", [*range(2), 259, 300, 65536])
def test_what_is_no_reply_is_refused(size: int) -> None:
    with pytest.raises(SimError, match="no answer of a card"):
        drive(converse(READ), lambda _: bytes(size), blocks=False)


def test_every_reply_of_every_length_is_read() -> None:
    for size in range(257):
        card = Script("00" * size + "9000")
        assert drive(require(READ), card, blocks=False) == bytes(size)


def test_objects_are_read_with_short_and_long_lengths_and_filling_behind() -> None:
    octets = bytes.fromhex("8201aa 7f2103010203 8a8102bbcc 5a820001dd ffffff")
    assert list(tlvs(octets)) == [
        (0x82, b"\xaa"),
        (0x7F21, b"\x01\x02\x03"),
        (0x8A, b"\xbb\xcc"),
        (0x5A, b"\xdd"),
    ]
    assert find_tlv(octets, 0x8A) == b"\xbb\xcc"
    assert find_tlv(octets, 0x55) is None


@pytest.mark.parametrize("octets", ["82", "8202aa", "7f", "7f21", "8a81", "8a8203", "8a83000001aa", "8a80"])
def test_objects_that_do_not_end_raise_the_one_error(octets: str) -> None:
    with pytest.raises(SimError, match="does not read"):
        list(tlvs(bytes.fromhex(octets)))


@given(st.binary(max_size=300))
def test_no_octets_break_the_reader_of_objects(octets: bytes) -> None:
    try:
        found = list(tlvs(octets))
    except SimError:
        return  # the one error
    assert sum(len(value) for _, value in found) <= len(octets)
