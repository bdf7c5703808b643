"""From profiles to keys and certificates: ours, the gateway's, and those of authorities."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from client.config import Material, SecretMissing, session_config
from client.ike.errors import AuthenticationFailed
from client.ike.identity import Identity
from client.ike.keys import Secret
from client.ike.options import (
    CertLogin,
    CertProof,
)
from client.ike.payloads import Authentication
from client.ike.registry import AuthMethod
from client.ike.revocation import Policy
from client.ike.signatures import PublicKey
from client.ike.trust import Trust
from client.lab.pki import make_authority, pem
from profiles.errors import ProfileError
from profiles.store import load_text
from tests.configured import CA, CERT, CERTIFICATE, EAP, FILES, KEY, SECRETS, configure
from tests.ike.statements import octets, revocation_list


def test_a_certificate_is_our_identity() -> None:
    config = configure(CERT)
    assert isinstance(config.login, CertLogin)
    assert config.login.chain == (CERTIFICATE.public_bytes(Encoding.DER),)
    assert config.local_id == Identity.subject_of(CERTIFICATE)


def test_an_encrypted_key_is_opened_with_its_passphrase() -> None:
    encrypted = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    files = {**FILES, "file:laptop.key": encrypted}
    config = configure(CERT, files, {"ask:passphrase": Secret(b"open sesame")})
    assert isinstance(config.login, CertLogin)
    with pytest.raises(SecretMissing) as missing:
        configure(CERT, files, {})
    assert missing.value.kind == "passphrase"
    with pytest.raises(SecretMissing) as wrong:  # ask again
        configure(CERT, files, {"ask:passphrase": Secret(b"wrong")})
    assert (wrong.value.kind, wrong.value.why) == ("passphrase", "this passphrase does not open it")


CONTAINERS = Path(__file__).parent / "profiles" / "containers"
BUNDLE = CERT.replace('cert = "file:laptop.pem"\nkey = "file:laptop.key"', 'cert = "file:me.p12"')


@pytest.mark.parametrize("name", ["legacy.p12", "modern.p12", "rc2.p12", "empty.p12"])
def test_a_bundle_holds_our_key_with_its_chain(name: str) -> None:
    files = {**FILES, "file:me.p12": (CONTAINERS / name).read_bytes()}
    config = configure(BUNDLE, files, {"ask:passphrase": Secret(b"sesame")})
    assert isinstance(config.login, CertLogin)
    assert len(config.login.chain) == 2  # the root stays at home
    assert str(config.local_id) == "CN=anna, O=Example"


def test_a_bundle_that_is_locked_or_not_there_says_what_is_missing() -> None:
    files = {**FILES, "file:me.p12": (CONTAINERS / "modern.p12").read_bytes()}
    for secrets, kind, why in (
        ({}, "passphrase", ""),
        ({"ask:passphrase": Secret(b"wrong")}, "passphrase", "this passphrase does not open it"),
    ):
        with pytest.raises(SecretMissing) as missing:
            configure(BUNDLE, files, secrets)
        assert (missing.value.kind, missing.value.why) == (kind, why)
    with pytest.raises(SecretMissing) as missing:
        configure(BUNDLE, FILES, {})
    assert missing.value.kind == "key"


def test_the_authorities_in_our_bundle_can_be_trusted_and_nothing_else_of_it() -> None:
    text = BUNDLE.replace('ca = ["file:ca.pem"]', 'ca = ["file:me.p12"]')
    files = {"file:me.p12": (CONTAINERS / "empty.p12").read_bytes()}
    config = configure(text, files, {})
    assert isinstance(config.proof, CertProof)
    names = [anchor.subject.rfc4514_string() for anchor in config.proof.trust.anchors]
    assert names == ["CN=Container Root"]


@pytest.mark.parametrize(
    ("cert", "key", "path", "words"),
    [
        (b"nothing", None, "auth.local[0].cert", "cannot be read"),
        (pem(CERTIFICATE).encode(), None, "auth.local[0].cert", "no private key"),
        (pem(KEY).encode(), None, "auth.local[0].cert", "no certificate"),
        (pem(CERTIFICATE).encode(), pem(CERTIFICATE).encode(), "auth.local[0].key", "no private key"),
        (pem(KEY).encode(), pem(KEY).encode(), "auth.local[0].cert", "no certificate"),
    ],
    ids=["nothing", "a certificate alone", "a key alone", "two certificates", "two keys"],
)
def test_files_that_hold_something_else_are_said_so(
    cert: bytes, key: bytes | None, path: str, words: str
) -> None:
    files = {**FILES, "file:me.p12": cert, "file:laptop.pem": cert, "file:laptop.key": key or b""}
    with pytest.raises(ProfileError, match=words) as error:
        configure(BUNDLE if key is None else CERT, files)
    assert error.value.path == path


@pytest.mark.parametrize("legacy", [True, False])
def test_sha1_signatures_are_for_profiles_that_allow_legacy_algorithms(legacy: bool) -> None:
    authority = make_authority("RSA", key="rsa")
    issued = authority.issue("CN=laptop", key="rsa", server=False)
    files = {
        "file:ca.pem": pem(authority.certificate).encode(),
        "file:laptop.pem": pem(issued.certificate).encode(),
        "file:laptop.key": pem(issued.key).encode(),
    }
    config = configure(CERT + f"[crypto]\nallow_legacy = {str(legacy).lower()}\n", files)
    assert isinstance(config.login, CertLogin)
    assert isinstance(config.proof, CertProof)
    assert config.proof.trust.allow_sha1 is legacy
    if legacy:
        signed = config.login.signer.sign(b"octets", frozenset())
        assert isinstance(signed, Authentication)
        assert signed.method == AuthMethod.RSA_SIGNATURE
    else:
        with pytest.raises(AuthenticationFailed, match="SHA-1"):
            config.login.signer.sign(b"octets", frozenset())


def public_pem(key: PublicKey | X25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


BARE = CERT.replace('cert = "file:laptop.pem"\n', "").replace(
    'ca = ["file:ca.pem"]', 'keys = ["file:gateway.pub"]\n[identity]\nlocal = "laptop.example.com"'
)


@pytest.mark.parametrize("form", ["pem", "der", "certificate"])
def test_bare_keys_prove_both_ends(form: str) -> None:
    gateway = CA.issue("CN=gateway")
    octets = {
        "pem": public_pem(gateway.key.public_key()),
        "der": gateway.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "certificate": pem(gateway.certificate).encode(),
    }
    config = configure(BARE, {**FILES, "file:gateway.pub": octets[form]})
    assert isinstance(config.login, CertLogin)
    assert config.login.chain == ()
    assert config.login.raw_key == KEY.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    assert config.local_id == Identity.parse("laptop.example.com")
    assert isinstance(config.proof, CertProof)
    trust = config.proof.trust
    assert (trust.keys, trust.anchors, trust.pins) == ((gateway.key.public_key(),), (), frozenset())


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"nothing", "holds no public key"),
        (pem(KEY).encode(), "holds no public key"),
        (public_pem(X25519PrivateKey.generate().public_key()), "cannot verify with"),
    ],
    ids=["nothing", "a private key", "a key that signs nothing"],
)
def test_what_is_no_public_key_is_said_so(octets: bytes, words: str) -> None:
    with pytest.raises(ProfileError, match=words) as error:
        configure(BARE, {**FILES, "file:gateway.pub": octets})
    assert error.value.path == "trust.keys[0]"


MARK = "sha256:" + "0123456789ABCDEF" * 4
CONFIRMED = frozenset({"f" * 64})


@pytest.mark.parametrize(
    ("pin", "confirmed", "pins", "asks"),
    [
        (f'"{MARK}"', frozenset(), frozenset({MARK[7:].lower()}), False),
        ('"ask"', frozenset(), frozenset(), True),
        (f'"ask", "{MARK}"', frozenset(), frozenset({MARK[7:].lower()}), True),
        ('"ask"', CONFIRMED, CONFIRMED, False),
    ],
)
def test_pins_stand_for_an_authority(
    pin: str, confirmed: frozenset[str], pins: frozenset[str], asks: bool
) -> None:
    profile = load_text(EAP.replace('ca = ["file:ca.pem"]', f"pin = [{pin}]"))
    config = session_config(profile, Material({}, SECRETS, pins=confirmed))
    assert isinstance(config.proof, CertProof)
    trust = Trust((), Identity.parse("vpn.example.com"), pins=pins, asks=asks, revocation=Policy.RELAXED)
    assert config.proof.trust == trust


def test_revocation_lists_of_the_profile_are_read_and_the_policy_is_kept() -> None:
    text = EAP.replace("[trust]", '[trust]\nrevocation = "strict"\ncrl = ["file:ca.crl"]')
    found = revocation_list()
    config = configure(text, {**FILES, "file:ca.crl": octets(found)})
    assert isinstance(config.proof, CertProof)
    assert config.proof.trust.revocation is Policy.STRICT
    assert config.proof.trust.lists == (found,)
    with pytest.raises(ProfileError, match="does not read") as error:
        configure(text, {**FILES, "file:ca.crl": b"no list"})
    assert error.value.path == "trust.crl[0]"


def test_a_key_of_another_certificate_is_refused() -> None:
    other = CA.issue("CN=other", server=False).key
    with pytest.raises(ProfileError, match="does not belong") as error:
        configure(CERT, {**FILES, "file:laptop.key": pem(other).encode()})
    assert error.value.path == "auth.local[0].key"
