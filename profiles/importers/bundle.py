"""PKCS #12 bundles: a key with its certificate.  They name no gateway; the person says which.

A bundle could ask for so many rounds of hashing that opening it never ends: that is looked at before.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from .. import containers
from ..der import check_rounds, first
from .common import common_name, host, system_trust
from .draft import Draft, Imported
from .errors import ImportRefused
from .intake import Intake

KIND = "a PKCS #12 bundle"


def recognises(octets: bytes) -> bool:
    """Whether it begins as a bundle does."""
    return octets[:1] == b"\x30" and containers.is_bundle(octets)


def read(intake: Intake) -> list[Imported]:
    """A profile that logs in by the certificate of the bundle."""
    check(intake.octets)
    if not intake.server:
        raise ImportRefused(
            "gateway",
            "is not in a PKCS #12 bundle",
            "Say which: 'roam import FILE --server vpn.example.com'.",
        )
    draft = intake.draft(KIND, intake.server)
    draft.put("gateway.addresses", [host(intake.server, "--server")])
    draft.put("auth.local[0].method", "cert")
    draft.file("(bundle)", "auth.local[0].cert", "client.p12", intake.octets)
    is_locked = containers.is_locked(intake.octets)
    if is_locked:
        draft.secret("(passphrase)", "auth.local[0].secret", "passphrase", intake.passphrase or None)
    _authorities(draft, intake, is_locked=is_locked)
    return [draft.finish()]


def check(octets: bytes) -> None:
    """Refuse a bundle that breaks off, or would take for ever to open."""
    try:
        first(octets)
        check_rounds(octets)
    except ValueError as error:
        raise ImportRefused("", str(error)) from None


def inside(octets: bytes, where: str) -> bytes:
    """A bundle that another file holds, with the same care; `ImportRefused` for what is none."""
    if not containers.is_bundle(octets):
        raise ImportRefused(where, "is no PKCS #12 bundle")
    try:
        check(octets)
    except ImportRefused as refused:
        raise ImportRefused(where, refused.reason) from None
    return octets


def _authorities(draft: Draft, intake: Intake, *, is_locked: bool) -> None:
    """The authorities in the bundle are those of the gateway, as a rule."""
    if is_locked and not intake.passphrase:
        text = "The authorities inside cannot be seen without the passphrase: the system's are trusted."
        system_trust(draft, "(authorities)", text)
        return
    try:
        found = containers.read(intake.octets, intake.passphrase.encode() if is_locked else None)
    except containers.Locked:
        raise ImportRefused("(passphrase)", "does not open the bundle") from None
    except ValueError:
        raise ImportRefused("", "is no bundle that can be read") from None
    if found.chain:
        draft.honoured(
            "(certificate)", f"It is {common_name(found.chain[0]) or 'without a name'}.", "auth.local[0].cert"
        )
    for authority in found.authorities:
        draft.file("(authorities)", "trust.ca", "ca.pem", authority.public_bytes(Encoding.PEM))
    system_trust(draft, "(authorities)", "No authority in the bundle: the system's are trusted.")
