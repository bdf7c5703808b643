"""The cursor over hostile octets never reads past its end, and says so in one way."""

from __future__ import annotations

import pytest

from client.ike.buffer import Reader, Writer
from client.ike.errors import InvalidSyntax


def test_octets_are_taken_in_order() -> None:
    reader = Reader(b"\x01\x02\x03\x04\x05")
    assert reader.uint(1) == 1
    assert reader.uint(2) == 0x0203
    assert reader.remaining == 2
    assert reader.rest() == b"\x04\x05"
    assert reader.rest() == b""


@pytest.mark.parametrize("count", [4, 1 << 32, -1])
def test_more_octets_than_there_are_or_fewer_than_none_are_invalid_syntax(count: int) -> None:
    reader = Reader(b"\x01\x02\x03")
    with pytest.raises(InvalidSyntax):
        reader.take(count)
    with pytest.raises(InvalidSyntax):
        reader.block(count)
    assert reader.rest() == b"\x01\x02\x03"


def test_a_block_ends_before_what_follows_it() -> None:
    reader = Reader(b"\x01\x02\x03")
    block = reader.block(2)
    assert block.rest() == b"\x01\x02"
    with pytest.raises(InvalidSyntax):
        block.uint(1)
    assert reader.uint(1) == 3


def test_octets_left_over_are_invalid_syntax() -> None:
    reader = Reader(b"\x01")
    with pytest.raises(InvalidSyntax):
        reader.finish()
    reader.take(1)
    reader.finish()


def test_what_is_written_stands_in_network_order() -> None:
    writer = Writer().uint(1, 1).uint(0x0203, 2).write(b"\x04")
    assert writer.bytes() == b"\x01\x02\x03\x04"
    assert len(writer) == 4
