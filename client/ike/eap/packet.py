"""EAP packets as the EAP payload carries them (RFC 3748 section 4, RFC 7296 section 3.16)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..buffer import Reader, Writer
from ..errors import InvalidSyntax
from ..registry import EapCode, EapType

HEADER_SIZE = 4  # code, identifier, length


@dataclass(frozen=True, slots=True)
class EapPacket:
    """One EAP packet; `type` and `data` belong to requests and responses only."""

    code: EapCode
    identifier: int
    type: int | None = None
    data: bytes = field(default=b"", repr=False)  # may hold what authenticates us

    @classmethod
    def pull(cls, data: bytes) -> EapPacket:
        """The packet that `data` holds to the octet; `InvalidSyntax` otherwise.

        Octets after the length's end are link padding elsewhere (RFC 3748 section 4.1), not here.
        """
        reader = Reader(data)
        code, identifier, length = reader.uint(1), reader.uint(1), reader.uint(2)
        if length != len(data):
            raise InvalidSyntax(f"EAP length {length} in a payload of {len(data)} octets")
        if code in (EapCode.REQUEST, EapCode.RESPONSE):
            return cls(EapCode(code), identifier, reader.uint(1), reader.rest())
        if code not in (EapCode.SUCCESS, EapCode.FAILURE):
            raise InvalidSyntax(f"EAP code {code}")
        reader.finish()
        return cls(EapCode(code), identifier)

    def push(self) -> bytes:
        """The packet's octets."""
        body = b"" if self.type is None else bytes([self.type]) + self.data
        writer = Writer().uint(self.code, 1).uint(self.identifier, 1)
        return writer.uint(HEADER_SIZE + len(body), 2).write(body).bytes()


def name_of(method: int) -> str:
    """A method type for people: its number, and its name where we know it."""
    return _NAMES.get(method, f"EAP type {method}")


_NAMES = {
    EapType.MSCHAPV2: "EAP-MSCHAPv2",
    EapType.MD5: "EAP-MD5",
    EapType.OTP: "EAP-OTP",
    EapType.GTC: "EAP-GTC",
    EapType.TLS: "EAP-TLS",
    18: "EAP-SIM",
    EapType.TTLS: "EAP-TTLS",
    EapType.AKA: "EAP-AKA",
    EapType.PEAP: "PEAP",
    EapType.AKA_PRIME: "EAP-AKA'",
}
