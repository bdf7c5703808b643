"""PEAP's cryptobinding, with the published example ([MS-PEAP] section 4.4)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.eap.compound import CompoundKeys, CryptoBinding, SubType, prf_plus
from client.ike.errors import InvalidSyntax
from client.ike.keys import Secret

TUNNEL_KEY = Secret(
    bytes.fromhex(
        "738bb5f462d58e7ed844e1f00d0ebe50c50a2050de11997710d65f45fb5fbab7"
        "e3181e924f429738de40c846cdf50bcbf9cedb1e851d2252453bdf63"
    )
)
INNER_KEY = Secret(bytes.fromhex("673e961401befba560717b3b5ddd40386567f9f416fd3e9dfc71163bdff2fa95"))
IPMK = "3a911c255473e83e9a0cc333ae1f8a35cdc74163e7f60f6c65ef71c26442aaaca2b6f1eb4f25eca3"
CMK = "3355353b6920d074c782e475dfb0999d4db467eb"
REQUEST_NONCE = bytes.fromhex("bda7a599fa816521ad3064c2bddbd16eaa949e7d98a8d7943147cf425d85da7b")
REQUEST_MAC = "0cbf105e91755748224fbb83000626911cfb1b0f"
RESPONSE_NONCE = bytes.fromhex("6c6ba38784237457ccc90b1a908cbdf4711b69994d0cfe8d3db44ecbcdad37e9")
RESPONSE_MAC = "42e086071d1c8b8c8e458f7021f06a6eab16b646"
MSK = (
    "6a02d782201bc7138bf8eff733b496970d7cab300ac9577278e1ddd5aef76697"
    "1752d4e584a1c895039b4d05e3bc9a8484ddc2aa6e2ce162765c4068bff65a45"
)

KEYS = CompoundKeys.derive(TUNNEL_KEY, INNER_KEY)
REQUEST = CryptoBinding(SubType.REQUEST, REQUEST_NONCE).sealed(KEYS)


def test_keys_are_those_of_the_example() -> None:
    assert KEYS.ipmk.reveal().hex() == IPMK
    assert KEYS.cmk.reveal().hex() == CMK


@pytest.mark.parametrize(
    ("subtype", "nonce", "mac"),
    [(SubType.REQUEST, REQUEST_NONCE, REQUEST_MAC), (SubType.RESPONSE, RESPONSE_NONCE, RESPONSE_MAC)],
)
def test_both_messages_are_those_of_the_example(subtype: SubType, nonce: bytes, mac: str) -> None:
    binding = CryptoBinding(subtype, nonce).sealed(KEYS)
    assert binding.push() == bytes([0, 0, 0, subtype]) + nonce + bytes.fromhex(mac)
    assert CryptoBinding.pull(binding.push()) == binding
    assert binding.is_proven(KEYS)


def test_the_session_key_is_that_of_the_example() -> None:
    assert KEYS.msk().reveal().hex() == MSK


def test_an_inner_method_without_a_key_counts_as_zeros() -> None:
    assert CompoundKeys.derive(TUNNEL_KEY, None) == CompoundKeys.derive(TUNNEL_KEY, Secret(bytes(32)))


def test_of_a_longer_inner_key_the_first_32_octets_count() -> None:
    assert CompoundKeys.derive(TUNNEL_KEY, Secret(INNER_KEY.reveal() + bytes(32))) == KEYS


def test_whoever_lacks_one_of_the_keys_is_found_out() -> None:
    for other in (CompoundKeys.derive(TUNNEL_KEY, None), CompoundKeys.derive(Secret(bytes(60)), INNER_KEY)):
        assert not REQUEST.is_proven(other)
    for bit in range(len(REQUEST.mac) * 8):
        mac = (int.from_bytes(REQUEST.mac) ^ 1 << bit).to_bytes(20)
        assert not replace(REQUEST, mac=mac).is_proven(KEYS)


def test_a_request_is_no_response() -> None:
    assert not replace(REQUEST, subtype=SubType.RESPONSE).is_proven(KEYS)


def test_a_value_of_another_size_is_none() -> None:
    for size in set(range(601)) - {56}:
        with pytest.raises(InvalidSyntax):
            CryptoBinding.pull(bytes(size))


def test_there_are_two_subtypes() -> None:
    for subtype in range(2, 256):
        with pytest.raises(InvalidSyntax):
            CryptoBinding.pull(bytes([0, 0, 0, subtype]) + bytes(52))


@given(st.binary(max_size=80))
def test_any_octets_raise_one_family_only(octets: bytes) -> None:
    with suppress(InvalidSyntax):
        CryptoBinding.pull(octets)


def test_prf_plus_gives_as_much_as_is_wanted() -> None:
    whole = prf_plus(b"key", b"seed", 128)
    assert [prf_plus(b"key", b"seed", size) for size in (1, 20, 21, 60)] == [
        whole[:1],
        whole[:20],
        whole[:21],
        whole[:60],
    ]
