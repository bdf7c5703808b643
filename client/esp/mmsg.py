"""Many datagrams in one system call: recvmmsg(2), which Python's own sockets lack.

With GRO a datagram of the list may itself be a train of many, of equal size but for the last.  What comes
with each (its sender, the outer ECN field, the size of the parts) mostly repeats: it is looked up as raw
octets and parsed only when it is new.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from dataclasses import dataclass
from ipaddress import ip_address

from ..ike.events import Endpoint

BATCH = 32  # datagrams or trains in one call
LARGEST_DATAGRAM = 1 << 16
UDP_GRO = 104  # linux/udp.h: option, and ancillary message with the size of the parts

_ADDRESS_SIZE = 28  # struct sockaddr_in6, the larger one
_CONTROL_SIZE = 68  # room for a traffic class and a segment size
_ORIGIN_SIZE = _ADDRESS_SIZE + _CONTROL_SIZE
_CONTROL_HEADER = struct.Struct("@Nii")  # struct cmsghdr
_MOST_ORIGINS = 256  # remembered; then anew, so that a flood of senders cannot fill the memory

_VECTOR = struct.Struct("@PN")  # struct iovec
_MESSAGE = struct.Struct("@PIPNPNi0PI0P")  # struct mmsghdr: name, vectors, control, flags; size
_WORDS = _MESSAGE.size // 4
_SIZE_WORD = struct.calcsize("@PIPNPNi0P") // 4

_recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a datagram comes from, and how it came."""

    remote: Endpoint
    ecn: int  # of the outer header
    part: int  # size of the datagrams that a train consists of; 0: not a train


class DatagramReader:
    """Reads up to `BATCH` datagrams at once into a buffer of its own."""

    def __init__(self) -> None:
        self.buffer = bytearray(BATCH * LARGEST_DATAGRAM)  # the kernel backs only what is ever written to
        self.view = memoryview(self.buffer)
        self._origin_octets = bytearray(BATCH * _ORIGIN_SIZE)
        self._no_origins = bytes(len(self._origin_octets))
        self._origins: dict[bytes, Origin] = {}
        self._vectors = bytearray(BATCH * _VECTOR.size)
        self._messages = bytearray(BATCH * _MESSAGE.size)
        self._fill_in()
        self._template = bytes(self._messages)
        self._words = memoryview(self._messages).cast("I")
        self._address = _address_of(self._messages)

    def read(self, descriptor: int) -> list[tuple[int, int, Origin]]:
        """What waits: start and end in `buffer`, and origin, of each; they hold until the next call.

        `OSError` for errors that the socket reports, most of them passing.
        """
        self._messages[:] = self._template  # the kernel has written into them
        self._origin_octets[:] = self._no_origins
        count = _recvmmsg(descriptor, self._address, BATCH, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            if number in (errno.EAGAIN, errno.EINTR):
                return []
            raise OSError(number, os.strerror(number))
        return [self._datagram(index) for index in range(count)]

    def _datagram(self, index: int) -> tuple[int, int, Origin]:
        start = index * LARGEST_DATAGRAM
        size = self._words[index * _WORDS + _SIZE_WORD]
        octets = bytes(self._origin_octets[index * _ORIGIN_SIZE : (index + 1) * _ORIGIN_SIZE])
        origin = self._origins.get(octets)
        if origin is None:
            if len(self._origins) >= _MOST_ORIGINS:
                self._origins.clear()
            origin = self._origins[octets] = _parse_origin(octets)
        return start, start + size, origin

    def _fill_in(self) -> None:
        data, vectors = _address_of(self.buffer), _address_of(self._vectors)
        name = _address_of(self._origin_octets)
        for index in range(BATCH):
            control = name + _ADDRESS_SIZE
            message = (name, _ADDRESS_SIZE, vectors, 1, control, _CONTROL_SIZE, 0, 0)
            _VECTOR.pack_into(self._vectors, index * _VECTOR.size, data, LARGEST_DATAGRAM)
            _MESSAGE.pack_into(self._messages, index * _MESSAGE.size, *message)
            data, vectors, name = data + LARGEST_DATAGRAM, vectors + _VECTOR.size, name + _ORIGIN_SIZE


def _address_of(octets: bytearray) -> int:
    """Where the kernel finds a buffer, which therefore must keep its size."""
    return ctypes.addressof(ctypes.c_char.from_buffer(octets))


def _parse_origin(octets: bytes) -> Origin:
    """A socket address, then ancillary messages, then zeros."""
    family = int.from_bytes(octets[:2], sys.byteorder)
    address = octets[4:8] if family == socket.AF_INET else octets[8:24]
    remote = Endpoint(ip_address(address), int.from_bytes(octets[2:4]))
    ecn = part = 0
    at = _ADDRESS_SIZE
    while at + _CONTROL_HEADER.size <= len(octets):
        size, level, kind = _CONTROL_HEADER.unpack_from(octets, at)
        if size < _CONTROL_HEADER.size:
            break
        value = octets[at + _CONTROL_HEADER.size : at + size]
        if (level, kind) == (socket.IPPROTO_UDP, UDP_GRO):
            part = struct.unpack_from("@i", value)[0]
        elif level == socket.IPPROTO_IP:  # IP_TOS, one octet
            ecn = value[0] & 3
        elif level == socket.IPPROTO_IPV6:  # IPV6_TCLASS, an int
            ecn = struct.unpack_from("@i", value)[0] & 3
        at += socket.CMSG_SPACE(len(value))
    return Origin(remote, ecn, part)
