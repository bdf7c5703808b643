"""Attribute-value pairs of Diameter, the language inside EAP-TTLS (RFC 5281 section 10).

code (4) | flags (1) | length (3), header included | vendor (4, with V) | data | zeros up to a multiple of 4
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from ..buffer import Reader, Writer
from ..errors import InvalidSyntax

MICROSOFT = 311
_VENDOR = 0x80
_MANDATORY = 0x40
_HEADER = 8
_VENDOR_SIZE = 4


class AvpCode(IntEnum):
    """RADIUS attributes (RFC 2865, RFC 3579)."""

    USER_NAME = 1
    USER_PASSWORD = 2
    REPLY_MESSAGE = 18
    EAP_MESSAGE = 79


class MicrosoftCode(IntEnum):
    """Attributes of vendor 311 (RFC 2548 section 2)."""

    CHAP_ERROR = 2
    CHAP_NT_ENC_PW = 6
    CHAP_CHALLENGE = 11
    CHAP2_RESPONSE = 25
    CHAP2_SUCCESS = 26
    CHAP2_CPW = 27


@dataclass(frozen=True, slots=True)
class Avp:
    """One pair; `mandatory`: who does not know it must give up (RFC 5281 section 10.1)."""

    code: int
    data: bytes = field(repr=False)
    vendor: int = 0
    mandatory: bool = True

    def push(self) -> bytes:
        """The octets, padded."""
        flags = (_VENDOR if self.vendor else 0) | (_MANDATORY if self.mandatory else 0)
        length = _HEADER + (_VENDOR_SIZE if self.vendor else 0) + len(self.data)
        writer = Writer().uint(self.code, 4).uint(flags, 1).uint(length, 3)
        if self.vendor:
            writer.uint(self.vendor, _VENDOR_SIZE)
        return writer.write(self.data).write(bytes(-length % 4)).bytes()


def pull_avps(octets: bytes) -> tuple[Avp, ...]:
    """All pairs; the last one's padding may be missing."""
    reader = Reader(octets)
    avps = []
    while reader.remaining:
        avps.append(_pull(reader))
    return tuple(avps)


def _pull(reader: Reader) -> Avp:
    code, flags, length = reader.uint(4), reader.uint(1), reader.uint(3)
    has_vendor = bool(flags & _VENDOR)
    size = length - _HEADER - (_VENDOR_SIZE if has_vendor else 0)
    if size < 0:
        raise InvalidSyntax(f"an AVP of {length} octets")
    vendor = reader.uint(_VENDOR_SIZE) if has_vendor else 0
    data = reader.take(size)
    reader.take(min(-length % 4, reader.remaining))
    return Avp(code, data, vendor, bool(flags & _MANDATORY))
