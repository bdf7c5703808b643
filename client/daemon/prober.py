"""A probe's questions put to a gateway over our marked sockets, which no guard and no tunnel keeps from it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from ..control.evidence import CheckRecord
from ..ike.events import Channel, Endpoint
from ..ike.probing import Probe
from ..net.udp import bind_marked, open_path
from ..tunnel.model import Underlay
from .clock import Clock, boottime
from .ports import SocketsPort

LONGEST = 45.0
"""Seconds that all questions to one address may take."""
TCP_PATIENCE = 3.0
_MOST_WAITING = 64

Open = Callable[[Underlay, int, Callable[[bytes, Channel, Endpoint], None]], SocketsPort]


async def probe_address(
    underlay: Underlay,
    port: int,
    *,
    host: str = "",
    ports_only: bool = False,
    clock: Clock = boottime,
    open_sockets: Open = open_path,
) -> Probe:
    """Ask one address everything, or only whether it is there; `OSError` where the path cannot be opened."""
    arrived: asyncio.Queue[bytes] = asyncio.Queue(_MOST_WAITING)

    def receive(data: bytes, _channel: Channel, remote: Endpoint) -> None:
        if remote.address == underlay.remote:
            with suppress(asyncio.QueueFull):  # nobody has so much to say
                arrived.put_nowait(data)

    sockets = open_sockets(underlay, port, receive)
    try:
        probe = Probe(sockets.path, os.urandom, clock(), host=host, ports_only=ports_only)
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await _converse(probe, sockets, arrived, clock)
        return probe
    finally:
        sockets.close()


async def _converse(probe: Probe, sockets: SocketsPort, arrived: asyncio.Queue[bytes], clock: Clock) -> None:
    while True:
        probe.handle_timeout(clock())
        for sent in probe.outputs():
            sockets.send(sent.data, sent.channel)
        deadline = probe.next_deadline()
        if deadline is None:
            return
        data = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(deadline - clock(), 0.0)):
                data = await arrived.get()
        if data:
            probe.handle_datagram(data, clock())


async def check_ports(underlay: Underlay, port: int) -> tuple[CheckRecord, ...]:
    """Whether the gateway's ports answer; nothing where that cannot be asked."""
    try:
        probe = await probe_address(underlay, port, ports_only=True)
    except OSError:
        return ()
    return tuple(
        CheckRecord(what, "answered" if reply.is_answer else "silent", reply.value)
        for what, reply in probe.findings.ports.items()
    )


async def check_tcp(underlay: Underlay, port: int) -> str:
    """Whether somebody listens on a TCP port: "answered", "refused", "silent" or "unreachable" (RFC 9329)."""
    family = socket.AF_INET if underlay.remote.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
        try:
            bind_marked(connection, underlay.local, underlay.interface)
            async with asyncio.timeout(TCP_PATIENCE):
                address = (str(underlay.remote), port)
                await asyncio.get_running_loop().sock_connect(connection, address)
        except TimeoutError:
            return "silent"
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "unreachable"
    return "answered"
