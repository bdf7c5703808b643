"""What authorities say of certificates in tests: revocation lists and OCSP responses, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from client.ike.revocation import Link
from client.lab.pki import Authority, Issued
from tests.pair import AUTHORITY, VALID, WALL

HOUR = timedelta(hours=1)
REVOKED_AT = WALL - 5 * HOUR
OCSP_URL = "http://ocsp.example.com/ask"
LIST_URL = "http://lists.example.com/root.crl"
COMPROMISED = x509.ReasonFlags.key_compromise


def sources(
    *, responder: str | None = OCSP_URL, lists: Sequence[str] = (LIST_URL,)
) -> list[tuple[x509.ExtensionType, bool]]:
    """Extensions that say where to ask."""
    found: list[tuple[x509.ExtensionType, bool]] = []
    if responder is not None:
        place = x509.UniformResourceIdentifier(responder)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
        found.append((x509.AuthorityInformationAccess([access]), False))
    if lists:
        points = [
            x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in lists
        ]
        found.append((x509.CRLDistributionPoints(points), False))
    return found


GATEWAY = AUTHORITY.issue(
    "CN=vpn.example.com", dns=["vpn.example.com"], server=True, extensions=sources(), **VALID
)
OTHER = AUTHORITY.issue("CN=other.example.com", dns=["other.example.com"], **VALID)
LINK = Link(GATEWAY.certificate, AUTHORITY.certificate)


def appointed(
    authority: Authority = AUTHORITY, *, made_for_it: bool = True, not_after: datetime | None = None
) -> Issued:
    """Somebody whom the authority lets answer for it."""
    usages = [ExtendedKeyUsageOID.OCSP_SIGNING if made_for_it else ExtendedKeyUsageOID.SERVER_AUTH]
    return authority.issue(
        "CN=OCSP of the root",
        usages=usages,
        not_before=VALID["not_before"],
        not_after=not_after or VALID["not_after"],
    )


def _ec(key: object) -> ec.EllipticCurvePrivateKey:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def response(
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    *,
    about: Link = LINK,
    by: Authority | Issued = AUTHORITY,
    shows: Iterable[x509.Certificate] = (),
    since: datetime = WALL - HOUR,
    until: datetime | None = WALL + HOUR,
    nonce: bytes = b"",
    algorithm: hashes.HashAlgorithm | None = None,
    named_by: ocsp.OCSPResponderEncoding = ocsp.OCSPResponderEncoding.NAME,
) -> bytes:
    """An OCSP response, signed by the authority itself or by somebody else."""
    is_revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=about.certificate,
            issuer=about.issuer,
            algorithm=algorithm or hashes.SHA1(),
            cert_status=status,
            this_update=since,
            next_update=until,
            revocation_time=REVOKED_AT if is_revoked else None,
            revocation_reason=COMPROMISED if is_revoked else None,
        )
        .responder_id(named_by, by.certificate)
    )
    if certificates := list(shows):
        builder = builder.certificates(certificates)
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(_ec(by.key), hashes.SHA256()).public_bytes(Encoding.DER)


def revocation_list(
    revoked: Iterable[x509.Certificate] = (),
    *,
    by: Authority = AUTHORITY,
    name: x509.Name | None = None,
    since: datetime = WALL - HOUR,
    until: datetime = WALL + HOUR,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    marks: Iterable[x509.ExtensionType] = (x509.CRLReason(COMPROMISED),),
) -> x509.CertificateRevocationList:
    """A list, signed by the authority."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name or by.certificate.subject)
        .last_update(since)
        .next_update(until)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        entry = entry.revocation_date(REVOKED_AT)
        for mark in marks:
            entry = entry.add_extension(mark, isinstance(mark, x509.CertificateIssuer))
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(_ec(by.key), hashes.SHA256())


def octets(found: x509.CertificateRevocationList) -> bytes:
    """As it is published."""
    return found.public_bytes(Encoding.DER)
