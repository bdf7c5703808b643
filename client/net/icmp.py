"""What routers and hosts report about our datagrams: the error queue of a UDP socket (ip(7), IP_RECVERR).

Anybody can send such a report: it is evidence for people, and changes nothing.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

_IP_RECVERR, _IPV6_RECVERR, _MSG_ERRQUEUE = 11, 25, 0x2000  # of Linux; not among Python's constants
_EXTENDED = struct.Struct("=IBBBBII")  # struct sock_extended_err
_SOCKADDR: dict[int, slice] = {socket.AF_INET: slice(4, 8), socket.AF_INET6: slice(8, 24)}
_ICMP, _ICMP6 = 2, 3
_MOST = 16  # kinds of reports kept of one socket

_NET, _HOST, _PORT, _NO = (
    "network unreachable",
    "host unreachable",
    "port unreachable",
    "administratively prohibited",
)
TOO_BIG = "packet too big"
_MEANINGS: dict[tuple[int, int, int], str] = {
    # RFC 792, RFC 1812 section 5.2.7.1
    (_ICMP, 3, 0): _NET,
    (_ICMP, 3, 1): _HOST,
    (_ICMP, 3, 2): "protocol unreachable",
    (_ICMP, 3, 3): _PORT,
    (_ICMP, 3, 4): TOO_BIG,
    (_ICMP, 3, 9): _NO,
    (_ICMP, 3, 10): _NO,
    (_ICMP, 3, 13): _NO,
    # RFC 4443 section 3.1
    (_ICMP6, 1, 0): _NET,
    (_ICMP6, 1, 1): _NO,
    (_ICMP6, 1, 3): _HOST,
    (_ICMP6, 1, 4): _PORT,
    (_ICMP6, 1, 5): _NO,
    (_ICMP6, 1, 6): _NO,
    (_ICMP6, 2, 0): TOO_BIG,
}


@dataclass(frozen=True, slots=True)
class IcmpReport:
    """What was reported, by whom, on which channel; `mtu` where a packet was too big."""

    meaning: str
    sender: str
    channel: str
    mtu: int = 0
    count: int = 1


class ErrorQueue:
    """The reports to one socket, so many of each kind."""

    def __init__(self, endpoint: socket.socket, channel: str) -> None:
        self._endpoint = endpoint
        self._channel = channel
        self._seen: Counter[tuple[str, str, int]] = Counter()
        self._switch(on=True)

    @property
    def reports(self) -> tuple[IcmpReport, ...]:
        """All so far."""
        return tuple(
            IcmpReport(meaning, sender, self._channel, mtu, count)
            for (meaning, sender, mtu), count in self._seen.items()
        )

    def drain(self) -> None:
        """Take everything that waits: a socket with a report in its queue is readable for ever."""
        for _ in range(64):
            try:
                _, ancillary, _, _ = self._endpoint.recvmsg(64, 256, _MSG_ERRQUEUE)
            except OSError:
                return
            for report in _reports(ancillary):
                if report in self._seen or len(self._seen) < _MOST:
                    self._seen[report] += 1

    def close(self) -> None:
        """No more reports: who reads the socket from now does not look for them."""
        self._switch(on=False)

    def _switch(self, *, on: bool) -> None:
        is_ipv4 = self._endpoint.family == socket.AF_INET
        level, option = (socket.IPPROTO_IP, _IP_RECVERR) if is_ipv4 else (socket.IPPROTO_IPV6, _IPV6_RECVERR)
        with suppress(OSError):
            self._endpoint.setsockopt(level, option, int(on))


def _reports(ancillary: list[tuple[int, int, bytes]]) -> Iterator[tuple[str, str, int]]:
    for level, kind, data in ancillary:
        expected = {socket.IPPROTO_IP: _IP_RECVERR, socket.IPPROTO_IPV6: _IPV6_RECVERR}.get(level)
        if kind == expected and len(data) >= _EXTENDED.size:
            _, origin, icmp_type, code, _, mtu, _ = _EXTENDED.unpack_from(data)
            if meaning := _MEANINGS.get((origin, icmp_type, code)):
                yield meaning, _offender(data[_EXTENDED.size :]), mtu if meaning == TOO_BIG else 0


def _offender(sockaddr: bytes) -> str:
    """Who sent the report; empty where the kernel does not say."""
    if len(sockaddr) < 2:
        return ""
    where = _SOCKADDR.get(int.from_bytes(sockaddr[:2], sys.byteorder))
    octets = sockaddr[where] if where is not None else b""
    return str(ip_address(octets)) if len(octets) in (4, 16) else ""
