"""The tables of algorithms: looked up by number and by word, without contradictions in them."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from client.ike.registry import Encr, Integ, Kex
from client.ike.transforms import (
    ALIASES,
    ENCRYPTIONS,
    INTEGRITIES,
    KEY_EXCHANGES,
    PSEUDORANDOMS,
    WORDS,
    Encryption,
    EspSuite,
    IkeSuite,
    Integrity,
    KeyExchangeMethod,
    Pseudorandom,
    Row,
    by_word,
    encryption,
    integrity,
    kex_method,
    pseudorandom,
)
from tests.ike.published import Vector, load, source

ROWS: tuple[Row, ...] = (*ENCRYPTIONS, *INTEGRITIES, *PSEUDORANDOMS, *KEY_EXCHANGES)
HMAC = load("hmac")


def word(text: str) -> Row:
    row = by_word(text)
    assert row is not None, text
    return row


def ike_suite(encr: str, integ: str | None, prf: str, kex: str) -> IkeSuite:
    rows = (word(encr), word(integ) if integ else None, word(prf), word(kex))
    return IkeSuite(*rows)  # type: ignore[arg-type]  # the words of each test name rows of the right kinds


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.word)
def test_a_row_is_found_by_its_number_and_by_its_word(row: Row) -> None:
    assert by_word(row.word) is row
    match row:
        case Encryption():
            assert encryption(row.id, row.key_bits) is row
            assert encryption(row.id, row.key_length) is row
        case Integrity():
            assert integrity(row.id) is row
        case Pseudorandom():
            assert pseudorandom(row.id) is row
        case KeyExchangeMethod():
            assert kex_method(row.id) is row


def test_no_two_rows_share_a_word() -> None:
    assert len({row.word for row in ROWS}) == len(ROWS)
    assert not ALIASES.keys() & {row.word for row in ROWS}


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_names_a_row(alias: str) -> None:
    assert by_word(alias) is by_word(ALIASES[alias])
    assert alias in WORDS


@pytest.mark.parametrize("text", ["", "3des", "md5", "modp768", "null", "aes256ctr", "AES256"])
def test_what_has_no_row_has_no_word(text: str) -> None:
    assert by_word(text) is None


@pytest.mark.parametrize("key_bits", [None, 0, 64, 255, 512])
def test_aes_needs_one_of_its_key_lengths(key_bits: int | None) -> None:
    assert encryption(Encr.AES_CBC, key_bits) is None
    assert encryption(Encr.AES_GCM_16, key_bits) is None


def test_a_cipher_of_one_key_size_needs_no_length() -> None:
    row = encryption(Encr.CHACHA20_POLY1305, None)
    assert row is not None
    assert row.key_length is None
    assert encryption(Encr.CHACHA20_POLY1305, 256) is row
    assert encryption(Encr.CHACHA20_POLY1305, 128) is None


def test_none_and_unknown_numbers_have_no_row() -> None:
    assert encryption(Encr.NULL, None) is None
    assert integrity(Integ.NONE) is None
    assert kex_method(Kex.NONE) is None
    assert [look_up(65535) for look_up in (integrity, pseudorandom, kex_method)] == [None] * 3


@pytest.mark.parametrize("row", ENCRYPTIONS, ids=str)
def test_sizes_of_encryption_fit_together(row: Encryption) -> None:
    assert row.key_size * 8 == row.key_bits
    assert row.keymat_size == row.key_size + row.salt_size
    assert row.aead == (row.icv_size > 0) == (row.salt_size > 0)
    if row.aead:
        assert row.salt_size + row.iv_size == 12  # the nonce of RFC 4106 section 4 and RFC 7634 section 2


@pytest.mark.parametrize("row", INTEGRITIES, ids=str)
def test_integrity_is_half_of_the_hash_except_for_sha1(row: Integrity) -> None:
    digest_size = hashlib.new(row.hash_name).digest_size
    assert row.key_size == digest_size
    assert row.icv_size == (12 if row.id == Integ.HMAC_SHA1_96 else digest_size // 2)


@pytest.mark.parametrize("vector", HMAC, ids=source)
def test_an_integrity_row_describes_the_published_hmac(vector: Vector) -> None:
    row = integrity(Integ[vector.text("integrity")])
    assert row is not None
    key = vector.octets("key")
    assert len(key) == row.key_size
    icv = hmac.digest(key, vector.octets("data"), row.hash_name)[: row.icv_size]
    assert icv == vector.octets("icv")


def test_every_integrity_algorithm_has_a_published_vector() -> None:
    assert {Integ[vector.text("integrity")] for vector in HMAC} == {row.id for row in INTEGRITIES}


def test_sha1_and_the_groups_below_14_are_legacy() -> None:
    assert [row.word for row in INTEGRITIES if row.legacy] == ["sha1"]
    assert [row.word for row in PSEUDORANDOMS if row.legacy] == ["prfsha1"]
    assert [row.word for row in KEY_EXCHANGES if row.legacy] == ["modp1536", "modp1024"]


def test_suites_name_their_algorithms() -> None:
    aead = ike_suite("aes256gcm16", None, "prfsha384", "x25519")
    assert str(aead) == "AES_GCM_16-256/PRF_HMAC_SHA2_384/X25519"
    cbc = ike_suite("aes128", "sha256", "prfsha256", "modp2048")
    assert str(cbc) == "AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048"
    chacha = EspSuite(ENCRYPTIONS[3], None, True, KEY_EXCHANGES[0])
    assert str(chacha) == "CHACHA20_POLY1305/X25519/ESN"
    assert str(EspSuite(ENCRYPTIONS[4], INTEGRITIES[0], False, None)) == "AES_CBC-256/HMAC_SHA2_256_128"
