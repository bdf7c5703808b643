"""How TLS messages are cut and put together again, and what is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.eap.tls_framing import (
    ACKNOWLEDGEMENT,
    LENGTH,
    MAX_MESSAGE,
    MORE,
    START,
    Framing,
    TlsPacket,
)
from client.ike.errors import InvalidSyntax

MESSAGE = bytes(range(256)) * 12


def pieces(message: bytes, size: int) -> list[bytes]:
    """Type data of all packets of a message, as its receiver acknowledges them."""
    there = Framing(size)
    found = [there.send(message)]
    while there.is_sending:
        found.append(there.next_fragment())
    return found


def put_together(packets: list[bytes]) -> bytes | None:
    here = Framing()
    for packet in packets[:-1]:
        assert here.receive(TlsPacket.pull(packet)) is None
    return here.receive(TlsPacket.pull(packets[-1]))


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 1004, 1400, 3071, 3072, 4000])
def test_a_message_survives_fragments_of_any_size(size: int) -> None:
    assert put_together(pieces(MESSAGE, size)) == MESSAGE


def test_a_message_in_one_packet_has_flags_and_nothing_else_in_front() -> None:
    assert pieces(b"hello", 1004) == [b"\0hello"]


def test_the_first_of_several_fragments_says_the_length_and_the_last_ends_the_message() -> None:
    # --> L M, 3072 octets in all; --> M; --> the rest
    packets = [TlsPacket.pull(packet) for packet in pieces(MESSAGE, 1400)]
    assert [(packet.flags, packet.length) for packet in packets] == [
        (LENGTH | MORE, 3072),
        (MORE, None),
        (0, None),
    ]


def test_an_empty_message_is_an_acknowledgement() -> None:
    assert pieces(b"", 1004) == [ACKNOWLEDGEMENT]
    assert TlsPacket.pull(ACKNOWLEDGEMENT).is_empty


@pytest.mark.parametrize("flags", [LENGTH, MORE, START])
def test_flags_make_an_empty_packet_something_else(flags: int) -> None:
    assert not TlsPacket(flags).is_empty


def test_the_length_may_stand_on_every_fragment() -> None:
    first = TlsPacket(LENGTH | MORE, b"ab", 4).push()
    assert put_together([first, TlsPacket(LENGTH, b"cd", 4).push()]) == b"abcd"


def test_the_length_may_be_missing() -> None:
    assert put_together([TlsPacket(MORE, b"ab").push(), TlsPacket(0, b"cd").push()]) == b"abcd"


def test_two_messages_in_a_row_do_not_touch_each_other() -> None:
    here = Framing()
    assert here.receive(TlsPacket(LENGTH, b"abc", 3)) == b"abc"
    assert here.receive(TlsPacket(0, b"x")) == b"x"


@pytest.mark.parametrize(
    "packets",
    [
        [TlsPacket(LENGTH, b"abc", 4)],
        [TlsPacket(LENGTH, b"abc", 2)],
        [TlsPacket(LENGTH | MORE, b"abc", 6), TlsPacket(0, b"de")],
        [TlsPacket(LENGTH | MORE, b"abc", 4), TlsPacket(0, b"de")],
        [TlsPacket(LENGTH | MORE, b"abc", 3), TlsPacket(MORE, b"d")],
        [TlsPacket(LENGTH | MORE, b"abc", 6), TlsPacket(LENGTH, b"def", 7)],
        [TlsPacket(MORE, b"abc"), TlsPacket(LENGTH, b"def", 6)],
        [TlsPacket(LENGTH | MORE, b"", 6)],
        [TlsPacket(LENGTH | MORE, b"abc", 6), TlsPacket(MORE)],
        [TlsPacket(LENGTH | MORE, b"abc", MAX_MESSAGE + 1)],
        [TlsPacket(LENGTH, b"", 2**32 - 1)],
    ],
)
def test_fragments_that_do_not_fit_are_refused(packets: list[TlsPacket]) -> None:
    here = Framing()
    for packet in packets[:-1]:
        here.receive(packet)
    with pytest.raises(InvalidSyntax):
        here.receive(packets[-1])


def test_fragments_without_end_are_refused_in_time() -> None:
    here = Framing()
    for _ in range(MAX_MESSAGE // 1000):
        here.receive(TlsPacket(MORE, bytes(1000)))
    with pytest.raises(InvalidSyntax):
        here.receive(TlsPacket(MORE, bytes(1000)))


def test_only_the_right_length_is_believed() -> None:
    assert Framing().receive(TlsPacket.pull(TlsPacket(LENGTH, bytes(300), 300).push())) == bytes(300)
    for length in {*range(601), 65535, 65536, 65537, 2**31, 2**32 - 1} - {300}:
        packet = TlsPacket.pull(TlsPacket(LENGTH, bytes(300), length).push())
        with pytest.raises(InvalidSyntax):
            Framing().receive(packet)


@pytest.mark.parametrize("octets", [b"", b"\x80", b"\xc0\0\0\0"])
def test_a_truncated_packet_is_no_packet(octets: bytes) -> None:
    with pytest.raises(InvalidSyntax):
        TlsPacket.pull(octets)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_octets_raise_one_family_only(packets: list[bytes]) -> None:
    here = Framing()
    for packet in packets:
        with suppress(InvalidSyntax):
            here.receive(TlsPacket.pull(packet))
