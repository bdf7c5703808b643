"""`roam-dns`: started by systemd when the daemon, which is not root, has to change what belongs to root.

One JSON document in, one out, from the daemon's user or root alone (`document` says what may stand in it: links,
servers and domains, never a path or a command).  Requests are served one after the other; without any it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import pwd
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

from .detect import Places
from .direct import Direct
from .document import LARGEST_REQUEST, decode_request_untrusted, encode_outcome
from .outcome import Outcome

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
_IDLE = 10.0  # seconds without a request
_PATIENCE = 2.0  # for a request to arrive, and for its answer to be taken
_CREDENTIALS = struct.Struct("3i")
_log = logging.getLogger("roam-dns")


def main(arguments: list[str] | None = None) -> None:
    """Serve the socket that systemd has passed."""
    parser = argparse.ArgumentParser(prog="roam-dns", description=__doc__.splitlines()[0])
    parser.add_argument("--user", default="roam", help="who may ask, apart from root")
    parser.add_argument("--state-dir", type=Path, default=Path("/var/lib/roam-dns"))
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        parser.error("it is started by systemd, by a connection to its socket")
    with socket.socket(fileno=_FIRST_DESCRIPTOR) as listener:
        listener.setblocking(False)
        asyncio.run(serve(listener, Direct(options.state_dir, Places()), allowed_uids(options.user)))


def allowed_uids(user: str) -> frozenset[int]:
    """Root, and this user if there is one."""
    with suppress(KeyError):
        return frozenset({0, pwd.getpwnam(user).pw_uid})
    return frozenset({0})


async def serve(
    listener: socket.socket, direct: Direct, allowed: frozenset[int], idle: float = _IDLE
) -> None:
    """Answer requests until none has come for a while."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            async with asyncio.timeout(idle):
                connection, _ = await loop.sock_accept(listener)
        except TimeoutError:
            return
        with connection, suppress(OSError, TimeoutError):
            connection.setblocking(False)
            answer = encode_outcome(await _answer(connection, direct, allowed))
            async with asyncio.timeout(_PATIENCE):
                await loop.sock_sendall(connection, answer)


async def _answer(connection: socket.socket, direct: Direct, allowed: frozenset[int]) -> Outcome:
    """It is read in any case: whoever is refused should see the reason, not a broken connection."""
    try:
        async with asyncio.timeout(_PATIENCE):
            request = await _read(connection)
    except TimeoutError:
        return _refusal("the request did not come")
    if (uid := _peer(connection)) not in allowed:
        return _refusal(f"user {uid} may not ask roam-dns")
    try:
        configs = decode_request_untrusted(request)
    except ValueError as error:
        return _refusal(str(error))
    outcome = await (direct.restore() if configs is None else direct.apply(configs))
    _log.info("%s", outcome.choice or "restored")
    for problem in outcome.problems:
        _log.warning("%s", problem)
    return outcome


def _refusal(reason: str) -> Outcome:
    _log.warning("refused: %s", reason)
    return Outcome(None, (f"refused: {reason}",))


def _peer(connection: socket.socket) -> int:
    """The user at the other end."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(data)
    return int(uid)


async def _read(connection: socket.socket) -> bytes:
    """Up to the end of the request, or a little more than it may have."""
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) <= LARGEST_REQUEST:
        part = await loop.sock_recv(connection, LARGEST_REQUEST)
        if not part:
            break
        data += part
    return data


if __name__ == "__main__":
    main()
