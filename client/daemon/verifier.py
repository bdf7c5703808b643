"""`tunnel.verify`: is the machine as it should be, and does traffic pass?  Looks, and changes nothing.

A proof needs a packet, so one is sent: to the gateway over IKE, and to somebody inside.  What counts is what the
data path has authenticated meanwhile, whoever sent it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_interface, ip_network

from ..control.handlers import Action, Caller
from ..control.messages import ControlError, TunnelStatus
from ..control.verification import Deviation, Proof, Verified, Verify
from ..ike.events import Address
from ..net.inside import DNS_PORT, Host, Reply, first_router
from ..system import drift
from .applier import Applier
from .inbox import CountAsked, Counted, ProbeAsked
from .tunnels import Entry

LOOK_EVERY = 0.1
"""Seconds between two looks at the counters."""
PATIENCE = 5.0
"""Seconds that a driver has for a look."""

_CONNECTED = frozenset({"up", "moving"})

Ask = Callable[[Sequence[Host], Sequence[Address], str, float], Awaitable[Reply | None]]


class Verifier:
    """`actions` are its rows of the method table."""

    def __init__(
        self,
        find: Callable[[Caller, str | None], Entry],
        applier: Applier,
        ask: Ask,
        clock: Callable[[], float],
    ) -> None:
        """`find` is whose tunnel a name means; `ask` as `client.net.inside.ask`; `clock` in seconds."""
        self._find = find
        self._applier = applier
        self._ask = ask
        self._clock = clock
        self.actions: Mapping[str, Action] = {"tunnel.verify": self.verify}

    async def verify(self, caller: Caller, request: Verify) -> Verified:
        """What deviates, and what was proven; `tunnel.not_connected` where nothing can be."""
        entry = self._find(caller, request.name)
        status = entry.status
        if status.state not in _CONNECTED:
            raise ControlError("tunnel.not_connected", f"{status.name} is {status.state}")
        hosts = tuple(hosts_of(status, request.target))
        first = await count(entry, compare=True)
        found = [*await self._applier.deviations(), *_missing(first), *first.deviations]
        proof = await self._prove(entry, status, hosts, first, request.seconds)
        deviations = tuple(Deviation(each.what, each.wanted, each.actual) for each in found)
        return Verified(status.name, verdict(proof, deviations), proof, deviations, fight=self._applier.fight)

    async def _prove(
        self, entry: Entry, status: TunnelStatus, hosts: tuple[Host, ...], first: Counted, seconds: float
    ) -> Proof:
        """Ask, and look until ESP has passed both ways and the gateway has answered, or the time is over."""
        began = self._clock()
        entry.driver.tell(ProbeAsked())
        sources = [ip_interface(text).ip for text in status.addresses]
        asking = asyncio.ensure_future(self._ask(hosts, sources, status.link, seconds))
        try:
            while True:
                now = await count(entry)
                is_over = self._clock() - began >= seconds
                reply = asking.result() if asking.done() else None
                proof = _proof(first, now, hosts, reply, self._clock() - began)
                if is_over or (proof.sent and proof.received and proof.ike and (reply or not hosts)):
                    return proof
                await asyncio.sleep(LOOK_EVERY)
        finally:
            asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking


def verdict(proof: Proof, deviations: Sequence[Deviation]) -> str:
    """The kind of the worst that was found; "" where all is well."""
    if deviations:
        return "verify.deviation"
    return "" if proof.sent and proof.received else "verify.unproven"


def hosts_of(status: TunnelStatus, target: str) -> Iterator[Host]:
    """Whom to ask: the host that the user names; else name servers inside and the first host of each network.

    For a tunnel that everything goes through that is whoever forwards it.
    """
    if target:
        yield Host(_target(target, status))
        return
    own = {ip_interface(text).ip for text in status.addresses}
    servers = [ip_address(text) for text in status.dns]
    yield from (Host(server, DNS_PORT) for server in servers)
    for network in map(ip_network, status.routes):
        first = network.network_address + (network.num_addresses > 1)
        if not network.prefixlen:
            yield first_router(network.version)
        elif first not in own and first not in servers:
            yield Host(first)


def _target(text: str, status: TunnelStatus) -> Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise ControlError("usage", "the target is no IP address", "Names are for name servers.") from None
    if not any(address in ip_network(route) for route in status.routes):
        raise ControlError("usage", f"{address} is not reached through {status.name}", "See its routes.")
    return address


async def count(entry: Entry, *, compare: bool = False) -> Counted:
    """What a tunnel's data path has carried up to now; `ControlError` where it does not answer."""
    done: asyncio.Future[Counted] = asyncio.get_running_loop().create_future()
    entry.driver.tell(CountAsked(done, compare))
    try:
        async with asyncio.timeout(PATIENCE):
            return await done
    except TimeoutError:
        raise ControlError("local.fault", f"{entry.key.id}: its data path does not answer") from None


def _missing(counted: Counted) -> Iterator[drift.Deviation]:
    for spi in counted.missing:
        yield drift.Deviation(f"ESP SA {spi:08x}", drift.PRESENT, drift.MISSING)


def _proof(first: Counted, now: Counted, hosts: Sequence[Host], reply: Reply | None, seconds: float) -> Proof:
    return Proof(
        round(seconds, 3),
        sent=max(now.counters.packets_out - first.counters.packets_out, 0),
        received=max(now.counters.packets_in - first.counters.packets_in, 0),
        ike=now.answered > first.answered,
        asked=tuple(map(str, hosts)),
        answered="" if reply is None else str(reply.address),
        how="" if reply is None else reply.how,
    )
