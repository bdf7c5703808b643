"""Bodies of charon's control protocol, without charon."""

from __future__ import annotations

from tests.netns.peers.vici import Value, decode, encode


def test_a_tree_survives_the_way_there_and_back() -> None:
    tree: dict[str, Value] = {
        "road": {
            "version": 2,
            "proposals": ["aes256gcm16-x25519", "default"],
            "children": {"net": {"mode": "tunnel"}},
        },
        "data": b"\x30\x82",
        "empty": [],
    }
    assert decode(encode(tree)) == {
        "road": {
            "version": "2",
            "proposals": ["aes256gcm16-x25519", "default"],
            "children": {"net": {"mode": "tunnel"}},
        },
        "data": "0\ufffd",
        "empty": [],
    }


def test_layout_is_the_documented_one() -> None:
    """The example in charon's own description of the protocol, shortened."""
    assert encode({"key1": "value1", "section1": {"list1": ["item1"]}}) == (
        b"\x03\x04key1\x00\x06value1\x01\x08section1\x04\x05list1\x05\x00\x05item1\x06\x02"
    )
