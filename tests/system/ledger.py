"""Probes that an ordinary user's programs send, and the ledger of what reached the wire."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from itertools import product
from time import monotonic, sleep
from typing import Self

from client.lab.capture import Capture, Flow
from tests.system.scene import GATEWAY, GATEWAY_V6, NOBODY

INTERNET = {4: "203.0.113.{}", 6: "2001:db8:9::{}"}
"""A host for each way, by which the ledger tells them apart."""
GATEWAY_TARGETS = {4: GATEWAY, 6: GATEWAY_V6}
RESOLVER = {4: "192.168.1.1", 6: "fd00:1::1"}
UPLINK = "wlan0"
PATIENCE = 2.0  # seconds for what must be seen
KINDS = ("tcp", "udp", "icmp", "dns")
WAYS = ("plain", "bound to the uplink", "from the uplink's address")
_ECHO_REQUEST = {4: 8, 6: 128}
_ICMP = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_NEIGHBOURHOOD = (IPv4Network("224.0.0.0/4"), IPv6Network("ff00::/8"), IPv6Network("fe80::/10"))


@dataclass(frozen=True)
class Probe:
    """One packet: how it is sent, and by what it is known on the wire."""

    version: int
    kind: str  # "tcp", "udp", "icmp" or "dns"
    way: str
    target: str
    port: int = 4433

    def __str__(self) -> str:
        return f"IPv{self.version} {self.kind} {self.way} to {self.target}"

    @property
    def cell(self) -> str:
        """Its column in a table."""
        return f"IPv{self.version} {self.kind}"

    def is_seen_in(self, flows: Iterable[Flow]) -> bool:
        """Whether a frame of it has left."""
        protocol = {"dns": "udp", "icmp": "icmp" if self.version == 4 else "icmp6"}.get(self.kind, self.kind)
        port = 0 if self.kind == "icmp" else self.port
        mine = (True, protocol, self.target, port)
        return any(
            (flow.outgoing, flow.protocol, flow.destination, flow.destination_port) == mine for flow in flows
        )

    def send(self, addresses: Mapping[int, str]) -> None:
        """As the calling user; `OSError` where the kernel refuses."""
        kind = {"tcp": socket.SOCK_STREAM}.get(self.kind, socket.SOCK_DGRAM)
        protocol = _ICMP[self.version] if self.kind == "icmp" else 0
        with socket.socket(_FAMILIES[self.version], kind, protocol) as sender:
            sender.setblocking(False)
            if self.way == "bound to the uplink":
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, UPLINK.encode())
            elif self.way == "from the uplink's address":
                sender.bind((addresses[self.version], 0))
            with suppress(BlockingIOError):
                sender.connect((self.target, self.port))
            if self.kind != "tcp":
                sender.send(self._content())

    def _content(self) -> bytes:
        if self.kind == "icmp":
            return bytes([_ECHO_REQUEST[self.version], 0, 0, 0, 0, 0, 0, 1])
        return b"in clear"


def probes(targets: Mapping[int, str] = INTERNET, kinds: Sequence[str] = KINDS) -> list[Probe]:
    """{IPv4, IPv6} × kinds × ways."""
    return [
        Probe(version, kind, way, targets[version].format(11 + number), 53 if kind == "dns" else 4433)
        for version, kind, (number, way) in product(targets, kinds, enumerate(WAYS))
    ]


def send_all(sent: Sequence[Probe], addresses: Mapping[int, str], uid: int = NOBODY) -> None:
    """In a child that is an ordinary user; what the kernel refuses is no matter."""
    child = _as_user(uid, lambda: _send_once(sent, addresses))
    _, result = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(result) == 0


class Train:
    """The probes again and again from a child, an ordinary user, until the block ends; `sent` is how many."""

    def __init__(self, sent: Sequence[Probe], addresses: Mapping[int, str]) -> None:
        self.sent = 0
        self._probes = sent
        self._addresses = addresses

    def __enter__(self) -> Self:
        self._count, counting = os.pipe()
        self._stop, stopping = os.pipe()

        def run() -> None:
            _close_all_but(self._stop, counting)  # a link of ours must not live on in the child
            os.set_blocking(self._stop, False)
            turns = 0
            while not _is_over(self._stop):
                _send_once(self._probes, self._addresses)
                turns += 1
            os.write(counting, str(turns).encode())

        self._child = _as_user(NOBODY, run)
        os.close(counting)
        self._stopping = stopping
        return self

    def __exit__(self, *exception: object) -> None:
        os.write(self._stopping, b"x")
        self.sent = int(os.read(self._count, 32)) * len(self._probes)
        os.waitpid(self._child, 0)
        for descriptor in (self._count, self._stop, self._stopping):
            os.close(descriptor)


def _close_all_but(*kept: int) -> None:
    first = 3
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, 1024)


def _is_over(stop: int) -> bool:
    try:
        return bool(os.read(stop, 1))
    except BlockingIOError:
        return False


def _send_once(sent: Sequence[Probe], addresses: Mapping[int, str]) -> None:
    for probe in sent:
        with suppress(OSError):
            probe.send(addresses)


def _as_user(uid: int, work: Callable[[], None]) -> int:
    """A child that does `work` as this user; its process id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def leaks(capture: Capture, allowed: Callable[[Flow], bool] = lambda flow: False) -> list[str]:
    """What left over the watched links and is no talk between neighbours."""
    assert capture.lost == 0
    return sorted(
        f"{flow.protocol} {flow.source} > {flow.destination} {flow.destination_port}"
        for flow in capture.flows
        if flow.outgoing and flow.destination and not _is_neighbourly(flow) and not allowed(flow)
    )


def _is_neighbourly(flow: Flow) -> bool:
    address = ip_address(flow.destination)
    near = any(address.version == net.version and address in net for net in _NEIGHBOURHOOD)
    return near and flow.protocol in {"icmp6", "protocol 2", "protocol 0"}


def settle() -> None:
    """Until what was sent is on the wire, though a neighbour had to be asked for first."""
    sleep(0.05)


def seen(capture: Capture, sent: Sequence[Probe]) -> set[str]:
    """Which of these have left; waits for all of them, but not for long."""
    deadline = monotonic() + PATIENCE
    while True:
        flows = dict(capture.flows)
        found = {str(probe) for probe in sent if probe.is_seen_in(flows)}
        if len(found) == len(set(map(str, sent))) or monotonic() > deadline:
            return found
        sleep(0.01)
