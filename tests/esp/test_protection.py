"""Published packets, and both families of algorithms against their definitions."""

from __future__ import annotations

import hmac
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from client.esp.protection import make_protection
from client.esp.rejected import EspRejected, Reason
from client.ike.events import EspAlgorithms
from client.ike.keys import Secret
from client.ike.registry import Encr, Integ
from tests.esp.children import AES_CBC, AES_CBC_ESN, ALL_ALGORITHMS, CHACHA20, counting_rng

VECTORS = Path(__file__).parent / "vectors"
GCM = tomllib.loads((VECTORS / "aes-gcm-esp.toml").read_text())["vector"]
NO_KEY = Secret(b"")


@pytest.mark.parametrize("vector", GCM, ids=lambda vector: vector["name"])
def test_published_gcm_packet_opens(vector: dict[str, Any]) -> None:
    key, salt, packet, plaintext = (
        bytes.fromhex(vector[name]) for name in ("key", "salt", "packet", "plaintext")
    )
    algorithms = EspAlgorithms(Encr.AES_GCM_16, len(key) * 8, Integ.NONE, esn=vector["esn"])
    protection = make_protection(0, algorithms, Secret(key + salt), NO_KEY, counting_rng())
    assert protection.open(int(vector["sequence"], 16), packet) == plaintext
    target = bytearray(len(plaintext))
    protection.open_into(int(vector["sequence"], 16), memoryview(packet), memoryview(target))
    assert target == plaintext


def test_published_chacha20_packet_opens() -> None:
    vector = tomllib.loads((VECTORS / "rfc7634.toml").read_text())
    key = Secret(bytes.fromhex(vector["key"] + vector["salt"]))
    protection = make_protection(vector["spi"], CHACHA20, key, NO_KEY, counting_rng())
    plaintext = protection.open(vector["sequence"], bytes.fromhex(vector["packet"]))
    assert plaintext == bytes.fromhex(vector["inner"] + vector["trailer"])


@pytest.mark.parametrize("esn", [False, True])
def test_gcm_packet_is_what_rfc_4106_says(esn: bool) -> None:
    key, salt = bytes(range(16)), b"salt"
    algorithms = EspAlgorithms(Encr.AES_GCM_16, 128, Integ.NONE, esn=esn)
    protection = make_protection(0x11223344, algorithms, Secret(key + salt), NO_KEY, counting_rng())
    number = 0x0000000500000007 if esn else 7
    iv = number.to_bytes(8)
    associated = b"\x11\x22\x33\x44" + (iv if esn else iv[4:])
    sealed = AESGCM(key).encrypt(salt + iv, b"plaintext!!!", associated)
    assert protection.protect(number, b"plaintext!!!") == b"\x11\x22\x33\x44" + iv[4:] + iv + sealed


@pytest.mark.parametrize("algorithms", [AES_CBC, AES_CBC_ESN])
def test_cbc_packet_is_what_rfc_4303_says(algorithms: EspAlgorithms) -> None:
    size = {Integ.HMAC_SHA2_256_128: 32, Integ.HMAC_SHA2_512_256: 64}[Integ(algorithms.integ)]
    name = {32: "sha256", 64: "sha512"}[size]
    key, mac_key = bytes(range(algorithms.encr_key_bits // 8)), bytes(range(size))
    protection = make_protection(
        0x11223344, algorithms, Secret(key), Secret(mac_key), lambda count: b"i" * count
    )
    number = 0x0000000500000007 if algorithms.esn else 7
    encryptor = Cipher(AES(key), CBC(b"i" * 16)).encryptor()
    body = b"\x11\x22\x33\x44\0\0\0\x07" + b"i" * 16 + encryptor.update(b"p" * 32)
    covered = body + b"\0\0\0\x05" if algorithms.esn else body
    assert protection.protect(number, b"p" * 32) == body + hmac.digest(mac_key, covered, name)[: size // 2]


@pytest.mark.parametrize("algorithms", ALL_ALGORITHMS)
def test_both_forms_make_the_same_packets(algorithms: EspAlgorithms) -> None:
    encr, integ = key_sizes(algorithms)
    keys = Secret(bytes(encr)), Secret(bytes(integ))
    one, other = (make_protection(300, algorithms, *keys, counting_rng()) for _ in range(2))
    plaintext = bytes(range(64))
    packet = one.protect(9, plaintext)
    target = bytearray(len(packet))
    other.protect_into(9, plaintext, memoryview(target))
    assert target == packet
    assert len(packet) == one.prefix + len(plaintext) + one.icv_size
    opened = bytearray(len(plaintext))
    one.open_into(9, memoryview(packet), memoryview(opened))
    assert opened == plaintext == one.open(9, packet)


def test_authentic_cbc_packet_of_broken_blocks_is_rejected() -> None:
    encr, integ = key_sizes(AES_CBC)
    protection = make_protection(300, AES_CBC, Secret(bytes(encr)), Secret(bytes(integ)), counting_rng())
    body = protection.protect(1, bytes(32))[:-20]
    forged = body + hmac.digest(bytes(integ), body, "sha256")[:16]
    with pytest.raises(EspRejected) as rejected:
        protection.open(1, forged)
    assert rejected.value.reason is Reason.PADDING


@pytest.mark.parametrize(
    ("algorithms", "words"),
    [
        (EspAlgorithms(11, 0, Integ.HMAC_SHA2_256_128, esn=False), "encryption transform 11-0"),
        (EspAlgorithms(Encr.AES_CBC, 256, Integ.NONE, esn=False), "integrity transform 0"),
        (EspAlgorithms(Encr.AES_GCM_16, 256, Integ.NONE, esn=False), "36 octets wanted"),
    ],
)
def test_what_the_registry_lacks_is_refused(algorithms: EspAlgorithms, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_protection(300, algorithms, Secret(bytes(32)), NO_KEY, counting_rng())


def key_sizes(algorithms: EspAlgorithms) -> tuple[int, int]:
    """Octets of both keys."""
    from client.ike.transforms import encryption, integrity

    encr, integ = encryption(algorithms.encr, algorithms.encr_key_bits), integrity(algorithms.integ)
    assert encr is not None
    return encr.keymat_size, integ.key_size if integ else 0
