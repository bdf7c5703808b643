"""Certification paths: from a peer's certificate to one of our anchors (RFC 5280 section 6).

The path is found and checked by `cryptography`, with an extension policy of ours, because the certificates of
gateways rarely follow the web's rules: extended key usages differ, names may be missing.  That verifier knows
the web's algorithms only and refuses Edwards curve and ML-DSA keys, which private authorities do use.  For
these, and only where the library has refused, `_walk` makes the same checks itself; what it does not
understand it refuses.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification

from .signatures import WholePublicKey

MAX_CERTIFICATES = 10  # of a peer that we look at; RFC 7296 section 3.6 wants four at least
MAX_SIZE = 16384  # octets of one certificate: far above real ones
MAX_DEPTH = 6  # authorities in a path, our anchor included

Path = tuple[x509.Certificate, ...]
"""A certification path: the peer's certificate first, our anchor last."""

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for certificates that do not parse, at loading or at the first use of a field."""


class NoPath(Exception):
    """No valid path to an anchor."""


def load(data: bytes) -> x509.Certificate | None:
    """A peer's certificate, None unless every field that we use reads well."""
    if len(data) > MAX_SIZE:
        return None
    try:
        return _load(data)
    except UNREADABLE:
        return None


def _load(data: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        # What the library dislikes and still reads, serial numbers below 1 for example, is old gateways' doing.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        certificate = x509.load_der_x509_certificate(data)
        _ = (certificate.subject.public_bytes(), certificate.issuer.public_bytes())
        _ = (certificate.extensions, certificate.public_key(), certificate.signature_hash_algorithm)
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    return certificate


def find_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    wall: datetime,
) -> Path:
    """The path that proves `leaf`, valid at `wall`; `NoPath` says why there is none.

    A leaf that is itself an anchor is proven by that: a self-made gateway's certificate is trusted this way.
    """
    if not anchors:
        raise NoPath("no authority is trusted")
    try:
        return tuple(_verifier(anchors, wall).verify(leaf, list(others)).chain)
    except verification.VerificationError as error:
        if not any(_is_beyond_the_web(item) for item in (leaf, *others, *anchors)):
            raise NoPath(str(error)) from None
    return _walk(leaf, others, anchors, wall)


def _verifier(anchors: Sequence[x509.Certificate], wall: datetime) -> verification.ClientVerifier:
    """The verifier for a peer without a web name: who the leaf belongs to is for the caller to check."""
    agnostic = verification.Criticality.AGNOSTIC
    authorities = (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, agnostic, None)
        .may_be_present(x509.KeyUsage, agnostic, _check_authority_usage)
    )
    leaves = verification.ExtensionPolicy.permit_all().may_be_present(
        x509.SubjectAlternativeName, agnostic, None
    )
    return (
        verification.PolicyBuilder()
        .store(verification.Store(list(anchors)))
        .time(wall)
        .max_chain_depth(MAX_DEPTH)
        .extension_policies(ca_policy=authorities, ee_policy=leaves)
        .build_client_verifier()
    )


def _check_authority_usage(
    policy: verification.Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the key of an authority may not sign certificates")


# Paths with keys that the web does not use


def _is_beyond_the_web(certificate: x509.Certificate) -> bool:
    try:
        key = certificate.public_key()
    except UNREADABLE:
        return False
    return isinstance(key, WholePublicKey)


_UNDERSTOOD = (
    x509.AuthorityKeyIdentifier,
    x509.BasicConstraints,
    x509.ExtendedKeyUsage,
    x509.KeyUsage,
    x509.SubjectAlternativeName,
    x509.SubjectKeyIdentifier,
)
"""Extensions that may be critical.  Name constraints are not among them, hence they end a path."""


def _walk(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    wall: datetime,
) -> Path:
    """Breadth first, each certificate once: a peer's tangle of cross signatures costs no more than that."""
    if not _holds(leaf, wall):
        raise NoPath("the certificate is out of date, or has an extension that is not understood")
    if leaf in anchors:
        return (leaf,)
    unused = list(others)
    paths: list[Path] = [(leaf,)]
    for path in paths:
        for anchor in anchors:
            if _issued(anchor, path, wall):
                return (*path, anchor)
        found = [item for item in unused if len(path) < MAX_DEPTH and _issued(item, path, wall)]
        unused = [item for item in unused if item not in found]
        paths += [(*path, item) for item in found]
    raise NoPath("no trusted authority signed it")


def _issued(issuer: x509.Certificate, path: Path, wall: datetime) -> bool:
    """True where `issuer` may stand above `path`: it is an authority, in date, and signed the last one."""
    try:
        if not _holds(issuer, wall) or not _is_authority(issuer, below=len(path) - 1):
            return False
        path[-1].verify_directly_issued_by(issuer)
    except (*UNREADABLE, InvalidSignature):
        return False
    return True


def _holds(certificate: x509.Certificate, wall: datetime) -> bool:
    known = all(
        isinstance(item.value, _UNDERSTOOD)
        or not (item.critical or isinstance(item.value, x509.NameConstraints))
        for item in certificate.extensions
    )
    return known and certificate.not_valid_before_utc <= wall <= certificate.not_valid_after_utc


def _is_authority(certificate: x509.Certificate, below: int) -> bool:
    """True where it may sign certificates, with `below` authorities between it and the leaf."""
    try:
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    if not limits.ca or (limits.path_length is not None and below > limits.path_length):
        return False
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True
