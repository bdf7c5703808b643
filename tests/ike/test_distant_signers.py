"""Logins with a private key that somebody else holds: it is asked for a signature, and nothing goes out before."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm

from client.ike.authentication import DistantSigner, Errand, PrivateKey, verify_signature, ways_to_sign
from client.ike.core import SIGN_WITHIN
from client.ike.errors import AuthenticationFailed
from client.ike.events import AnswerKind, AnswerNeeded, Established, Kind, SignatureWanted
from client.ike.identity import Identity
from client.ike.keys import Secret
from client.ike.options import CertLogin, CertProof, PskLogin, Round, SessionConfig
from client.ike.registry import AuthMethod, SignatureHash
from client.ike.signatures import PublicKey
from client.ike.states import SessionState
from client.ike.trust import Trust
from client.lab.pki import KeyKind, make_key
from client.lab.responder import GatewayConfig
from tests.pair import (
    AUTHORITY,
    CLIENT_CERT,
    GATEWAY_ID,
    PSK,
    VALID,
    WALL,
    Pair,
    client_config,
    gateway_config,
    path_from,
)

CARD = "pkcs11:token=card"
TRUST = CertProof(Trust((AUTHORITY.certificate,), GATEWAY_ID))
HASHES: dict[str, HashAlgorithm] = {
    "sha1": SHA1(),
    "sha256": SHA256(),
    "sha384": SHA384(),
    "sha512": SHA512(),
}
ALL_HASHES = frozenset(SignatureHash)


def signed(key: PrivateKey, name: str, octets: bytes) -> bytes:
    """What a card makes: it knows the name of an algorithm and nothing of IKE."""
    match key:
        case rsa.RSAPrivateKey():
            digest = HASHES[name.rpartition("-")[2]]
            pad = (
                padding.PSS(padding.MGF1(digest), digest.digest_size) if "pss" in name else padding.PKCS1v15()
            )
            return key.sign(octets, pad, digest)
        case ec.EllipticCurvePrivateKey():
            return key.sign(octets, ec.ECDSA(HASHES[name.rpartition("-")[2]]))
        case _:
            return key.sign(octets)


def answer(key: PrivateKey, wanted: SignatureWanted, name: str | None = None) -> Secret:
    chosen = name or wanted.algorithms[0]
    return Secret(f"{chosen} ".encode() + base64.b64encode(signed(key, chosen, wanted.octets)))


def card(kind: KeyKind) -> tuple[SessionConfig, PrivateKey]:
    issued = AUTHORITY.issue("CN=alice", emails=["alice@example.com"], key=kind, server=False, **VALID)
    signer = DistantSigner(CARD, issued.key.public_key())
    return client_config(CertLogin(issued.chain, signer), TRUST), issued.key


def gateway() -> GatewayConfig:
    return replace(gateway_config(), clients="cert", proof="cert")


def asked(config: SessionConfig, gateway: GatewayConfig) -> tuple[Pair, SignatureWanted]:
    """A login that waits for its key's holder."""
    pair = Pair(config, gateway)
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    assert pair.run(30, lambda: bool(pair.events(AnswerNeeded)))
    return pair, wanted_of(pair)


def wanted_of(pair: Pair) -> SignatureWanted:
    needed = pair.events(AnswerNeeded)[-1]
    assert isinstance(needed, AnswerNeeded)
    assert needed.kind is AnswerKind.SIGNATURE
    assert needed.signature is not None
    return needed.signature


def finish(pair: Pair) -> bool:
    pair.run(30, lambda: pair.client.state is not SessionState.CONNECTING)
    pair.settle()
    return bool(pair.events(Established))


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ecdsa384", "ecdsa521", "ed25519", "ed448"])
def test_the_keys_holder_signs_and_the_login_goes_on(kind: KeyKind) -> None:
    config, key = card(kind)
    pair, wanted = asked(config, gateway())
    assert wanted.key == CARD
    sent = len(pair.sent)
    pair.run(SIGN_WITHIN / 2)  # nothing is sent while the card thinks
    assert len(pair.sent) == sent
    pair.client.answer(answer(key, wanted), pair.now)
    assert finish(pair)


@pytest.mark.parametrize("name", ["rsa-pss-sha256", "rsa-pkcs1-sha256", "rsa-pss-sha512", "rsa-pkcs1-sha512"])
def test_the_holder_chooses_among_what_the_gateway_takes(name: str) -> None:
    config, key = card("rsa")
    pair, wanted = asked(config, gateway())
    assert name in wanted.algorithms
    assert wanted.algorithms[0].startswith("rsa-pss")
    pair.client.answer(answer(key, wanted, name), pair.now)
    assert finish(pair)


def test_a_second_round_is_signed_likewise() -> None:
    signer = DistantSigner(CARD, CLIENT_CERT.key.public_key())
    further = (Round(Identity.parse("alice@example.com"), CertLogin(CLIENT_CERT.chain, signer)),)
    config = replace(client_config(PskLogin(PSK), TRUST), further=further)
    pair, wanted = asked(config, replace(gateway_config(), clients="psk", further=("cert",), proof="cert"))
    pair.client.answer(answer(CLIENT_CERT.key, wanted), pair.now)
    assert finish(pair)


def test_nobody_signs_in_time() -> None:
    config, _key = card("ecdsa")
    pair, _wanted = asked(config, gateway())
    sent = len(pair.sent)
    pair.run(SIGN_WITHIN + 1)
    assert pair.closed is not None
    failure = pair.closed.failure
    assert (failure.kind, failure.final) == (Kind.AUTH_NEEDS_SIGNER, True)
    assert CARD in failure.evidence
    assert len(pair.sent) == sent


def test_a_holder_that_cannot_sign_says_why() -> None:
    config, _key = card("ecdsa")
    pair, _wanted = asked(config, gateway())
    pair.client.decline(pair.now, "the card is not in its reader")
    pair.settle()
    assert pair.closed is not None
    assert pair.closed.failure.kind is Kind.AUTH_NEEDS_SIGNER
    assert pair.closed.failure.evidence == "the card is not in its reader"


def spoiled_answers(key: PrivateKey, wanted: SignatureWanted) -> dict[str, Secret]:
    right = answer(key, wanted).reveal()
    other = answer(make_key("ecdsa"), wanted).reveal()
    moved = replace(wanted, octets=wanted.octets[::-1])
    return {
        "another key": Secret(other),
        "other octets": answer(key, moved),
        "nothing": Secret(b""),
        "no base64": Secret(right + b"!"),
        "no algorithm": Secret(right.partition(b" ")[2]),
        "an algorithm that nobody asked for": Secret(b"rsa-pkcs1-sha1 " + right.partition(b" ")[2]),
        "no DER": Secret(b"ecdsa-sha256 AAAA"),
        "cut": Secret(right[:-8]),
    }


def test_a_signature_that_is_none_of_our_key_never_leaves() -> None:
    config, key = card("ecdsa")
    _pair, wanted = asked(config, gateway())
    for what in spoiled_answers(key, wanted):
        pair, again = asked(config, gateway())
        sent = len(pair.sent)
        pair.client.answer(spoiled_answers(key, again)[what], pair.now)
        assert not finish(pair), what
        assert pair.closed is not None, what
        assert pair.closed.failure.kind is Kind.AUTH_NEEDS_SIGNER, what
        assert len(pair.sent) == sent, what


def ways(key: PublicKey, hashes: frozenset[int], *, allow_sha1: bool = False) -> list[str]:
    return [way.scheme.name for way in ways_to_sign(key, hashes, allow_sha1=allow_sha1)]


def test_what_is_asked_for_is_what_the_gateway_takes() -> None:
    keys = {kind: make_key(kind).public_key() for kind in ("rsa", "ecdsa", "ecdsa384", "ed25519")}
    assert ways(keys["rsa"], frozenset({SignatureHash.SHA2_384})) == ["rsa-pss-sha384", "rsa-pkcs1-sha384"]
    assert ways(keys["ecdsa384"], ALL_HASHES)[0] == "ecdsa-sha384"
    assert ways(keys["ecdsa"], frozenset()) == ["ecdsa-sha256"]
    assert ways(keys["ed25519"], ALL_HASHES) == ["ed25519"]
    assert ways(keys["rsa"], frozenset(), allow_sha1=True) == ["rsa-pkcs1-sha1"]
    for kind in ("rsa", "ed25519"):
        with pytest.raises(AuthenticationFailed):
            ways(keys[kind], frozenset())


@pytest.mark.parametrize("kind", ["ecdsa", "ecdsa384", "ecdsa521"])
def test_for_an_older_gateway_der_becomes_what_its_method_wants(kind: KeyKind) -> None:
    key = make_key(kind)
    errand = DistantSigner(CARD, key.public_key()).sign(b"octets", frozenset())
    wanted = SignatureWanted(errand.key, errand.algorithms, errand.octets)
    auth = errand.finish(answer(key, wanted))
    assert auth.method in {
        AuthMethod.ECDSA_SHA256_P256,
        AuthMethod.ECDSA_SHA384_P384,
        AuthMethod.ECDSA_SHA512_P521,
    }
    verify_signature(auth, key.public_key(), b"octets")


def test_what_is_to_be_signed_is_not_shown() -> None:
    key = make_key("ecdsa")
    errand = DistantSigner(CARD, key.public_key()).sign(b"octets-of-the-login", frozenset())
    assert isinstance(errand, Errand)
    shown = repr(errand) + repr(SignatureWanted(errand.key, errand.algorithms, errand.octets))
    assert "octets-of-the-login" not in shown
