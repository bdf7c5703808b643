"""systemd-resolved over D-Bus, org.freedesktop.resolve1(5): servers, domains and the default route of our links.

What a link carries goes with the link, so nothing of it outlives a crash for long.  A full tunnel's link gets the
domain `~.`, which takes all names away from the other links; `DefaultRoute` alone would let them be asked too.
LLMNR and multicast DNS are off on our links: behind a tunnel there are no neighbours, and single words would reach
whoever listens at its other end.  DNS over TLS is as the profile says.  DNSSEC stays as the machine's owner has it,
but for the tunnel's own domains (RFC 7646): names that exist behind it alone have no proof before the world.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from ...ike.events import Address
from .bus import Bus
from .model import EVERYTHING, DnsConfig, is_own_link
from .outcome import Refused, Unable, Unsuitable

SERVICE = "org.freedesktop.resolve1"
_PATH = "/org/freedesktop/resolve1"
_MANAGER = f"{SERVICE}.Manager"
_LINK = f"{SERVICE}.Link"
_FAMILIES = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}
_NO_SUCH_LINK = f"{SERVICE}.NoSuchLink"
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5)  # seconds between looks for a new link

_NEIGHBOURS = {"LLMNR": "SetLinkLLMNR", "MulticastDNS": "SetLinkMulticastDNS"}
"""Properties of a link by which it asks whoever is there (RFC 4795, RFC 6762), and how they are set."""
_TLS, _SET_TLS = "DNSOverTLS", "SetLinkDNSOverTLS"
_UNPROVEN, _SET_UNPROVEN = "DNSSECNegativeTrustAnchors", "SetLinkDNSSECNegativeTrustAnchors"
_LACKING = frozenset(f"org.freedesktop.DBus.Error.{what}" for what in ("UnknownMethod", "NotSupported"))

_Domains = list[list[object]]


class Resolved:
    """`apply`, `restore`, `holds`; all find out first what is there."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def apply(self, configs: Sequence[DnsConfig]) -> bool:
        """Make our links so, and take back what others of ours have; whether that changed anything.

        `Unable` if a link is not there.
        """
        wanted = {config.link: config for config in configs}
        present = dict(own_links())
        missing = [link for link in wanted if link not in present]
        changed = False
        for link, index in present.items():
            if link in wanted:
                changed |= await self._set(index, wanted[link])
            else:
                changed |= await self._revert(index)
        if changed:
            await self._call("FlushCaches")
        if missing:
            raise Unable(f"there is no link {', '.join(missing)}")
        return changed

    async def restore(self) -> bool:
        """Take everything back from the links of ours that are there; whether there was something."""
        return await self.apply(())

    async def holds(self, configs: Sequence[DnsConfig]) -> bool:
        """Whether it is so."""
        wanted = {config.link: config for config in configs}
        present = dict(own_links())
        for link, index in present.items():
            if not _agrees(await self._link(index), wanted.get(link)):
                return False
        return wanted.keys() <= present.keys()

    async def _set(self, index: int, config: DnsConfig) -> bool:
        found = await self._link(index)
        if _agrees(found, config):
            return False
        servers = [[_FAMILIES[server.version], server.packed] for server in config.servers]
        # The domains, of which there always are some, come first: by them a link that was left half-made is known.
        await self._tell("SetLinkDomains", "ia(sb)", index, _domains(config))
        await self._tell("SetLinkDefaultRoute", "ib", index, config.default_route)
        for member in _NEIGHBOURS.values():
            await self._tell_if_built_in(member, "is", index, "no")
        await self._tell_if_built_in(_SET_TLS, "is", index, config.over_tls)
        await self._tell_if_built_in(_SET_UNPROVEN, "ias", index, _unproven(config))
        await self._tell("SetLinkDNS", "ia(iay)", index, servers)
        return True

    async def _revert(self, index: int) -> bool:
        found = await self._link(index)
        if not (found["DNS"] or found["Domains"]):
            return False
        await self._tell("RevertLink", "i", index)
        return True

    async def _link(self, index: int) -> dict[str, Any]:
        """What it has of this link.  It hears of a new one from the kernel, perhaps a little later than we."""
        for pause in (*_PAUSES, None):
            try:
                (path,) = await self._call("GetLink", "i", index)
                break
            except Unable as error:
                if error.name != _NO_SUCH_LINK or pause is None:
                    raise
                await asyncio.sleep(pause)
        return await self._bus.properties(SERVICE, path, _LINK)

    async def _tell_if_built_in(self, member: str, signature: str, *body: object) -> None:
        """One that was built without it asks no neighbours anyway, uses no TLS, or wants no proof."""
        try:
            await self._tell(member, signature, *body)
        except Unable as error:
            if error.name not in _LACKING:
                raise

    async def _tell(self, member: str, signature: str, *body: object) -> None:
        """Change something.  It has answered before, so if somebody is missing now, it is polkit."""
        try:
            await self._call(member, signature, *body)
        except Unsuitable as error:
            raise Refused(str(error)) from error

    async def _call(self, member: str, signature: str = "", *body: object) -> list[Any]:
        return await self._bus.call(SERVICE, _PATH, _MANAGER, member, signature, *body)


def own_links() -> Iterable[tuple[str, int]]:
    """Our links in the calling thread's namespace, with their indices."""
    return [(name, index) for index, name in socket.if_nameindex() if is_own_link(name)]


def _agrees(found: dict[str, Any], config: DnsConfig | None) -> bool:
    if config is None:
        return not (found["DNS"] or found["Domains"])
    servers = [_address(octets) for _, octets in found["DNS"]]
    domains = sorted(map(tuple, found["Domains"])) == sorted(map(tuple, _domains(config)))
    silent = all(found.get(name, "no") == "no" for name in _NEIGHBOURS)
    over_tls = not config.over_tls or found.get(_TLS, config.over_tls) == config.over_tls
    unproven = sorted(found.get(_UNPROVEN, _unproven(config))) == _unproven(config)
    return (
        domains
        and silent
        and over_tls
        and unproven
        and servers == list(config.servers)
        and found["DefaultRoute"] == config.default_route
    )


def _address(octets: bytes) -> Address:
    return ip_address(bytes(octets))


def _unproven(config: DnsConfig) -> list[str]:
    return sorted({*config.search, *config.route_only})


def _domains(config: DnsConfig) -> _Domains:
    domains: _Domains = [[name, False] for name in config.search]
    domains += [[name, True] for name in config.route_only]
    return [*domains, [EVERYTHING, True]] if config.default_route else domains
