"""A corpus of certification paths, each judged by us and by OpenSSL: we accept nothing that OpenSSL refuses."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto
from OpenSSL._util import lib as binding

from client.ike.trust import Trust, TrustError, verify_gateway
from client.lab.pki import Authority, Issued, KeyKind, der, make_authority
from tests.ike.certificates import END, GATEWAY, START, WALL, below, gateway, root, usage_of

PARTIAL_CHAIN = 0x80000  # an anchor need not be a root: so it is with our profiles
KEYS: tuple[KeyKind, ...] = ("ecdsa", "ed25519")


@dataclass(frozen=True)
class Case:
    """A chain as the gateway sends it, who is trusted, and whether it is to pass."""

    chain: tuple[bytes, ...]
    anchors: tuple[x509.Certificate, ...]
    passes: bool
    wall: datetime = WALL


Make = Callable[[KeyKind], Case]


def case(
    chain: Sequence[bytes], *anchors: Authority | Issued, passes: bool = False, wall: datetime = WALL
) -> Case:
    return Case(tuple(chain), tuple(anchor.certificate for anchor in anchors), passes, wall)


def unknown(*, critical: bool) -> list[tuple[x509.ExtensionType, bool]]:
    return [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), critical)]


def as_authority(issued: Issued) -> Authority:
    return Authority(issued.certificate, issued.key)


def middle(upper: Authority, key: KeyKind, *extensions: tuple[x509.ExtensionType, bool]) -> Authority:
    """Somebody between, with exactly these extensions."""
    return as_authority(gateway(upper, key=key, usages=[], extensions=list(extensions)))


def constrained(upper: Authority, key: KeyKind, *, permitted: str = "", excluded: str = "") -> Authority:
    names = x509.NameConstraints(
        [x509.DNSName(permitted)] if permitted else None, [x509.DNSName(excluded)] if excluded else None
    )
    return below(upper, key=key, extensions=[(names, True)])


def deep(upper: Authority, key: KeyKind, depth: int) -> Authority:
    for number in range(depth):
        upper = below(upper, f"CN=Level {number}", key=key)
    return upper


def spoilt(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]


CA = x509.BasicConstraints(ca=True, path_length=None)
NO_CA = x509.BasicConstraints(ca=False, path_length=None)
SIGNS = usage_of(signature=True, certificates=True)
SIGNS_NOT = usage_of(signature=True, certificates=False)
SOON = timedelta(seconds=1)


def by_root(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(top, key=key).chain, top, passes=True)


def by_intermediate(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(below(top, key=key), key=key).chain, top, passes=True)


def shuffled(key: KeyKind) -> Case:
    top = root(key=key)
    leaf, *others = gateway(deep(top, key, 3), key=key).chain
    return case([leaf, *reversed(others), der(top.certificate)], top, passes=True)


def by_anchored_intermediate(key: KeyKind) -> Case:
    sub = below(root(key=key), key=key)
    return case(gateway(sub, key=key).chain, sub, passes=True)


def with_strangers(key: KeyKind) -> Case:
    top = root(key=key)
    return case(
        [*gateway(top, key=key).chain, der(root("CN=Other", key).certificate)],
        root("CN=More", key),
        top,
        passes=True,
    )


def harmless_extension(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(top, key=key, extensions=unknown(critical=False)).chain, top, passes=True)


def no_anchor(key: KeyKind) -> Case:
    return case(gateway(root(key=key), key=key).chain)


def other_anchor(key: KeyKind) -> Case:
    return case(gateway(root("CN=A", key), key=key).chain, root("CN=B", key))


def same_name(key: KeyKind) -> Case:
    return case(gateway(root(key=key), key=key).chain, root(key=key))


def own_root_sent(key: KeyKind) -> Case:
    evil = root(key=key)
    return case([*gateway(evil, key=key).chain, der(evil.certificate)], root(key=key))


def missing_link(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(deep(top, key, 2), key=key).chain[:1], top)


def late_leaf(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(top, key=key, end=WALL).chain, top, wall=WALL + SOON)


def late_middle(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(below(top, key=key, end=WALL), key=key).chain, top, wall=WALL + SOON)


def late_root(key: KeyKind) -> Case:
    top = root(key=key, end=WALL)
    return case(gateway(top, key=key).chain, top, wall=WALL + SOON)


def early(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(top, key=key).chain, top, wall=START - SOON)


def self_made(key: KeyKind) -> Case:
    alone = make_authority("CN=Alone", key=key, not_before=START, not_after=END)
    return case([der(alone.certificate)], root(key=key))


def leaf_signs(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(as_authority(gateway(top, key=key)), key=key).chain, top)


def no_constraints(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(middle(top, key, (SIGNS, True)), key=key).chain, top)


def says_no_ca(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(middle(top, key, (NO_CA, True), (SIGNS, True)), key=key).chain, top)


def may_not_sign(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(middle(top, key, (CA, True), (SIGNS_NOT, True)), key=key).chain, top)


def too_long(key: KeyKind) -> Case:
    top = make_authority("CN=Short", key=key, path_length=0, not_before=START, not_after=END)
    return case(gateway(deep(top, key, 1), key=key).chain, top)


def much_too_long(key: KeyKind) -> Case:
    top = make_authority("CN=Short", key=key, path_length=1, not_before=START, not_after=END)
    return case(gateway(deep(top, key, 4), key=key).chain, top)


def critical_in_leaf(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(top, key=key, extensions=unknown(critical=True)).chain, top)


def critical_in_middle(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(below(top, key=key, extensions=unknown(critical=True)), key=key).chain, top)


def outside_permitted(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(constrained(top, key, permitted="example.net"), key=key).chain, top)


def inside_excluded(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(constrained(top, key, excluded="example.org"), key=key).chain, top)


def forged_leaf(key: KeyKind) -> Case:
    top = root(key=key)
    leaf = gateway(top, key=key).chain[0]
    return case([spoilt(leaf, len(leaf) - 1)], top)


def forged_middle(key: KeyKind) -> Case:
    top = root(key=key)
    leaf, upper = gateway(below(top, key=key), key=key).chain
    return case([leaf, spoilt(upper, len(upper) - 1)], top)


def content_changed(key: KeyKind) -> Case:
    top = root(key=key)
    leaf = gateway(top, key=key).chain[0]
    return case([leaf.replace(b"gateway", b"gatewax", 1).replace(b"Gateway", b"Gatewax", 1)], top)


def for_clients_alone(key: KeyKind) -> Case:
    top = root(key=key)
    return case(gateway(top, key=key, usages=[ExtendedKeyUsageOID.CLIENT_AUTH]).chain, top)


def middle_for(*usages: x509.ObjectIdentifier) -> Make:
    """Somebody between whose own certificate says for what those below it are good."""

    def make(key: KeyKind) -> Case:
        top = root(key=key)
        between = below(top, key=key, extensions=[(x509.ExtendedKeyUsage(usages), False)])
        passes = not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}.isdisjoint(
            usages
        )
        return case(gateway(between, key=key).chain, top, passes=passes)

    return make


middle_for_clients = middle_for(ExtendedKeyUsageOID.CLIENT_AUTH)
middle_for_mail = middle_for(ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.OCSP_SIGNING)
middle_for_servers = middle_for(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def excluded_address(key: KeyKind) -> Case:
    top = root(key=key)
    network = x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))
    between = below(top, key=key, extensions=[(x509.NameConstraints(None, [network]), True)])
    leaf = between.issue(
        "CN=Gateway",
        dns=["gw.example.org"],
        ips=["192.0.2.1"],
        key=key,
        not_before=START,
        not_after=END,
    )
    return case(leaf.chain, top)


def excluded_subject(key: KeyKind) -> Case:
    top = root(key=key)
    names = [x509.DirectoryName(x509.Name.from_rfc4514_string("CN=Gateway"))]
    between = below(top, key=key, extensions=[(x509.NameConstraints(None, names), True)])
    return case(gateway(between, key=key).chain, top)


def signed_by_pss(key: KeyKind) -> Case:
    top = root(key=key)
    leaf = gateway(top, key=key).certificate
    builder = x509.CertificateBuilder(
        leaf.issuer,
        leaf.subject,
        leaf.public_key(),
        leaf.serial_number,
        leaf.not_valid_before_utc,
        leaf.not_valid_after_utc,
        list(leaf.extensions),
    )
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    made = builder.sign(top.key, hashes.SHA256(), rsa_padding=pss)
    return case([der(made)], top, passes=True)


def swapped(key: KeyKind) -> Case:
    top = root(key=key)
    leaf, upper = gateway(below(top, key=key), key=key).chain
    return case([upper, leaf], top)


CORPUS: tuple[Make, ...] = (
    by_root,
    by_intermediate,
    shuffled,
    by_anchored_intermediate,
    with_strangers,
    harmless_extension,
    no_anchor,
    other_anchor,
    same_name,
    own_root_sent,
    missing_link,
    late_leaf,
    late_middle,
    late_root,
    early,
    self_made,
    leaf_signs,
    no_constraints,
    says_no_ca,
    may_not_sign,
    too_long,
    much_too_long,
    critical_in_leaf,
    critical_in_middle,
    outside_permitted,
    inside_excluded,
    forged_leaf,
    forged_middle,
    content_changed,
    for_clients_alone,
    middle_for_clients,
    middle_for_mail,
    middle_for_servers,
    excluded_address,
    excluded_subject,
    swapped,
)
NAMES = {value: name for name, value in list(globals().items()) if callable(value)}


def ours(case: Case) -> bool:
    try:
        verify_gateway(Trust(case.anchors, GATEWAY), GATEWAY, case.chain, case.wall)
    except TrustError:
        return False
    return True


def openssl(case: Case) -> bool:
    """The verdict of X509_verify_cert about the path to a server's certificate; names are not its business here."""
    store = crypto.X509Store()
    for anchor in case.anchors:
        store.add_cert(crypto.X509.from_cryptography(anchor))
    store.set_time(case.wall)
    store.set_flags(PARTIAL_CHAIN)
    binding.X509_STORE_set_purpose(
        store._store, binding.X509_PURPOSE_SSL_SERVER
    )  # pyOpenSSL has no words for it
    try:
        leaf, *others = [
            crypto.X509.from_cryptography(x509.load_der_x509_certificate(octets)) for octets in case.chain
        ]
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except (crypto.X509StoreContextError, ValueError):
        return False
    return True


def cases() -> Iterator[tuple[str, KeyKind, Make]]:
    for make in CORPUS:
        for key in KEYS:
            yield f"{NAMES[make]}, {key}", key, make
    for make in (by_intermediate, forged_leaf, forged_middle, leaf_signs, signed_by_pss):
        yield f"{NAMES[make]}, rsa", "rsa", make


ALL = list(cases())


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len(ALL) >= 60


@pytest.mark.parametrize(("name", "key", "make"), ALL, ids=[row[0] for row in ALL])
def test_we_are_never_looser_than_openssl(name: str, key: KeyKind, make: Make) -> None:
    judged = make(key)
    mine, theirs = ours(judged), openssl(judged)
    assert mine is judged.passes
    assert theirs or not mine
