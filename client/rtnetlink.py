"""The conversation with the kernel's routing: one request after the other, each answered while it is sent.

pyroute2 describes the messages.  Its own `IPRoute` turns an event loop for every request, which takes several
times as long as what is asked for; and a tunnel on its way up, or on its way to another network, waits for dozens.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_NOOP,
)

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, sender
_ERRNO = struct.Struct("=i")  # behind the header of NLMSG_ERROR and NLMSG_DONE: 0 or negative
_SOL_NETLINK, _CAP_ACK, _GET_STRICT_CHK = 270, 10, 12
_LARGEST = 1 << 16
_PATIENCE = 10.0  # seconds; the kernel answers at once unless another program holds its lock
_ABSENT = frozenset({errno.ENODEV, errno.ENOENT, errno.ESRCH})
_DUMPS = 5  # tries to list what others change meanwhile


class Rtnetlink:
    """Routing, addresses and links of the namespace in which it was opened; blocking.

    `OSError` with the kernel's number where it refuses something.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._serial = 0
        self._socket.settimeout(_PATIENCE)
        for option in (_CAP_ACK, _GET_STRICT_CHK):
            with suppress(OSError):  # an old kernel lists more than asked for: callers look at what they get
                self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def dump(self, kind: int, request: Any) -> list[Any]:  # noqa: ANN401 - pyroute2's messages have no types
        """All that the kernel lists, as messages of the request's class.

        What the request says narrows that down where the kernel can do it (since 4.20).  Of a table that
        does not exist, or a link that has just gone, nothing is listed.
        """
        for _ in range(_DUMPS):
            self._send(kind, NLM_F_DUMP, request)
            try:
                answers = list(self._answers())
            except OSError as error:
                if error.errno in _ABSENT:
                    return []
                raise
            if not any(flags & NLM_F_DUMP_INTR for flags, _ in answers):
                break
        return [_decoded(type(request), data) for _, data in answers]

    def get(self, kind: int, request: Any) -> Any | None:  # noqa: ANN401
        """The one thing that the request names; None where the kernel has no such thing."""
        try:
            self._send(kind, NLM_F_ACK, request)
            answers = list(self._answers())
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        return _decoded(type(request), answers[0][1]) if answers else None

    def change(self, kind: int, request: Any, flags: int = 0) -> None:  # noqa: ANN401
        """Have something changed; `flags` such as NLM_F_CREATE."""
        self._send(kind, NLM_F_ACK | flags, request)
        for _ in self._answers():
            pass

    def _send(self, kind: int, flags: int, request: Any) -> None:  # noqa: ANN401
        self._serial += 1
        header = request["header"]
        header["type"] = kind
        header["flags"] = NLM_F_REQUEST | flags
        header["sequence_number"] = self._serial
        request.reset()
        request.encode()
        self._socket.send(request.data)

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        """Flags and octets of each message until the kernel has said all."""
        while True:
            for kind, flags, serial, data in _messages(self._socket.recv(_LARGEST)):
                if serial != self._serial or kind == NLMSG_NOOP:
                    continue  # of a request that was given up
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    _raise_for(data)
                    return
                yield flags, data


def message(shape: type[Any], attributes: Mapping[str, object] | None = None, **fields: object) -> Any:  # noqa: ANN401
    """A message of pyroute2's class `shape`; attributes that are None are left out."""
    made = shape()
    for name, value in fields.items():
        made[name] = value
    made["attrs"] = [[name, value] for name, value in (attributes or {}).items() if value is not None]
    return made


def _messages(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    while len(datagram) >= _HEADER.size:
        length, kind, flags, serial, _ = _HEADER.unpack_from(datagram)
        if length < _HEADER.size:
            return
        yield kind, flags, serial, datagram[:length]
        datagram = datagram[(length + 3) & ~3 :]


def _raise_for(data: bytes) -> None:
    number = -_ERRNO.unpack_from(data, _HEADER.size)[0] if len(data) >= _HEADER.size + _ERRNO.size else 0
    if number > 0:
        raise OSError(number, os.strerror(number))


def _decoded(shape: type[Any], data: bytes) -> Any:  # noqa: ANN401
    read = shape(data)
    read.decode()
    return read
