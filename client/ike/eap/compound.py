"""PEAP's proof that the ends of TLS are the ends of the inner method: keys and message ([MS-PEAP] section 3.1.5.5).

Without it somebody between a client and its server could pass the inner dialogue on from elsewhere.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from ..buffer import Reader, Writer
from ..errors import InvalidSyntax
from ..keys import Secret
from ..registry import EapType

NONCE_SIZE = 32
_MAC_SIZE = 20
_TEMP_KEY_SIZE = 40
_IPMK_SIZE = 40
_ISK_SIZE = 32
_MSK_SIZE = 64
_INNER_LABEL = b"Inner Methods Compound Keys"
_SESSION_LABEL = b"Session Key Generating Function\0"
_VERSION = 0


class SubType(IntEnum):
    """Who speaks (section 2.2.8.1.1)."""

    REQUEST = 0
    RESPONSE = 1


@dataclass(frozen=True, slots=True)
class CompoundKeys:
    """What both ends derive from TLS and the inner method (section 3.1.5.5.2.2)."""

    ipmk: Secret
    cmk: Secret

    @classmethod
    def derive(cls, tunnel_key: Secret, inner_key: Secret | None) -> Self:
        """`tunnel_key` is the key material of TLS, `inner_key` the MSK of the inner method, if it has one."""
        isk = (inner_key.reveal() if inner_key is not None else b"")[:_ISK_SIZE].ljust(_ISK_SIZE, b"\0")
        temp_key = tunnel_key.reveal()[:_TEMP_KEY_SIZE]
        octets = prf_plus(temp_key, _INNER_LABEL + isk, _IPMK_SIZE + _MAC_SIZE)
        return cls(Secret(octets[:_IPMK_SIZE]), Secret(octets[_IPMK_SIZE:]))

    def msk(self) -> Secret:
        """The first half of the compound session key (section 3.1.5.7)."""
        return Secret(prf_plus(self.ipmk.reveal(), _SESSION_LABEL, 2 * _MSK_SIZE)[:_MSK_SIZE])


def prf_plus(key: bytes, seed: bytes, size: int) -> bytes:
    """PEAP's PRF+, which is not that of IKEv2: a number and two zeros follow the seed."""
    stream, block = bytearray(), b""
    for count in range(1, -(-size // _MAC_SIZE) + 1):
        block = hmac.digest(key, block + seed + bytes([count, 0, 0]), "sha1")
        stream += block
    return bytes(stream[:size])


@dataclass(frozen=True, slots=True)
class CryptoBinding:
    """The value of a cryptobinding TLV."""

    TYPE = 12

    subtype: int
    nonce: bytes = field(repr=False)
    mac: bytes = field(default=bytes(_MAC_SIZE), repr=False)

    @classmethod
    def pull(cls, value: bytes) -> Self:
        """Parse a TLV's value; the reserved octet and both versions say nothing."""
        reader = Reader(value)
        reader.take(3)
        subtype, nonce, mac = reader.uint(1), reader.take(NONCE_SIZE), reader.take(_MAC_SIZE)
        reader.finish()
        if subtype not in (SubType.REQUEST, SubType.RESPONSE):
            raise InvalidSyntax(f"cryptobinding of subtype {subtype}")
        return cls(subtype, nonce, mac)

    def push(self) -> bytes:
        """The value's octets."""
        writer = Writer().uint(0, 1).uint(_VERSION, 1).uint(_VERSION, 1).uint(self.subtype, 1)
        return writer.write(self.nonce).write(self.mac).bytes()

    def sealed(self, keys: CompoundKeys) -> CryptoBinding:
        """The same with the right MAC: over the whole TLV with an empty MAC, and the type of PEAP."""
        value = CryptoBinding(self.subtype, self.nonce).push()
        tlv = Writer().uint(self.TYPE, 2).uint(len(value), 2).write(value).bytes()
        mac = hmac.digest(keys.cmk.reveal(), tlv + bytes([EapType.PEAP]), "sha1")
        return CryptoBinding(self.subtype, self.nonce, mac)

    def is_proven(self, keys: CompoundKeys) -> bool:
        """Whether who sent it knows both keys."""
        return hmac.compare_digest(self.sealed(keys).mac, self.mac)
