"""Certification paths: the same rules for the library's algorithms and for those that we walk ourselves."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from cryptography import x509

from client.ike import chains
from client.ike.events import Kind
from client.ike.identity import Identity
from client.ike.trust import Trust, TrustError, verify_gateway
from client.lab.pki import Authority, KeyKind, der, make_authority
from tests.ike.certificates import (
    END,
    GATEWAY,
    GOOD,
    ROOT,
    START,
    WALL,
    YEAR,
    accepted,
    below,
    gateway,
    refused,
    root,
    usage_of,
)

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
    kind, evidence = refused([], *anchors)
    assert kind is Kind.TRUST_NO_PROOF
    assert evidence.startswith("the peer sent no certificate; its identity (IDr) is gw.example.org")
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
@pytest.mark.parametrize(("ca", "certificates"), [(False, False), (False, True), (True, False)])
def test_an_authority_may_sign_only_if_both_its_extensions_say_so(
    ca: bool, certificates: bool, key: KeyKind
) -> None:
    authority = root(key=key)
    usage = usage_of(signature=True, certificates=certificates)
    extensions = [(x509.BasicConstraints(ca, None), True), (usage, True)]
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
    unknown = [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True)]
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


# Hostile octets


@pytest.mark.filterwarnings("ignore::UserWarning")  # the library's remarks about names of odd sizes
@pytest.mark.parametrize("key", KINDS)
def test_a_spoilt_certificate_is_refused_and_raises_nothing_else(key: KeyKind) -> None:
    authority = root(key=key)
    good = gateway(authority, key=key).chain[0]
    trust = Trust((authority.certificate,), GATEWAY)
    rng = random.Random(7)
    for _ in range(1500):
        spoilt = bytearray(good)
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
        data = bytes(spoilt[: rng.choice([len(spoilt), rng.randrange(len(spoilt))])])
        try:
            verify_gateway(trust, GATEWAY, [data], WALL)
        except TrustError:
            continue
        # The count of unused bits in the signature's BIT STRING may differ where these bits are zero.
        assert content_of(data) == content_of(good)


def content_of(data: bytes) -> tuple[bytes, bytes]:
    certificate = x509.load_der_x509_certificate(data)
    return certificate.tbs_certificate_bytes, certificate.signature


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
