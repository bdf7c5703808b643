"""Secrets, prf+ and the key derivations against NIST's vectors and against the RFC's formulas."""

from __future__ import annotations

import hmac
import pickle
from dataclasses import fields

import pytest

from client.ike.events import ChildKeys
from client.ike.keys import (
    IkeKeys,
    Secret,
    derive_child_keymat,
    derive_ike_keys,
    derive_rekeyed_ike_keys,
    prf,
    prf_plus,
)
from client.ike.registry import Encr, Integ, Prf
from client.ike.transforms import (
    PSEUDORANDOMS,
    IkeSuite,
    Pseudorandom,
    encryption,
    integrity,
    pseudorandom,
)
from tests.ike.published import Vector, load, source
from tests.ike.suites import PROTECTIONS, SUITES, Protection, esp_suite, ike_suite

CAVP = load("cavp_ikev2")
REKEYED = [vector for vector in CAVP if "gir_new" in vector]
CHILDREN = [vector for vector in CAVP if "dkm_child" in vector]

NONCE_I, NONCE_R = b"\x11" * 32, b"\x22" * 40
SPI_I, SPI_R = b"\x33" * 8, b"\x44" * 8
SHARED = Secret(b"\x55" * 256)
SK_D = Secret(b"\x66" * 32)


def row_of(vector: Vector) -> Pseudorandom:
    row = pseudorandom(Prf[vector.text("prf")])
    assert row is not None
    return row


def joined(keys: IkeKeys) -> bytes:
    return b"".join(getattr(keys, field.name).reveal() for field in fields(keys))


def sk_d_of(vector: Vector) -> Secret:
    return Secret(vector.octets("dkm")[: row_of(vector).size])


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(b"hunter2")
    assert "hunter2" not in repr(secret) + str(secret) + f"{secret}"
    assert "hunter2" not in repr(ChildKeys(secret, secret, secret, secret))


def test_a_secret_is_neither_hashed_nor_pickled() -> None:
    with pytest.raises(TypeError, match="dictionary key"):
        hash(Secret(b"x"))
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(Secret(b"x"))


def test_secrets_are_equal_by_value_and_to_secrets_alone() -> None:
    assert Secret(b"same") == Secret(bytes.fromhex("73616d65"))
    assert Secret(b"same") != Secret(b"other")
    assert Secret(b"same") != b"same"
    assert len(Secret(b"same")) == 4


# RFC 2202 section 3, cases 1 to 3: key, data, the whole of the HMAC.
RFC_2202 = [
    (b"\x0b" * 20, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
    (b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    (b"\xaa" * 20, b"\xdd" * 50, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
]


@pytest.mark.parametrize(("key", "data", "output"), RFC_2202, ids=["case 1", "case 2", "case 3"])
def test_the_prf_with_sha1_is_that_of_rfc_2202(key: bytes, data: bytes, output: str) -> None:
    row = pseudorandom(Prf.HMAC_SHA1)
    assert row is not None
    assert prf(row, key, data).hex() == output


def test_every_prf_has_a_published_vector() -> None:
    assert {row_of(vector) for vector in CAVP} == set(PSEUDORANDOMS)


@pytest.mark.parametrize("vector", CAVP, ids=source)
def test_skeyseed_is_what_nist_publishes(vector: Vector) -> None:
    seed = prf(row_of(vector), vector.octets("ni") + vector.octets("nr"), vector.octets("gir"))
    assert seed == vector.octets("skeyseed")


@pytest.mark.parametrize("vector", CAVP, ids=source)
def test_prf_plus_is_what_nist_publishes_at_every_length(vector: Vector) -> None:
    seed = b"".join(vector.octets(name) for name in ("ni", "nr", "spi_i", "spi_r"))
    keymat = vector.octets("dkm")
    for size in (0, 1, 15, row_of(vector).size, row_of(vector).size + 1, len(keymat)):
        assert prf_plus(row_of(vector), Secret(vector.octets("skeyseed")), seed, size) == keymat[:size]


@pytest.mark.parametrize("vector", CAVP, ids=source)
@pytest.mark.parametrize("protection", PROTECTIONS, ids=str)
def test_ike_keys_are_cut_from_the_published_stream(vector: Vector, protection: Protection) -> None:
    suite = ike_suite(*protection, prf=row_of(vector).id)
    arguments = (vector.octets("ni"), vector.octets("nr"), Secret(vector.octets("gir")))
    keys = joined(derive_ike_keys(suite, *arguments, vector.octets("spi_i"), vector.octets("spi_r")))
    common = min(len(keys), len(vector.octets("dkm")))
    assert keys[:common] == vector.octets("dkm")[:common]


@pytest.mark.parametrize("vector", REKEYED, ids=source)
def test_rekeyed_ike_keys_grow_from_the_published_skeyseed(vector: Vector) -> None:
    row, ni, nr = row_of(vector), vector.octets("ni"), vector.octets("nr")
    suite = ike_suite(*PROTECTIONS[0], prf=row.id)
    keys = derive_rekeyed_ike_keys(
        row, sk_d_of(vector), suite, Secret(vector.octets("gir_new")), ni, nr, SPI_I, SPI_R
    )
    stream = prf_plus(row, vector.octets("skeyseed_rekey"), ni + nr + SPI_I + SPI_R, len(joined(keys)))
    assert joined(keys) == stream


@pytest.mark.parametrize("vector", CHILDREN, ids=source)
@pytest.mark.parametrize("fresh", [False, True], ids=["SK_d alone", "with key exchange"])
def test_child_keys_are_cut_from_the_published_stream(vector: Vector, fresh: bool) -> None:
    shared = Secret(vector.octets("gir_new")) if fresh else None
    stream = vector.octets("dkm_child_dh" if fresh else "dkm_child")
    aes, sha1 = encryption(Encr.AES_CBC, 256), integrity(Integ.HMAC_SHA1_96)
    assert aes is not None
    nonces = vector.octets("ni"), vector.octets("nr")
    suite = esp_suite(aes, sha1)
    keys = derive_child_keymat(row_of(vector), sk_d_of(vector), suite, shared, *nonces, initiator=True)
    # RFC 7296 section 2.17: initiator's direction first, encryption before integrity.
    parts = (keys.encr_out, keys.integ_out, keys.encr_in, keys.integ_in)
    assert [len(part) for part in parts] == [32, 20, 32, 20]
    assert b"".join(part.reveal() for part in parts) == stream[:104]


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_ike_keys_have_the_sizes_of_the_suite(suite: IkeSuite) -> None:
    keys = derive_ike_keys(suite, NONCE_I, NONCE_R, SHARED, SPI_I, SPI_R)
    integ = suite.integrity.key_size if suite.integrity else 0
    encr = suite.encryption.keymat_size
    assert (len(keys.d), len(keys.pi), len(keys.pr)) == (32, 32, 32)
    assert (len(keys.ai), len(keys.ar)) == (integ, integ)
    assert (len(keys.ei), len(keys.er)) == (encr, encr)


@pytest.mark.parametrize("protection", PROTECTIONS, ids=str)
def test_both_ends_of_a_child_sa_derive_mirrored_keys(protection: Protection) -> None:
    row = PSEUDORANDOMS[0]
    suite = esp_suite(*protection)
    ours = derive_child_keymat(row, SK_D, suite, SHARED, NONCE_I, NONCE_R, initiator=True)
    theirs = derive_child_keymat(row, SK_D, suite, SHARED, NONCE_I, NONCE_R, initiator=False)
    assert (ours.encr_out, ours.integ_out) == (theirs.encr_in, theirs.integ_in)
    assert (ours.encr_in, ours.integ_in) == (theirs.encr_out, theirs.integ_out)
    assert ours.encr_out != ours.encr_in
    assert len(ours.encr_out) == suite.encryption.keymat_size


def test_a_rekey_uses_the_old_prf_once_and_the_new_one_from_then_on() -> None:
    old, new = pseudorandom(Prf.HMAC_SHA2_256), pseudorandom(Prf.HMAC_SHA2_384)
    assert old is not None
    assert new is not None
    suite = ike_suite(*PROTECTIONS[0], prf=Prf.HMAC_SHA2_384)
    keys = derive_rekeyed_ike_keys(old, SK_D, suite, SHARED, NONCE_I, NONCE_R, SPI_I, SPI_R)
    # RFC 7296 section 2.18, written out with nothing of ours.
    skeyseed = hmac.digest(SK_D.reveal(), SHARED.reveal() + NONCE_I + NONCE_R, "sha256")
    first = hmac.digest(skeyseed, NONCE_I + NONCE_R + SPI_I + SPI_R + b"\x01", "sha384")
    assert keys.d.reveal() == first


def test_every_input_matters_to_the_keys() -> None:
    row, suite = PSEUDORANDOMS[0], esp_suite(*PROTECTIONS[0])
    base = derive_child_keymat(row, SK_D, suite, SHARED, NONCE_I, NONCE_R, initiator=True)
    others = (
        derive_child_keymat(row, SK_D, suite, None, NONCE_I, NONCE_R, initiator=True),
        derive_child_keymat(row, SK_D, suite, SHARED, NONCE_R, NONCE_I, initiator=True),
        derive_child_keymat(row, Secret(b"\x67" * 32), suite, SHARED, NONCE_I, NONCE_R, initiator=True),
        derive_child_keymat(PSEUDORANDOMS[1], SK_D, suite, SHARED, NONCE_I, NONCE_R, initiator=True),
    )
    assert all(base.encr_out != other.encr_out for other in others)


def test_prf_plus_ends_after_255_blocks() -> None:
    row = PSEUDORANDOMS[0]
    assert len(prf_plus(row, b"key", b"seed", 255 * row.size)) == 255 * row.size
    with pytest.raises(ValueError, match="at most"):
        prf_plus(row, b"key", b"seed", 255 * row.size + 1)
