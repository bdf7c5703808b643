"""Ask `roam-dns` to make a change that only root may make."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from .document import decode_outcome, encode_request
from .model import DnsConfig
from .outcome import Outcome

_PATIENCE = 45.0  # seconds: it has to be started, and what it starts may be slow
_LARGEST_ANSWER = 64 * 1024


async def ask(helper: Path, configs: Sequence[DnsConfig] | None) -> Outcome:
    """What came of it; None asks for what was there before."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return decode_outcome(await _exchange(helper, encode_request(configs)))
    except TimeoutError:
        return Outcome(None, ("roam-dns did not answer",))
    except (OSError, ValueError) as error:
        return Outcome(None, (f"roam-dns: {error}",))


async def _exchange(helper: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(helper)
    try:
        writer.write(request)
        await writer.drain()
        writer.write_eof()
        return await reader.read(_LARGEST_ANSWER)
    finally:
        writer.close()
