"""Which name servers are asked, as the kernel sees it: a copy of each question that leaves this machine.

For as long as a `DnsWitness` is open, a table of ours hands the kernel's packet log every datagram to port 53 on
its way out, after all filters: what is seen has left.  CAP_NET_ADMIN suffices, as it does not for a packet socket.
The table belongs to our socket (NFT_TABLE_F_OWNER, Linux 5.12): should we be killed, the kernel removes it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from ..ike.events import Address
from .nft import Conversation
from .nft_codec import witness
from .nft_wire import HEADER, NETLINK_NETFILTER, attributes_of

GROUP = 29440
"""Of the packet log, 16 bits; others that log use small numbers."""

_LOG = 4  # NFNL_SUBSYS_ULOG
_PACKET, _CONFIGURE = 0, 1  # message types of it
_COMMAND, _MODE = 1, 2  # attributes of a configuration
_BIND, _COPY_PACKET = 1, 2
_OUT_LINK, _PAYLOAD = 5, 9  # attributes of a packet
_ASKING, _ACK = 0x1, 0x4
_ERROR = 2
_NETFILTER = struct.Struct("!BBH")
_ATTRIBUTE = struct.Struct("=HH")
_COPIED = 512  # octets of each packet: the name that is asked for stands at the beginning
_LARGEST = 1 << 16
_PATIENCE = 5.0
_UDP, _UDP_HEADER, _DNS_HEADER = 17, 8, 12
_LONGEST_LABEL = 63


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that has left: for what name, to which server, over which link."""

    name: str
    server: Address
    link: int


class DnsWitness:
    """A context manager; `take` says what has been asked since the last call.

    Of the namespace in which it was opened; `OSError` where the kernel cannot show it, or we may not look.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER
        )
        self._table: Conversation | None = None
        try:
            self._socket.settimeout(_PATIENCE)
            self._socket.bind((0, 0))
            self._configure(_COMMAND, bytes([_BIND]))
            self._configure(_MODE, struct.pack("!IBx", _COPIED, _COPY_PACKET))
            self._socket.setblocking(False)
            self._table = Conversation()
            self._table.commit(witness(GROUP))
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """The kernel removes the table with our socket."""
        if self._table is not None:
            self._table.close()
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor that becomes readable when something was asked."""
        return self._socket.fileno()

    def take(self) -> Iterator[Asked]:
        """The questions that wait to be told."""
        while True:
            try:
                datagram = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return
            for kind, body in _messages(datagram):
                if kind == _LOG << 8 | _PACKET and (seen := _asked(body)) is not None:
                    yield seen

    def _configure(self, kind: int, value: bytes) -> None:
        attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)
        body = _NETFILTER.pack(socket.AF_UNSPEC, 0, GROUP) + attribute
        size = HEADER.size + len(body)
        self._socket.send(HEADER.pack(size, _LOG << 8 | _CONFIGURE, _ASKING | _ACK, 1, 0) + body)
        for answer, body in _messages(self._socket.recv(_LARGEST)):
            if answer == _ERROR and (number := -struct.unpack_from("=i", body)[0]):
                raise OSError(number, f"the kernel's packet log: {number}")


def _messages(datagram: bytes) -> Iterator[tuple[int, bytes]]:
    while len(datagram) >= HEADER.size:
        size, kind, *_ = HEADER.unpack_from(datagram)
        if size < HEADER.size:
            return
        yield kind, datagram[HEADER.size : size]
        datagram = datagram[(size + 3) & ~3 :]


def _asked(body: bytes) -> Asked | None:
    attributes = attributes_of(body[_NETFILTER.size :])
    link = int.from_bytes(attributes.get(_OUT_LINK, b""))
    return decode_question(attributes.get(_PAYLOAD, b""), link)


def decode_question(packet: bytes, link: int) -> Asked | None:
    """What an IP packet asks for; None where it is no DNS question over UDP."""
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        start, protocol, destination = (packet[0] & 15) * 4, packet[9:10], packet[16:20]
    elif version == 6:
        start, protocol, destination = 40, packet[6:7], packet[24:40]
    else:
        return None
    labels = _labels(packet[start + _UDP_HEADER + _DNS_HEADER :])
    if protocol != bytes([_UDP]) or not labels:
        return None
    return Asked(".".join(labels), ip_address(destination), link)


def _labels(octets: bytes) -> list[str] | None:
    labels: list[str] = []
    while octets and octets[0]:
        size = octets[0]
        if size > _LONGEST_LABEL or len(octets) <= size:
            return None
        labels.append(octets[1 : size + 1].decode("ascii", "replace").lower())
        octets = octets[size + 1 :]
    return labels if octets else None
