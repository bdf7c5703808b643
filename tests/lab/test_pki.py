"""The lab's certificate authority makes what its arguments say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from client.ike.identity import Identity, matches_certificate
from client.ike.trust import Trust, verify_gateway
from client.lab.pki import KeyKind, make_authority, parse_name, pem


@pytest.mark.parametrize("key", ["ecdsa", "ecdsa384", "ecdsa521", "ed25519", "ed448", "mldsa65", "rsa"])
def test_a_gateway_of_every_kind_of_key_is_trusted_today(key: KeyKind) -> None:
    authority = make_authority("O=Lab, CN=Root", key=key)
    issued = authority.subordinate("CN=Sub", key=key).issue("gw", dns=["gw.example.org"], key=key)
    name = Identity.parse("gw.example.org")
    trust = Trust((authority.certificate,), name, strict=True)
    assert verify_gateway(trust, name, issued.chain, datetime.now(UTC)) == issued.key.public_key()


def test_names_and_purpose_are_those_asked_for() -> None:
    issued = make_authority("Root").issue(
        "O=Lab, CN=anna", dns=["a.example.org"], ips=["192.0.2.1"], emails=["a@example.org"], server=False
    )
    for text in ("O=Lab, CN=anna", "a.example.org", "192.0.2.1", "a@example.org"):
        assert matches_certificate(Identity.parse(text), issued.certificate)
    usage = issued.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_dates_are_those_asked_for_and_always_in_order() -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    expired = make_authority("Root", not_after=past).certificate
    assert expired.not_valid_after_utc == past
    assert expired.not_valid_before_utc < past
    today = make_authority("Root").certificate
    assert today.not_valid_after_utc - today.not_valid_before_utc > timedelta(days=29)


@pytest.mark.parametrize("key", ["ecdsa", "ed25519", "rsa"])
def test_pem_reads_back(key: KeyKind) -> None:
    issued = make_authority("Root").issue("gw", key=key)
    assert x509.load_pem_x509_certificate(pem(issued.certificate).encode()) == issued.certificate
    private = serialization.load_pem_private_key(pem(issued.key).encode(), None)
    assert private.public_key() == issued.certificate.public_key()


def test_names_have_the_order_of_their_text() -> None:
    assert [item.value for item in parse_name("C=CH, O=Lab, CN=x")] == ["CH", "Lab", "x"]
    assert [item.value for item in parse_name("just a name")] == ["just a name"]
