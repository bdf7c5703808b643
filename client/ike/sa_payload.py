"""The Security Association payload: proposals and their transforms (RFC 7296 section 3.3).

Everything a peer can propose is representable: unknown protocols, transform types, IDs and attributes make a
proposal or one transform unacceptable (section 3.3.6), never the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from .buffer import Reader, Writer
from .errors import InvalidSyntax
from .registry import PayloadType, ProtocolId

MORE_PROPOSALS = 2
MORE_TRANSFORMS = 3
KEY_LENGTH = 14  # the one transform attribute that exists (RFC 7296 section 3.3.5)
SHORT_FORM = 0x8000  # AF bit: the two octets after the type are the value itself

SPI_SIZES: dict[int, tuple[int, ...]] = {
    ProtocolId.IKE: (0, 8),  # none in IKE_SA_INIT, 8 when an IKE SA is rekeyed
    ProtocolId.AH: (4,),
    ProtocolId.ESP: (4,),
}


@dataclass(frozen=True, slots=True)
class Transform:
    """One algorithm of a proposal (RFC 7296 section 3.3.2); `key_length` is in bits.

    `unknown_attributes` says that attributes were left out here: such a transform must not be chosen and
    cannot be written again.
    """

    type: int
    id: int
    key_length: int | None = None
    unknown_attributes: bool = False

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the octets of one transform after its length field."""
        kind = reader.uint(1)
        reader.take(1)
        number = reader.uint(2)
        if not reader.remaining:
            return cls(kind, number)
        return cls(kind, number, *_pull_attributes(reader))

    def push(self, writer: Writer, more: bool) -> None:
        """Write the whole substructure; `more` when another transform follows."""
        if self.unknown_attributes:
            raise AssertionError("a transform with unknown attributes is not sent")
        size = 8 if self.key_length is None else 12
        writer.uint(MORE_TRANSFORMS if more else 0, 1).uint(0, 1).uint(size, 2)
        writer.uint(self.type, 1).uint(0, 1).uint(self.id, 2)
        if self.key_length is not None:
            writer.uint(SHORT_FORM | KEY_LENGTH, 2).uint(self.key_length, 2)


def _pull_attributes(reader: Reader) -> tuple[int | None, bool]:
    """The key length and whether there were other attributes (RFC 7296 section 3.3.5)."""
    key_length = None
    unknown = False
    while reader.remaining:
        kind = reader.uint(2)
        value = reader.uint(2)
        if kind == SHORT_FORM | KEY_LENGTH:
            if key_length is not None:
                raise InvalidSyntax("two key lengths in one transform")
            key_length = value
            continue
        unknown = True
        if not kind & SHORT_FORM:
            reader.take(value)
    return key_length, unknown


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal: a protocol and its transforms, one of each type to choose (RFC 7296 section 3.3.1)."""

    number: int
    protocol: int
    spi: bytes
    transforms: tuple[Transform, ...]

    def ids(self, type: int) -> tuple[Transform, ...]:  # noqa: A002 - the registry's own word
        """The transforms of one type, in the order of preference."""
        return tuple(transform for transform in self.transforms if transform.type == type)

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the octets of one proposal after its length field."""
        number = reader.uint(1)
        protocol = reader.uint(1)
        spi_size = reader.uint(1)
        count = reader.uint(1)
        if spi_size not in SPI_SIZES.get(protocol, (spi_size,)):
            raise InvalidSyntax(f"an SPI of {spi_size} octets for protocol {protocol}")
        spi = reader.take(spi_size)
        transforms = tuple(Transform.pull(block) for block in _pull_blocks(reader, MORE_TRANSFORMS))
        if len(transforms) != count:
            raise InvalidSyntax(f"{len(transforms)} transforms where {count} are announced")
        return cls(number, protocol, spi, transforms)

    def push(self, writer: Writer, more: bool) -> None:
        """Write the whole substructure; `more` when another proposal follows."""
        body = Writer()
        body.uint(self.number, 1).uint(self.protocol, 1).uint(len(self.spi), 1).uint(len(self.transforms), 1)
        body.write(self.spi)
        for position, transform in enumerate(self.transforms, start=1):
            transform.push(body, more=position < len(self.transforms))
        writer.uint(MORE_PROPOSALS if more else 0, 1).uint(0, 1).uint(4 + len(body), 2).write(body.bytes())


def _pull_blocks(reader: Reader, more: int) -> list[Reader]:
    """Cut a chain of substructures into its bodies; the first octet of each says whether another follows."""
    blocks = []
    while reader.remaining:
        follows = reader.uint(1)
        reader.take(1)
        blocks.append(reader.block(reader.uint(2) - 4))
        if follows != (more if reader.remaining else 0):
            raise InvalidSyntax("the chain of substructures ends elsewhere than its block")
    return blocks


@dataclass(frozen=True, slots=True)
class SecurityAssociation:
    """SA payload, RFC 7296 section 3.3."""

    TYPE: ClassVar[PayloadType] = PayloadType.SA
    proposals: tuple[Proposal, ...]

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        """Read the body; `InvalidSyntax` without a proposal."""
        proposals = tuple(Proposal.pull(block) for block in _pull_blocks(reader, MORE_PROPOSALS))
        if not proposals:
            raise InvalidSyntax("an SA payload without a proposal")
        return cls(proposals)

    def push(self, writer: Writer) -> None:
        """Write the body."""
        for position, proposal in enumerate(self.proposals, start=1):
            proposal.push(writer, more=position < len(self.proposals))
