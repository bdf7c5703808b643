"""Who may be believed to be the gateway: path, strength, purpose and name of its certificate.

The order is that of the questions: does it read, does a trusted authority vouch for it today, is its key
strong, may it be used by a gateway, and is it the one that the profile means.  Each no is a `TrustError`
whose failure names what was found and what was wanted.  Nothing that derives from a credential may leave
before the yes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from . import chains
from .distinguished import quoted
from .events import Kind
from .identity import Identity, matches_certificate, names_of
from .inquest import Inquest, Memory
from .refusal import Refusal, printable
from .revocation import Policy
from .signatures import PublicKey, WholePublicKey

MIN_RSA_BITS = 2048
MIN_CURVE_BITS = 256
MAX_NAMED_ANCHORS = (
    16  # a longer list in CERTREQ is a system store: it helps nobody and makes the message large
)

MOST_TOLD = 4  # certificates of a chain that a refusal names
IKE_INTERMEDIATE = x509.ObjectIdentifier("1.3.6.1.5.5.8.2.2")  # what Apple's and Microsoft's clients look for
GATEWAY_PURPOSES = frozenset(
    {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.IPSEC_IKE,  # RFC 4945 section 5.1.3.12
        IKE_INTERMEDIATE,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    }
)
LOGIN_PURPOSES = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
CLIENT_PURPOSES = GATEWAY_PURPOSES - {ExtendedKeyUsageOID.SERVER_AUTH} | {ExtendedKeyUsageOID.CLIENT_AUTH}

_STRONG_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class TrustError(Refusal):
    """The peer's certificate does not prove what the profile wants to see proven."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a profile says about the gateway's certificate.

    `strict`: the gateway must call itself `expected`, and its certificate must confirm it.  Otherwise it may
    call itself anything (cloud gateways do), and the certificate must confirm `expected` all the same.
    `allow_sha1` admits SHA-1 in the AUTH payload of gateways that know no better, never in certificates.
    """

    anchors: tuple[x509.Certificate, ...]
    expected: Identity | None
    strict: bool = False
    allow_sha1: bool = False
    keys: tuple[PublicKey, ...] = ()  # of the gateway itself
    pins: frozenset[str] = frozenset()  # SHA-256 of its key in hexadecimal; with anchors, both must agree
    asks: bool = False  # a user may confirm a key that is not pinned
    revocation: Policy = Policy.OFF
    lists: tuple[x509.CertificateRevocationList, ...] = ()  # that the profile has

    def inquest(self, path: chains.Path, memory: Memory, wall: datetime) -> Inquest:
        """Whether a verified path still holds, as far as that can be said here; `Refusal` if it does not."""
        inquest = Inquest(path, self.revocation, memory, wall)
        inquest.consult(self.lists)
        return inquest

    def authority_hashes(self) -> tuple[bytes, ...]:
        """What CERTREQ names our anchors by: SHA-1 of their public keys (RFC 7296 section 3.7)."""
        if len(self.anchors) > MAX_NAMED_ANCHORS:
            return ()
        keys = [key for anchor in self.anchors if (key := _public_key(anchor)) is not None]
        return tuple(_authority_hash(key) for key in keys)


def _authority_hash(key: CertificatePublicKeyTypes) -> bytes:
    """SHA-1 of a SubjectPublicKeyInfo, 20 octets."""
    return hashlib.sha1(
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).digest()


class Vouched(NamedTuple):
    """A certificate that an authority vouches for, its key, and the path from it to our anchor."""

    certificate: x509.Certificate
    key: PublicKey
    path: chains.Path


def verify_gateway(trust: Trust, claimed: Identity, chain: Sequence[bytes], wall: datetime) -> PublicKey:
    """The key of `vouched_gateway`."""
    return vouched_gateway(trust, claimed, chain, wall).key


def vouched_gateway(trust: Trust, claimed: Identity, chain: Sequence[bytes], wall: datetime) -> Vouched:
    """The key with which the gateway must have signed AUTH; `TrustError` where its certificate will not do.

    `claimed` is its IDr, `chain` its DER certificates, the one of the key first.
    """
    expected = trust.expected
    if expected is None:
        raise TrustError(Kind.TRUST_NAME, f"the profile does not say whom to expect, {claimed} answered")
    try:
        vouched = _verify(trust.anchors, chain, wall, GATEWAY_PURPOSES)
        check_identity(trust, claimed)
        _check_name(expected, vouched.certificate)
    except TrustError as error:
        raise _with(error, chain, f"its identity (IDr) is {claimed}") from None
    return vouched


def check_identity(trust: Trust, claimed: Identity) -> None:
    """A strict profile wants the gateway to call itself by the name expected."""
    expected = trust.expected
    if trust.strict and expected is not None and not claimed.same_as(expected):
        raise TrustError(
            Kind.TRUST_NAME, f"the gateway calls itself {claimed}, the profile expects {expected}"
        )


def verify_login_server(trust: Trust, chain: Sequence[bytes], wall: datetime) -> Vouched:
    """Make sure of the server at the other end of TLS inside EAP, which need not be the gateway.

    It makes no claim of its own: its certificate must bear the name that is expected.  Revocation is for the caller
    to ask about.
    """
    expected = trust.expected
    if expected is None:
        raise TrustError(Kind.TRUST_NAME, "the profile does not say which login server to expect")
    try:
        vouched = _verify(trust.anchors, chain, wall, LOGIN_PURPOSES)
        _check_name(expected, vouched.certificate)
    except TrustError as error:
        kind = error.failure.kind if error.failure is not None else Kind.TRUST_NO_PROOF
        raise _with(TrustError(kind, f"the login server inside EAP: {error}"), chain) from None
    return vouched


def _with(error: TrustError, chain: Sequence[bytes], *said: str) -> TrustError:
    """The same, with what was shown and said: whoever has to mend it sees at once which certificate it is about."""
    kind = error.failure.kind if error.failure is not None else Kind.TRUST_NO_PROOF
    read = [found for data in chain[:MOST_TOLD] if (found := chains.load(data)) is not None]
    shown = [f"{_called(found)} issued by {quoted(found.issuer)}" for found in read]
    more = [f"{len(chain) - len(read)} more"] if len(chain) > len(read) > 0 else []
    told = [f"it shows {', '.join((*shown, *more))}"] if shown else []
    return TrustError(kind, printable("; ".join((str(error), *told, *said)), 900))


def verify_peer(
    anchors: Sequence[x509.Certificate], claimed: Identity, chain: Sequence[bytes], wall: datetime
) -> PublicKey:
    """The responder's view of a client: its certificate must confirm the IDi that it claims."""
    vouched = _verify(anchors, chain, wall, CLIENT_PURPOSES)
    _check_name(claimed, vouched.certificate)
    return vouched.key


def _verify(
    anchors: Sequence[x509.Certificate],
    chain: Sequence[bytes],
    wall: datetime,
    purposes: frozenset[x509.ObjectIdentifier],
) -> Vouched:
    """Everything but the name."""
    if not chain:
        raise TrustError(Kind.TRUST_NO_PROOF, "the peer sent no certificate")
    read = [chains.load(data) for data in chain[: chains.MAX_CERTIFICATES]]
    leaf, others = read[0], [certificate for certificate in read[1:] if certificate is not None]
    if leaf is None:
        raise TrustError(Kind.TRUST_NO_PROOF, "the peer's certificate does not read")
    _check_dates(leaf, wall)
    key = _strong_key(leaf)
    path = _find_path(leaf, others, anchors, wall)
    for certificate in path[1:]:
        _strong_key(certificate)
    for certificate in path[:-1]:  # what an anchor is signed with proves nothing and is not asked
        _check_signature(certificate)
    _check_purpose(leaf, purposes)
    for certificate in path[1:-1]:
        _check_authority_purpose(certificate, purposes)
    return Vouched(leaf, key, path)


def _find_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    wall: datetime,
) -> chains.Path:
    try:
        return chains.find_path(leaf, others, anchors, wall)
    except chains.NoPath as error:
        raise _diagnose(str(error), leaf, others, anchors, wall) from None


def _diagnose(
    reason: str,
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    wall: datetime,
) -> TrustError:
    """The likeliest cause of a missing path, what is easiest to mend first."""
    sent = [leaf, *others]
    issuers = {certificate.issuer for certificate in sent}
    above = [*others, *(anchor for anchor in anchors if anchor.subject in issuers)]
    missing = issuers - {certificate.subject for certificate in [*others, *anchors]}
    return (
        _complaint(lambda certificate: _check_dates(certificate, wall), above)
        or _complaint(_strong_key, above)
        or _unknown(leaf, missing)
        or _complaint(_check_signature, sent)
        or TrustError(Kind.TRUST_UNKNOWN_CA, printable(f"{_called(leaf)} cannot be verified: {reason}"))
    )


def _complaint(
    check: Callable[[x509.Certificate], object], certificates: Sequence[x509.Certificate]
) -> TrustError | None:
    """What the check first finds fault with, if anything."""
    for certificate in certificates:
        try:
            check(certificate)
        except TrustError as error:
            return error
    return None


def _unknown(leaf: x509.Certificate, missing: set[x509.Name]) -> TrustError | None:
    if not missing:
        return None
    names = " or ".join(sorted(quoted(name) for name in missing))
    return TrustError(
        Kind.TRUST_UNKNOWN_CA, f"the certificate {_called(leaf)} is issued by {names}, not trusted here"
    )


def _check_dates(certificate: x509.Certificate, wall: datetime) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if wall < start:
        raise TrustError(
            Kind.TRUST_EXPIRED,
            f"the certificate {_called(certificate)} is not valid before {start:%Y-%m-%d %H:%M} UTC, "
            f"the clock here says {wall:%Y-%m-%d %H:%M}",
        )
    if wall > end:
        raise TrustError(
            Kind.TRUST_EXPIRED,
            f"the certificate {_called(certificate)} expired on {end:%Y-%m-%d %H:%M} UTC",
        )


def _strong_key(certificate: x509.Certificate) -> PublicKey:
    """The certificate's key, of a kind and size that can prove something."""
    return check_strength(_public_key(certificate), _called(certificate))


def check_strength(found: object, subject: str) -> PublicKey:
    """The key, if it is of a kind and size that can prove something."""
    match found:
        case rsa.RSAPublicKey() as key:
            if key.key_size < MIN_RSA_BITS:
                raise TrustError(Kind.TRUST_WEAK, f"the RSA key of {subject} has {key.key_size} bits")
            if key.public_numbers().e < 3 or key.public_numbers().e % 2 == 0:
                raise TrustError(Kind.TRUST_WEAK, f"the RSA key of {subject} has a senseless exponent")
            return key
        case ec.EllipticCurvePublicKey() as key:
            if key.curve.key_size < MIN_CURVE_BITS:
                raise TrustError(Kind.TRUST_WEAK, f"the key of {subject} is on the curve {key.curve.name}")
            return key
        case key if isinstance(key, WholePublicKey):
            return key
        case _:
            raise TrustError(Kind.TRUST_WEAK, f"the key of {subject} is of a kind that IKE does not use")


def _public_key(certificate: x509.Certificate) -> CertificatePublicKeyTypes | None:
    """The key, None where the library does not know its kind: an anchor may have any."""
    try:
        return certificate.public_key()
    except chains.UNREADABLE:
        return None


def _check_signature(certificate: x509.Certificate) -> None:
    """SHA-1 and MD5 let others forge certificates; Edwards curves and ML-DSA bring their own hash."""
    used = certificate.signature_hash_algorithm
    if used is not None and not isinstance(used, _STRONG_HASHES):
        raise TrustError(
            Kind.TRUST_WEAK, f"the certificate {_called(certificate)} is signed with {used.name}"
        )


def _check_purpose(certificate: x509.Certificate, purposes: frozenset[x509.ObjectIdentifier]) -> None:
    """RFC 4945 sections 5.1.3.2 and 5.1.3.12; an absent extension allows everything."""
    for extension in certificate.extensions:
        usage = extension.value
        if isinstance(usage, x509.KeyUsage) and not (usage.digital_signature or usage.content_commitment):
            raise TrustError(
                Kind.TRUST_NO_PROOF, f"the key of {_called(certificate)} is not made for signatures"
            )
        if isinstance(usage, x509.ExtendedKeyUsage):
            _check_extended_usage(certificate, usage, purposes)


def _check_authority_purpose(
    certificate: x509.Certificate, purposes: frozenset[x509.ObjectIdentifier]
) -> None:
    """What an authority in between is made for bounds what it makes, as OpenSSL and browsers have it.

    An anchor is trusted for what the profile wants of it.
    """
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.ExtendedKeyUsage):
            _check_extended_usage(certificate, extension.value, purposes)


def _check_extended_usage(
    certificate: x509.Certificate, usage: x509.ExtendedKeyUsage, purposes: frozenset[x509.ObjectIdentifier]
) -> None:
    if purposes.isdisjoint(usage):
        found = ", ".join(sorted(oid.dotted_string for oid in usage))
        raise TrustError(
            Kind.TRUST_NO_PROOF,
            f"the certificate {_called(certificate)} is made for other purposes: {found}",
        )


def _check_name(wanted: Identity, certificate: x509.Certificate) -> None:
    if not matches_certificate(wanted, certificate):
        present = ", ".join(names_of(certificate)) or "nobody"
        raise TrustError(Kind.TRUST_NAME, f"{wanted} is wanted, the certificate names {present}")


def _called(certificate: x509.Certificate) -> str:
    return quoted(certificate.subject)
