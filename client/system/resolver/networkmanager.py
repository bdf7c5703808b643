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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from dbus_fast import Variant

from ...ike.events import Address
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
_NOWHERE = "/"  # D-Bus's path for no object
_STARTING = frozenset(
    {f"org.freedesktop.DBus.Error.Unknown{what}" for what in ("Method", "Object", "Interface", "Property")}
)
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds

MARK = "roam.invalid"
"""RFC 6761 section 6.4: nobody's name ends so."""

Global = Mapping[str, Any]
"""A global DNS configuration: lists `searches` and `options`, and `domains` with their `servers`."""


class NetworkManager:
    """`apply`, `restore`, `holds`; `found` says what to restore, before the first `apply`; `uplink_servers`."""

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

    async def restore(self, before: Global) -> bool:
        """Put back what was there, if what is there now is ours; whether it was."""
        if is_ours := _is_ours(await self._read()):
            await self._write(before)
        return is_ours

    async def holds(self, configs: Sequence[DnsConfig]) -> bool:
        """Whether it is so."""
        return await self._read() == _global(configs)

    async def rc_manager(self) -> str:
        """How it treats /etc/resolv.conf."""
        found = await self._bus.properties(SERVICE, _DNS_PATH, _DNS_INTERFACE)
        return str(found.get("RcManager", ""))

    async def uplink_servers(self) -> tuple[Address, ...]:
        """What its connections name, whatever the global configuration says; those of the primary one first."""
        manager = await self._bus.properties(SERVICE, _PATH, SERVICE)
        primary = manager.get("PrimaryConnection", _NOWHERE)
        paths = [primary, *(path for path in manager.get("ActiveConnections", ()) if path != primary)]
        found: list[Address] = []
        for path in paths:
            if path != _NOWHERE:
                with suppress(Unable):  # it has just ended
                    found += await self._servers_of(path)
        return tuple(dict.fromkeys(found))

    async def _servers_of(self, connection: str) -> list[Address]:
        active = await self._bus.properties(SERVICE, connection, f"{SERVICE}.Connection.Active")
        found: list[Address] = []
        for name in ("Ip4Config", "Ip6Config"):
            if (path := active.get(name, _NOWHERE)) != _NOWHERE:
                config = await self._bus.properties(SERVICE, path, f"{SERVICE}.{name.replace('Ip', 'IP')}")
                found += _addresses(config)
        return found

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


def _addresses(config: Mapping[str, Any]) -> Iterator[Address]:
    """IPv4 ones are words since 1.14, beside numbers that mean the same; IPv6 ones are octets."""
    for entry in config.get("NameserverData", ()):
        with suppress(ValueError):
            yield ip_address(entry.get("address", ""))
    for octets in config.get("Nameservers", ()):
        if isinstance(octets, bytes):
            with suppress(ValueError):
                yield ip_address(octets)


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
