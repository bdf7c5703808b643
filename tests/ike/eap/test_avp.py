"""The language inside EAP-TTLS (RFC 5281 section 10)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.eap.avp import MICROSOFT, Avp, AvpCode, MicrosoftCode, pull_avps
from client.ike.errors import InvalidSyntax


def test_a_pair_is_padded_and_its_length_does_not_count_that() -> None:
    # User-Name, mandatory, 8 + 5 octets
    assert Avp(AvpCode.USER_NAME, b"alice").push() == bytes.fromhex("00000001 40 00000d") + b"alice\0\0\0"


def test_a_vendors_pair_names_the_vendor() -> None:
    pushed = Avp(MicrosoftCode.CHAP_CHALLENGE, bytes(16), MICROSOFT).push()
    assert pushed == bytes.fromhex("0000000b c0 00001c 00000137") + bytes(16)


@given(
    st.lists(
        st.builds(
            Avp, st.integers(0, 2**32 - 1), st.binary(max_size=70), st.integers(0, 2**32 - 1), st.booleans()
        ),
        max_size=5,
    )
)
def test_pairs_come_back_as_they_were(avps: list[Avp]) -> None:
    assert pull_avps(b"".join(avp.push() for avp in avps)) == tuple(avps)


def test_the_last_padding_may_be_missing() -> None:
    pushed = Avp(1, b"a").push() + Avp(2, b"b").push()
    assert pull_avps(pushed[:-3]) == pull_avps(pushed)


@pytest.mark.parametrize("flags", [0x00, 0x40, 0x80, 0xC0, 0xFF])
def test_lengths_out_of_range_raise_one_family_only(flags: int) -> None:
    header = 12 if flags & 0x80 else 8
    for length in (*range(601), 65535, 2**24 - 1):
        octets = bytes(4) + bytes([flags]) + length.to_bytes(3) + bytes(300)
        if header <= length <= len(octets):
            with suppress(InvalidSyntax):  # what is left after it may be no pair
                pull_avps(octets)
        else:
            with pytest.raises(InvalidSyntax):
                pull_avps(octets)


@given(st.binary(max_size=80))
def test_any_octets_raise_one_family_only(octets: bytes) -> None:
    with suppress(InvalidSyntax):
        pull_avps(octets)
