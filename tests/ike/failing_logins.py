"""Logins that cannot succeed, with what the user must be told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_network

from cryptography.x509.oid import ExtendedKeyUsageOID

from client.ike.authentication import KeySigner
from client.ike.events import Kind
from client.ike.identity import Identity
from client.ike.keys import Secret
from client.ike.options import CertProof, SessionConfig
from client.ike.proposals import parse_offer
from client.ike.registry import ProtocolId
from client.ike.selectors import selector_of
from client.ike.trust import Trust
from client.lab.eap_methods import Accounts
from client.lab.pki import Issued, make_authority
from client.lab.responder import GatewayConfig
from tests.pair import (
    AUTHORITY,
    GATEWAY_ID,
    VALID,
    Validity,
    cert_client,
    client_config,
    eap_client,
    gateway_config,
)

PASSWORD = b"wonderland"
STRANGERS = make_authority("CN=Strangers", **VALID)
BY_CERT = replace(gateway_config(), clients="cert", proof="cert")
BY_EAP = replace(gateway_config(), clients="eap", proof="cert")


def with_certificate(issued: Issued, config: GatewayConfig = BY_EAP) -> GatewayConfig:
    return replace(config, chain=issued.chain, signer=KeySigner(issued.key))


def certificate(name: str = "vpn.example.com", **changes: object) -> Issued:
    """A certificate that our authority has issued to somebody."""
    arguments: dict[str, object] = {"dns": [name], "server": True, **VALID, **changes}
    return AUTHORITY.issue(f"CN={name}", **arguments)  # type: ignore[arg-type]


YESTERDAY: Validity = {
    "not_before": datetime(2026, 1, 1, tzinfo=UTC),
    "not_after": datetime(2026, 5, 31, tzinfo=UTC),
}
OTHER_IKE = replace(gateway_config(), ike_offer=parse_offer(ProtocolId.IKE, ("aes256-sha512-modp4096",)))
OTHER_ESP = replace(
    gateway_config(), esp_offer=parse_offer(ProtocolId.ESP, ("aes192-sha512",), allow_legacy=True)
)


@dataclass(frozen=True)
class Row:
    """A login that fails: the ends, and what the user is told."""

    client: SessionConfig
    gateway: GatewayConfig
    kind: Kind
    evidence: tuple[str, ...]
    final: bool = False


ROWS: dict[str, Row] = {
    "another pre-shared key": Row(
        client_config(),
        replace(gateway_config(), psk=Secret(b"another long key")),
        Kind.AUTH_REJECTED,
        ("IKE_AUTH", "AUTHENTICATION_FAILED"),
    ),
    "wrong password": Row(
        eap_client(b"looking glass"), BY_EAP, Kind.AUTH_REJECTED, ("password", "E=691"), True
    ),
    "unknown user": Row(
        eap_client(),
        replace(BY_EAP, accounts=Accounts({"bob": Secret(PASSWORD)})),
        Kind.AUTH_REJECTED,
        ("E=691",),
        True,
    ),
    "certificate of the client not accepted": Row(
        cert_client(),
        replace(BY_CERT, client_anchors=(STRANGERS.certificate,)),
        Kind.AUTH_REJECTED,
        ("AUTHENTICATION_FAILED",),
    ),
    "a gateway of unknown authority": Row(
        eap_client(),
        with_certificate(STRANGERS.issue("CN=vpn.example.com", dns=["vpn.example.com"], **VALID)),
        Kind.TRUST_UNKNOWN_CA,
        ("CN=vpn.example.com", "CN=Strangers"),
    ),
    "a gateway of another name": Row(
        eap_client(name="work.example.com"),
        BY_EAP,
        Kind.TRUST_NAME,
        ("work.example.com is wanted", "vpn.example.com"),
    ),
    "a gateway that calls itself otherwise": Row(
        replace(eap_client(), proof=CertProof(Trust((AUTHORITY.certificate,), GATEWAY_ID, strict=True))),
        replace(BY_EAP, identity=Identity.parse("other.example.com")),
        Kind.TRUST_NAME,
        ("other.example.com", "vpn.example.com"),
    ),
    "an expired certificate": Row(
        eap_client(),
        with_certificate(certificate(**YESTERDAY)),
        Kind.TRUST_EXPIRED,
        ("expired on 2026-05-31",),
    ),
    "a certificate for another purpose": Row(
        eap_client(),
        with_certificate(certificate(usages=[ExtendedKeyUsageOID.CODE_SIGNING])),
        Kind.TRUST_NO_PROOF,
        ("other purposes",),
    ),
    "a weak certificate": Row(
        eap_client(), with_certificate(certificate(key="rsa1024")), Kind.TRUST_WEAK, ("1024 bits",)
    ),
    "a signature that does not fit": Row(
        eap_client(),
        replace(BY_EAP, signer=KeySigner(certificate().key)),
        Kind.TRUST_NO_PROOF,
        ("does not fit the certificate",),
    ),
    "a pre-shared key where a certificate is due": Row(
        eap_client(), replace(BY_EAP, proof="psk"), Kind.TRUST_NO_PROOF, ("no certificate",)
    ),
    "a certificate where a pre-shared key is due": Row(
        client_config(), replace(gateway_config(), proof="cert"), Kind.TRUST_NO_PROOF, ("shared key",)
    ),
    "another name with a pre-shared key": Row(
        replace(client_config(), remote_id=Identity.parse("work.example.com")),
        gateway_config(),
        Kind.TRUST_NAME,
        ("calls itself vpn.example.com", "expects work.example.com"),
    ),
    "no common algorithm for IKE": Row(
        client_config(), OTHER_IKE, Kind.CRYPTO_NO_PROPOSAL, ("IKE_SA_INIT", "NO_PROPOSAL_CHOSEN")
    ),
    "no common algorithm for ESP": Row(
        client_config(), OTHER_ESP, Kind.CRYPTO_NO_PROPOSAL, ("Child SA", "NO_PROPOSAL_CHOSEN")
    ),
    "nothing in common to reach": Row(
        replace(client_config(), remote_selectors=(selector_of(ip_network("172.31.0.0/16")),)),
        gateway_config(),
        Kind.TS_UNACCEPTABLE,
        ("Child SA", "TS_UNACCEPTABLE"),
    ),
    "no inside address": Row(
        client_config(), replace(gateway_config(), pools=()), Kind.ADDRESS_NONE, ("no inside address",)
    ),
}
