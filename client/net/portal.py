"""Does this network want a login on a web page first?  NetworkManager looks for that itself; it is asked.

Where it is not there, or does not look, nobody knows: no web server of ours or anybody's is asked instead.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from .power import SYSTEM_BUS

PATIENCE = 2.0  # seconds
_MANAGER = "org.freedesktop.NetworkManager"
_CONNECTIVITY = {2: "login", 3: "limited", 4: "open"}  # NMConnectivityState


async def portal_state(address: str = SYSTEM_BUS) -> str:
    """Either "login" behind a captive portal, "open", "limited", or empty where nobody knows."""
    path = Path(address.removeprefix("unix:path=").partition(",")[0])
    if not await asyncio.to_thread(os.access, path, os.R_OK | os.W_OK):
        return ""
    from dbus_fast import DBusError, Message, MessageType
    from dbus_fast.aio import MessageBus

    bus = MessageBus(bus_address=address)
    question = Message(
        destination=_MANAGER,
        path="/org/freedesktop/NetworkManager",
        interface="org.freedesktop.DBus.Properties",
        member="Get",
        signature="ss",
        body=[_MANAGER, "Connectivity"],
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await bus.connect()
            answer = await bus.call(question)
    except (OSError, EOFError, DBusError, TimeoutError):
        return ""
    finally:
        bus.disconnect()
    if answer is None or answer.message_type is not MessageType.METHOD_RETURN or not answer.body:
        return ""
    value = getattr(answer.body[0], "value", None)
    return _CONNECTIVITY.get(value, "") if isinstance(value, int) else ""
