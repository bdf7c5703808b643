"""A tunnel under load: what it carries, and whether the daemon still answers while it is full."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Self

from client.lab.laptop import wait_for
from client.lab.namespaces import Namespace
from client.lab.topology import SERVER, Topology
from tests.netns.peers.strongswan import StrongSwan

from .clients import IDLE, Contestant, Pair, connected
from .figures import Row, Sample, Unit, milliseconds

PORT = 5202
RISE = 0.5  # seconds until a flow has found its rate
SPAN = 2.0  # seconds that are counted
_CHUNK = 1 << 17
_PATIENCE = 10.0  # seconds for one operation on a socket


class Flow:
    """One TCP connection through the tunnel, as full as it goes; `octets` have arrived so far."""

    def __init__(self, lab: Topology, *, upload: bool) -> None:
        self.octets = 0
        server, laptop = _connection(lab.server, lab.laptop)
        source, sink = (laptop, server) if upload else (server, laptop)
        self._ends = (source, sink)
        self._threads = [
            threading.Thread(target=_fill, args=(source,), daemon=True),
            threading.Thread(target=self._drain, args=(sink,), daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def rate(self, seconds: float) -> float:
        """Bit/s in the next so many seconds."""
        before, started = self.octets, time.monotonic()
        time.sleep(seconds)
        return (self.octets - before) * 8 / (time.monotonic() - started)

    def _drain(self, sink: socket.socket) -> None:
        room = bytearray(_CHUNK)
        with suppress(OSError):
            while size := sink.recv_into(room):
                self.octets += size


def _fill(source: socket.socket) -> None:
    data = bytes(_CHUNK)
    with suppress(OSError):
        while True:
            source.sendall(data)


def _connection(server: Namespace, laptop: Namespace) -> tuple[socket.socket, socket.socket]:
    with server.run(lambda: socket.create_server((str(SERVER), PORT))) as listener:
        listener.settimeout(_PATIENCE)
        near = laptop.run(lambda: socket.create_connection((str(SERVER), PORT), _PATIENCE))
        far, _ = listener.accept()
    far.settimeout(_PATIENCE)
    return far, near


def throughputs(pair: Pair, runs: int) -> Iterator[Row]:
    """One flow in each direction; the gateway is strongSwan in both columns."""
    for word, upload in (("to the server", True), ("from the server", False)):
        rounds = [[_throughput(client, upload=upload) for client in pair.both] for _ in range(runs)]
        ours, theirs = (Sample(Unit.MEGABITS, column) for column in zip(*rounds, strict=True))
        yield Row(f"TCP, one flow {word}", ours, theirs)


def _throughput(client: Contestant, *, upload: bool) -> float:
    time.sleep(IDLE)
    with connected(client), Flow(client.lab, upload=upload) as flow:
        time.sleep(RISE)
        return flow.rate(SPAN)


def answers_under_load(pair: Pair, runs: int) -> Iterator[Row]:
    """`roam status`, and what the gateway asks over IKE, while a flow fills the tunnel."""
    roam = pair.roam
    with connected(roam):
        idle = [roam.status_by_command() for _ in range(runs)]
        with Flow(roam.lab, upload=False):
            time.sleep(RISE)
            loaded = [roam.status_by_command() for _ in range(runs)]
    yield Row("roam status with a tunnel, idle", milliseconds(idle), None)
    yield Row("roam status, TCP fills the tunnel", milliseconds(loaded), None)
    measured = [_exchanges(client, runs) for client in pair.both]
    for exchange in measured[0]:
        ours, theirs = (milliseconds(times[exchange]) for times in measured)
        yield Row(f"IKE {exchange}, TCP fills the tunnel: gateway waits", ours, theirs)


def _exchanges(client: Contestant, runs: int) -> dict[str, Sequence[float]]:
    """Let the gateway rekey and then delete what was replaced: the same one request and answer as liveness."""
    gateway = client.gateway
    time.sleep(IDLE)
    with connected(client), Flow(client.lab, upload=False):
        time.sleep(RISE)
        before = len(gateway.log)
        for number in range(1, runs + 1):
            gateway.rekey(child="net")
            wait_for(partial(_has_answered, gateway, before, number), "no answer from the client")
        return exchange_times(gateway.log[before:])


def _has_answered(gateway: StrongSwan, since: int, times: int) -> bool:
    return len(exchange_times(gateway.log[since:])["INFORMATIONAL"]) >= times


_SAID = re.compile(
    r"^(\d+):(\d+):(\d+)[.:](\d+) .*(generating|parsed) (CREATE_CHILD_SA|INFORMATIONAL) (request|response) (\d+)",
    re.MULTILINE,
)


def exchange_times(log: str) -> dict[str, Sequence[float]]:
    """Seconds from each request that charon made to the answer that it read, by exchange type."""
    times: dict[str, list[float]] = {"CREATE_CHILD_SA": [], "INFORMATIONAL": []}
    asked: dict[tuple[str, str], float] = {}
    for hour, minute, second, milli, verb, exchange, kind, number in _SAID.findall(log):
        at = int(hour) * 3600 + int(minute) * 60 + int(second) + int(milli) / 1000
        if (verb, kind) == ("generating", "request"):
            asked[exchange, number] = at
        elif (verb, kind) == ("parsed", "response") and (exchange, number) in asked:
            times[exchange].append(at - asked.pop((exchange, number)))
    return dict(times)
