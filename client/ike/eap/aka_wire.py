"""The packets of EAP-AKA and EAP-AKA': attributes, the MAC over all of it, and the keys (RFC 4187, RFC 9048)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

from ..buffer import Reader, Writer
from ..errors import InvalidSyntax
from ..keys import Secret
from ..registry import EapType
from .fips186 import generate
from .packet import EapPacket

MAC_SIZE = 16
FIRST_SKIPPABLE = 128  # an unknown attribute below must not be ignored (RFC 4187 section 8.1)


class Subtype(IntEnum):
    """RFC 4187 section 11."""

    CHALLENGE = 1
    AUTHENTICATION_REJECT = 2
    SYNCHRONIZATION_FAILURE = 4
    IDENTITY = 5
    NOTIFICATION = 12
    REAUTHENTICATION = 13
    CLIENT_ERROR = 14


class At(IntEnum):
    """Attributes that we know (RFC 4187 section 10, RFC 9048 section 3)."""

    RAND = 1
    AUTN = 2
    RES = 3
    AUTS = 4
    PADDING = 6
    PERMANENT_ID_REQ = 10
    MAC = 11
    NOTIFICATION = 12
    ANY_ID_REQ = 13
    IDENTITY = 14
    FULLAUTH_ID_REQ = 17
    CLIENT_ERROR_CODE = 22
    KDF_INPUT = 23
    KDF = 24
    CHECKCODE = 134
    RESULT_IND = 135
    BIDDING = 136


@dataclass(frozen=True, slots=True)
class Attribute:
    """Type and value; the value begins after the length octet and fills its last four octets."""

    type: int
    value: bytes = field(repr=False)

    @property
    def body(self) -> bytes:
        """The value after two reserved octets, as most have it."""
        return self.value[2:]

    @property
    def counted(self) -> bytes:
        """The value whose size in octets stands in its first two octets (RFC 4187 section 10.5)."""
        size = int.from_bytes(self.value[:2])
        if size > len(self.value) - 2:
            raise InvalidSyntax(f"attribute {self.type} counts {size} octets and has {len(self.value) - 2}")
        return self.value[2 : 2 + size]


@dataclass(frozen=True, slots=True)
class AkaPacket:
    """Subtype and attributes."""

    subtype: int
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def pull(cls, data: bytes) -> Self:
        """Out of type data; attributes have a length in units of four octets, which must not be zero."""
        reader = Reader(data)
        subtype = reader.uint(1)
        reader.take(2)
        attributes = []
        while reader.remaining:
            kind, size = reader.uint(1), 4 * reader.uint(1)
            if size == 0:
                raise InvalidSyntax(f"attribute {kind} of no size")
            attributes.append(Attribute(kind, reader.take(size - 2)))
        return cls(subtype, tuple(attributes))

    def push(self) -> bytes:
        """Type data."""
        writer = Writer().uint(self.subtype, 1).write(bytes(2))
        for attribute in self.attributes:
            writer = writer.uint(attribute.type, 1).uint((len(attribute.value) + 2) // 4, 1)
            writer = writer.write(attribute.value)
        return writer.bytes()

    def first(self, kind: At) -> Attribute | None:
        """The first attribute of a kind."""
        return next((attribute for attribute in self.attributes if attribute.type == kind), None)

    def all(self, kind: At) -> tuple[Attribute, ...]:
        """All attributes of a kind, in order."""
        return tuple(attribute for attribute in self.attributes if attribute.type == kind)

    def unknown(self) -> Iterator[int]:
        """Types that may not be ignored, and are not known."""
        known = set(At)
        return (a.type for a in self.attributes if a.type < FIRST_SKIPPABLE and a.type not in known)


def plain(kind: At, body: bytes) -> Attribute:
    """An attribute with two reserved octets in front of its body."""
    return Attribute(kind, bytes(2) + body)


def counted(kind: At, body: bytes, size: int | None = None) -> Attribute:
    """An attribute with the size of its body in front, filled up with zeros to four octets."""
    count = len(body) if size is None else size
    return Attribute(kind, count.to_bytes(2) + body + bytes(-len(body) % 4))


@dataclass(frozen=True, slots=True)
class Keys:
    """What both ends derive."""

    k_encr: Secret
    k_aut: Secret
    msk: Secret
    emsk: Secret
    k_re: Secret | None = None


def aka_keys(identity: bytes, ck: Secret, ik: Secret) -> Keys:
    """RFC 4187 section 7."""
    master = hashlib.sha1(identity + ik.reveal() + ck.reveal()).digest()
    made = generate(master, 160)
    return Keys(Secret(made[:16]), Secret(made[16:32]), Secret(made[32:96]), Secret(made[96:160]))


def aka_prime_keys(identity: bytes, ck_prime: Secret, ik_prime: Secret) -> Keys:
    """RFC 9048 section 3.3."""
    made = _prf_prime(ik_prime.reveal() + ck_prime.reveal(), b"EAP-AKA'" + identity, 208)
    return Keys(
        Secret(made[:16]),
        Secret(made[16:48]),
        Secret(made[80:144]),
        Secret(made[144:208]),
        Secret(made[48:80]),
    )


def bound_to_network(ck: Secret, ik: Secret, network: bytes, hidden_sqn: bytes) -> tuple[Secret, Secret]:
    """CK' and IK' (TS 33.402 annex A.2): keys that are of no use in a network of another name."""
    message = b"\x20" + network + len(network).to_bytes(2) + hidden_sqn + len(hidden_sqn).to_bytes(2)
    made = hmac.digest(ck.reveal() + ik.reveal(), message, "sha256")
    return Secret(made[:16]), Secret(made[16:])


def _prf_prime(key: bytes, seed: bytes, size: int) -> bytes:
    made, block = b"", b""
    for number in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + seed + bytes([number]), "sha256")
        made += block
    return made[:size]


def with_mac(packet: AkaPacket, header: EapPacket, kind: EapType, k_aut: Secret) -> bytes:
    """Type data of a packet whose AT_MAC, added at its end, covers the whole EAP packet (section 10.15)."""
    empty = AkaPacket(packet.subtype, (*packet.attributes, plain(At.MAC, bytes(MAC_SIZE)))).push()
    whole = EapPacket(header.code, header.identifier, kind, empty).push()
    return empty[:-MAC_SIZE] + mac_of(whole, kind, k_aut)


def is_authentic(request: EapPacket, kind: EapType, k_aut: Secret) -> bool:
    """Whether a packet has exactly one AT_MAC, and that is right."""
    data = request.data
    packet = AkaPacket.pull(data)
    (mac,) = found if len(found := packet.all(At.MAC)) == 1 else (None,)
    if mac is None or len(mac.body) != MAC_SIZE:
        return False
    start = _offset_of_mac(data)
    blank = data[:start] + bytes(MAC_SIZE) + data[start + MAC_SIZE :]
    whole = EapPacket(request.code, request.identifier, kind, blank).push()
    return hmac.compare_digest(mac.body, mac_of(whole, kind, k_aut))


def mac_of(whole: bytes, kind: EapType, k_aut: Secret) -> bytes:
    """HMAC-SHA1-128, or HMAC-SHA-256-128 in EAP-AKA'."""
    name = "sha256" if kind is EapType.AKA_PRIME else "sha1"
    return hmac.digest(k_aut.reveal(), whole, name)[:MAC_SIZE]


def _offset_of_mac(data: bytes) -> int:
    """Where the value of AT_MAC begins, in data that have one."""
    at = 3
    while data[at] != At.MAC:
        at += 4 * data[at + 1]
    return at + 4
