"""Watching links: a ledger of who sent what to whom, and a capture file.

The ledger is the lab's answer to "did anything leave in clear?": packet sockets on the laptop's uplinks see
every frame, whatever the routing rules say.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO, Self

from .namespaces import Namespace

_ETH_P_ALL = 0x0003
_ETHERTYPES = {0x0800: 4, 0x86DD: 6}
_PACKET_OUTGOING = 4
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_BUFFER = 8 << 20  # a saturated link must not overrun the ledger; `lost` tells if it did
_LARGEST = 1 << 18  # a link's offload may hand over frames beyond its MTU
_POLL = 0.1
_LAST_FRAMES = 10_000  # on leaving, a link that is still busy is not followed for ever
_WITH_PORTS = {6: "tcp", 17: "udp"}
_OTHERS = {1: "icmp", 50: "esp", 58: "icmp6"}
_PCAP_NANOSECONDS = 0xA1B23C4D
_LINKTYPE_ETHERNET = 1


@dataclass(frozen=True, slots=True)
class Flow:
    """Packets with the same link, direction, protocol and ends; addresses are "" where the frame has none."""

    link: str
    outgoing: bool
    protocol: str
    source: str = ""
    destination: str = ""
    source_port: int = 0
    destination_port: int = 0


class Capture:
    """Counts the packets of links, from entry to exit; writes them to a capture file too if one is named."""

    def __init__(self, links: Iterable[tuple[Namespace, str]], path: Path | None = None) -> None:
        self.flows: Counter[Flow] = Counter()
        self.lost = 0  # frames that the kernel had to drop because we read too slowly
        self._sockets = {namespace.run(_packet_socket(link)): link for namespace, link in links}
        self._path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        for tap in self._sockets:
            tap.close()

    def sent_to(self) -> frozenset[str]:
        """The addresses to which an IP packet left over a watched link."""
        return frozenset(flow.destination for flow in self.flows if flow.outgoing and flow.destination)

    def _watch(self) -> None:
        with selectors.DefaultSelector() as selector:
            for tap in self._sockets:
                selector.register(tap, selectors.EVENT_READ)
            if self._path is None:
                self._drain(selector, None)
            else:
                with self._path.open("wb") as file:
                    file.write(
                        struct.pack("=IHHiIII", _PCAP_NANOSECONDS, 2, 4, 0, 0, _LARGEST, _LINKTYPE_ETHERNET)
                    )
                    self._drain(selector, file)

    def _drain(self, selector: selectors.BaseSelector, file: BinaryIO | None) -> None:
        """Until told to stop, and then what is still queued."""
        while not self._stop.is_set():
            self._take_ready(selector, _POLL, file)
        for _ in range(_LAST_FRAMES):
            if not self._take_ready(selector, 0, file):
                break
        for tap in self._sockets:
            statistics = tap.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
            self.lost += struct.unpack("=II", statistics)[1]

    def _take_ready(self, selector: selectors.BaseSelector, timeout: float, file: BinaryIO | None) -> bool:
        ready = selector.select(timeout)
        for key, _ in ready:
            tap: socket.socket = key.fileobj  # type: ignore[assignment]
            self._take(tap, file)
        return bool(ready)

    def _take(self, tap: socket.socket, file: BinaryIO | None) -> None:
        try:
            frame, ancillary, _, address = tap.recvmsg(_LARGEST if file else 128, 64)
        except OSError:
            return  # the link went down: said once, then frames come again when it is up
        self.flows[_flow(self._sockets[tap], address[2] == _PACKET_OUTGOING, frame)] += 1
        if file is not None:
            seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2]) if ancillary else (0, 0)
            file.write(struct.pack("=IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)


def _packet_socket(link: str) -> Callable[[], socket.socket]:
    def opened() -> socket.socket:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        tap.bind((link, _ETH_P_ALL))
        tap.setblocking(False)
        tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        with suppress(PermissionError):  # beyond the system's limit: only where the machine's root asks
            tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        return tap

    return opened


def _flow(link: str, outgoing: bool, frame: bytes) -> Flow:
    """Read addresses, protocol and ports; extension headers are not walked, they show as a number."""
    ethertype = int.from_bytes(frame[12:14], "big")
    version = _ETHERTYPES.get(ethertype)
    packet = frame[14:]
    if version is None or len(packet) < (20 if version == 4 else 40):
        return Flow(link, outgoing, "arp" if ethertype == 0x0806 else f"ethertype {ethertype:04x}")
    if version == 4:
        number, ends, rest = packet[9], packet[12:20], packet[(packet[0] & 15) * 4 :]
    else:
        number, ends, rest = packet[6], packet[8:40], packet[40:]
    half = len(ends) // 2
    name = _WITH_PORTS.get(number) or _OTHERS.get(number) or f"protocol {number}"
    ports = struct.unpack_from("!HH", rest) if number in _WITH_PORTS and len(rest) >= 4 else (0, 0)
    return Flow(link, outgoing, name, str(ip_address(ends[:half])), str(ip_address(ends[half:])), *ports)
