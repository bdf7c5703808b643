"""What authorities say of certificates in tests: revocation lists and OCSP responses, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from client.ike.revocation import Link
from client.ike.signatures import PrivateKey, WholePrivateKey
from client.lab.pki import Authority, Issued, KeyKind
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
    authority: Authority = AUTHORITY,
    *,
    key: KeyKind = "ecdsa",
    made_for_it: bool = True,
    not_after: datetime | None = None,
) -> Issued:
    """Somebody whom the authority lets answer for it."""
    usages = [ExtendedKeyUsageOID.OCSP_SIGNING if made_for_it else ExtendedKeyUsageOID.SERVER_AUTH]
    return authority.issue(
        "CN=OCSP of the root",
        key=key,
        usages=usages,
        not_before=VALID["not_before"],
        not_after=not_after or VALID["not_after"],
    )


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
    signed_with: hashes.HashAlgorithm | None = None,
    pss_salt: int | None = None,
) -> bytes:
    """An OCSP response, signed by the authority itself or by somebody else; with RSA-PSS where a salt is named."""
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
    made = builder.sign(by.key, None if isinstance(by.key, WholePrivateKey) else hashes.SHA256())
    if signed_with is None and pss_salt is None:
        return made.public_bytes(Encoding.DER)
    return _resigned(made, by.key, signed_with or hashes.SHA256(), pss_salt)


def _resigned(
    made: ocsp.OCSPResponse, key: PrivateKey, used: hashes.HashAlgorithm, salt: int | None
) -> bytes:
    """With another signature by RSA (RFC 6960 section 4.2.1): the library does not make all that it reads."""
    assert isinstance(key, rsa.RSAPrivateKey)
    if salt is None:
        identifier = bytes.fromhex("300d06092a864886f70d0101050500")  # sha1WithRSAEncryption
        signature = key.sign(made.tbs_response_bytes, padding.PKCS1v15(), used)
    else:
        identifier = _pss_identifier(used, salt)
        signature = key.sign(made.tbs_response_bytes, padding.PSS(padding.MGF1(used), salt), used)
    shown = b"".join(found.public_bytes(Encoding.DER) for found in made.certificates)
    certificates = _der(0xA0, _der(0x30, shown)) if shown else b""
    basic = _der(0x30, made.tbs_response_bytes, identifier, _der(0x03, b"\0", signature), certificates)
    kind = bytes.fromhex("06092b0601050507300101")  # id-pkix-ocsp-basic
    return _der(0x30, b"\x0a\x01\x00", _der(0xA0, _der(0x30, kind, _der(0x04, basic))))


def _pss_identifier(used: hashes.HashAlgorithm, salt: int) -> bytes:
    """AlgorithmIdentifier of RSASSA-PSS, the mask by the same hash; defaults left out (RFC 4055 section 3.1)."""
    size = b"" if salt == 20 else _der(0xA2, _der(0x02, salt.to_bytes(salt.bit_length() // 8 + 1)))
    hashed = b""
    if not isinstance(used, hashes.SHA1):
        arc = {"sha256": "01", "sha512": "03"}[used.name]
        inner = _der(0x30, bytes.fromhex(f"06096086480165030402{arc}"), b"\x05\0")
        mask = _der(0x30, bytes.fromhex("06092a864886f70d010108"), inner)
        hashed = _der(0xA0, inner) + _der(0xA1, mask)
    return _der(0x30, bytes.fromhex("06092a864886f70d01010a"), _der(0x30, hashed, size))


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def revocation_list(
    revoked: Iterable[x509.Certificate] = (),
    *,
    by: Authority = AUTHORITY,
    name: x509.Name | None = None,
    since: datetime = WALL - HOUR,
    until: datetime = WALL + HOUR,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    marks: Iterable[x509.ExtensionType] = (x509.CRLReason(COMPROMISED),),
    by_pss: bool = False,
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
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if by_pss else None
    used = None if isinstance(by.key, WholePrivateKey) else hashes.SHA256()
    return builder.sign(by.key, used, rsa_padding=pss)


def octets(found: x509.CertificateRevocationList) -> bytes:
    """As it is published."""
    return found.public_bytes(Encoding.DER)
