"""The embedded gateway as a process: `python -m client.lab.gateway PLAN`, in a namespace of its own.

The responder decides, this shell moves octets: two sockets for every address, one TUN interface for all clients,
and the ESP codec between them.  SIGTERM makes it say goodbye to its clients; killed, it forgets them, as a
gateway does that loses its power.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path as FilePath

from pyroute2 import IPRoute

from ..esp.rejected import EspRejected
from ..esp.table import SaTable
from ..ike.events import (
    Address,
    Channel,
    ChildDown,
    ChildOutbound,
    ChildUp,
    Closed,
    Endpoint,
    Output,
    Transmit,
)
from ..ike.session import Session
from ..system.tun import open_tun
from .plan import GatewayPlan
from .responder import Responder

PORTS = {Channel.INIT: 500, Channel.NATT: 4500}
NON_ESP_MARKER = bytes(4)  # RFC 3948 section 2.2
KEEPALIVE = b"\xff"
VNET_HEADER = bytes(10)  # virtio-net header of a TUN interface: no offload
BATCH = 64  # packets of one source in one turn of the loop
GOODBYE = 1.0  # seconds for the clients' answers to our Deletes


def now() -> float:
    """Seconds since boot, as the daemon counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Client:
    """The data path of one client: its SAs and where it is."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.table = SaTable(os.urandom)
        self.inbound_at = 0.0
        self.noted_at = 0.0


class Gateway:
    """Sockets, TUN interface and clients."""

    def __init__(self, plan: GatewayPlan) -> None:
        self._responder = Responder(plan.config(), os.urandom)
        self._clients: dict[bytes, Client] = {}
        self._receivers: dict[bytes, Client] = {}
        self._sockets = {
            (address, channel): _bound(address, channel)
            for address in map(ip_address, plan.addresses)
            for channel in Channel
        }
        self._tun = open_tun(plan.link, plan.mtu)
        _configure(plan)
        self._timer: asyncio.TimerHandle | None = None
        self._deserted = asyncio.Event()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve from now on."""
        loop.add_reader(self._tun, self._read_tun)
        for (address, channel), endpoint in self._sockets.items():
            loop.add_reader(endpoint, self._read_socket, endpoint, address, channel)

    async def stop(self) -> None:
        """Delete every client's IKE SA and wait a moment for the answers."""
        self._deserted.clear()
        for session in list(self._responder.sessions.values()):
            session.close(now())
        self._perform()
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await self._deserted.wait()

    # Network to client's data path, or to the responder

    def _read_socket(self, endpoint: socket.socket, address: Address, channel: Channel) -> None:
        for _ in range(BATCH):
            try:
                data, source = endpoint.recvfrom(65535)
            except (BlockingIOError, ConnectionError):
                break
            remote = Endpoint(ip_address(source[0]), source[1])
            if channel is Channel.NATT and not data.startswith(NON_ESP_MARKER):
                self._take_esp(data)
                continue
            message = data[len(NON_ESP_MARKER) :] if channel is Channel.NATT else data
            local = Endpoint(address, PORTS[channel])
            self._responder.handle_datagram(message, channel, local, remote, now(), datetime.now(UTC))
        self._perform()

    def _take_esp(self, data: bytes) -> None:
        client = self._receivers.get(data[:4])
        pair = client.table.receiver(data[:4]) if client else None
        if client is None or pair is None:
            return
        try:
            inner = pair.inbound.decapsulate(data)
        except EspRejected:
            return
        client.inbound_at = now()
        if not pair.told_first:
            pair.told_first = True
            client.session.note_first_inbound(pair.inbound.spi, client.inbound_at)
        with suppress(OSError):
            os.write(self._tun, VNET_HEADER + inner)

    def _read_tun(self) -> None:
        for _ in range(BATCH):
            try:
                packet = os.read(self._tun, 65535)[len(VNET_HEADER) :]
            except BlockingIOError:
                return
            for client in reversed(self._clients.values()):
                with suppress(EspRejected):
                    sender = client.table.sender(packet)
                    self._send_esp(client, sender.outbound.encapsulate(packet))
                    break

    def _send_esp(self, client: Client, packet: bytes) -> None:
        path = client.session.path
        if path is not None:
            local, remote = path.ends(Channel.NATT)
            self._send(self._sockets[local.address, Channel.NATT], packet, remote)

    # Responder to network and data path

    def _perform(self) -> None:
        self._note_life()
        for key, output in self._responder.outputs():
            self._perform_one(key, output)
        if not self._responder.sessions:
            self._deserted.set()
        self._schedule()

    def _perform_one(self, key: bytes, output: Output) -> None:
        match output:
            case Transmit(data, channel, path):
                local, remote = path.ends(channel)
                marked = NON_ESP_MARKER + data if channel is Channel.NATT else data
                self._send(self._sockets[local.address, channel], marked, remote)
            case ChildUp(child, _, outbound):
                client = self._clients.setdefault(key, Client(self._responder.sessions[key]))
                client.table.install(child, outbound=outbound)
                self._receivers[child.spi_in.to_bytes(4)] = client
            case ChildOutbound(spi_in):
                self._clients[key].table.use_outbound(spi_in)
            case ChildDown(spi_in):
                self._receivers.pop(spi_in.to_bytes(4), None)
                self._clients[key].table.remove(spi_in)
            case Closed():
                self._clients.pop(key, None)
            case _:
                return  # the session's path is read when a packet is sent

    def _note_life(self) -> None:
        """ESP from a client is a sign of life: tell its session, at most once a second."""
        at = now()
        for client in self._clients.values():
            if client.inbound_at > client.noted_at + 1.0:
                client.noted_at = client.inbound_at
                client.session.note_activity(client.inbound_at, 0.0, at)

    def _send(self, endpoint: socket.socket, data: bytes, remote: Endpoint) -> None:
        with suppress(OSError):  # what cannot be sent is lost, as on any network
            endpoint.sendto(data, (str(remote.address), remote.port))

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._responder.next_deadline()
        if deadline is not None:
            delay = max(0.0, deadline - now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._note_life()
        self._responder.handle_timeout(now())
        self._perform()


def _bound(address: Address, channel: Channel) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    endpoint = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
    endpoint.bind((str(address), PORTS[channel]))
    return endpoint


def _configure(plan: GatewayPlan) -> None:
    """The clients' addresses are behind the TUN interface."""
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=plan.link)[0]
        netlink.link("set", index=index, state="up")
        for pool in map(ip_network, plan.pools):
            family = socket.AF_INET if isinstance(pool, IPv4Network) else socket.AF_INET6
            netlink.route("replace", dst=str(pool), oif=index, family=family)


async def _serve(gateway: Gateway) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    gateway.start(loop)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await ended.wait()
    await gateway.stop()


def main() -> None:
    """Run the gateway that the plan named on the command line describes, until SIGTERM."""
    gateway = Gateway(GatewayPlan.read(FilePath(sys.argv[1])))  # blocking netlink: before there is a loop
    asyncio.run(_serve(gateway))


if __name__ == "__main__":
    main()
