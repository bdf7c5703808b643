"""NetworkManager where it writes /etc/resolv.conf itself: its global DNS configuration, over D-Bus.

A configuration per link would be nicer.  But NetworkManager takes a configuration for a link that it did not
make as an order to set the link up anew, and removes the inside addresses from it (seen with 1.42).  The
global one leaves links alone, takes the place of what all connections say, and so survives every move.

It is kept across restarts, in a file of NetworkManager's; a mark in it says that it is ours.  The mark is a
domain that no name can have.  There is no split here: with `domains` other than `*`, a `*` is required, so every
name is asked of the tunnels' servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dbus_fast import Variant

from .bus import Bus
from .model import DnsConfig
from .outcome import Refused, Unable, Unsuitable
from .resolv_conf import searched, servers_of

SERVICE = "org.freedesktop.NetworkManager"
_PATH = "/org/freedesktop/NetworkManager"
_DNS_PATH = f"{_PATH}/DnsManager"
_DNS_INTERFACE = f"{SERVICE}.DnsManager"
_PROPERTY = "GlobalDnsConfiguration"
_ALL = "*"
_STARTING = frozenset(
    {f"org.freedesktop.DBus.Error.Unknown{what}" for what in ("Method", "Object", "Interface", "Property")}
)
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds

MARK = "roam.invalid"
"""RFC 6761 section 6.4: nobody's name ends so."""

Global = Mapping[str, Any]
"""A global DNS configuration: lists `searches` and `options`, and `domains` with their `servers`."""


class NetworkManager:
    """`apply`, `restore`, `holds`; `found` says what to restore, before the first `apply`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def found(self) -> Global:
        """The global configuration that is not ours; empty where it is, or where there is none."""
        present = await self._read()
        return {} if _is_ours(present) else present

    async def apply(self, configs: Sequence[DnsConfig]) -> None:
        """Make it so; `Unsuitable` where its own configuration files leave us no room."""
        wanted = _global(configs)
        if await self._read() == wanted:
            return
        try:
            await self._write(wanted)
        except Refused as error:
            if "configuration file" in str(error):
                raise Unsuitable("NetworkManager has a [global-dns] of its own") from error
            raise
        if await self._read() != wanted:
            raise Unable("NetworkManager did not take the global DNS configuration")

    async def restore(self, before: Global) -> None:
        """Put back what was there, if what is there now is ours."""
        if _is_ours(await self._read()):
            await self._write(before)

    async def holds(self, configs: Sequence[DnsConfig]) -> bool:
        """Whether it is so."""
        return await self._read() == _global(configs)

    async def rc_manager(self) -> str:
        """How it treats /etc/resolv.conf."""
        found = await self._bus.properties(SERVICE, _DNS_PATH, _DNS_INTERFACE)
        return str(found.get("RcManager", ""))

    async def _read(self) -> Global:
        """While it starts, its name is on the bus a little before its properties are."""
        for pause in (*_PAUSES, None):
            try:
                found = await self._bus.properties(SERVICE, _PATH, SERVICE)
                break
            except Unable as error:
                if error.name not in _STARTING or pause is None:
                    raise
                await asyncio.sleep(pause)
        return _normal(found.get(_PROPERTY, {}))

    async def _write(self, value: Global) -> None:
        await self._bus.put(SERVICE, _PATH, SERVICE, _PROPERTY, Variant("a{sv}", _typed(value)))


def _global(configs: Sequence[DnsConfig]) -> Global:
    servers = {"servers": [str(server) for server in servers_of(configs)]}
    return _normal({"searches": list(searched(configs)), "domains": {_ALL: servers, MARK: servers}})


def _is_ours(value: Global) -> bool:
    return MARK in value.get("domains", {})


def _normal(value: Global) -> Global:
    """NetworkManager leaves empty lists out of what it was given."""
    domains = {name: {key: entry for key, entry in of.items() if entry} for name, of in _domains(value)}
    lists = {name: value[name] for name in ("searches", "options") if value.get(name)}
    return {**lists, "domains": domains} if domains else lists


def _domains(value: Global) -> Sequence[tuple[str, Mapping[str, Any]]]:
    return list(value.get("domains", {}).items())


def _typed(value: Global) -> dict[str, Variant]:
    lists = {name: Variant("as", list(value[name])) for name in ("searches", "options") if name in value}
    domains = {
        name: Variant("a{sv}", {key: Variant("as", list(entry)) for key, entry in of.items()})
        for name, of in _domains(value)
    }
    return {**lists, "domains": Variant("a{sv}", domains)} if domains else dict(lists)
