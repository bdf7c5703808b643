"""The name servers of the uplinks, where /etc/resolv.conf lists ours alone: what their managers keep of each.

The gateway's name is looked up there.  What the file said before the tunnel stood is out of date as soon as the
laptop is on another network; who is in charge of the file knows better.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ...ike.events import Address
from . import networkmanager
from .bus import Bus
from .choice import Flavour
from .detect import Places
from .networkmanager import NetworkManager
from .outcome import Unable
from .resolvconf import Resolvconf


async def uplink_servers(places: Places) -> tuple[Address, ...]:
    """Whom NetworkManager and resolvconf would ask without us, the preferred uplink's first; may be none."""
    known = [*await _of_networkmanager(places), *await asyncio.to_thread(_of_resolvconf, places)]
    return tuple(dict.fromkeys(server for server in known if not server.is_loopback))


async def _of_networkmanager(places: Places) -> tuple[Address, ...]:
    with suppress(Unable):
        async with Bus(places.bus) as bus:
            if networkmanager.SERVICE in await bus.names():
                return await NetworkManager(bus).uplink_servers()
    return ()


def _of_resolvconf(places: Places) -> tuple[Address, ...]:
    with suppress(OSError):
        return Resolvconf(places.root / "sbin/resolvconf", Flavour.DEBIAN, places.run).uplink_servers()
    return ()
