"""Reassembly: order, duplicates, a finer cut, old and oversized messages (RFC 7383 section 2.6)."""

from __future__ import annotations

import itertools

import pytest

from client.ike.errors import InvalidSyntax
from client.ike.fragments import MAX_FRAGMENTS, MAX_SIZE, Reassembly
from client.ike.message import Decoded, Fragment, Header, ProtectedError
from client.ike.payloads import Notify, VendorId
from client.ike.registry import ExchangeType, PayloadType

CHAIN = bytes.fromhex("2b 00 0008 0000400000 00 0008 726f616d")  # N(INITIAL_CONTACT), V("roam")
PAYLOADS = (Notify(16384), VendorId(b"roam"))


def fragment(number: int, total: int, plaintext: bytes, message_id: int = 1) -> Fragment:
    header = Header(
        bytes(8), bytes(8), PayloadType.SKF, 0x20, ExchangeType.IKE_AUTH, 0x20, message_id, 100 + number
    )
    first = PayloadType.NOTIFY if number == 1 else PayloadType.NONE
    return Fragment(header, number, total, first, plaintext)


def cut(total: int, message_id: int = 1) -> list[Fragment]:
    """The chain in `total` parts."""
    size = -(-len(CHAIN) // total)
    parts = [CHAIN[start : start + size] for start in range(0, len(CHAIN), size)]
    return [fragment(number, len(parts), part, message_id) for number, part in enumerate(parts, start=1)]


def feed(reassembly: Reassembly, *fragments: Fragment) -> list[Decoded | ProtectedError | None]:
    return [reassembly.add(each) for each in fragments]


def assert_whole(result: Decoded | ProtectedError | None, message_id: int = 1) -> None:
    assert isinstance(result, Decoded)
    assert result.message.payloads == PAYLOADS
    assert result.message.message_id == message_id
    assert result.protected


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_message_is_whole_with_its_last_fragment_in_any_order(order: tuple[int, ...]) -> None:
    fragments = cut(4)
    *early, last = feed(Reassembly(), *[fragments[position] for position in order])
    assert early == [None, None, None]
    assert_whole(last)
    assert isinstance(last, Decoded)
    assert last.header == fragments[0].header


def test_a_single_fragment_is_a_message() -> None:
    assert_whole(Reassembly().add(fragment(1, 1, CHAIN)))


def test_a_duplicate_is_dropped_even_with_other_content() -> None:
    reassembly = Reassembly()
    first, second = cut(2)
    assert feed(reassembly, first, first, fragment(1, 2, b"other")) == [None, None, None]
    assert_whole(reassembly.add(second))


def test_a_finer_cut_starts_over() -> None:
    reassembly = Reassembly()
    coarse, fine = cut(2), cut(4)
    assert feed(reassembly, coarse[0], fine[0], fine[1], fine[2]) == [None] * 4
    assert reassembly.add(coarse[1]) is None
    assert_whole(reassembly.add(fine[3]))


def test_a_coarser_cut_is_dropped() -> None:
    reassembly = Reassembly()
    coarse, fine = cut(2), cut(4)
    assert feed(reassembly, fine[0], *coarse, *fine[2:]) == [None] * 5
    assert_whole(reassembly.add(fine[1]))


@pytest.mark.parametrize("again", [2, 4])
def test_a_message_that_is_sent_again_is_put_together_again(again: int) -> None:
    reassembly = Reassembly()
    feed(reassembly, *cut(2))
    *early, last = feed(reassembly, *cut(again))
    assert early == [None] * (again - 1)
    assert_whole(last)


def test_a_newer_message_takes_the_place_of_an_unfinished_one() -> None:
    reassembly = Reassembly()
    old, new = cut(2, message_id=1), cut(2, message_id=2)
    assert feed(reassembly, old[0], new[0], old[1]) == [None, None, None]
    assert_whole(reassembly.add(new[1]), message_id=2)


def test_messages_follow_each_other() -> None:
    reassembly = Reassembly()
    for message_id in range(5):
        assert_whole(feed(reassembly, *cut(3, message_id))[-1], message_id)


def test_fragments_of_an_older_message_are_dropped() -> None:
    reassembly = Reassembly()
    feed(reassembly, *cut(2, message_id=2))
    assert feed(reassembly, *cut(2, message_id=1)) == [None, None]


def test_the_most_fragments_are_taken_and_not_one_more() -> None:
    padded = CHAIN + bytes(MAX_FRAGMENTS + 1 - len(CHAIN))
    for total, taken in ((MAX_FRAGMENTS, True), (MAX_FRAGMENTS + 1, False)):
        octets = [padded[position : position + 1] for position in range(total)]
        results = feed(
            Reassembly(), *[fragment(number, total, part) for number, part in enumerate(octets, 1)]
        )
        assert (results[-1] is not None) is taken


def test_a_message_of_too_many_octets_is_never_whole() -> None:
    reassembly = Reassembly()
    large = [fragment(1, 3, bytes(MAX_SIZE)), fragment(2, 3, b"\x00"), fragment(3, 3, b"")]
    assert feed(reassembly, *large, *large) == [None] * 6
    assert_whole(feed(reassembly, *cut(2, message_id=2))[-1], message_id=2)


def test_an_oversized_first_cut_does_not_count_against_the_finer_one() -> None:
    reassembly = Reassembly()
    assert reassembly.add(fragment(1, 2, bytes(MAX_SIZE))) is None
    assert_whole(feed(reassembly, *cut(4))[-1])


def test_fragments_that_make_no_message_are_the_peers_fault() -> None:
    result = feed(Reassembly(), fragment(1, 2, CHAIN[:5]), fragment(2, 2, CHAIN[6:]))[-1]
    assert isinstance(result, ProtectedError)
    assert isinstance(result.error, InvalidSyntax)
    assert result.header.length == 101
