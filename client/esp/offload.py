"""Joining TCP segments into one super-packet for the TUN interface.

Theory of operation.  The kernel takes up to 64 KiB of one TCP flow in a single write where a virtio-net
header says how long its segments are (Linux: Documentation/networking/tuntap.rst; virtio 1.2 section 5.1.6).
A `TcpRun` collects segments that follow one another in the same flow, by the rules of the kernel's own GRO.
Because all of a segment's header but a few fields must equal its predecessor's, one comparison of numbers
decides.

A super-packet's TCP checksum counts as not yet computed, so the kernel does not verify it.  We accept that:
the gateway's integrity check covers the whole way that we can see, and a lone segment is verified as ever.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

VNET_HEADER_SIZE = 10
_VNET_HEADER = struct.Struct("=BBHHHH")  # struct virtio_net_hdr, in the host's byte order
NO_OFFLOAD = bytes(VNET_HEADER_SIZE)

_NEEDS_CHECKSUM = 1
_GSO_TCPV4 = 1
_GSO_TCPV6 = 4
_TCP = 6
_ACK = 0x10
_PSH = 0x08
_LARGEST_PACKET = 65535
_CHECKSUM_AT = 16  # within the TCP header
_MOST_SEGMENTS = 128  # far below the number of buffers that one write takes (IOV_MAX)
_CLOSED = -1  # the size of a plaintext that never comes


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the fields of a header of one size are, as masks and shifts of the header read as one number."""

    ip_size: int
    size: int  # of both headers
    same: int  # mask of what equals the predecessor's, once the sequence number has been moved on
    length: int  # mask of the IP length field
    sequence_shift: int
    push: int


@lru_cache
def _layout(version: int, tcp_size: int) -> _Layout:
    """IPv4 identification may be anything, because no packet here may be fragmented (RFC 6864 section 4)."""
    ip_size = 20 if version == 4 else 40
    size = ip_size + tcp_size

    def mask(at: int, octets: int) -> int:
        return ((1 << 8 * octets) - 1) << 8 * (size - at - octets)

    push = mask(ip_size + 13, 1) & (_PSH * mask(ip_size + 13, 1) // 0xFF)
    free = mask(ip_size + _CHECKSUM_AT, 2) | push
    if version == 4:
        free |= mask(4, 2) | mask(10, 2)
    length = mask(2, 2) if version == 4 else mask(4, 2)
    return _Layout(ip_size, size, mask(0, size) & ~free, length, 8 * (size - ip_size - 8), push)


class TcpRun:
    """Segments of one flow, each following the one before; empty at first.

    Segments are buffers that hold an ESP plaintext: the inner packet, padding and trailer.  They must not change
    until the run is written.  What the first one's selector check has found holds for all.
    """

    __slots__ = (
        "_expected",
        "_first",
        "_head_size",
        "_layout",
        "_parts",
        "_plain_size",
        "_push",
        "_room",
        "_same",
        "_step",
        "_tail",
        "first_size",
    )

    def __init__(self) -> None:
        self._first = memoryview(b"")
        self._parts: list[memoryview | bytes] = []
        self.first_size = 0  # octets of the first inner packet, and of every further one but the last
        self._plain_size = _CLOSED  # the same with padding and trailer
        self._tail = b""  # padding and trailer
        self._layout = _layout(4, 20)
        self._head_size = self._same = self._step = 0  # of the layout, at hand
        self._expected = 0  # the header of the next segment, as far as it is foreseen
        self._push = 0
        self._room = 0  # segments that can still follow

    def __bool__(self) -> bool:
        return bool(self._parts)

    def begin(self, plaintext: memoryview, size: int) -> None:
        """Start with a checked packet of `size` octets; where it is no segment nothing can follow it."""
        self._first = plaintext
        self._parts = [NO_OFFLOAD, plaintext[:size]]
        self._plain_size = _CLOSED
        layout = _layout_of(plaintext, size)
        if layout is not None:
            self._foresee(layout, plaintext, size)

    def _foresee(self, layout: _Layout, plaintext: memoryview, size: int) -> None:
        head = int.from_bytes(plaintext[: layout.size])
        self._push = head & layout.push
        if self._push:
            return
        self._layout = layout
        self._head_size, self._same = layout.size, layout.same
        self._step = size - layout.size << layout.sequence_shift
        self._expected = (head & layout.same) + self._step
        self._room = min((_LARGEST_PACKET - size) // (size - layout.size), _MOST_SEGMENTS - 1)
        self._tail = bytes(plaintext[size:])
        self.first_size = size
        self._plain_size = len(plaintext) if self._room else _CLOSED

    def follows(self, plaintext: memoryview) -> bool:
        """Take an unchecked plaintext that is the next segment, as long as the first to the octet."""
        if len(plaintext) != self._plain_size:
            return False
        head = int.from_bytes(plaintext[: self._head_size])
        if head & self._same != self._expected or plaintext[self.first_size :] != self._tail:
            return False
        self._parts.append(plaintext[self._head_size : self.first_size])
        self._expected += self._step
        self._room -= 1
        self._push = head & self._layout.push
        if self._push or not self._room:
            self._plain_size = _CLOSED
        return True

    def ends_with(self, plaintext: memoryview, size: int) -> bool:
        """Take a checked packet of `size` octets that is the next segment and shorter: then the run is over."""
        if self._plain_size == _CLOSED or not self._head_size < size < self.first_size:
            return False
        head = int.from_bytes(plaintext[: self._head_size])
        same = self._same & ~self._layout.length
        if head & same != self._expected & same:
            return False
        self._parts.append(plaintext[self._head_size : size])
        self._push = head & self._layout.push
        self._plain_size = _CLOSED
        return True

    def finish(self) -> list[memoryview | bytes]:
        """What to write for the run, which is empty again."""
        parts, self._parts = self._parts, []
        if len(parts) > 2:
            parts[0] = self._super_packet(sum(map(len, parts[1:])))
        self._plain_size = _CLOSED
        return parts

    def _super_packet(self, size: int) -> bytes:
        """Make the first header that of the whole; the virtio-net header for it."""
        layout, first = self._layout, self._first
        ip_size = layout.ip_size
        if self._push:
            first[ip_size + 13] |= _PSH
        if ip_size == 20:
            kind, addresses = _GSO_TCPV4, first[12:20]
            first[2:4] = size.to_bytes(2)
            first[10:12] = bytes(2)
            first[10:12] = (_sum(first[:20]) ^ 0xFFFF).to_bytes(2)
        else:
            kind, addresses = _GSO_TCPV6, first[8:40]
            first[4:6] = (size - 40).to_bytes(2)
        pseudo = _sum(bytes(addresses) + (size - ip_size).to_bytes(4) + _TCP.to_bytes(4))
        first[ip_size + _CHECKSUM_AT : ip_size + _CHECKSUM_AT + 2] = pseudo.to_bytes(2)
        segment_size = self.first_size - layout.size
        return _VNET_HEADER.pack(_NEEDS_CHECKSUM, kind, layout.size, segment_size, ip_size, _CHECKSUM_AT)


def _layout_of(packet: memoryview, size: int) -> _Layout | None:
    """The layout of a packet that others may follow: plain TCP data with ACK, and PSH at most, and no fragment."""
    version = packet[0] >> 4
    if version == 4:
        ip_size, whole = 20, packet[0] == 0x45 and packet[6] == 0x40 and packet[7] == 0 and packet[9] == _TCP
    else:
        ip_size, whole = 40, packet[6] == _TCP
    if not whole or size < ip_size + 20:
        return None
    layout = _layout(version, (packet[ip_size + 12] >> 4) * 4)
    if layout.size < ip_size + 20 or size <= layout.size or packet[ip_size + 13] & ~_PSH != _ACK:
        return None
    return layout


def _sum(octets: memoryview | bytes) -> int:
    """The Internet checksum's sum, not complemented (RFC 1071)."""
    return int.from_bytes(octets) % 0xFFFF or 0xFFFF
