"""What a signed message (CMS SignedData, RFC 5652 section 5) carries, and who says to have signed it.

The signature is shown and proves nothing here: whoever signed a profile is not thereby somebody to trust.
"""

from __future__ import annotations

from cryptography import x509

from .. import containers
from ..der import OID, SEQUENCE, Malformed, children, first, octets_of
from .common import common_name
from .errors import ImportRefused

SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
ENVELOPED_DATA = bytes.fromhex("2a864886f70d010703")


def kind_of(octets: bytes) -> bytes:
    """The content type of a CMS message; b"" where it is none."""
    try:
        outer = first(octets)
        parts = children(outer) if outer.tag == SEQUENCE else []
    except Malformed:
        return b""
    return parts[0].content if parts and parts[0].tag == OID else b""


def content(octets: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The signed octets, and the names in the certificates that came with them."""
    try:
        signed = children(children(children(first(octets))[1])[0])
        encapsulated = children(signed[2])
        inner = octets_of(children(encapsulated[1])[0])
    except IndexError:
        raise ImportRefused("", "is a signature without what it signs") from None
    except Malformed as error:
        raise ImportRefused("", str(error)) from None
    extra = [part for part in signed[3:] if part.tag == 0xA0]
    return inner, tuple(_names(extra[0].content)) if extra else ()


def _names(octets: bytes) -> list[str]:
    found: list[str] = []
    while octets and len(found) < 8:
        try:
            size = _size(octets)
            found.append(common_name(x509.load_der_x509_certificate(octets[:size])))
        except containers.UNREADABLE:  # Malformed too, a ValueError
            break
        octets = octets[size:]
    return [name for name in found if name]


def _size(octets: bytes) -> int:
    """Octets of the first certificate, whose length is definite in practice."""
    length = len(first(octets).content)
    extra = octets[1] & 0x7F if len(octets) > 1 and octets[1] & 0x80 else 0
    return 2 + extra + length
