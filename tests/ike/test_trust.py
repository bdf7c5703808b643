"""Which certificates prove the gateway, and why the others do not."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from client.ike.events import Kind
from client.ike.identity import Identity
from client.ike.trust import IKE_INTERMEDIATE, Trust, TrustError, verify_gateway, verify_peer
from client.lab.pki import Authority, KeyKind, der
from tests.ike.certificates import (
    END,
    GATEWAY,
    GOOD,
    ROOT,
    START,
    WALL,
    accepted,
    below,
    gateway,
    refused,
    root,
    usage_of,
)

# Names and modes


ROWS = [  # strict, what the gateway calls itself, whether it is accepted for gw.example.org
    (False, "gw.example.org", True),
    (False, "other.example.org", True),
    (False, "CN=Gateway", True),
    (False, "198.51.100.1", True),
    (True, "gw.example.org", True),
    (True, "GW.example.org", True),
    (True, "other.example.org", False),
    (True, "CN=Gateway", False),
    (True, "keyid:gw.example.org", False),
]


@pytest.mark.parametrize(("strict", "claimed", "good"), ROWS)
def test_strict_wants_the_name_said_and_loose_wants_it_confirmed(
    strict: bool, claimed: str, good: bool
) -> None:
    trust = Trust((ROOT.certificate,), GATEWAY, strict)
    if good:
        key = verify_gateway(trust, Identity.parse(claimed), GOOD.chain, WALL)
        assert key == GOOD.key.public_key()
        return
    with pytest.raises(TrustError, match="calls itself") as raised:
        verify_gateway(trust, Identity.parse(claimed), GOOD.chain, WALL)
    assert raised.value.failure is not None
    assert raised.value.failure.kind is Kind.TRUST_NAME


@pytest.mark.parametrize("strict", [False, True])
def test_saying_the_name_is_not_enough(strict: bool) -> None:
    trust = Trust((ROOT.certificate,), GATEWAY, strict)
    elsewhere = gateway(ROOT, dns=["evil.example.org"])
    with pytest.raises(TrustError, match=r"gw\.example\.org is wanted.*evil\.example\.org") as raised:
        verify_gateway(trust, GATEWAY, elsewhere.chain, WALL)
    assert raised.value.failure is not None
    assert raised.value.failure.kind is Kind.TRUST_NAME


def test_a_profile_that_expects_nobody_accepts_nobody() -> None:
    with pytest.raises(TrustError, match="whom to expect"):
        verify_gateway(Trust((ROOT.certificate,), None), GATEWAY, GOOD.chain, WALL)


def test_a_wildcard_confirms_one_label() -> None:
    wild = gateway(ROOT, dns=["*.example.org"])
    accepted(wild.chain, ROOT)
    assert refused(wild.chain, ROOT, expected=Identity.parse("a.b.example.org"))[0] is Kind.TRUST_NAME


def test_an_address_is_confirmed_by_an_address() -> None:
    issued = ROOT.issue("CN=g", ips=["192.0.2.1"], dns=["192.0.2.2"], not_before=START, not_after=END)
    accepted(issued.chain, ROOT, expected=Identity.parse("192.0.2.1"))
    assert refused(issued.chain, ROOT, expected=Identity.parse("192.0.2.2"))[0] is Kind.TRUST_NAME


def test_a_whole_subject_is_confirmed() -> None:
    accepted(GOOD.chain, ROOT, expected=Identity.parse("CN=gateway"))
    assert refused(GOOD.chain, ROOT, expected=Identity.parse("O=Example, CN=Gateway"))[0] is Kind.TRUST_NAME


# Strength


@pytest.mark.parametrize("signed_by", ["ecdsa", "ed25519"])
def test_a_short_rsa_key_is_refused(signed_by: KeyKind) -> None:
    authority = root(key=signed_by)
    kind, evidence = refused(gateway(authority, key="rsa1024").chain, authority)
    assert kind is Kind.TRUST_WEAK
    assert "1024 bits" in evidence


@pytest.mark.parametrize("leaf", ["ecdsa", "ed25519"])
def test_a_short_rsa_key_of_an_authority_is_refused(leaf: KeyKind) -> None:
    weak = root("CN=Weak", "rsa1024")
    kind, evidence = refused(gateway(weak, key=leaf).chain, weak)
    assert kind is Kind.TRUST_WEAK
    assert "“CN=Weak”" in evidence


@pytest.mark.parametrize(
    "public", [ec.generate_private_key(ec.SECP224R1()), x25519.X25519PrivateKey.generate()]
)
def test_keys_that_prove_too_little_are_refused(
    public: ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey,
) -> None:
    builder = (
        x509.CertificateBuilder()
        .subject_name(GOOD.certificate.subject)
        .issuer_name(ROOT.certificate.subject)
        .public_key(public.public_key())
        .serial_number(7)
        .not_valid_before(START)
        .not_valid_after(END)
    )
    certificate = builder.sign(ROOT.key, hashes.SHA256())
    assert refused([der(certificate)], ROOT)[0] is Kind.TRUST_WEAK


RSA_ROOT = root("CN=RSA root", "rsa")


@pytest.mark.parametrize("leaf", ["ecdsa", "ed25519"])
def test_a_certificate_signed_with_sha_1_is_refused(leaf: KeyKind) -> None:
    issued = gateway(RSA_ROOT, key=leaf)
    accepted(issued.chain, RSA_ROOT)
    kind, evidence = refused([resigned_with_sha1(issued.certificate)], RSA_ROOT)
    assert kind is Kind.TRUST_WEAK
    assert "signed with sha1" in evidence


def resigned_with_sha1(certificate: x509.Certificate) -> bytes:
    """The same certificate with sha1WithRSAEncryption, which the library's builder refuses to make."""
    sha256, sha1 = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    assert isinstance(RSA_ROOT.key, rsa.RSAPrivateKey)
    old, whole = certificate.tbs_certificate_bytes, der(certificate)
    body = old.replace(sha256, sha1)
    signature = RSA_ROOT.key.sign(body, padding.PKCS1v15(), hashes.SHA1())
    return whole.replace(old, body).replace(sha256, sha1)[: -len(signature)] + signature


# Purposes


@pytest.mark.parametrize(
    "usages",
    [
        [],
        [Usage.SERVER_AUTH],
        [Usage.IPSEC_IKE],
        [IKE_INTERMEDIATE],
        [Usage.ANY_EXTENDED_KEY_USAGE],
        [Usage.CLIENT_AUTH, Usage.SERVER_AUTH],
    ],
)
def test_purposes_of_real_gateways_are_accepted(usages: list[x509.ObjectIdentifier]) -> None:
    accepted(gateway(ROOT, usages=usages).chain, ROOT)


@pytest.mark.parametrize("usages", [[Usage.CLIENT_AUTH], [Usage.CODE_SIGNING], [Usage.EMAIL_PROTECTION]])
def test_a_certificate_made_for_something_else_is_refused(usages: list[x509.ObjectIdentifier]) -> None:
    kind, evidence = refused(gateway(ROOT, usages=usages).chain, ROOT)
    assert kind is Kind.TRUST_NO_PROOF
    assert usages[0].dotted_string in evidence


@pytest.mark.parametrize(("usage", "good"), [("signature", True), ("commitment", True), ("neither", False)])
def test_the_key_must_be_made_for_signatures(usage: str, good: bool) -> None:
    extension = usage_of(signature=usage == "signature", commitment=usage == "commitment")
    issued = gateway(ROOT, extensions=[(extension, True)])
    if good:
        accepted(issued.chain, ROOT)
    else:
        assert refused(issued.chain, ROOT)[0] is Kind.TRUST_NO_PROOF


# The responder's side


def test_a_client_is_who_its_certificate_says() -> None:
    person = ROOT.issue("CN=anna", emails=["anna@example.org"], server=False, not_before=START, not_after=END)
    anchors = [ROOT.certificate]
    key = verify_peer(anchors, Identity.parse("anna@example.org"), person.chain, WALL)
    assert key == person.key.public_key()
    verify_peer(anchors, Identity.parse("CN=anna"), person.chain, WALL)
    with pytest.raises(TrustError, match="is wanted"):
        verify_peer(anchors, Identity.parse("bert@example.org"), person.chain, WALL)
    with pytest.raises(TrustError, match="other purposes"):
        verify_peer(anchors, GATEWAY, GOOD.chain, WALL)


def test_a_certificate_request_names_the_anchors_keys() -> None:
    public = ROOT.certificate.public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert Trust((ROOT.certificate,), GATEWAY).authority_hashes() == (hashlib.sha1(spki).digest(),)
    assert Trust((ROOT.certificate,) * 17, GATEWAY).authority_hashes() == ()


def test_an_anchor_with_a_key_that_nobody_knows_is_in_nobodys_way() -> None:
    public = bytes.fromhex("06072a8648ce3d0201")  # id-ecPublicKey
    odd = x509.load_der_x509_certificate(der(ROOT.certificate).replace(public, public[:-1] + b"\x7f"))
    trust = Trust((odd, ROOT.certificate), GATEWAY)
    assert len(trust.authority_hashes()) == 1
    assert verify_gateway(trust, GATEWAY, GOOD.chain, WALL) == GOOD.key.public_key()
    with pytest.raises(TrustError):
        verify_gateway(Trust((odd,), GATEWAY), GATEWAY, GOOD.chain, WALL)


@pytest.mark.parametrize("usage", [Usage.ANY_EXTENDED_KEY_USAGE, Usage.IPSEC_IKE])
def test_an_authority_in_between_may_be_made_for_ike_or_for_everything(usage: x509.ObjectIdentifier) -> None:
    """RFC 5280 section 4.2.1.12; OpenSSL knows no gateways, and wants servers of the web."""
    between = below(ROOT, extensions=[(x509.ExtendedKeyUsage([usage]), False)])
    accepted(gateway(between).chain, ROOT)


def test_an_authority_in_between_that_is_made_for_something_else_is_named() -> None:
    usages = x509.ExtendedKeyUsage([Usage.CODE_SIGNING])
    between = below(ROOT, "CN=Code", extensions=[(usages, False)])
    kind, evidence = refused(gateway(between).chain, ROOT)
    assert kind is Kind.TRUST_NO_PROOF
    assert "“CN=Code” is made for other purposes: 1.3.6.1.5.5.7.3.3" in evidence


DAY = timedelta(days=1)
REFUSALS: dict[str, tuple[tuple[bytes, ...], Authority, str]] = {
    "unknown authority": (gateway(below(root("CN=Elsewhere"))).chain, ROOT, "not trusted here"),
    "another name": (
        gateway(below(ROOT), dns=["other.example", "third.example"]).chain,
        ROOT,
        "other.example",
    ),
    "out of date": (gateway(below(ROOT, end=WALL - DAY)).chain, ROOT, "expired on"),
    "a weak key": (gateway(below(ROOT), key="rsa1024").chain, ROOT, "has 1024 bits"),
    "another purpose": (gateway(below(ROOT), usages=[Usage.CODE_SIGNING]).chain, ROOT, "other purposes"),
    "no signatures": (
        gateway(below(ROOT), extensions=[(usage_of(certificates=True), True)]).chain,
        ROOT,
        "not made for signatures",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_every_refusal_names_the_chain_the_check_and_the_names(name: str) -> None:
    chain, anchor, check = REFUSALS[name]
    _, evidence = refused(chain, anchor)
    issuer = "Elsewhere" if name == "unknown authority" else "Root"
    assert check in evidence
    assert "it shows “CN=Gateway” issued by “CN=Sub”, “CN=Sub” issued by “" in evidence
    assert f"CN={issuer}" in evidence
    assert evidence.endswith("its identity (IDr) is gw.example.org")
    if name == "another name":
        assert (
            "gw.example.org is wanted, the certificate names CN=Gateway, other.example, third.example"
            in evidence
        )


def test_a_long_chain_with_hostile_names_is_told_within_bounds() -> None:
    upper = root(f"CN={'x' * 60}\x1b[2J")
    chain = gateway(upper).chain * 10
    _, evidence = refused(chain, ROOT)
    assert len(evidence) <= 900
    assert evidence.isprintable()
    assert "6 more" in evidence
