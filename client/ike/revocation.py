"""Whether an authority has taken a certificate back: certificate revocation lists and OCSP.

RFC 5280 section 6.3 and RFC 6960.  Only certificates of a path that leads to a trusted anchor are looked after,
so that nobody else makes us ask anybody.  Evidence comes from lists in the profile, from the peer itself (RFC 4806,
TLS stapling), from earlier logins, and at last from where the certificates say; it is worth something only if it is
signed by the certificate's issuer, or for OCSP by whom the issuer has appointed, speaks of this very certificate,
and is of today.  Lists signed by others than the issuer (indirect ones) and partial lists (deltas, some reasons)
prove nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, SignatureAlgorithmOID

from . import chains
from .distinguished import quoted
from .signatures import WholePublicKey

MAX_SIZE = 1 << 20  # octets of a list or a response
SKEW = timedelta(minutes=5)  # between our clock and theirs
OPEN_END = timedelta(days=1)  # how old an answer may be that does not say until when it holds
MAX_RESPONDERS = 4  # certificates of a response that are looked at

_STRONG_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_READABLE_IN_LISTS = (x509.IssuingDistributionPoint, x509.AuthorityKeyIdentifier, x509.CRLNumber)


class Policy(StrEnum):
    """What a profile wants: never look; refuse what is known to be revoked; refuse what is not known to be good."""

    OFF = "off"
    RELAXED = "relaxed"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate, and the one above it in a verified path."""

    certificate: x509.Certificate
    issuer: x509.Certificate

    @property
    def called(self) -> str:
        """The certificate in words, with the number by which authorities speak of it."""
        return f"{quoted(self.certificate.subject)} (serial {self.certificate.serial_number:#x})"


def links_of(path: chains.Path) -> tuple[Link, ...]:
    """All that can be revoked: everything but the anchor, which the user trusts by himself."""
    return tuple(Link(below, above) for below, above in pairwise(path))


@dataclass(frozen=True, slots=True)
class Good:
    """The certificate was not revoked; said by `by`, and true until then (None: for this once)."""

    by: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Revoked:
    """The certificate must not be believed any more."""

    by: str
    until: datetime | None
    at: datetime
    reason: str

    def sentence(self, link: Link) -> str:
        """What the user is told."""
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"the certificate {link.called} was revoked on {self.at:%Y-%m-%d %H:%M} UTC{why}, says {self.by}"
        )


Finding = Good | Revoked


class Unusable(Exception):
    """Evidence that proves nothing, and why."""


class Elsewhere(Unusable):
    """Evidence about other certificates: nothing is wrong with it."""


# OCSP


def ask_about(link: Link, nonce: bytes) -> bytes:
    """An OCSP request (RFC 6960 section 4.1), with a nonce against old answers (RFC 9654)."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(link.certificate, link.issuer, hashes.SHA1())
    request = builder.add_extension(x509.OCSPNonce(nonce), critical=False).build()
    return request.public_bytes(Encoding.DER)


def read_ocsp(data: bytes, link: Link, wall: datetime, nonce: bytes = b"") -> Finding:
    """What an OCSP response says of the certificate; `Unusable` where that is nothing.

    A responder may leave our nonce out (RFC 9654 section 2.1); another one is an answer to somebody else.
    """
    if len(data) > MAX_SIZE:
        raise Unusable("the OCSP response is too large")
    try:
        return _read_ocsp(ocsp.load_der_ocsp_response(data), link, wall, nonce)
    except chains.UNREADABLE:
        raise Unusable("the OCSP response does not read") from None


def _read_ocsp(response: ocsp.OCSPResponse, link: Link, wall: datetime, nonce: bytes) -> Finding:
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        words = response.response_status.name.lower().replace("_", " ")
        raise Unusable(f"the OCSP responder answers: {words}")
    single = next((entry for entry in response.responses if _is_about(entry, link)), None)
    if single is None:
        raise Elsewhere("the OCSP response is about another certificate")
    responder = _responder(response, link.issuer, wall)
    _check_nonce(response, nonce)
    until = _fresh("OCSP response", single.this_update_utc, single.next_update_utc, wall)
    by = f"the OCSP responder {quoted(responder.subject)}"
    match single.certificate_status:
        case ocsp.OCSPCertStatus.GOOD:
            return Good(by, until)
        case ocsp.OCSPCertStatus.REVOKED:
            return Revoked(by, until, single.revocation_time_utc or wall, _words(single.revocation_reason))
        case _:
            raise Unusable(f"{by} does not know the certificate")


def _responder(response: ocsp.OCSPResponse, issuer: x509.Certificate, wall: datetime) -> x509.Certificate:
    """Who has signed: the issuer, or whom it has appointed for that (RFC 6960 section 4.2.2.2)."""
    named = [
        certificate
        for certificate in (issuer, *response.certificates[:MAX_RESPONDERS])
        if _is_named(response, certificate)
    ]
    if not named:
        raise Unusable("the OCSP response is signed by somebody who shows no certificate")
    responder = named[0]
    if responder != issuer:
        _check_appointed(responder, issuer, wall)
    _check_signature(response, responder)
    return responder


def _is_named(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    key = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    return response.responder_key_hash == key.digest


def _check_appointed(responder: x509.Certificate, issuer: x509.Certificate, wall: datetime) -> None:
    """Appointed by this issuer directly, for this purpose.

    Whether the responder's own certificate was revoked is not asked: it would have to answer for itself.
    """
    called = quoted(responder.subject)
    used = responder.signature_hash_algorithm
    if used is not None and not isinstance(used, _STRONG_HASHES):
        raise Unusable(f"the OCSP responder {called} is appointed with {used.name}")
    try:
        responder.verify_directly_issued_by(issuer)
        purposes = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (*chains.UNREADABLE, InvalidSignature, x509.ExtensionNotFound):
        raise Unusable(f"the OCSP responder {called} is not appointed by the issuer") from None
    if ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        raise Unusable(f"the certificate {called} is not made for OCSP responses")
    if not responder.not_valid_before_utc - SKEW <= wall <= responder.not_valid_after_utc + SKEW:
        raise Unusable(f"the certificate of the OCSP responder {called} is out of date")


def _check_signature(response: ocsp.OCSPResponse, responder: x509.Certificate) -> None:
    try:
        _verify(response, responder.public_key())
    except InvalidSignature:
        raise Unusable("the signature of the OCSP response is wrong") from None


def _verify(response: ocsp.OCSPResponse, key: object) -> None:
    """`InvalidSignature`, or `Unusable` where it is of a kind that proves too little."""
    signature, octets = response.signature, response.tbs_response_bytes
    is_pss = response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
    used = None if is_pss else response.signature_hash_algorithm  # of PSS the library does not say it
    match key:
        case key if isinstance(key, WholePublicKey):
            key.verify(signature, octets)
        case rsa.RSAPublicKey() if is_pss:
            _verify_pss(key, signature, octets)
        case rsa.RSAPublicKey() if isinstance(used, _STRONG_HASHES):
            key.verify(signature, octets, padding.PKCS1v15(), used)
        case ec.EllipticCurvePublicKey() if isinstance(used, _STRONG_HASHES):
            key.verify(signature, octets, ec.ECDSA(used))
        case _:
            raise Unusable("the OCSP response is signed by an algorithm that is not accepted")


def _verify_pss(key: rsa.RSAPublicKey, signature: bytes, octets: bytes) -> None:
    """With any hash that is strong, and any salt: a signature that fits one of them was made by the key's owner."""
    for strong in _STRONG_HASHES:
        mask = padding.PSS(padding.MGF1(strong()), padding.PSS.AUTO)
        with suppress(InvalidSignature):
            key.verify(signature, octets, mask, strong())
            return
    raise InvalidSignature


def _check_nonce(response: ocsp.OCSPResponse, nonce: bytes) -> None:
    try:
        echoed = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return
    if nonce and echoed != nonce:
        raise Unusable("the OCSP response answers another request")


def _is_about(entry: ocsp.OCSPSingleResponse, link: Link) -> bool:
    """The issuer's name and key, and the serial number (RFC 6960 section 4.1.1), by the hash that they chose."""
    if entry.serial_number != link.certificate.serial_number:
        return False
    builder = ocsp.OCSPRequestBuilder()
    asked = builder.add_certificate(link.certificate, link.issuer, entry.hash_algorithm).build()
    return (entry.issuer_name_hash, entry.issuer_key_hash) == (asked.issuer_name_hash, asked.issuer_key_hash)


# Certificate revocation lists


def load_list(data: bytes) -> x509.CertificateRevocationList:
    """A list, DER or PEM; `Unusable` where it is none."""
    if len(data) > MAX_SIZE:
        raise Unusable("the revocation list is too large")
    try:
        if data.lstrip().startswith(b"-----"):
            return x509.load_pem_x509_crl(data)
        return x509.load_der_x509_crl(data)
    except chains.UNREADABLE:
        raise Unusable("the revocation list does not read") from None


def read_list(found: x509.CertificateRevocationList, link: Link, wall: datetime) -> Finding:
    """What a list says of the certificate; `Unusable` where that is nothing."""
    try:
        return _read_list(found, link, wall)
    except chains.UNREADABLE:
        raise Unusable("the revocation list does not read") from None


def _read_list(found: x509.CertificateRevocationList, link: Link, wall: datetime) -> Finding:
    issuer = link.issuer
    if found.issuer != issuer.subject or link.certificate.issuer != issuer.subject:
        raise Elsewhere(f"the revocation list is one of {quoted(found.issuer)}")
    _check_scope(found, link)
    _check_list_signature(found, issuer)
    until = _fresh("revocation list", found.last_update_utc, found.next_update_utc, wall)
    by = f"the revocation list of {quoted(issuer.subject)}"
    entry = found.get_revoked_certificate_by_serial_number(link.certificate.serial_number)
    if entry is None:
        return Good(by, until)
    return Revoked(by, until, entry.revocation_date_utc, _reason(entry))


def _check_list_signature(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> None:
    used = found.signature_hash_algorithm
    if used is not None and not isinstance(used, _STRONG_HASHES):
        raise Unusable(f"the revocation list is signed with {used.name}")
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        if not usage.crl_sign:
            raise Unusable(f"the key of {quoted(issuer.subject)} may not sign revocation lists")
    except x509.ExtensionNotFound:
        pass  # a key without restrictions
    if not found.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
        raise Unusable("the signature of the revocation list is wrong")


def _check_scope(found: x509.CertificateRevocationList, link: Link) -> None:
    """The list must be about certificates like this one, and be all of it (RFC 5280 section 5.2)."""
    for extension in found.extensions:
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            _check_part(extension.value, link)
        elif isinstance(extension.value, x509.DeltaCRLIndicator):
            raise Unusable("the revocation list only has changes to another one")
        elif extension.critical and not isinstance(extension.value, _READABLE_IN_LISTS):
            raise Unusable("the revocation list has a critical extension that is not understood")


def _check_part(part: x509.IssuingDistributionPoint, link: Link) -> None:
    if part.indirect_crl:
        raise Unusable("the revocation list is an indirect one")
    if part.only_some_reasons or part.only_contains_attribute_certs:
        raise Unusable("the revocation list is a partial one")
    if _is_authority(link.certificate) and part.only_contains_user_certs:
        raise Elsewhere("the revocation list is not about authorities")
    if not _is_authority(link.certificate) and part.only_contains_ca_certs:
        raise Elsewhere("the revocation list is about authorities alone")
    if part.relative_name or (part.full_name and not {*part.full_name} & {*_points(link.certificate)}):
        raise Elsewhere("the revocation list is not the one that the certificate names")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _reason(entry: x509.RevokedCertificate) -> str:
    reason = None
    for extension in entry.extensions:
        if isinstance(extension.value, x509.CRLReason):
            reason = extension.value.reason
        elif isinstance(extension.value, x509.CertificateIssuer):
            raise Unusable("the revocation list is an indirect one")
    return _words(reason)


# What both have in common


def sources_of(link: Link) -> Iterator[tuple[str, bool]]:
    """Where to ask, by HTTP alone, best first: addresses, and whether an OCSP responder is there."""
    try:
        access = link.certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        access = x509.AuthorityInformationAccess([])
    for entry in access:
        if entry.access_method == AuthorityInformationAccessOID.OCSP and _is_http(entry.access_location):
            yield entry.access_location.value, True
    for name in _points(link.certificate):
        if _is_http(name):
            yield name.value, False


def _points(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    """The names of the whole lists of the issuer itself."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return
    for point in points:
        if not point.crl_issuer and not point.reasons:
            yield from point.full_name or ()


def _is_http(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.UniformResourceIdentifier) and name.value.lower().startswith("http://")


def _fresh(what: str, since: datetime, until: datetime | None, wall: datetime) -> datetime | None:
    """Until when it holds; the end is not stretched by the clocks' difference, only the beginning is."""
    if since > wall + SKEW:
        raise Unusable(f"the {what} is of {since:%Y-%m-%d %H:%M} UTC, later than the clock here")
    if wall > (since + OPEN_END if until is None else until):
        raise Unusable(f"the {what} is stale: it is of {since:%Y-%m-%d %H:%M} UTC")
    return until


def _words(reason: x509.ReasonFlags | None) -> str:
    return "" if reason in (None, x509.ReasonFlags.unspecified) else reason.name.replace("_", " ")
