"""Certificates and private keys as files hold them: PEM, DER, PKCS #8 and PKCS #12 (RFC 5958, 7292, 7468).

A container may hold a key with its certificate and the certificates above it.  It is opened in the user's own
session where it can be: what is handed over then is plain PEM (`opened`), and no passphrase.
"""

from __future__ import annotations

import binascii
import re
import warnings
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
    pkcs12,
)

from .der import check_rounds

_PEM = b"-----BEGIN "
_KEY = re.compile(rb"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----")
_KEY_BLOCK = re.compile(
    _KEY.pattern + rb"(?:(?!-----BEGIN ).)*?-----END [A-Z0-9 ]*PRIVATE KEY-----", re.DOTALL
)
"""None reaches over the next beginning: else a file of beginnings alone is read once for each of them."""
_LOCKED_BLOCK = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----([A-Za-z0-9+/=\s]*)")
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
MOST_KEYS = 8
"""In a file of our own, each of which takes its time to check; nobody has more than two or three."""
MOST_CERTIFICATES = 256
_VERSION_3 = bytes.fromhex("020103")  # of PFX, its first field

UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion)
"""What the library raises for what it cannot read."""


class Locked(ValueError):
    """The container needs a passphrase, or (`wrong`) another one."""

    def __init__(self, *, wrong: bool) -> None:
        super().__init__("this passphrase does not open it" if wrong else "it is encrypted")
        self.wrong = wrong


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a container holds; `chain`: the key's certificate first, then those above it, the root left out."""

    key: PrivateKeyTypes | None = field(default=None, repr=False)
    chain: tuple[x509.Certificate, ...] = ()
    authorities: tuple[x509.Certificate, ...] = ()


def is_locked(octets: bytes) -> bool:
    """Whether a passphrase is needed to read all that is in it."""
    if octets.startswith(_PEM) or _PEM in octets:
        return _KEY.search(octets) is not None and b"ENCRYPTED" in octets
    if is_bundle(octets):
        return not _opens(octets)
    return False


def read(octets: bytes, passphrase: bytes | None = None) -> Bundle:
    """Everything in a container; `Locked` without the right passphrase, ValueError for what is none.

    A container could ask for two thousand million rounds of hashing: one that takes for ever is none.
    """
    try:
        if is_bundle(octets):
            return _read_pkcs12(octets, passphrase)
        return _sorted(_key(octets, passphrase), _bounded(certificates(octets)))
    except Locked:
        raise
    except UNREADABLE as error:
        raise ValueError(f"it cannot be read: {error}") from None


def choices(octets: bytes, passphrase: bytes | None = None) -> tuple[Bundle, ...]:
    """Every certificate of ours in a container, each with its key: more than one where somebody must choose.

    Of one that was renewed only the latest counts.  A key without a certificate is none.
    """
    first = read(octets, passphrase)
    keys, found = [first.key] if first.key is not None else [], [*first.chain, *first.authorities]
    if _PEM in octets:
        keys, found = _keys(octets, passphrase), _bounded(certificates(octets))
    above = [item for item in found if is_authority(item)]
    latest: dict[object, tuple[PrivateKeyTypes, x509.Certificate]] = {}
    for mine in found:
        for key in keys if mine not in above else []:
            who = (_spki(key), mine.subject, mine.issuer)
            if _public(mine) == _spki(key) and _is_later(mine, latest.get(who)):
                latest[who] = (key, mine)
    return tuple(_sorted(key, [mine, *above]) for key, mine in latest.values())


def _is_later(mine: x509.Certificate, other: tuple[object, x509.Certificate] | None) -> bool:
    return other is None or mine.not_valid_after_utc > other[1].not_valid_after_utc


def certificates(octets: bytes) -> list[x509.Certificate]:
    """The certificates in a PEM or DER file, in its order; none where there is only a key."""
    if _PEM in octets:
        return x509.load_pem_x509_certificates(octets) if _CERTIFICATE in octets else []
    return [] if _is_key(octets) else [x509.load_der_x509_certificate(octets)]


def _bounded(found: list[x509.Certificate]) -> list[x509.Certificate]:
    """Those beside a key of ours: a file of that many is no such file, and to put them in order takes long."""
    if len(found) > MOST_CERTIFICATES:
        raise ValueError(f"it holds {len(found)} certificates, more than {MOST_CERTIFICATES}")
    return found


def public_key(octets: bytes) -> PublicKeyTypes:
    """The public key in a PEM or DER file; ValueError where there is none."""
    try:
        if _CERTIFICATE in octets:
            return x509.load_pem_x509_certificate(octets).public_key()
        return load_pem_public_key(octets) if _PEM in octets else load_der_public_key(octets)
    except UNREADABLE as error:
        raise ValueError(f"it holds no public key: {error}") from None


def holds_key(octets: bytes) -> bool:
    """Whether there is a private key in it, encrypted or not."""
    return _KEY.search(octets) is not None or is_bundle(octets) or _is_key(octets)


def opened(octets: bytes, passphrase: bytes | None) -> bytes:
    """The same as plain PEM, whatever it was."""
    bundle = read(octets, passphrase)
    keys = _keys(octets, passphrase) if _PEM in octets else [] if bundle.key is None else [bundle.key]
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    shown = [item.public_bytes(Encoding.PEM) for item in (*bundle.chain, *bundle.authorities)]
    return b"".join([*(key.private_bytes(*form) for key in keys), *shown])


def _keys(octets: bytes, passphrase: bytes | None) -> list[PrivateKeyTypes]:
    """All private keys of a PEM file, or the one of a DER file."""
    if _PEM not in octets:
        found = _key(octets, passphrase)
        return [] if found is None else [found]
    blocks = [match.group() for match in _KEY_BLOCK.finditer(octets)]
    if len(blocks) > MOST_KEYS:
        raise ValueError(f"it holds {len(blocks)} private keys, more than {MOST_KEYS}")
    return [key for block in blocks if (key := _key(block, passphrase)) is not None]


def _key(octets: bytes, passphrase: bytes | None) -> PrivateKeyTypes | None:
    if _PEM in octets:
        if _KEY.search(octets) is None:
            return None
        if b"ENCRYPTED" in octets:
            return _unlocked(octets, passphrase)
        return load_pem_private_key(octets, None)
    return load_der_private_key(octets, None) if _is_key(octets) else None


def _unlocked(octets: bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    if passphrase is None:
        raise Locked(wrong=False)
    for block in _LOCKED_BLOCK.finditer(octets):
        check_rounds(binascii.a2b_base64(block[1]))
    try:
        return load_pem_private_key(octets, passphrase)
    except (ValueError, TypeError):  # the latter for an empty one
        raise Locked(wrong=True) from None


def _read_pkcs12(octets: bytes, passphrase: bytes | None) -> Bundle:
    check_rounds(octets)
    try:
        found = _load_pkcs12(octets, passphrase)
    except ValueError:
        raise Locked(wrong=passphrase is not None) from None
    own = [] if found.cert is None else [found.cert.certificate]
    return _sorted(found.key, [*own, *(item.certificate for item in found.additional_certs)])


def _sorted(key: PrivateKeyTypes | None, found: list[x509.Certificate]) -> Bundle:
    """The key's certificate first, then one issuer above the other; roots apart, what is left over last."""
    own = [item for item in found if key is not None and _public(item) == _spki(key)][:1]
    roots = [item for item in found if is_authority(item) and item.issuer == item.subject and item not in own]
    rest = [item for item in found if item not in (*own, *roots)]
    chain = own or rest[:1]
    rest = rest if own else rest[1:]
    while chain and (above := next((c for c in rest if c.subject == chain[-1].issuer), None)) is not None:
        chain.append(above)
        rest.remove(above)
    return Bundle(key, (*chain, *rest), tuple(roots))


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign other certificates."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False


def _public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _spki(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _is_key(octets: bytes) -> bool:
    """Whether DER octets are an unencrypted private key."""
    try:
        load_der_private_key(octets, None)
    except UNREADABLE:
        return False
    return True


def _opens(octets: bytes) -> bool:
    try:
        check_rounds(octets)
        _load_pkcs12(octets, None)
    except ValueError:
        return False
    return True


def _load_pkcs12(octets: bytes, passphrase: bytes | None) -> pkcs12.PKCS12KeyAndCertificates:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # serial numbers below 1, BER: what the library dislikes and still reads
        return pkcs12.load_pkcs12(octets, passphrase)


def is_bundle(octets: bytes) -> bool:
    """Whether it is PKCS #12, by its first field: a SEQUENCE that begins with the INTEGER 3."""
    if octets[:1] != b"\x30" or len(octets) < 6:
        return False
    size = octets[1] & 0x7F if octets[1] & 0x80 else 0
    return octets[2 + size : 5 + size] == _VERSION_3
