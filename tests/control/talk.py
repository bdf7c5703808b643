"""Clients of a fake daemon that write their own octets, and who they may be."""

# ruff: noqa: ANN401 - answers are JSON

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from client.control.access import PeerCredentials
from client.control.messages import (
    LINE_LIMIT,
)
from tests.control.fake import GROUP, ROOT, FakeDaemon, serving

MEMBER = PeerCredentials(1000, 1000, frozenset({GROUP}))
STRANGER = PeerCredentials(1001, 1001)

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]]


def converse(path: Path, talk: Talk, daemon: FakeDaemon | None = None, peer: PeerCredentials = ROOT) -> Any:
    """Run `talk` as a client that writes its own octets."""

    async def run() -> Any:
        async with serving(daemon or FakeDaemon(), path, peer):
            reader, writer = await asyncio.open_unix_connection(str(path), limit=2 * LINE_LIMIT)
            try:
                return await talk(reader, writer)
            finally:
                writer.close()

    return asyncio.run(run())


def exchange(path: Path, line: bytes, daemon: FakeDaemon | None = None, peer: PeerCredentials = ROOT) -> Any:
    """One line there and one back."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        writer.write(line + b"\n")
        return json.loads(await reader.readline())

    return converse(path, talk, daemon, peer)


def request(method: str, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
