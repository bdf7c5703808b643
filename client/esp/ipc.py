"""What a daemon and its pump say to each other: one message in each datagram of a SEQPACKET socket.

Commands go to the pump, each with a serial number that its answer repeats; reports come back.  Descriptors
travel beside `Attach` and `Bind`.  The octets are parsed as strictly as those of a stranger: the pump reads
hostile traffic, and its parent must not believe it more than it needs to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Self

from ..ike.buffer import Reader, Writer
from ..ike.errors import InvalidSyntax
from ..ike.events import ChildSa, Endpoint
from .ipc_fields import pull_child, pull_endpoint, pull_text, push_child, push_endpoint

LARGEST_MESSAGE = 1 << 17  # an IKE message of the largest UDP size, or some hundred selectors


class _Tag(IntEnum):
    ATTACH = 1
    BIND = 2
    INSTALL = 3
    USE_OUTBOUND = 4
    REMOVE = 5
    COUNT = 6
    DONE = 16
    COUNTED = 17
    IKE = 18
    NOTICE = 19
    PEER = 20
    ACTIVE = 21
    BROKEN = 22
    CARRIES = 23


@dataclass(frozen=True, slots=True)
class Attach:
    """Carry the packets of the TUN descriptor (IFF_NO_PI, IFF_VNET_HDR) that comes with this message."""

    TAG: ClassVar = _Tag.ATTACH
    serial: int

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(reader.uint(4))

    def push(self, writer: Writer) -> None:
        writer.uint(self.serial, 4)


@dataclass(frozen=True, slots=True)
class Bind:
    """Send from and read the UDP socket that comes with this message; the peer is at `remote`."""

    TAG: ClassVar = _Tag.BIND
    serial: int
    local: Endpoint
    remote: Endpoint

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(reader.uint(4), pull_endpoint(reader), pull_endpoint(reader))

    def push(self, writer: Writer) -> None:
        writer.uint(self.serial, 4)
        push_endpoint(writer, self.local)
        push_endpoint(writer, self.remote)


@dataclass(frozen=True, slots=True)
class Install:
    """Add a Child SA; with `outbound` send on it from now."""

    TAG: ClassVar = _Tag.INSTALL
    serial: int
    child: ChildSa
    outbound: bool

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(reader.uint(4), pull_child(reader), bool(reader.uint(1)))

    def push(self, writer: Writer) -> None:
        writer.uint(self.serial, 4)
        push_child(writer, self.child)
        writer.uint(self.outbound, 1)


@dataclass(frozen=True, slots=True)
class UseOutbound:
    """Send on this Child SA from now."""

    TAG: ClassVar = _Tag.USE_OUTBOUND
    serial: int
    spi_in: int

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(reader.uint(4), reader.uint(4))

    def push(self, writer: Writer) -> None:
        writer.uint(self.serial, 4).uint(self.spi_in, 4)


@dataclass(frozen=True, slots=True)
class Remove:
    """Forget this Child SA."""

    TAG: ClassVar = _Tag.REMOVE
    serial: int
    spi_in: int

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(reader.uint(4), reader.uint(4))

    def push(self, writer: Writer) -> None:
        writer.uint(self.serial, 4).uint(self.spi_in, 4)


@dataclass(frozen=True, slots=True)
class Count:
    """Say what was counted: answered by `Counted`."""

    TAG: ClassVar = _Tag.COUNT
    serial: int

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(reader.uint(4))

    def push(self, writer: Writer) -> None:
        writer.uint(self.serial, 4)


@dataclass(frozen=True, slots=True)
class Done:
    """The command with this serial number was carried out, or why not."""

    TAG: ClassVar = _Tag.DONE
    serial: int
    error: str = ""

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(reader.uint(4), pull_text(reader))

    def push(self, writer: Writer) -> None:
        writer.uint(self.serial, 4).write(self.error.encode())


@dataclass(frozen=True, slots=True)
class Tally:
    """Of one Child SA since its installation; octets of inner packets."""

    spi_in: int
    packets_in: int
    octets_in: int
    packets_out: int
    octets_out: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Counted:
    """The answer to `Count`, with the names of the kernel's offloads in use."""

    TAG: ClassVar = _Tag.COUNTED
    serial: int
    tallies: tuple[Tally, ...]
    offloads: str

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        serial, count = reader.uint(4), reader.uint(2)
        tallies = tuple(Tally(reader.uint(4), *(reader.uint(8) for _ in range(5))) for _ in range(count))
        return cls(serial, tallies, pull_text(reader))

    def push(self, writer: Writer) -> None:
        writer.uint(self.serial, 4).uint(len(self.tallies), 2)
        for row in self.tallies:
            writer.uint(row.spi_in, 4)
            for count in (row.packets_in, row.octets_in, row.packets_out, row.octets_out, row.dropped):
                writer.uint(count, 8)
        writer.write(self.offloads.encode())


@dataclass(frozen=True, slots=True)
class IkeReceived:
    """An IKE message that came in on a bound socket, without the non-ESP marker."""

    TAG: ClassVar = _Tag.IKE
    data: bytes = field(repr=False)
    remote: Endpoint
    local: Endpoint

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        remote, local = pull_endpoint(reader), pull_endpoint(reader)
        return cls(reader.rest(), remote, local)

    def push(self, writer: Writer) -> None:
        push_endpoint(writer, self.remote)
        push_endpoint(writer, self.local)
        writer.write(self.data)


class Sign(IntEnum):
    """What a `Notice` is about."""

    FIRST_INBOUND = 1
    SEQUENCE_LOW = 2
    SELECTOR_VIOLATION = 3


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened on the Child SA with this inbound SPI."""

    TAG: ClassVar = _Tag.NOTICE
    sign: Sign
    spi_in: int

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        number = reader.uint(1)
        if number not in Sign.__members__.values():
            raise InvalidSyntax(f"notice {number} is unknown")
        return cls(Sign(number), reader.uint(4))

    def push(self, writer: Writer) -> None:
        writer.uint(self.sign, 1).uint(self.spi_in, 4)


@dataclass(frozen=True, slots=True)
class PeerSeen:
    """Authentic packets come from another address than the one bound."""

    TAG: ClassVar = _Tag.PEER
    remote: Endpoint

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(pull_endpoint(reader))

    def push(self, writer: Writer) -> None:
        push_endpoint(writer, self.remote)


@dataclass(frozen=True, slots=True)
class Active:
    """When the last packets went in and out, in milliseconds of CLOCK_BOOTTIME; 0 is never."""

    TAG: ClassVar = _Tag.ACTIVE
    inbound_ms: int
    outbound_ms: int

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(reader.uint(8), reader.uint(8))

    def push(self, writer: Writer) -> None:
        writer.uint(self.inbound_ms, 8).uint(self.outbound_ms, 8)


@dataclass(frozen=True, slots=True)
class Carries:
    """The first packet came in over the socket bound last; times as in `Active`."""

    TAG: ClassVar = _Tag.CARRIES
    before_ms: int  # the last one over an earlier socket
    first_ms: int
    outbound_ms: int  # the last one sent

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(reader.uint(8), reader.uint(8), reader.uint(8))

    def push(self, writer: Writer) -> None:
        writer.uint(self.before_ms, 8).uint(self.first_ms, 8).uint(self.outbound_ms, 8)


@dataclass(frozen=True, slots=True)
class Broken:
    """The pump's last words."""

    TAG: ClassVar = _Tag.BROKEN
    reason: str

    @classmethod
    def pull(cls, reader: Reader) -> Self:
        return cls(pull_text(reader))

    def push(self, writer: Writer) -> None:
        writer.write(self.reason.encode())


Command = Attach | Bind | Install | UseOutbound | Remove | Count
Report = Done | Counted | IkeReceived | Notice | PeerSeen | Active | Carries | Broken

_COMMANDS: dict[int, type[Command]] = {
    kind.TAG: kind for kind in (Attach, Bind, Install, UseOutbound, Remove, Count)
}
_REPORTS: dict[int, type[Report]] = {
    kind.TAG: kind for kind in (Done, Counted, IkeReceived, Notice, PeerSeen, Active, Carries, Broken)
}


def encode(message: Command | Report) -> bytes:
    """One datagram for a message."""
    writer = Writer()
    writer.uint(message.TAG, 1)
    message.push(writer)
    return writer.bytes()


def decode_command(data: bytes) -> Command:
    """What the parent said; `InvalidSyntax` for anything else."""
    reader = Reader(data)
    kind = _COMMANDS.get(reader.uint(1))
    if kind is None:
        raise InvalidSyntax("unknown command")
    command = kind.pull(reader)
    reader.finish()
    return command


def decode_report(data: bytes) -> Report:
    """What the pump said; `InvalidSyntax` for anything else."""
    reader = Reader(data)
    kind = _REPORTS.get(reader.uint(1))
    if kind is None:
        raise InvalidSyntax("unknown report")
    report = kind.pull(reader)
    reader.finish()
    return report
