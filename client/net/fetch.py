"""Fetches what authorities publish about certificates: small, over HTTP, and never through a tunnel.

The sockets are marked as ours, so that they go over the underlay also while the guard is closed.  What comes is
signed, hence plain HTTP, which certificates name; a server can at most say nothing, and that costs us no more than
the time and the octets below.  HTTP/1.0 keeps the answer simple (RFC 1945); redirects lead to nobody whom an
authority has named, and are not followed.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from ..ike.events import Address, Inquiry, Reply
from ..tunnel.model import Underlay
from .udp import bind_marked

MAX_BODY = 1 << 20  # octets
MAX_HEAD = 16384
MOST_ADDRESSES = 3  # of a server that are tried
_PART = 65536
_WILDCARDS = {4: ip_address("0.0.0.0"), 6: ip_address("::")}

Resolve = Callable[[Sequence[str]], Awaitable[tuple[Address, ...]]]
"""The addresses of a name, asked for outside of the tunnels; `OSError` where there is none."""


class FetchFailed(Exception):
    """Nothing that is of use came, and why."""


@dataclass(frozen=True, slots=True)
class _Place:
    host: str
    port: int
    target: str  # of the request line
    host_line: str


async def fetch(inquiry: Inquiry, underlay: Underlay, seconds: float, resolve: Resolve) -> Reply:
    """What the server says within so many seconds; never raises for what the network or the server does."""
    try:
        place = _place(urlsplit(inquiry.url))
        async with asyncio.timeout(max(seconds, 0.0)):
            addresses = await resolve([place.host])
            return Reply(await _from_any(addresses[:MOST_ADDRESSES], place, inquiry.body, underlay))
    except TimeoutError:
        return Reply(trouble="no answer in time")
    except OSError as error:
        return Reply(trouble=os.strerror(error.errno) if error.errno else str(error))
    except (FetchFailed, ValueError) as error:
        return Reply(trouble=str(error))


def _place(url: SplitResult) -> _Place:
    if url.scheme != "http" or not url.hostname or url.username is not None:
        raise FetchFailed("is no address that is fetched from")
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    line = url.netloc
    if not all("!" <= char <= "~" for char in target + line):
        raise FetchFailed("is no address that is fetched from")
    return _Place(url.hostname, url.port or 80, target, line)


async def _from_any(addresses: Sequence[Address], place: _Place, body: bytes, underlay: Underlay) -> bytes:
    """From the first address that takes a connection."""
    failed: OSError = OSError("it has no address")
    for address in addresses:
        try:
            return await _exchange(address, place, body, underlay)
        except OSError as error:
            failed = error
    raise failed


async def _exchange(address: Address, place: _Place, body: bytes, underlay: Underlay) -> bytes:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
        if address.version == underlay.local.version:
            bind_marked(connection, underlay.local, underlay.interface)
        else:
            bind_marked(connection, _WILDCARDS[address.version])
        await loop.sock_connect(connection, (str(address), place.port))
        await loop.sock_sendall(connection, _request(place, body))
        return await _read_answer(connection)


def _request(place: _Place, body: bytes) -> bytes:
    lines = [f"{'POST' if body else 'GET'} {place.target} HTTP/1.0", f"Host: {place.host_line}"]
    if body:
        lines += ["Content-Type: application/ocsp-request", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


async def _read_answer(connection: socket.socket) -> bytes:
    """The body of an answer that says 200; no more of it is taken than may come."""
    loop = asyncio.get_running_loop()
    received = b""
    while b"\r\n\r\n" not in received:
        if len(received) > MAX_HEAD:
            raise FetchFailed("the server's answer has no end of its head")
        if not (part := await loop.sock_recv(connection, _PART)):
            raise FetchFailed("the server broke off")
        received += part
    head, _, start = received.partition(b"\r\n\r\n")
    length = _announced(head)
    body = bytearray(start)
    while length is None or len(body) < length:
        if len(body) > MAX_BODY:
            raise FetchFailed("the answer is larger than 1 MiB")
        if not (part := await loop.sock_recv(connection, _PART)):
            break
        body += part
    if length is not None and len(body) < length:
        raise FetchFailed("the server broke off")
    if len(body) > MAX_BODY:
        raise FetchFailed("the answer is larger than 1 MiB")
    return bytes(body if length is None else body[:length])


def _announced(head: bytes) -> int | None:
    """The length of the body, None for as much as comes; `FetchFailed` unless there is one to be used."""
    status, *lines = head.decode("latin-1").split("\r\n")
    protocol, _, rest = status.partition(" ")
    code = rest[:3]
    if not protocol.startswith("HTTP/1.") or not code.isdecimal():
        raise FetchFailed("the server does not speak HTTP")
    if code != "200":
        raise FetchFailed(f"the server answers {code}")
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if "transfer-encoding" in fields or "content-encoding" in fields:
        raise FetchFailed("the server's answer is encoded")
    length = fields.get("content-length")
    if length is None:
        return None
    if not length.isdecimal() or len(length) > 12:
        raise FetchFailed("the server's answer has no sensible length")
    if int(length) > MAX_BODY:
        raise FetchFailed("the answer is larger than 1 MiB")
    return int(length)
