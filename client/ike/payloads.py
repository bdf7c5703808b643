"""The payloads of IKEv2 as frozen values, and the table of them.

`pull` reads a payload's body (what follows the generic header); `push` writes it.  From hostile octets a body is
read by its row of the table, which also refuses octets left over.
RESERVED octets are ignored on receipt and sent as zero, except in the identification payloads, whose octets
are signed as received (RFC 7296 section 2.15).  Numbers that we do not know are values like others: whether
they are acceptable is decided by whoever uses them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, Self

from .buffer import Reader, Writer
from .errors import InvalidSyntax
from .registry import FIRST_STATUS_NOTIFY, PayloadType, ProtocolId
from .sa_payload import Proposal as Proposal
from .sa_payload import SecurityAssociation as SecurityAssociation
from .sa_payload import Transform as Transform
from .ts_payload import TrafficSelectors as TrafficSelectors
from .ts_payload import TsInitiator as TsInitiator
from .ts_payload import TsResponder as TsResponder

AUTHORITY_SIZE = 20  # SHA-1 of a SubjectPublicKeyInfo (RFC 7296 section 3.7)


@dataclass(frozen=True, slots=True)
class KeyExchange:
    """Key Exchange payload, RFC 7296 section 3.4."""

    TYPE: ClassVar[PayloadType] = PayloadType.KE
    method: int
    public: bytes = field(repr=False)

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body."""
        method = reader.uint(2)
        reader.take(2)
        return cls(method, reader.rest())

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.uint(self.method, 2).uint(0, 2).write(self.public)


@dataclass(frozen=True, slots=True)
class Identification:
    """What both identification payloads are, RFC 7296 section 3.5."""

    TYPE: ClassVar[PayloadType]
    id_type: int
    data: bytes
    reserved: bytes = bytes(3)

    @property
    def body(self) -> bytes:
        """The octets that AUTH covers: the body as it was received, RESERVED included."""
        return bytes([self.id_type]) + self.reserved + self.data

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body."""
        id_type = reader.uint(1)
        reserved = reader.take(3)
        return cls(id_type, reader.rest(), reserved)

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.write(self.body)


@dataclass(frozen=True, slots=True)
class IdInitiator(Identification):
    """IDi payload."""

    TYPE: ClassVar[PayloadType] = PayloadType.IDI


@dataclass(frozen=True, slots=True)
class IdResponder(Identification):
    """IDr payload."""

    TYPE: ClassVar[PayloadType] = PayloadType.IDR


@dataclass(frozen=True, slots=True)
class Certificate:
    """Certificate payload, RFC 7296 section 3.6."""

    TYPE: ClassVar[PayloadType] = PayloadType.CERT
    encoding: int
    data: bytes = field(repr=False)

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(reader.uint(1), reader.rest())

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.uint(self.encoding, 1).write(self.data)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """Certificate Request payload, RFC 7296 section 3.7.

    `authorities` are key hashes of 20 octets; data that is no multiple of it is kept as one element, since
    the request only steers which certificate is sent.
    """

    TYPE: ClassVar[PayloadType] = PayloadType.CERTREQ
    encoding: int
    authorities: tuple[bytes, ...] = ()

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body."""
        encoding = reader.uint(1)
        data = reader.rest()
        size = len(data) if len(data) % AUTHORITY_SIZE else AUTHORITY_SIZE
        return cls(encoding, tuple(data[start : start + size] for start in range(0, len(data), size)))

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.uint(self.encoding, 1).write(b"".join(self.authorities))


@dataclass(frozen=True, slots=True)
class Authentication:
    """Authentication payload, RFC 7296 section 3.8."""

    TYPE: ClassVar[PayloadType] = PayloadType.AUTH
    method: int
    data: bytes = field(repr=False)

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body."""
        method = reader.uint(1)
        reader.take(3)
        return cls(method, reader.rest())

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.uint(self.method, 1).uint(0, 3).write(self.data)


@dataclass(frozen=True, slots=True)
class Nonce:
    """Nonce payload of 16 to 256 octets, RFC 7296 section 3.9."""

    TYPE: ClassVar[PayloadType] = PayloadType.NONCE
    data: bytes

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body; `InvalidSyntax` where its size is out of bounds."""
        if not 16 <= reader.remaining <= 256:
            raise InvalidSyntax(f"a nonce of {reader.remaining} octets")
        return cls(reader.rest())

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.write(self.data)


@dataclass(frozen=True, slots=True)
class Notify:
    """Notify payload, RFC 7296 section 3.10; `protocol` and `spi` name the Child SA concerned, if any."""

    TYPE: ClassVar[PayloadType] = PayloadType.NOTIFY
    type: int
    data: bytes = b""
    protocol: int = 0
    spi: bytes = b""

    @property
    def is_error(self) -> bool:
        """Whether the type is of the error range, known or not."""
        return self.type < FIRST_STATUS_NOTIFY

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body."""
        protocol = reader.uint(1)
        spi_size = reader.uint(1)
        kind = reader.uint(2)
        spi = reader.take(spi_size)
        return cls(kind, reader.rest(), protocol, spi)

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.uint(self.protocol, 1).uint(len(self.spi), 1).uint(self.type, 2)
        writer.write(self.spi).write(self.data)


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete payload, RFC 7296 section 3.11: SPIs of SAs inbound to the sender, none for the IKE SA."""

    TYPE: ClassVar[PayloadType] = PayloadType.DELETE
    protocol: int
    spis: tuple[bytes, ...] = ()

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body; `InvalidSyntax` where the size of an SPI is not that of the protocol."""
        protocol = reader.uint(1)
        size = reader.uint(1)
        count = reader.uint(2)
        if protocol in _DELETE_SPI_SIZE and size != _DELETE_SPI_SIZE[protocol]:
            raise InvalidSyntax(f"an SPI of {size} octets for protocol {protocol}")
        # Without an SPI size the count says nothing: a hostile one must not make us build 65535 empty SPIs.
        return cls(protocol, tuple(reader.take(size) for _ in range(count if size else 0)))

    def push(self, writer: Writer) -> None:
        """Write the body."""
        size = len(self.spis[0]) if self.spis else _DELETE_SPI_SIZE.get(self.protocol, 0)
        writer.uint(self.protocol, 1).uint(size, 1).uint(len(self.spis), 2).write(b"".join(self.spis))


_DELETE_SPI_SIZE: dict[int, int] = {ProtocolId.IKE: 0, ProtocolId.AH: 4, ProtocolId.ESP: 4}


@dataclass(frozen=True, slots=True)
class VendorId:
    """Vendor ID payload, RFC 7296 section 3.12; it never changes what other payloads mean."""

    TYPE: ClassVar[PayloadType] = PayloadType.VENDOR
    data: bytes

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(reader.rest())

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.write(self.data)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One configuration attribute; an empty value in a request asks for any (RFC 7296 section 3.15.1)."""

    type: int
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Configuration payload, RFC 7296 section 3.15."""

    TYPE: ClassVar[PayloadType] = PayloadType.CP
    cfg_type: int
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body."""
        cfg_type = reader.uint(1)
        reader.take(3)
        attributes = []
        while reader.remaining:
            kind = reader.uint(2) & 0x7FFF  # the highest bit is RESERVED
            attributes.append(Attribute(kind, reader.take(reader.uint(2))))
        return cls(cfg_type, tuple(attributes))

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.uint(self.cfg_type, 1).uint(0, 3)
        for attribute in self.attributes:
            writer.uint(attribute.type, 2).uint(len(attribute.value), 2).write(attribute.value)


@dataclass(frozen=True, slots=True)
class Eap:
    """EAP payload, RFC 7296 section 3.16: one EAP packet, which the EAP peer parses."""

    TYPE: ClassVar[PayloadType] = PayloadType.EAP
    packet: bytes = field(repr=False)

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(reader.rest())

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.write(self.packet)


@dataclass(frozen=True, slots=True)
class UnknownPayload:
    """A payload of a type that we do not know: skipped, unless it is critical (RFC 7296 section 2.5)."""

    type: int
    critical: bool
    data: bytes

    def push(self, writer: Writer) -> None:
        """Write the body."""
        writer.write(self.data)


Payload = (
    SecurityAssociation
    | KeyExchange
    | IdInitiator
    | IdResponder
    | Certificate
    | CertificateRequest
    | Authentication
    | Nonce
    | Notify
    | Delete
    | VendorId
    | TsInitiator
    | TsResponder
    | Configuration
    | Eap
    | UnknownPayload
)


class PayloadRow(NamedTuple):
    """What is known of a payload type."""

    pull: Callable[[Reader], Payload]
    repeatable: bool = False
    in_clear: bool = False  # may stand outside the Encrypted payload, that is in IKE_SA_INIT

    def pull_body(self, body: bytes) -> Payload:
        """Read a body to its last octet; `InvalidSyntax` is all that can be raised."""
        reader = Reader(body)
        payload = self.pull(reader)
        reader.finish()
        return payload


PAYLOADS: dict[int, PayloadRow] = {
    PayloadType.SA: PayloadRow(SecurityAssociation.pull, in_clear=True),
    PayloadType.KE: PayloadRow(KeyExchange.pull, in_clear=True),
    PayloadType.IDI: PayloadRow(IdInitiator.pull),
    PayloadType.IDR: PayloadRow(IdResponder.pull),
    PayloadType.CERT: PayloadRow(Certificate.pull, repeatable=True),
    PayloadType.CERTREQ: PayloadRow(CertificateRequest.pull, repeatable=True, in_clear=True),
    PayloadType.AUTH: PayloadRow(Authentication.pull),
    PayloadType.NONCE: PayloadRow(Nonce.pull, in_clear=True),
    PayloadType.NOTIFY: PayloadRow(Notify.pull, repeatable=True, in_clear=True),
    PayloadType.DELETE: PayloadRow(Delete.pull, repeatable=True),
    PayloadType.VENDOR: PayloadRow(VendorId.pull, repeatable=True, in_clear=True),
    PayloadType.TSI: PayloadRow(TsInitiator.pull),
    PayloadType.TSR: PayloadRow(TsResponder.pull),
    PayloadType.CP: PayloadRow(Configuration.pull),
    PayloadType.EAP: PayloadRow(Eap.pull),
}
