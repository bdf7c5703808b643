"""Asks somebody behind a tunnel, so that an answer comes back through it.

No program inside is known to us but name servers; so others are asked on a port where nobody listens: whoever has
the address says so (ICMP port unreachable, RFC 792), and that is an answer too.  An answer may be forged by whoever
is on the way inside; what it proves is that packets pass, not who sent them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..ike.events import Address

DNS_PORT = 53
UNUSED_PORT = 33434  # where traceroute begins
AGAIN = 0.5
"""Seconds after which it is asked again."""
MOST = 8
"""Hosts that are asked at the same time."""
QUESTION = b"Rm" + bytes.fromhex("0100 0001 0000 0000 0000  00 0002 0001")
"""The name servers of the root: every name server answers that, or refuses to (RFC 1035 section 4.1)."""

_LARGEST = 4096


@dataclass(frozen=True, slots=True)
class Host:
    """Whom to ask, on which UDP port."""

    address: Address
    port: int = UNUSED_PORT


@dataclass(frozen=True, slots=True)
class Reply:
    """Who answered, and how."""

    address: Address
    how: str


async def ask(hosts: Sequence[Host], sources: Iterable[Address], link: str, seconds: float) -> Reply | None:
    """The first answer of any of them, from our inside addresses over `link`; None where nobody answers in time.

    A host is not asked where we have no address of its family, or its packets would not go over the link.
    """
    source_of = {address.version: address for address in sources}
    asking = [
        asyncio.create_task(_ask(host, source_of[host.address.version], link))
        for host in hosts[:MOST]
        if host.address.version in source_of
    ]
    try:
        async with asyncio.timeout(seconds):
            for first in asyncio.as_completed(asking):
                if (reply := await first) is not None:
                    return reply
            await asyncio.Event().wait()  # ESP may still come in: whoever looks at counters has the time
    except TimeoutError:
        pass
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    return None


async def _ask(host: Host, source: Address, link: str) -> Reply | None:
    """Until it answers; None where it cannot be asked."""
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as endpoint:
        with suppress(OSError):  # an old kernel lets root alone: then the source address must do
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        try:
            endpoint.bind((str(source), 0))
            endpoint.connect((str(host.address), host.port))
            return await _converse(endpoint, host)
        except OSError:
            return None


async def _converse(endpoint: socket.socket, host: Host) -> Reply:
    loop = asyncio.get_running_loop()
    while True:
        try:
            endpoint.send(QUESTION)
            async with asyncio.timeout(AGAIN):
                await loop.sock_recv(endpoint, _LARGEST)
        except TimeoutError:
            continue
        except ConnectionRefusedError:
            return Reply(host.address, "says that nobody listens on the port")
        return Reply(host.address, "answers a question")
