"""Keys trusted by themselves: pins, keys that the profile names, bare keys (RFC 7670), what a user may confirm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from client.ike.authentication import KeySigner, PrivateKey
from client.ike.events import Kind
from client.ike.identity import Identity
from client.ike.options import CertLogin, CertProof
from client.ike.payloads import CertificateRequest
from client.ike.pinning import Shown, candidates, fingerprint, parse_pin
from client.ike.registry import CertEncoding
from client.ike.signatures import PublicKey
from client.ike.trust import Trust, TrustError
from client.lab.pki import KeyKind, der
from client.lab.responder import GatewayConfig
from tests.ike.failing_logins import BY_CERT, BY_EAP, STRANGERS, with_certificate
from tests.ike.phases import scene
from tests.ike.signed import KINDS, key
from tests.ike.test_rogue_gateways import INNOCENT, said_to
from tests.pair import (
    AUTHORITY,
    GATEWAY_CERT,
    GATEWAY_ID,
    VALID,
    WALL,
    Pair,
    cert_client,
    client_config,
    eap_client,
    path_from,
)

STRANGER = STRANGERS.issue("CN=vpn.example.com", dns=["vpn.example.com"], **VALID)
OURS, THEIRS = GATEWAY_CERT.key.public_key(), STRANGER.key.public_key()
OTHER = key("ecdsa", 7).public_key()
CA = (AUTHORITY.certificate,)


def spki(public: PublicKey | x25519.X25519PublicKey) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def bare(public: PublicKey | None, by: PrivateKey, config: GatewayConfig = BY_EAP) -> GatewayConfig:
    """A gateway that shows this key, or none, and signs with that one."""
    raw = None if public is None else spki(public)
    return replace(config, chain=(), raw_key=raw, signer=KeySigner(by))


SHOWN: dict[str, GatewayConfig] = {
    "certificate": BY_EAP,
    "strangers' certificate": with_certificate(STRANGER),
    "key": bare(OURS, GATEWAY_CERT.key),
    "strangers' key": bare(THEIRS, STRANGER.key),
    "key, signed by strangers": bare(OURS, STRANGER.key),
    "nothing": bare(None, GATEWAY_CERT.key),
    "nothing, signed by strangers": bare(None, STRANGER.key),
    "certificate, signed by strangers": replace(BY_EAP, signer=KeySigner(STRANGER.key)),
}
UP, CA_, PIN, ASK, LIE = (
    None,
    Kind.TRUST_UNKNOWN_CA,
    Kind.TRUST_PIN,
    Kind.TRUST_UNCONFIRMED,
    Kind.TRUST_NO_PROOF,
)


def trusting(
    *keys: PublicKey, anchored: bool = False, pins: tuple[PublicKey, ...] = (), asks: bool = False
) -> Trust:
    marks = frozenset(fingerprint(pin) for pin in pins)
    return Trust(CA if anchored else (), GATEWAY_ID, keys=keys, pins=marks, asks=asks)


KNOWN: dict[str, tuple[Trust, tuple[Kind | None, ...]]] = {  # in the order of SHOWN
    "a CA": (trusting(anchored=True), (UP, CA_, LIE, LIE, LIE, LIE, LIE, LIE)),
    "a CA and the pin": (trusting(anchored=True, pins=(OURS,)), (UP, CA_, PIN, PIN, LIE, LIE, LIE, LIE)),
    "a CA and another pin": (
        trusting(anchored=True, pins=(OTHER,)),
        (PIN, CA_, PIN, PIN, LIE, LIE, LIE, LIE),
    ),
    "a CA and strangers' pin": (
        trusting(anchored=True, pins=(THEIRS,)),
        (PIN, CA_, PIN, PIN, LIE, LIE, LIE, LIE),
    ),
    "a CA and the key": (trusting(OURS, anchored=True), (UP, CA_, UP, PIN, LIE, UP, LIE, LIE)),
    "a CA and strangers' key": (trusting(THEIRS, anchored=True), (UP, UP, PIN, UP, LIE, LIE, UP, LIE)),
    "a CA and another key": (trusting(OTHER, anchored=True), (UP, CA_, PIN, PIN, LIE, LIE, LIE, LIE)),
    "the pin": (trusting(pins=(OURS,)), (UP, PIN, UP, PIN, LIE, LIE, LIE, LIE)),
    "two pins": (trusting(pins=(OTHER, OURS)), (UP, PIN, UP, PIN, LIE, LIE, LIE, LIE)),
    "another pin": (trusting(pins=(OTHER,)), (PIN, PIN, PIN, PIN, LIE, LIE, LIE, LIE)),
    "the key": (trusting(OURS), (UP, PIN, UP, PIN, LIE, UP, LIE, LIE)),
    "another key": (trusting(OTHER), (PIN, PIN, PIN, PIN, LIE, LIE, LIE, LIE)),
    "two keys": (trusting(OTHER, OURS), (UP, PIN, UP, PIN, LIE, UP, LIE, LIE)),
    "nothing, but asks": (trusting(asks=True), (ASK, ASK, ASK, ASK, LIE, LIE, LIE, LIE)),
    "the pin, and asks": (trusting(pins=(OURS,), asks=True), (UP, ASK, UP, ASK, LIE, LIE, LIE, LIE)),
    "nothing at all": (trusting(), (CA_, CA_, LIE, LIE, LIE, LIE, LIE, CA_)),
}
CASES = [
    (known, shown, verdict)
    for known, (_, verdicts) in KNOWN.items()
    for shown, verdict in zip(SHOWN, verdicts, strict=True)
]


@pytest.mark.parametrize(("known", "shown", "verdict"), CASES)
def test_who_is_believed_by_what_the_profile_knows(known: str, shown: str, verdict: Kind | None) -> None:
    trust, _ = KNOWN[known]
    pair = Pair(replace(eap_client(), proof=CertProof(trust)), SHOWN[shown])
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.step()
    pair.step()
    (sa,) = pair.client._core.sas.values()
    at = scene(pair, sa)
    pair.run(100)
    if verdict is None:
        assert len(pair.responder.sessions) == 1
        return
    assert pair.closed is not None
    assert pair.closed.failure.kind is verdict, pair.closed.failure
    for message in said_to(pair, at):  # nothing that derives from the password has left
        assert all(isinstance(payload, INNOCENT) for payload in message.payloads), message
    unconfirmed = {"key": OURS, "certificate": OURS}.get(shown, THEIRS)
    assert pair.closed.failure.subject == (fingerprint(unconfirmed) if verdict is ASK else "")


@pytest.mark.parametrize("kind", KINDS)
def test_both_ends_show_bare_keys(kind: KeyKind) -> None:
    ours, theirs = key(kind, 1), key(kind, 2)
    gateway = replace(bare(theirs.public_key(), theirs, BY_CERT), client_keys=(ours.public_key(),))
    login = CertLogin((), KeySigner(ours), spki(ours.public_key()))
    pair = Pair(client_config(login, CertProof(trusting(theirs.public_key()))), gateway)
    assert pair.connect()
    assert len(pair.responder.sessions) == 1


def test_a_gateway_that_does_not_know_our_key_refuses_it() -> None:
    ours = key("ed25519", 1)
    login = CertLogin((), KeySigner(ours), spki(ours.public_key()))
    pair = Pair(replace(cert_client(), login=login), BY_CERT)
    assert not pair.connect(seconds=100)
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_REJECTED


@pytest.mark.parametrize("strict", [False, True])
def test_a_known_key_may_bear_any_name_unless_the_profile_is_strict(strict: bool) -> None:
    trust = replace(trusting(OURS), strict=strict)
    elsewhere = replace(bare(None, GATEWAY_CERT.key), identity=Identity.parse("other.example.com"))
    pair = Pair(replace(eap_client(), proof=CertProof(trust)), elsewhere)
    assert pair.connect(seconds=100) is not strict
    if strict:
        assert pair.closed is not None
        assert pair.closed.failure.kind is Kind.TRUST_NAME


@pytest.mark.parametrize(
    ("trust", "wanted"),
    [
        (trusting(anchored=True), [(CertEncoding.X509_SIGNATURE, 20)]),
        (trusting(pins=(OURS,)), [(CertEncoding.X509_SIGNATURE, 0)]),
        (trusting(OURS), [(CertEncoding.RAW_PUBLIC_KEY, 0)]),
        (
            trusting(OURS, anchored=True),
            [(CertEncoding.X509_SIGNATURE, 20), (CertEncoding.RAW_PUBLIC_KEY, 0)],
        ),
    ],
)
def test_what_is_asked_for_is_what_can_be_verified(trust: Trust, wanted: list[tuple[int, int]]) -> None:
    pair = Pair(replace(eap_client(), proof=CertProof(trust)), BY_EAP)
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.step()
    pair.step()
    (sa,) = pair.client._core.sas.values()
    at = scene(pair, sa)
    pair.run(1)
    asked = said_to(pair, at)[0].all(CertificateRequest)
    assert [(request.encoding, 20 * len(request.authorities)) for request in asked] == wanted


# Keys that are none


def weak() -> Mapping[str, tuple[bytes, Kind]]:
    small = key("rsa1024").public_key()
    narrow = ec.generate_private_key(ec.SECP224R1()).public_key()
    exchange = x25519.X25519PrivateKey.generate().public_key()
    return {
        "small RSA": (spki(small), Kind.TRUST_WEAK),
        "narrow curve": (spki(narrow), Kind.TRUST_WEAK),
        "for key exchange": (spki(exchange), Kind.TRUST_WEAK),
        "a certificate": (der(GATEWAY_CERT.certificate), Kind.TRUST_NO_PROOF),
        "empty": (b"", Kind.TRUST_NO_PROOF),
        "cut": (spki(OURS)[:-1], Kind.TRUST_NO_PROOF),
        "longer": (spki(OURS) + b"\0", Kind.TRUST_NO_PROOF),
    }


@pytest.mark.parametrize("case", weak())
def test_a_bare_key_that_can_prove_nothing_is_refused(case: str) -> None:
    data, kind = weak()[case]
    with pytest.raises(TrustError) as raised:
        candidates(trusting(asks=True), GATEWAY_ID, Shown(raw_key=data), WALL)
    assert raised.value.failure is not None
    assert raised.value.failure.kind is kind


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bare_keys_are_read_or_refused(kind: KeyKind) -> None:
    random, whole = Random(kind), spki(key(kind, 1).public_key())
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(random.randint(1, 3)):
            data[random.randrange(min(len(data), 60))] ^= 1 << random.randrange(8)
        try:
            found = candidates(trusting(asks=True), GATEWAY_ID, Shown(raw_key=bytes(data)), WALL)
        except TrustError:
            continue
        assert not found.vouched


@pytest.mark.parametrize("text", ["{}", "sha256:{}", "SHA256:{}", " {} "])
def test_fingerprints_are_read_as_people_write_them(text: str) -> None:
    mark = fingerprint(OURS)
    pairs = ":".join(mark[n : n + 2].upper() for n in range(0, 64, 2))
    assert parse_pin(text.format(mark)) == parse_pin(text.format(pairs)) == mark


@pytest.mark.parametrize("text", ["", "ask", "sha1:" + "0" * 40, "0" * 63, "0" * 65, "g" * 64, "sha256/AAAA"])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal"):
        parse_pin(text)
