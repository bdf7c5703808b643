"""Who an imported profile will trust, for a person to look at before it connects."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from .. import containers
from ..errors import ProfileError
from .draft import Imported


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that the profile will trust."""

    subject: str
    sha256: str
    not_before: str
    not_after: str
    file: str


def authorities(imported: Imported) -> list[Authority]:
    """Those in its files."""
    named = {*imported.profile.trust.ca, *imported.profile.auth.remote.aaa_ca}
    found = []
    for name, octets in imported.files.items():
        if f"file:{name}" in named:
            try:
                found += [_authority(name, item) for item in containers.certificates(octets)]
            except containers.UNREADABLE:
                raise ProfileError("trust.ca", f"{name} holds no certificate that can be read") from None
    return found


def _authority(name: str, certificate: x509.Certificate) -> Authority:
    return Authority(
        certificate.subject.rfc4514_string(),
        certificate.fingerprint(hashes.SHA256()).hex(":"),
        f"{certificate.not_valid_before_utc:%Y-%m-%d}",
        f"{certificate.not_valid_after_utc:%Y-%m-%d}",
        name,
    )
