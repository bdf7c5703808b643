"""What a tunnel asks the network beside its sessions: names, a silent gateway's ports, revocation.

Each question is a task of its own, so that nothing waits for it; the answer comes back through the inbox or
stands in the notes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import ip_address

from ..ike.events import RevocationNeeded
from ..tunnel.events import Resolved, ResolveFailed
from ..tunnel.model import Underlay
from .inbox import Inbox, RevocationFound
from .leg import Leg
from .notes import Notes
from .ports import World

CHECK_EVERY = 120.0
"""Seconds between two looks at a silent gateway's ports over the same network."""


class Lookups:
    """The questions of one tunnel that are on their way."""

    def __init__(self, world: World, inbox: Inbox, notes: Notes) -> None:
        self._world = world
        self._inbox = inbox
        self._notes = notes
        self._names: asyncio.Task[None] | None = None
        self._ports: asyncio.Task[None] | None = None
        self._ports_at: dict[Underlay, float] = {}

    def resolve(self, names: tuple[str, ...]) -> Resolved | None:
        """The addresses, where nobody need be asked: the session starts in this very turn; else they come later."""
        self.stop_resolving()
        with suppress(ValueError):
            addresses = tuple(dict.fromkeys(map(ip_address, names)))
            self._notes.note_lookup(names, addresses)
            return Resolved(addresses)
        self._names = asyncio.create_task(self._look_up(names))
        return None

    async def _look_up(self, names: tuple[str, ...]) -> None:
        try:
            addresses = await self._world.resolve(names)
        except OSError as error:
            self._notes.note_lookup(names, (), str(error))
            self._inbox.put(ResolveFailed(str(error)))
        else:
            self._notes.note_lookup(names, addresses)
            self._inbox.put(Resolved(addresses))

    def stop_resolving(self) -> None:
        """Nobody wants the addresses any more."""
        if self._names is not None:
            self._names.cancel()
            self._names = None

    def check_ports(self, leg: Leg, port: int) -> None:
        """A session was not answered: see which of the gateway's ports are, but not all the time."""
        now = self._world.clock()
        self._ports_at = {way: at for way, at in self._ports_at.items() if now - at < CHECK_EVERY}
        if leg.underlay in self._ports_at or (self._ports is not None and not self._ports.done()):
            return
        self._ports_at[leg.underlay] = now
        self._ports = asyncio.create_task(self._look_at_ports(leg.id, leg.underlay, port))

    async def _look_at_ports(self, leg: int, underlay: Underlay, port: int) -> None:
        self._notes.note_portal(await self._world.portal())
        self._notes.note_ports(leg, underlay, await self._world.check_ports(underlay, port))

    def inquire(self, leg: Leg, needed: RevocationNeeded) -> None:
        """Fetch what tells of revoked certificates; the login goes on with what has come in time."""
        leg.inquiry = asyncio.create_task(self._fetch(leg, needed))

    async def _fetch(self, leg: Leg, needed: RevocationNeeded) -> None:
        fetches = [self._world.fetch(wanted, leg.underlay, needed.seconds) for wanted in needed.inquiries]
        self._inbox.put(RevocationFound(leg.id, tuple(await asyncio.gather(*fetches))))

    def close(self) -> None:
        """The daemon ends."""
        self.stop_resolving()
        if self._ports is not None:
            self._ports.cancel()
