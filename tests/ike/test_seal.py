"""The Encrypted payload: published vectors, round trips, and that nothing changed is ever believed."""

from __future__ import annotations

import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from client.ike.errors import InvalidSyntax
from client.ike.keys import Secret
from client.ike.message import Decoded, decode
from client.ike.payloads import Notify
from client.ike.registry import Encr, Integ, NotifyType
from client.ike.seal import IntegrityError, Opener, Sealer, make_opener, make_sealer
from client.ike.transforms import ENCRYPTIONS, Encryption, IkeSuite, encryption, integrity
from tests.ike.published import Vector, load, source
from tests.ike.suites import SUITES, fixed_rng, ike_suite, seeded_rng

AEAD = load("aead")
CBC_BLOCKS = load("aes_cbc")
ASSOCIATED = bytes(range(32))
PLAINTEXT = b"payloads inside the Encrypted payload"

AEAD_SUITES = [suite for suite in SUITES if suite.encryption.aead]
CBC_SUITES = [suite for suite in SUITES if not suite.encryption.aead]


def keys_of(suite: IkeSuite, seed: str = "keys") -> tuple[Secret, Secret]:
    rng = seeded_rng(seed)
    integ = suite.integrity.key_size if suite.integrity else 0
    return Secret(rng(suite.encryption.keymat_size)), Secret(rng(integ))


def pair_of(suite: IkeSuite) -> tuple[Sealer, Opener]:
    sk_e, sk_a = keys_of(suite)
    return make_sealer(suite, sk_e, sk_a, seeded_rng("iv")), make_opener(suite, sk_e, sk_a)


def row_of(vector: Vector) -> Encryption:
    row = encryption(Encr[vector.text("encryption")], vector.number("key_bits"))
    assert row is not None
    return row


def seal_padded(suite: IkeSuite, padded: bytes) -> bytes:
    """Seal octets with a padding of the test's choice, with the primitives alone."""
    sk_e, sk_a = (key.reveal() for key in keys_of(suite))
    row, integ = suite.encryption, suite.integrity
    iv = bytes(row.iv_size)
    if row.make_aead is not None:
        key, salt = sk_e[: row.key_size], sk_e[row.key_size :]
        return iv + row.make_aead(key).encrypt(salt + iv, padded, ASSOCIATED)
    assert integ is not None
    encryptor = Cipher(AES(sk_e), CBC(iv)).encryptor()
    body = iv + encryptor.update(padded) + (encryptor.finalize() if len(padded) % 16 == 0 else b"")
    return body + hmac.digest(sk_a, ASSOCIATED + body, integ.hash_name)[: integ.icv_size]


def test_every_cipher_has_a_published_vector() -> None:
    aeads = {row_of(vector) for vector in AEAD}
    ciphers = {encryption(Encr.AES_CBC, vector.number("key_bits")) for vector in CBC_BLOCKS}
    assert aeads | ciphers == set(ENCRYPTIONS)


@pytest.mark.parametrize("vector", AEAD, ids=source)
def test_an_aead_seals_as_published(vector: Vector) -> None:
    row, keymat = row_of(vector), vector.octets("keymat")
    assert row.make_aead is not None
    assert len(keymat) == row.keymat_size
    nonce = keymat[row.key_size :] + vector.octets("iv")
    aead = row.make_aead(keymat[: row.key_size])
    assert aead.encrypt(nonce, vector.octets("plaintext"), vector.octets("associated")) == vector.octets(
        "sealed"
    )


@pytest.mark.parametrize("vector", AEAD, ids=source)
def test_the_opener_reads_published_octets(vector: Vector) -> None:
    plaintext = vector.octets("plaintext")
    opener = make_opener(ike_suite(row_of(vector), None), Secret(vector.octets("keymat")), Secret(b""))
    opened = opener.open(vector.octets("associated"), vector.octets("iv") + vector.octets("sealed"))
    # In the ESP examples the last octet is Next Header; here it reads as Pad Length, and is small enough.
    assert opened == plaintext[: len(plaintext) - 1 - plaintext[-1]]


def test_the_published_ike_message_decodes_as_a_whole() -> None:
    # --> INFORMATIONAL { N(SET_WINDOW_SIZE, 10) }, RFC 7634 appendix B
    (vector,) = [vector for vector in AEAD if "(IKE)" in source(vector)]
    opener = make_opener(ike_suite(row_of(vector), None), Secret(vector.octets("keymat")), Secret(b""))
    octets = b"".join(vector.octets(name) for name in ("associated", "iv", "sealed"))
    outcome = decode(octets, opener)
    assert isinstance(outcome, Decoded)
    assert outcome.message.message_id == 9
    assert outcome.message.payloads == (Notify(NotifyType.SET_WINDOW_SIZE, (10).to_bytes(4)),)


@pytest.mark.parametrize("vector", CBC_BLOCKS, ids=source)
def test_aes_cbc_encrypts_as_published(vector: Vector) -> None:
    row, sha256 = encryption(Encr.AES_CBC, vector.number("key_bits")), integrity(Integ.HMAC_SHA2_256_128)
    assert row is not None
    key, iv = Secret(vector.octets("key")), vector.octets("iv")
    sealer = make_sealer(ike_suite(row, sha256), key, Secret(bytes(32)), fixed_rng(iv))
    sealed = sealer.seal(ASSOCIATED, vector.octets("plaintext"))
    assert sealed.startswith(iv + vector.octets("ciphertext"))


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_what_is_sealed_opens_and_has_the_announced_size(suite: IkeSuite) -> None:
    sealer, opener = pair_of(suite)
    for size in (*range(34), 255, 256, 1200, 65000):
        plaintext = seeded_rng("plaintext")(size)
        sealed = sealer.seal(ASSOCIATED, plaintext)
        assert len(sealed) == sealer.sealed_size(size)
        assert opener.open(ASSOCIATED, sealed) == plaintext


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_one_flipped_bit_anywhere_is_an_integrity_error(suite: IkeSuite) -> None:
    sealer, opener = pair_of(suite)
    sealed = sealer.seal(ASSOCIATED, PLAINTEXT)
    whole = ASSOCIATED + sealed
    for position in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(IntegrityError):
            opener.open(bytes(changed[: len(ASSOCIATED)]), bytes(changed[len(ASSOCIATED) :]))


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_every_truncation_and_extension_is_an_integrity_error(suite: IkeSuite) -> None:
    sealer, opener = pair_of(suite)
    sealed = sealer.seal(ASSOCIATED, PLAINTEXT)
    for size in range(len(sealed)):
        with pytest.raises(IntegrityError):
            opener.open(ASSOCIATED, sealed[:size])
    for longer in (sealed + b"\0", b"\0" + sealed, sealed + sealed):
        with pytest.raises(IntegrityError):
            opener.open(ASSOCIATED, longer)


@pytest.mark.parametrize("suite", AEAD_SUITES, ids=str)
def test_octets_cannot_move_between_associated_and_sealed(suite: IkeSuite) -> None:
    # Of AEADs only: an HMAC covers one string, in which the lengths of the headers keep the parts apart.
    sealer, opener = pair_of(suite)
    whole = ASSOCIATED + sealer.seal(ASSOCIATED, PLAINTEXT)
    for cut in (31, 33):
        with pytest.raises(IntegrityError):
            opener.open(whole[:cut], whole[cut:])


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_other_keys_do_not_open(suite: IkeSuite) -> None:
    sealer, _ = pair_of(suite)
    sealed = sealer.seal(ASSOCIATED, PLAINTEXT)
    with pytest.raises(IntegrityError):
        make_opener(suite, *keys_of(suite, "other keys")).open(ASSOCIATED, sealed)


@pytest.mark.parametrize("suite", AEAD_SUITES, ids=str)
def test_an_aead_never_repeats_an_iv(suite: IkeSuite) -> None:
    sealer, _ = pair_of(suite)
    ivs = {sealer.seal(ASSOCIATED, PLAINTEXT)[:8] for _ in range(2000)}
    assert len(ivs) == 2000


@pytest.mark.parametrize("suite", CBC_SUITES, ids=str)
def test_cbc_takes_a_fresh_iv_from_the_rng_for_each_message(suite: IkeSuite) -> None:
    expected = seeded_rng("iv")
    sealer, _ = pair_of(suite)
    for _ in range(20):
        assert sealer.seal(ASSOCIATED, PLAINTEXT)[:16] == expected(16)


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_any_padding_that_fits_is_accepted(suite: IkeSuite) -> None:
    _, opener = pair_of(suite)
    for pad_length in (0, 1, 15, 31, 255):
        size = -(-(len(PLAINTEXT) + pad_length + 1) // 16) * 16 - pad_length - 1
        plaintext = PLAINTEXT.ljust(size, b".")
        padded = plaintext + b"\xa5" * pad_length + bytes([pad_length])
        assert opener.open(ASSOCIATED, seal_padded(suite, padded)) == plaintext


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_authentic_octets_with_impossible_padding_are_a_syntax_error(suite: IkeSuite) -> None:
    _, opener = pair_of(suite)
    for padded in (b"", bytes(15) + b"\x10", bytes(31) + b"\xff"):
        with pytest.raises(InvalidSyntax):
            opener.open(ASSOCIATED, seal_padded(suite, padded))


@pytest.mark.parametrize("suite", CBC_SUITES, ids=str)
def test_authentic_octets_that_are_no_whole_blocks_are_a_syntax_error(suite: IkeSuite) -> None:
    _, opener = pair_of(suite)
    sk_a, integ = keys_of(suite)[1].reveal(), suite.integrity
    assert integ is not None
    body = bytes(16 + 17)
    icv = hmac.digest(sk_a, ASSOCIATED + body, integ.hash_name)[: integ.icv_size]
    with pytest.raises(InvalidSyntax, match="blocks"):
        opener.open(ASSOCIATED, body + icv)


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_keys_of_another_size_are_refused_at_once(suite: IkeSuite) -> None:
    sk_e, sk_a = keys_of(suite)
    short = Secret(sk_e.reveal()[:-1])
    with pytest.raises(ValueError, match="octets wanted"):
        make_opener(suite, short, sk_a)
    with pytest.raises(ValueError, match="octets wanted"):
        make_sealer(suite, short, sk_a, seeded_rng("iv"))


def test_encryption_without_integrity_is_refused() -> None:
    row = encryption(Encr.AES_CBC, 256)
    assert row is not None
    with pytest.raises(ValueError, match="protects nothing"):
        make_sealer(ike_suite(row, None), Secret(bytes(32)), Secret(b""), seeded_rng("iv"))


def test_a_sealer_and_an_opener_do_not_show_their_keys() -> None:
    for suite in SUITES:
        sk_e, _ = keys_of(suite)
        assert all(sk_e.reveal()[:4].hex() not in repr(end) for end in pair_of(suite))
