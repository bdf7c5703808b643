"""Every identity against every other, and names against certificates: order, case, wildcards, IDN, NUL."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations

import pytest
from cryptography import x509

from client.ike.identity import Identity, matches_certificate
from client.ike.registry import IdType
from client.lab.pki import make_authority

FAMILIES: dict[str, tuple[Identity, ...]] = {
    "a host": tuple(
        map(Identity.parse, ("gw.example.org", "GW.EXAMPLE.ORG", "gw.example.org.", "Gw.Example.Org."))
    ),
    "a host below it": (Identity.parse("a.gw.example.org"),),
    "a host above it": (Identity.parse("example.org"),),
    "a host with a NUL": (Identity(IdType.FQDN, b"gw.example.org\0"),),
    "a host with a NUL inside": (Identity(IdType.FQDN, b"gw.example.org\0.evil.example"),),
    "a host with a space": (Identity(IdType.FQDN, b"gw.example.org "),),
    "a host of two dots": (Identity(IdType.FQDN, b"gw..example.org"),),
    "a wildcard": (Identity.parse("fqdn:*.example.org"),),
    "an IDN": tuple(map(Identity.parse, ("xn--mnchen-3ya.example", "XN--MNCHEN-3YA.example"))),
    "an IDN as UTF-8": (Identity(IdType.FQDN, "münchen.example".encode()),),
    "an IDN that looks alike": (Identity.parse("xn--gw-example-org.example"),),
    "a Cyrillic look-alike": (Identity(IdType.FQDN, "gw.exаmple.org".encode()),),
    "the host as a key": (Identity.parse("keyid:gw.example.org"),),
    "the host as an address of mail": (Identity(IdType.RFC822_ADDR, b"gw.example.org"),),
    "mail": tuple(map(Identity.parse, ("anna@example.org", "Anna@EXAMPLE.org"))),
    "mail of another": (Identity.parse("annb@example.org"),),
    "mail with a NUL": (Identity(IdType.RFC822_ADDR, b"anna@example.org\0@evil.example"),),
    "an IPv4 address": (Identity.parse("192.0.2.1"),),
    "another IPv4 address": (Identity.parse("192.0.2.2"),),
    "an IPv4 address as a name": (Identity.parse("fqdn:192.0.2.1"),),
    "an IPv6 address": tuple(map(Identity.parse, ("2001:db8::1", "2001:0DB8:0:0::1"))),
    "an IPv4 address in IPv6": (Identity.parse("::ffff:192.0.2.1"),),
    "a name": tuple(
        map(Identity.parse, ("C=CH, O=Foo, CN=gw", "C=ch, O=FOO, CN=GW", "C=CH, O=Foo , CN= gw"))
    ),
    "a name in another order": (Identity.parse("CN=gw, O=Foo, C=CH"),),
    "a name with one part less": (Identity.parse("O=Foo, CN=gw"),),
    "a name with one part more": (Identity.parse("C=CH, O=Foo, OU=x, CN=gw"),),
    "a name with a part twice": (Identity.parse("C=CH, O=Foo, CN=gw, CN=gw"),),
    "a name with a wildcard": (Identity.parse("C=CH, O=Foo, CN=*"),),
    "a name of several values": tuple(map(Identity.parse, ("O=Foo+CN=gw", "CN=gw+O=Foo"))),
    "a key": (Identity.parse("keyid:abc"),),
    "a key in capitals": (Identity.parse("keyid:ABC"),),
}
ALL = [(family, identity) for family, members in FAMILIES.items() for identity in members]
PAIRS = list(combinations(ALL, 2))


def test_every_pair_of_identities_is_the_same_where_its_family_is() -> None:
    assert len(PAIRS) >= 200
    for (family, one), (other_family, other) in PAIRS:
        wanted = family == other_family
        assert one.same_as(other) is wanted, (one, other)
        assert other.same_as(one) is wanted, (other, one)
    for _, identity in ALL:
        assert identity.same_as(identity)


AUTHORITY = make_authority("Pairs")


def certificate(*names: str) -> x509.Certificate:
    later = datetime(2035, 1, 1, tzinfo=UTC)
    return AUTHORITY.issue("C=CH, O=Foo, CN=gw", dns=names, not_after=later).certificate


CERTIFICATES = {
    pattern: certificate(pattern)
    for pattern in (
        "gw.example.org",
        "GW.EXAMPLE.ORG",
        "*.example.org",
        "*.gw.example.org",
        "*.org",
        "*",
        "gw.*.org",
        "g*.example.org",
        "xn--mnchen-3ya.example",
        "gw.example.org\0.evil.example",
    )
}
CONFIRMED = {
    ("gw.example.org", "gw.example.org"),
    ("GW.EXAMPLE.ORG", "gw.example.org"),
    ("*.example.org", "gw.example.org"),
    ("*.gw.example.org", "a.gw.example.org"),
    ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
    ("*.example.org", "fqdn:*.example.org"),  # literally what the certificate says
}
NAMES = {
    name: Identity.parse(name)
    for name in (
        "gw.example.org",
        "a.gw.example.org",
        "example.org",
        "evil.example",
        "xn--mnchen-3ya.example",
    )
} | {
    "fqdn:*.example.org": Identity.parse("fqdn:*.example.org"),
    "a NUL": Identity(IdType.FQDN, b"gw.example.org\0"),
    "a NUL inside": Identity(IdType.FQDN, b"gw.example.org\0.other.example"),
    "UTF-8": Identity(IdType.FQDN, "münchen.example".encode()),
    "nothing": Identity(IdType.FQDN, b""),
    "a dot": Identity(IdType.FQDN, b"."),
    "as a key": Identity.parse("keyid:gw.example.org"),
}


@pytest.mark.parametrize("pattern", CERTIFICATES)
def test_a_certificate_confirms_nobody_but_whom_it_names(pattern: str) -> None:
    for name, identity in NAMES.items():
        wanted = (pattern, name) in CONFIRMED
        assert matches_certificate(identity, CERTIFICATES[pattern]) is wanted, (pattern, name)


def test_the_list_is_as_long_as_it_says() -> None:
    assert len(PAIRS) + len(CERTIFICATES) * len(NAMES) >= 400
