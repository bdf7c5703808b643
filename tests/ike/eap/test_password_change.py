"""Change-Password of MS-CHAPv2: both directions agree, and nothing that comes raises anything else."""

from __future__ import annotations

from contextlib import suppress

import pytest

from client.ike.eap.nt_hash import des, des_decrypt, nt_hash
from client.ike.eap.password_change import (
    BLOCK,
    MOST_CHARACTERS,
    Change,
    decrypt_hash,
    decrypt_password,
    encrypt_hash,
    encrypt_password,
)
from client.ike.errors import InvalidSyntax, ProtocolError
from client.ike.keys import Secret
from tests.ike.eap.dialogue import seeded

OLD = nt_hash(Secret(b"clientPass"))
SIZE = BLOCK + 4 + 16 + 16 + 8 + 24 + 2


@pytest.mark.parametrize("new", ["", "x", "Übermut 😀", "a" * MOST_CHARACTERS, "😀" * (MOST_CHARACTERS // 2)])
def test_the_server_reads_the_password_that_was_typed(new: str) -> None:
    encrypted = encrypt_password(Secret(new.encode()), OLD, seeded("padding"))
    assert len(encrypted) == BLOCK + 4
    assert decrypt_password(encrypted, OLD) == Secret(new.encode())


def test_nothing_of_the_password_is_seen_and_the_padding_differs() -> None:
    first, second = (encrypt_password(Secret(b"wonderland"), OLD, seeded(seed)) for seed in "ab")
    assert first != second
    assert "wonderland".encode("utf-16-le") not in first


@pytest.mark.parametrize("new", [b"a" * (MOST_CHARACTERS + 1), b"\xff\xfe"])
def test_a_password_that_does_not_fit_is_refused_before_it_leaves(new: bytes) -> None:
    with pytest.raises(ValueError):
        encrypt_password(Secret(new), OLD, seeded("padding"))


def test_the_old_hash_travels_under_the_new_one() -> None:
    new = nt_hash(Secret(b"wonderland"))
    encrypted = encrypt_hash(OLD, new)
    assert len(encrypted) == 16
    assert decrypt_hash(encrypted, new) == OLD
    assert decrypt_hash(encrypted, OLD) != OLD


def test_des_with_seven_octets_is_des() -> None:
    # FIPS 46 by its usual example: the key 133457799BBCDFF1 without its parity bits.
    key = bytes.fromhex("133457799bbcdff1")
    bits = int("".join(f"{octet:08b}"[:7] for octet in key), 2).to_bytes(7)
    assert des(bits, bytes.fromhex("0123456789abcdef")).hex() == "85e813540f0ab405"
    assert des_decrypt(bits, bytes.fromhex("85e813540f0ab405")).hex() == "0123456789abcdef"


def test_a_packet_has_one_size() -> None:
    whole = bytes(range(256)) * 3
    assert Change.pull(whole[:SIZE]).push()[:548] == whole[:548]
    for size in set(range(SIZE + 60)) - {SIZE}:
        with pytest.raises(InvalidSyntax):
            Change.pull(whole[:size])


def test_every_length_of_the_new_password_raises_one_family_only() -> None:
    zeros = decrypted_block(0)
    for length in (*range(600), 1 << 16, 1 << 31, (1 << 32) - 1):
        block = bytes(a ^ b for a, b in zip(zeros, decrypted_block(length), strict=True))
        assert block[-4:] == length.to_bytes(4, "little")
        forged = bytes(a ^ b for a, b in zip(encrypt_password(Secret(b""), OLD, bytes), block, strict=True))
        with suppress(ProtocolError):
            decrypt_password(forged, OLD)


def decrypted_block(length: int) -> bytes:
    return bytes(BLOCK) + length.to_bytes(4, "little")
