"""MD4 against the vectors of its RFC."""

from __future__ import annotations

import pytest

from client.ike.eap.md4 import md4
from tests.ike.published import Vector, load, source


@pytest.mark.parametrize("vector", load("md4"), ids=source)
def test_md4_gives_the_published_digest(vector: Vector) -> None:
    assert md4(vector.text("message").encode()) == vector.octets("digest")


@pytest.mark.parametrize("size", [55, 56, 63, 64, 65, 119, 120])
def test_every_padding_fills_whole_blocks(size: int) -> None:
    digests = {md4(bytes(size)), md4(bytes(size + 1)), md4(bytes(size) + b"\x80")}
    assert len(digests) == 3
    assert {len(digest) for digest in digests} == {16}
