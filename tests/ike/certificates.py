"""What the tests of trust share: a fixed time, authorities and gateways of every make, and the two verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from client.ike.events import Kind
from client.ike.identity import Identity
from client.ike.signatures import PublicKey
from client.ike.trust import Trust, TrustError, verify_gateway
from client.lab.pki import Authority, Issued, KeyKind, make_authority

WALL = datetime(2030, 6, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
START, END = WALL - YEAR, WALL + YEAR
GATEWAY = Identity.parse("gw.example.org")
OTHER = Identity.parse("guid.vpn.example.com")

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
