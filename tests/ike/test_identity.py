"""Identities: from text, as payloads, compared with each other and with certificates."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ike import distinguished
from client.ike.identity import Identity, matches_certificate, names_of
from client.ike.payloads import IdResponder
from client.ike.registry import IdType
from client.lab.pki import make_authority

DN = bytes.fromhex(
    "3038 310b 3009 0603550406 1302 4348 3110 300e 060355040a 0c07 466f6f20426172"
    "3117 3015 0603550403 0c0e 67772e6578616d706c652e6f7267"
)  # C=CH (PrintableString), O=Foo Bar, CN=gw.example.org (UTF8String)
IPV6 = bytes.fromhex("20010db8000000000000000000000001")

TEXTS = [
    ("gw.example.org", None, IdType.FQDN, b"gw.example.org", "gw.example.org"),
    ("@gw", None, IdType.FQDN, b"gw", "gw"),
    ("fqdn:10.0.0.1", None, IdType.FQDN, b"10.0.0.1", "10.0.0.1"),
    ("dns:gw", None, IdType.FQDN, b"gw", "gw"),
    ("10.0.0.1", "fqdn", IdType.FQDN, b"10.0.0.1", "10.0.0.1"),
    ("anna@example.org", None, IdType.RFC822_ADDR, b"anna@example.org", "anna@example.org"),
    ("@@anna@example.org", None, IdType.RFC822_ADDR, b"anna@example.org", "anna@example.org"),
    ("192.0.2.1", None, IdType.IPV4_ADDR, bytes([192, 0, 2, 1]), "192.0.2.1"),
    ("2001:db8::1", None, IdType.IPV6_ADDR, IPV6, "2001:db8::1"),
    (
        "C=CH, O=Foo Bar, CN=gw.example.org",
        None,
        IdType.DER_ASN1_DN,
        DN,
        "C=CH, O=Foo Bar, CN=gw.example.org",
    ),
    ("c=CH,o=Foo Bar,cn=gw.example.org", "dn", IdType.DER_ASN1_DN, DN, "C=CH, O=Foo Bar, CN=gw.example.org"),
    ("/C=CH/O=Foo Bar/CN=gw.example.org", None, IdType.DER_ASN1_DN, DN, "C=CH, O=Foo Bar, CN=gw.example.org"),
    ("@#0a0BfF", None, IdType.KEY_ID, bytes.fromhex("0a0bff"), "(11) 0a0bff"),
    ("keyid:tenant 7", None, IdType.KEY_ID, b"tenant 7", "tenant 7"),
]


@pytest.mark.parametrize(("text", "kind", "id_type", "data", "shown"), TEXTS)
def test_texts_become_the_identities_that_strongswan_documents(
    text: str, kind: str | None, id_type: IdType, data: bytes, shown: str
) -> None:
    identity = Identity.parse(text, kind)
    assert identity.payload_fields() == (id_type, data)
    assert str(identity) == shown
    assert Identity.of(IdResponder(id_type, data)) == identity


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", None),
        ("   ", None),
        ("gw\n", None),
        ("gw\x00.example.org", None),
        ("two words", None),
        ("müller.example", None),
        ("@", None),
        ("%any", None),
        ("*", None),
        ("0.0.0.0", None),
        ("::", None),
        ("gw.example.org", "ipv4"),
        ("192.0.2.1", "ipv6"),
        ("gw.example.org", "email"),
        ("gw.example.org", "dn"),
        ("CN=", None),
        ("XX=a", None),
        (",", "dn"),
        ("@#0a0", None),
        ("gw", "hostname"),
    ],
)
def test_what_names_nobody_is_refused(text: str, kind: str | None) -> None:
    with pytest.raises(ValueError):
        Identity.parse(text, kind)


PAIRS = [
    ("gw.example.org", "GW.Example.ORG", True),
    ("gw.example.org", "gw.example.org.", True),
    ("gw.example.org", "gw.example.com", False),
    ("gw.example.org", "keyid:gw.example.org", False),
    ("anna@example.org", "Anna@EXAMPLE.org", True),
    ("anna@example.org", "fqdn:anna@example.org", False),
    ("192.0.2.1", "192.0.2.1", True),
    ("192.0.2.1", "192.0.2.2", False),
    ("192.0.2.1", "fqdn:192.0.2.1", False),
    ("2001:db8::1", "2001:0db8:0::1", True),
    ("keyid:abc", "keyid:ABC", False),
    ("C=CH, O=Foo Bar, CN=gw", "C=ch, O=FOO  bar, CN=GW", True),
    ("C=CH, O=Foo, CN=gw", "O=Foo, C=CH, CN=gw", False),
    ("C=CH, O=Foo, CN=gw", "C=CH, O=Foo", False),
    ("O=Foo", "C=CH, O=Foo", False),
    ("O=Foo+CN=gw", "CN=gw+O=Foo", True),
    ("O=Foo+CN=gw", "O=Foo, CN=gw", False),
    ("CN=gw", "OU=gw", False),
    ("CN=gw", "fqdn:gw", False),
]


@pytest.mark.parametrize(("first", "second", "same"), PAIRS)
def test_pairs_of_identities(first: str, second: str, same: bool) -> None:
    one, other = Identity.parse(first), Identity.parse(second)
    assert one.same_as(other) is same
    assert other.same_as(one) is same


def test_the_string_types_of_a_name_do_not_matter() -> None:
    printable = DN.replace(bytes.fromhex("0c0e"), bytes.fromhex("130e"))
    assert printable != DN
    assert Identity(IdType.DER_ASN1_DN, printable).same_as(Identity(IdType.DER_ASN1_DN, DN))


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"CN=gw", DN[:-1], DN + b"\0"])
def test_what_is_no_name_or_an_empty_one_equals_nothing(data: bytes) -> None:
    assert not Identity(IdType.DER_ASN1_DN, data).same_as(Identity(IdType.DER_ASN1_DN, data))


HOSTILE = [
    (IdType.FQDN, b"gw\x1b[31m\r\n\xff", "gw\ufffd[31m\ufffd\ufffd\ufffd"),
    (IdType.IPV4_ADDR, b"abc", "(1) 616263"),
    (IdType.IPV6_ADDR, b"", "(5) "),
    (IdType.KEY_ID, b"\x00\x01", "(11) 0001"),
    (IdType.DER_ASN1_DN, b"junk", "6a756e6b"),
    (IdType.DER_ASN1_DN, b"\x30\x00", "(empty name)"),
    (IdType.DER_ASN1_GN, b"\x01", "(10) 01"),
    (222, b"\xff", "(222) ff"),
]


@pytest.mark.parametrize(("id_type", "data", "shown"), HOSTILE)
def test_identities_from_the_network_are_fit_to_be_shown(id_type: int, data: bytes, shown: str) -> None:
    assert str(Identity(id_type, data)) == shown


@given(st.integers(0, 255), st.binary(max_size=80))
def test_any_payload_is_shown_in_printable_characters(id_type: int, data: bytes) -> None:
    identity = Identity.of(IdResponder(id_type, data))
    assert str(identity).isprintable()
    assert len(str(identity)) < 220
    assert not matches_certificate(identity, CERTIFICATE)


@settings(max_examples=300)
@given(st.integers(0, len(DN) - 1), st.integers(0, 255), st.integers(0, len(DN)))
def test_spoilt_names_are_compared_and_shown_without_an_error(at: int, octet: int, end: int) -> None:
    spoilt = (DN[:at] + bytes([octet]) + DN[at + 1 :])[:end]
    distinguished.shown(spoilt)
    assert distinguished.same(spoilt, DN) in (True, False)


def certificate(
    subject: str = "C=CH, O=Example, CN=cn.example.org", **names: tuple[str, ...]
) -> x509.Certificate:
    return AUTHORITY.issue(
        subject,
        dns=names.get("dns", ()),
        ips=names.get("ips", ()),
        emails=names.get("emails", ()),
        not_after=datetime(2035, 1, 1, tzinfo=UTC),
    ).certificate


AUTHORITY = make_authority("Root")
CERTIFICATE = certificate(
    dns=("gw.example.org", "*.vpn.example.org"), ips=("192.0.2.1", "2001:db8::1"), emails=("ops@example.org",)
)

MATCHES = [
    ("gw.example.org", True),
    ("GW.EXAMPLE.ORG", True),
    ("gw.example.org.", True),
    ("a.vpn.example.org", True),
    ("a.b.vpn.example.org", False),
    ("vpn.example.org", False),
    (".vpn.example.org", False),
    ("*.vpn.example.org", True),  # literally what the certificate says
    ("example.org", False),
    ("w.example.org", False),
    ("xgw.example.org", False),
    ("cn.example.org", False),  # a common name proves nothing
    ("192.0.2.1", True),
    ("192.0.2.2", False),
    ("fqdn:192.0.2.1", False),
    ("2001:db8::1", True),
    ("2001:db8::2", False),
    ("ops@example.org", True),
    ("dev@example.org", False),
    ("fqdn:ops@example.org", False),
    ("C=CH, O=Example, CN=cn.example.org", True),
    ("C=ch, O=EXAMPLE, CN=CN.example.org", True),
    ("CN=cn.example.org", False),
    ("O=Example, C=CH, CN=cn.example.org", False),
    ("keyid:gw.example.org", False),
]


@pytest.mark.parametrize(("text", "confirmed"), MATCHES)
def test_a_certificate_confirms_what_it_carries_in_the_right_field(text: str, confirmed: bool) -> None:
    assert matches_certificate(Identity.parse(text), CERTIFICATE) is confirmed


@pytest.mark.parametrize(
    ("pattern", "name", "confirmed"),
    [
        ("*", "gw", False),
        ("*", "gw.example.org", False),
        ("*.org", "example.org", False),  # a whole top-level domain
        ("*.example.org", "gw.example.org", True),
        ("g*.example.org", "gw.example.org", False),
        ("gw.*.org", "gw.example.org", False),
        ("*.*.org", "gw.example.org", False),
    ],
)
def test_a_wildcard_is_the_whole_left_most_label(pattern: str, name: str, confirmed: bool) -> None:
    assert matches_certificate(Identity.parse(name), certificate(dns=(pattern,))) is confirmed


def test_a_certificate_without_names_confirms_its_subject_only() -> None:
    bare = certificate()
    assert not matches_certificate(Identity.parse("cn.example.org"), bare)
    assert matches_certificate(Identity.subject_of(bare), bare)


def test_evidence_names_everything_that_the_certificate_says() -> None:
    assert names_of(CERTIFICATE) == (
        "C=CH, O=Example, CN=cn.example.org",
        "gw.example.org",
        "*.vpn.example.org",
        "192.0.2.1",
        "2001:db8::1",
        "ops@example.org",
    )
