"""What the ends announce of the signatures that they take (RFC 9593), and what follows from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike import signatures
from client.ike.announcements import announce, parse_announcements
from client.ike.authentication import KeySigner, verify_signature, ways_to_sign
from client.ike.keys import Secret
from client.ike.options import CertLogin, CertProof, EapProof, PskProof
from client.ike.payloads import Authentication, Notify
from client.ike.registry import AuthMethod, NotifyType, SignatureHash
from client.ike.trust import Trust
from client.lab.pki import KeyKind
from client.lab.responder import GatewayConfig, Personality
from tests.ike.failing_logins import BY_CERT
from tests.ike.phases import scene
from tests.ike.signed import (
    ALL,
    ECDSA_SHA256,
    ECDSA_SHA384,
    ECDSA_SHA512,
    ED25519,
    NONE,
    OCTETS,
    PSS_SHA256_TRAILER,
    SHA256_RSA,
    key,
)
from tests.ike.test_rogue_gateways import said_to
from tests.pair import CLIENT_CERT, WALL, Pair, cert_client, path_from

PSS_SHA512 = next(
    octets.hex()
    for octets, scheme in signatures.ALGORITHMS.items()
    if scheme == signatures.RsaPss(SignatureHash.SHA2_512)
)


def digital(*algorithms: str) -> bytes:
    """Announcements of method 14, for no authority in particular."""
    octets = [bytes.fromhex(algorithm) for algorithm in algorithms]
    return b"".join(bytes([3 + len(algorithm), 14, 0]) + algorithm for algorithm in octets)


@pytest.mark.parametrize(
    ("kind", "data", "method", "algorithm"),
    [
        ("rsa", digital(PSS_SHA512), 14, PSS_SHA512),
        ("rsa", digital(SHA256_RSA), 14, SHA256_RSA),
        ("ecdsa", digital(ECDSA_SHA512), 14, ECDSA_SHA512),
        ("ecdsa", digital(ECDSA_SHA512, ECDSA_SHA256), 14, ECDSA_SHA256),
        ("ecdsa", b"\x03\x09\x00", 9, ""),
        ("ecdsa384", b"\x03\x09\x00" + digital(ECDSA_SHA384), 14, ECDSA_SHA384),
        ("ed25519", b"\x02\x02" + digital(ED25519), 14, ED25519),
    ],
)
def test_the_signature_is_one_that_the_peer_has_announced(
    kind: KeyKind, data: bytes, method: int, algorithm: str
) -> None:
    private = key(kind)
    payload = KeySigner(private).sign(OCTETS, ALL, parse_announcements(data))
    identifier = bytes.fromhex(algorithm)
    assert payload.method == method
    assert payload.data.startswith(bytes([len(identifier)]) + identifier if algorithm else b"")
    verify_signature(payload, private.public_key(), OCTETS)


def test_another_encoding_of_an_algorithm_is_the_same_algorithm() -> None:
    public = key("rsa").public_key()
    (way,) = ways_to_sign(public, ALL, parse_announcements(digital(PSS_SHA256_TRAILER)))
    assert way.scheme == signatures.RsaPss(SignatureHash.SHA2_256)


@pytest.mark.parametrize(
    "data", [b"", digital(ED25519), b"\x02\x02", b"\x03\x0b\x00", digital("300506032b6572"), b"\x02\xff"]
)
def test_a_peer_that_announces_nothing_of_ours_is_asked_all_the_same(data: bytes) -> None:
    public = key("rsa").public_key()
    assert ways_to_sign(public, ALL, parse_announcements(data)) == ways_to_sign(public, ALL)


def test_without_hashes_an_announcement_of_method_14_counts_for_nothing() -> None:
    public = key("ecdsa").public_key()
    (way,) = ways_to_sign(public, NONE, parse_announcements(digital(ECDSA_SHA256)))
    assert way.method == AuthMethod.ECDSA_SHA256_P256


def test_every_length_octet_is_read_or_makes_the_announcement_void() -> None:
    for first in range(256):
        for data in (bytes([first]), bytes([first, 14]), bytes([first, 14, 0]) + bytes(252)):
            found = parse_announcements(data)
            assert found is None or found.schemes == frozenset()
    assert parse_announcements(digital(ED25519) + b"\x09") is None
    assert parse_announcements(digital(ED25519)[:-1]) is None


# In IKE_AUTH


def announced_by(pair: Pair) -> bytes | None:
    """What the client has said after IKE_SA_INIT; None where nothing."""
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.step()
    pair.step()
    (ours,) = pair.client._core.sas.values()
    at = scene(pair, ours)
    pair.run(5)
    found = [message.notify(NotifyType.SUPPORTED_AUTH_METHODS) for message in said_to(pair, at)]
    return found[0].data if found[0] is not None else None


def speaking(*said: bytes) -> GatewayConfig:
    """A gateway that announces something, or nothing."""
    opening = tuple(Notify(NotifyType.SUPPORTED_AUTH_METHODS, data) for data in said)
    return replace(BY_CERT, personality=Personality(opening=opening, fragmentation=False))


def test_the_client_speaks_only_to_gateways_that_have_spoken() -> None:
    assert announced_by(Pair(cert_client(), speaking())) is None
    assert announced_by(Pair(cert_client(), speaking(digital(ECDSA_SHA512)))) is not None


def test_what_the_client_announces_is_what_it_verifies() -> None:
    data = announced_by(Pair(cert_client(), speaking(b"")))
    assert data is not None
    found = parse_announcements(data)
    assert found is not None
    assert found.schemes == frozenset(signatures.ALGORITHMS.values())
    assert found.methods == {9, 10, 11}, "RSA with a hash that nobody names is for profiles that allow SHA-1"


def test_the_login_uses_what_the_gateway_takes() -> None:
    made: list[Authentication] = []

    class Watched(KeySigner):
        def sign(self, *arguments: object) -> Authentication:
            made.append(super().sign(*arguments))  # type: ignore[arg-type]
            return made[-1]

    login = CertLogin(CLIENT_CERT.chain, Watched(CLIENT_CERT.key))
    pair = Pair(replace(cert_client(), login=login), speaking(digital(ECDSA_SHA512)))
    assert pair.connect()
    assert made[0].data.startswith(bytes([12]) + bytes.fromhex(ECDSA_SHA512))


def test_each_kind_of_proof_has_its_announcement() -> None:
    trust = Trust((), None, allow_sha1=True)
    (psk,) = announce(PskProof(Secret(b"anything at all")))
    assert psk.data == b"\x02\x02"
    assert announce(EapProof(None)) == ()
    (legacy,) = announce(CertProof(trust))
    found = parse_announcements(legacy.data)
    assert found is not None
    assert AuthMethod.RSA_SIGNATURE in found.methods
