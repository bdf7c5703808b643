"""A throw-away certificate authority: keys and certificates made on the fly, for the demo and the tests.

Nothing here belongs in front of real users: keys live in memory, revocation and serial books do not exist.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..ike.signatures import PrivateKey, WholePrivateKey

KeyKind = Literal[
    "ecdsa", "ecdsa384", "ecdsa521", "ed25519", "ed448", "mldsa44", "mldsa65", "mldsa87", "rsa", "rsa1024"
]

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

_LATTICES: dict[
    KeyKind, type[mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey]
] = {
    "mldsa44": mldsa.MLDSA44PrivateKey,
    "mldsa65": mldsa.MLDSA65PrivateKey,
    "mldsa87": mldsa.MLDSA87PrivateKey,
}
_CURVES: dict[KeyKind, type[ec.EllipticCurve]] = {
    "ecdsa": ec.SECP256R1,
    "ecdsa384": ec.SECP384R1,
    "ecdsa521": ec.SECP521R1,
}


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key and the intermediates that lead to its root, nearest first."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    intermediates: tuple[x509.Certificate, ...] = ()

    @property
    def chain(self) -> tuple[bytes, ...]:
        """DER certificates as CERT payloads carry them: this one first, never the root."""
        return tuple(der(certificate) for certificate in (self.certificate, *self.intermediates))


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority; `intermediates` is empty for a root."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    intermediates: tuple[x509.Certificate, ...] = ()

    def issue(
        self,
        subject: str,
        *,
        dns: Iterable[str] = (),
        ips: Iterable[str] = (),
        emails: Iterable[str] = (),
        key: KeyKind = "ecdsa",
        server: bool = True,
        usages: Sequence[x509.ObjectIdentifier] | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> Issued:
        """A certificate for a gateway (`server`) or a person.

        `usages` replaces the extended key usage; an empty sequence leaves the extension out.
        """
        private = make_key(key)
        builder = _builder(subject, self.certificate.subject, private, not_before, not_after)
        names = _alternative_names(dns, ips, emails)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if usages is None:
            usages = [ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH]
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return Issued(_sign(builder, self.key), private, self._below())

    def subordinate(
        self,
        subject: str,
        *,
        key: KeyKind = "ecdsa",
        path_length: int | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> Authority:
        """An intermediate authority signed by this one."""
        private = make_key(key)
        builder = _builder(subject, self.certificate.subject, private, not_before, not_after)
        builder = _add_authority(builder, path_length)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return Authority(_sign(builder, self.key), private, self._below())

    def _below(self) -> tuple[x509.Certificate, ...]:
        """Intermediates that whatever this authority signs needs."""
        root = self.certificate.issuer == self.certificate.subject
        return () if root else (self.certificate, *self.intermediates)


def make_authority(
    name: str,
    *,
    key: KeyKind = "ecdsa",
    path_length: int | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> Authority:
    """A root; `name` is its common name, or a whole distinguished name like `O=Example, CN=Root`."""
    private = make_key(key)
    builder = _add_authority(_builder(name, None, private, not_before, not_after), path_length)
    return Authority(_sign(builder, private), private)


def make_key(kind: KeyKind) -> PrivateKey:
    """A fresh private key."""
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ed448":
        return ed448.Ed448PrivateKey.generate()
    if kind in _LATTICES:
        return _LATTICES[kind].generate()
    if kind in ("rsa", "rsa1024"):
        return rsa.generate_private_key(65537, 1024 if kind == "rsa1024" else 2048)
    return ec.generate_private_key(_CURVES[kind]())


def der(certificate: x509.Certificate) -> bytes:
    """The certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(item: x509.Certificate | PrivateKey) -> str:
    """A certificate, or a key in unencrypted PKCS #8, as PEM."""
    if isinstance(item, x509.Certificate):
        return item.public_bytes(serialization.Encoding.PEM).decode()
    return item.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def parse_name(text: str) -> x509.Name:
    """A distinguished name in the order of its encoding, or a bare common name."""
    if "=" not in text:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    parts = [part.strip() for part in text.split(",")]
    return x509.Name.from_rfc4514_string(",".join(reversed(parts)))


def _builder(
    subject: str,
    issuer: x509.Name | None,
    key: PrivateKey,
    not_before: datetime | None,
    not_after: datetime | None,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    name = parse_name(subject)
    end = not_after or now + 30 * DAY
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or min(now - HOUR, end - HOUR))
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _add_authority(builder: x509.CertificateBuilder, path_length: int | None) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    return builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)


def _alternative_names(
    dns: Iterable[str], ips: Iterable[str], emails: Iterable[str]
) -> list[x509.GeneralName]:
    return [
        *(x509.DNSName(name) for name in dns),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in ips),
        *(x509.RFC822Name(address) for address in emails),
    ]


def _sign(builder: x509.CertificateBuilder, key: PrivateKey) -> x509.Certificate:
    return builder.sign(key, None if isinstance(key, WholePrivateKey) else hashes.SHA256())
