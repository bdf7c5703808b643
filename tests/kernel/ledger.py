"""Everything that leaves a namespace over its outer links: ESP with its numbers, and what should not be there."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import pairwise

from tests.esp.tunnel import INNER
from tests.esp.wire import Namespace

LINKS = ("wire", "spare")
_ALL, _OUTGOING = 0x0003, 4
_SO_RCVBUFFORCE = 33
_ESP, _UDP = 50, 17
_INSIDE = tuple(ip_address(address).packed for pair in INNER.values() for address in pair)


@dataclass(frozen=True)
class Sent:
    """One ESP packet: over which link, on which SA, its sequence number and its IV (of eight octets)."""

    link: str
    spi: int
    sequence: int
    iv: bytes
    packet: bytes = field(repr=False)  # ESP alone
    destination: str = ""


class Ledger:
    """Taps on all outer links of a namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self.clear: list[str] = []  # inner packets seen outside
        self.sent: list[Sent] = []
        with namespace.entered():
            self._taps = {link: _tap(link) for link in LINKS}

    def read(self) -> list[Sent]:
        """Everything up to now."""
        for link, tap in self._taps.items():
            with suppress(BlockingIOError):
                while True:
                    frame, address = tap.recvfrom(1 << 16)
                    if address[2] == _OUTGOING:
                        self._note(link, frame)
        return self.sent

    def check(self, spi: int) -> str:
        """Numbers of an SA: each once, none left out, and no IV twice; in words."""
        packets = [packet for packet in self.read() if packet.spi == spi]
        numbers = sorted(packet.sequence for packet in packets)  # each link is read by itself
        assert not self.clear, f"in clear: {self.clear}"
        assert numbers == list(range(1, len(numbers) + 1)), f"sequence: {_odd(numbers)}"
        assert len({packet.iv for packet in packets}) == len(packets), "an IV came twice"
        links = dict.fromkeys(packet.link for packet in packets)
        return f"{len(packets)} packets over {' and '.join(links)}: 1…{len(packets)} without a gap, all IVs differ"

    def close(self) -> None:
        for tap in self._taps.values():
            tap.close()

    def _note(self, link: str, frame: bytes) -> None:
        version = frame[14] >> 4 if frame[12:14] in (b"\x08\x00", b"\x86\xdd") else 0
        if not version:
            return
        size = (frame[14] & 15) * 4 if version == 4 else 40
        header, payload = frame[14 : 14 + size], frame[14 + size :]
        protocol = header[9] if version == 4 else header[6]
        ends = header[12:20] if version == 4 else header[8:40]
        if any(ends[: len(inside)] == inside or ends[-len(inside) :] == inside for inside in _INSIDE):
            self.clear.append(f"{link}: {frame[:64].hex()}")
        esp = payload[8:] if protocol == _UDP else payload if protocol == _ESP else b""
        if len(esp) > 16 and esp[:4] != bytes(4):
            spi, sequence = int.from_bytes(esp[:4]), int.from_bytes(esp[4:8])
            where = str(ip_address(ends[len(ends) // 2 :]))
            self.sent.append(Sent(link, spi, sequence, esp[8:16], esp, where))


def _tap(link: str) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    tap.bind((link, _ALL))
    tap.setblocking(False)
    tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
    return tap


def _odd(numbers: list[int]) -> str:
    return str([(one, two) for one, two in pairwise(numbers) if two != one + 1][:10])
