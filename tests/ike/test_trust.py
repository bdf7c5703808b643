"""Which certificates prove the gateway, and why the others do not."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

from client.ike import chains
from client.ike.events import Kind
from client.ike.identity import Identity
from client.ike.signatures import PublicKey
from client.ike.trust import IKE_INTERMEDIATE, Trust, TrustError, verify_gateway, verify_peer
from client.lab.pki import Authority, Issued, KeyKind, der, make_authority

WALL = datetime(2030, 6, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
START, END = WALL - YEAR, WALL + YEAR
GATEWAY = Identity.parse("gw.example.org")
OTHER = Identity.parse("guid.vpn.example.com")
MOVED = "1.2.3.4.5"

Extensions = Sequence[tuple[x509.ExtensionType, bool]]


def root(
    name: str = "O=Example, CN=Root", key: KeyKind = "ecdsa", *, start: datetime = START, end: datetime = END
) -> Authority:
    return make_authority(name, key=key, not_before=start, not_after=end)


def gateway(
    by: Authority,
    *,
    dns: Sequence[str] = ("gw.example.org",),
    key: KeyKind = "ecdsa",
    usages: Sequence[x509.ObjectIdentifier] | None = None,
    extensions: Extensions = (),
    start: datetime = START,
    end: datetime = END,
) -> Issued:
    return by.issue(
        "CN=Gateway", dns=dns, key=key, usages=usages, extensions=extensions, not_before=start, not_after=end
    )


def below(
    by: Authority,
    name: str = "CN=Sub",
    *,
    path_length: int | None = None,
    extensions: Extensions = (),
    key: KeyKind = "ecdsa",
    end: datetime = END,
) -> Authority:
    return by.subordinate(
        name, key=key, path_length=path_length, extensions=extensions, not_before=START, not_after=end
    )


def usage_of(
    *, signature: bool = False, commitment: bool = False, certificates: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=commitment,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def accepted(
    chain: Sequence[bytes], *anchors: Authority, expected: Identity = GATEWAY, claimed: Identity = OTHER
) -> PublicKey:
    trust = Trust(tuple(anchor.certificate for anchor in anchors), expected)
    return verify_gateway(trust, claimed, chain, WALL)


def refused(
    chain: Sequence[bytes], *anchors: Authority, expected: Identity = GATEWAY, wall: datetime = WALL
) -> tuple[Kind, str]:
    """Kind and evidence of the refusal, which there must be."""
    trust = Trust(tuple(anchor.certificate for anchor in anchors), expected)
    with pytest.raises(TrustError) as raised:
        verify_gateway(trust, expected, chain, wall)
    assert raised.value.failure is not None
    return raised.value.failure.kind, raised.value.failure.evidence


ROOT = root()
GOOD = gateway(ROOT)

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


# Paths: the same for the library's algorithms and for those that we walk ourselves


KINDS: list[KeyKind] = ["ecdsa", "ed25519"]


@pytest.mark.parametrize("key", ["ecdsa", "ecdsa384", "ecdsa521", "ed25519", "rsa"])
def test_every_kind_of_key_is_accepted_from_root_to_leaf(key: KeyKind) -> None:
    authority = root(key=key)
    sub = below(authority, key=key)
    issued = gateway(sub, key=key)
    assert len(issued.chain) == 2
    assert accepted(issued.chain, authority) == issued.key.public_key()


@pytest.mark.parametrize(("upper", "lower"), [("ecdsa", "ed25519"), ("ed25519", "ecdsa"), ("rsa", "ed25519")])
def test_kinds_of_keys_may_be_mixed(upper: KeyKind, lower: KeyKind) -> None:
    authority = root(key=upper)
    accepted(gateway(authority, key=lower).chain, authority)


@pytest.mark.parametrize("key", KINDS)
def test_intermediates_may_come_in_any_order_and_with_strangers(key: KeyKind) -> None:
    authority = root(key=key)
    issued = gateway(below(below(authority, "CN=A", key=key), "CN=B", key=key))
    leaf, *others = issued.chain
    assert len(others) == 2
    accepted([leaf, GOOD.chain[0], *reversed(others), b"junk", der(authority.certificate)], authority)


@pytest.mark.parametrize("key", KINDS)
def test_one_of_several_anchors_is_enough(key: KeyKind) -> None:
    authority = root("CN=New", key)
    accepted(gateway(authority).chain, root("CN=Old"), authority, root("CN=New", key))


@pytest.mark.parametrize("key", KINDS)
def test_an_intermediate_may_be_the_anchor(key: KeyKind) -> None:
    sub = below(root(key=key), key=key)
    accepted(gateway(sub).chain, sub)


@pytest.mark.parametrize("key", KINDS)
def test_a_self_made_gateway_is_trusted_by_its_own_certificate(key: KeyKind) -> None:
    alone = gateway(root(key=key), key=key)
    trust = Trust((alone.certificate,), GATEWAY)
    assert verify_gateway(trust, GATEWAY, alone.chain, WALL) == alone.key.public_key()
    later = END + timedelta(seconds=1)
    with pytest.raises(TrustError, match="expired"):
        verify_gateway(trust, GATEWAY, alone.chain, later)


@pytest.mark.parametrize("key", KINDS)
def test_an_unknown_authority_is_named(key: KeyKind) -> None:
    stranger = gateway(root("O=Evil, CN=Root", key))
    kind, evidence = refused(stranger.chain, ROOT, root(key=key))
    assert kind is Kind.TRUST_UNKNOWN_CA
    assert "“O=Evil, CN=Root”" in evidence


@pytest.mark.parametrize("key", KINDS)
def test_an_authority_of_the_same_name_is_not_the_same(key: KeyKind) -> None:
    assert refused(gateway(root(key=key)).chain, root(key=key))[0] is Kind.TRUST_UNKNOWN_CA


@pytest.mark.parametrize("key", KINDS)
def test_a_missing_intermediate_is_named(key: KeyKind) -> None:
    authority = root(key=key)
    issued = gateway(below(authority, "CN=Missing", key=key))
    kind, evidence = refused(issued.chain[:1], authority)
    assert kind is Kind.TRUST_UNKNOWN_CA
    assert "“CN=Missing”" in evidence


@pytest.mark.parametrize("anchors", [(), (ROOT,)])
def test_nothing_is_proven_without_a_certificate(anchors: tuple[Authority, ...]) -> None:
    assert refused([], *anchors) == (Kind.TRUST_NO_PROOF, "the peer sent no certificate")
    assert refused([b"junk", *GOOD.chain], *anchors)[0] is Kind.TRUST_NO_PROOF
    assert refused([b"", *GOOD.chain], *anchors)[0] is Kind.TRUST_NO_PROOF


def test_without_anchors_nobody_is_trusted() -> None:
    assert refused(GOOD.chain)[0] is Kind.TRUST_UNKNOWN_CA


@pytest.mark.parametrize("key", KINDS)
def test_a_leaf_may_not_sign(key: KeyKind) -> None:
    authority = root(key=key)
    leaf = gateway(authority, key=key)
    forged = gateway(Authority(leaf.certificate, leaf.key), key=key)
    assert refused(forged.chain, authority)[0] is Kind.TRUST_UNKNOWN_CA


@pytest.mark.parametrize("key", KINDS)
@pytest.mark.parametrize(
    "constraints", [x509.BasicConstraints(False, None), x509.BasicConstraints(True, None)]
)
def test_an_authority_may_sign_only_with_the_right_usage(
    constraints: x509.BasicConstraints, key: KeyKind
) -> None:
    authority = root(key=key)
    extensions = [(constraints, True), (usage_of(signature=True, certificates=False), True)]
    middle = gateway(authority, key=key, usages=[], extensions=extensions)
    forged = gateway(Authority(middle.certificate, middle.key), key=key)
    assert refused(forged.chain, authority)[0] is Kind.TRUST_UNKNOWN_CA


@pytest.mark.parametrize("key", KINDS)
def test_path_length_is_counted(key: KeyKind) -> None:
    authority = make_authority("CN=Short", key=key, path_length=1, not_before=START, not_after=END)
    first = below(authority, "CN=1", key=key)
    second = below(first, "CN=2", key=key)
    accepted(gateway(first).chain, authority)
    assert refused(gateway(second).chain, authority)[0] is Kind.TRUST_UNKNOWN_CA


@pytest.mark.parametrize("key", KINDS)
def test_a_path_of_too_many_authorities_is_refused(key: KeyKind) -> None:
    authority = sub = root(key=key)
    for number in range(chains.MAX_DEPTH + 1):
        sub = below(sub, f"CN={number}", key=key)
    assert refused(gateway(sub).chain, authority)[0] is Kind.TRUST_UNKNOWN_CA


def test_name_constraints_are_kept() -> None:
    only = x509.NameConstraints([x509.DNSName("example.org")], None)
    sub = below(ROOT, extensions=[(only, True)])
    accepted(gateway(sub).chain, ROOT)
    outside = gateway(sub, dns=["gw.example.com"])
    kind, _ = refused(outside.chain, ROOT, expected=Identity.parse("gw.example.com"))
    assert kind is Kind.TRUST_UNKNOWN_CA


@pytest.mark.parametrize("critical", [False, True])
def test_name_constraints_that_nobody_here_understands_end_a_path(critical: bool) -> None:
    authority = root(key="ed25519")
    only = x509.NameConstraints([x509.DNSName("example.org")], None)
    sub = below(authority, key="ed25519", extensions=[(only, critical)])
    assert refused(gateway(sub).chain, authority)[0] is Kind.TRUST_UNKNOWN_CA


@pytest.mark.parametrize("key", KINDS)
@pytest.mark.parametrize("where", ["leaf", "authority"])
def test_unknown_critical_extensions_are_refused(where: str, key: KeyKind) -> None:
    authority = root(key=key)
    unknown = [(x509.UnrecognizedExtension(x509.ObjectIdentifier(MOVED), b"\x05\x00"), True)]
    sub = below(authority, key=key, extensions=unknown if where == "authority" else ())
    issued = gateway(sub, key=key, extensions=unknown if where == "leaf" else ())
    assert refused(issued.chain, authority)[0] is Kind.TRUST_UNKNOWN_CA


# Dates


@pytest.mark.parametrize("key", KINDS)
def test_dates_count_on_every_certificate_of_the_path(key: KeyKind) -> None:
    authority = root(key=key)
    soon = WALL + timedelta(days=1)
    late_leaf = gateway(authority, key=key, end=soon)
    late_sub = gateway(below(authority, "CN=Late", key=key, end=soon), key=key)
    late_root = root("CN=LateRoot", key, end=soon)
    for chain, anchor, name in (
        (late_leaf.chain, authority, "Gateway"),
        (late_sub.chain, authority, "Late"),
        (gateway(late_root, key=key).chain, late_root, "LateRoot"),
    ):
        accepted(chain, anchor)
        kind, evidence = refused(chain, anchor, wall=soon + timedelta(seconds=1))
        assert kind is Kind.TRUST_EXPIRED
        assert f"“CN={name}” expired on 2030-06-02" in evidence


@pytest.mark.parametrize("key", KINDS)
def test_a_certificate_is_not_valid_before_its_time(key: KeyKind) -> None:
    authority = root(key=key)
    kind, evidence = refused(gateway(authority, key=key).chain, authority, wall=START - timedelta(seconds=1))
    assert kind is Kind.TRUST_EXPIRED
    assert "not valid before" in evidence
    assert "the clock here says" in evidence


def test_an_expired_stranger_beside_a_good_path_does_no_harm() -> None:
    expired = root("CN=Cross", start=START - YEAR, end=START)
    accepted([*GOOD.chain, der(expired.certificate)], ROOT)


# Strength


@pytest.mark.parametrize("signed_by", ["ecdsa", "ed25519"])
def test_a_short_rsa_key_is_refused(signed_by: KeyKind) -> None:
    authority = root(key=signed_by)
    kind, evidence = refused(gateway(authority, key="rsa1024").chain, authority)
    assert kind is Kind.TRUST_WEAK
    assert "1024 bits" in evidence


@pytest.mark.parametrize("leaf", KINDS)
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


@pytest.mark.parametrize("leaf", KINDS)
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


# Hostile octets


@pytest.mark.filterwarnings("ignore::UserWarning")  # the library's remarks about names of odd sizes
@pytest.mark.parametrize("key", KINDS)
def test_a_spoilt_certificate_is_refused_and_raises_nothing_else(key: KeyKind) -> None:
    authority = root(key=key)
    good = gateway(authority, key=key).chain[0]
    rng = random.Random(7)
    for _ in range(1500):
        spoilt = bytearray(good)
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
        refused([bytes(spoilt[: rng.choice([len(spoilt), rng.randrange(len(spoilt))])])], authority)


def test_a_tangle_of_authorities_that_sign_each_other_ends() -> None:
    tangled = root("CN=Tangle", "ed25519")
    issued = gateway(tangled, key="ed25519")
    twins = [twin(tangled, serial) for serial in range(1, chains.MAX_CERTIFICATES)]
    assert refused([issued.chain[0], *twins], ROOT)[0] is Kind.TRUST_UNKNOWN_CA
    accepted([issued.chain[0], *twins], tangled)


def twin(authority: Authority, serial: int) -> bytes:
    """Another certificate of the same authority by itself: each of them has signed each."""
    own = authority.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(own.subject)
        .issuer_name(own.subject)
        .public_key(own.public_key())
        .serial_number(serial)
        .not_valid_before(START)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return der(builder.sign(authority.key, None))
