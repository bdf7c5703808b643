"""Traffic that proves something: an ICMP ping, and a train of numbered UDP packets timed at both ends.

All times are CLOCK_MONOTONIC nanoseconds of one machine, so that both ends' figures may be compared.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from ..ike.events import Address
from .namespaces import Namespace

ECHO_PORT = 7
_ECHO_REQUEST = {4: 8, 6: 128}
_ECHO_REPLY = {4: 0, 6: 129}
_STAMP = struct.Struct("!QQ")
_POLL = 0.2  # seconds until a thread notices that it should end


def ping(destination: Address, timeout: float = 1.0) -> float | None:
    """Send one ICMP echo request from the calling thread's namespace; seconds until the reply.

    None: no reply in time, or the system refused to send.
    """
    v4 = destination.version == 4
    family, protocol = (
        (socket.AF_INET, socket.IPPROTO_ICMP) if v4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    )
    token = os.urandom(12)
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        started = time.monotonic()
        try:
            raw.connect((str(destination), 0))
            raw.send(_echo_request(destination.version, token))
        except OSError:
            return None
        while (left := started + timeout - time.monotonic()) > 0:
            if not select.select([raw], [], [], left)[0]:
                break
            if _is_reply(destination.version, raw.recv(2048), token):
                return time.monotonic() - started
    return None


def _echo_request(version: int, token: bytes) -> bytes:
    body = struct.pack("!BBHHH", _ECHO_REQUEST[version], 0, 0, 0, 1) + token
    if version == 6:
        return body  # the kernel computes ICMPv6 checksums
    total = sum(struct.unpack(f"!{len(body) // 2}H", body))
    total = (total & 0xFFFF) + (total >> 16)
    return body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + body[4:]


def _is_reply(version: int, packet: bytes, token: bytes) -> bool:
    icmp = packet[(packet[0] & 15) * 4 :] if version == 4 else packet  # IPv4 raw sockets see the IP header
    return icmp[0] == _ECHO_REPLY[version] and icmp[8:].startswith(token)


@dataclass(frozen=True, slots=True)
class Probe:
    """One numbered packet of a train; None: that did not happen."""

    sequence: int
    sent_at: int | None  # None: the system refused to send it (no route, blackhole)
    arrived_at: int | None = None
    answered_at: int | None = None
    arrived_from: str | None = None


class EchoServer:
    """Answers UDP packets in a namespace and notes when each numbered one arrived, and from where."""

    def __init__(self, namespace: Namespace, address: Address, port: int = ECHO_PORT) -> None:
        self.arrivals: dict[int, tuple[int, str]] = {}
        self._socket = namespace.run(lambda: _bound(address, port))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            if not select.select([self._socket], [], [], _POLL)[0]:
                continue
            data, source = self._socket.recvfrom(2048)
            if len(data) >= _STAMP.size:
                self.arrivals.setdefault(_STAMP.unpack_from(data)[0], (time.monotonic_ns(), source[0]))
            try:
                self._socket.sendto(data, source)
            except OSError:
                continue  # the way back is gone; the missing answer is what the other end reports


class Train:
    """Sends a numbered packet every `interval` seconds from a namespace and notes the answers."""

    def __init__(
        self,
        namespace: Namespace,
        destination: Address,
        interval: float = 0.02,
        port: int = ECHO_PORT,
    ) -> None:
        self._sent: dict[int, int | None] = {}
        self._answers: dict[int, int] = {}
        self._notes = threading.Lock()  # a table that grows cannot be gone through
        self._target = (str(destination), port)
        self._interval = interval
        self._socket = namespace.run(lambda: _unbound(destination))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    @property
    def sent(self) -> dict[int, int | None]:
        """When each packet left, up to now; None where the system refused to send it."""
        with self._notes:
            return dict(self._sent)

    @property
    def answers(self) -> dict[int, int]:
        """When the answer to each came, up to now."""
        with self._notes:
            return dict(self._answers)

    def probes(self, server: EchoServer) -> tuple[Probe, ...]:
        """Both ends' notes put together, in the order of sending."""
        probes, answers = [], self.answers
        for sequence, sent_at in self.sent.items():
            arrived_at, source = server.arrivals.get(sequence, (None, None))
            probes.append(Probe(sequence, sent_at, arrived_at, answers.get(sequence), source))
        return tuple(probes)

    def _go(self) -> None:
        due = time.monotonic()
        sequence = 0
        while not self._stop.is_set():
            self._send(sequence)
            sequence += 1
            due += self._interval
            while (left := due - time.monotonic()) > 0 and select.select([self._socket], [], [], left)[0]:
                self._receive()

    def _send(self, sequence: int) -> None:
        now: int | None = time.monotonic_ns()
        try:
            self._socket.sendto(_STAMP.pack(sequence, now), self._target)
        except OSError:
            now = None
        with self._notes:
            self._sent[sequence] = now

    def _receive(self) -> None:
        try:
            data = self._socket.recv(2048)
        except OSError:
            return  # an ICMP error of an earlier packet: it stays unanswered
        with self._notes:
            self._answers.setdefault(_STAMP.unpack_from(data)[0], time.monotonic_ns())


def longest_gap(probes: Sequence[Probe]) -> float:
    """Seconds of the longest time between two successive *arrivals* at the far end.

    Arrival counts, not sending: a packet held back and delivered late did not get through meanwhile.
    """
    times = sorted(probe.arrived_at for probe in probes if probe.arrived_at is not None)
    return max(((later - earlier) / 1e9 for earlier, later in pairwise(times)), default=0.0)


def _bound(address: Address, port: int) -> socket.socket:
    listener = _unbound(address)
    listener.bind((str(address), port))
    return listener


def _unbound(address: Address) -> socket.socket:
    return socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
