"""`explain` and `probe`: what the daemon knows of failures, and what it can find out about gateways."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address

from ..control.evidence import Evidence, Explanation
from ..control.handlers import Access, Action, Caller
from ..control.messages import SYSTEM_PREFIX, ControlError, Named
from ..control.probing import AddressFound, PortFound, Probe, Probed
from ..explain.explain import explain
from ..explain.quirks import vendor_of
from ..explain.view import CONNECTED
from ..ike.events import Address
from ..ike.facts import MessageFacts
from ..ike.probe_questions import Findings
from ..tunnel.model import NetworkState, Underlay
from ..tunnel.paths import candidates
from .order import Key
from .prober import check_tcp, probe_address
from .records import certificate_record
from .suggestion import suggested
from .tunnels import Entry, Tunnels
from .verifier import count

PROBES_AT_ONCE = 2
Resolve = Callable[[Sequence[str]], Awaitable[tuple[Address, ...]]]


class Explainer:
    """`actions` are this part's rows of the method table."""

    def __init__(
        self,
        tunnels: Tunnels,
        find: Callable[[Caller, str | None], Entry],
        resolve: Resolve,
        *,
        version: str,
    ) -> None:
        self._tunnels = tunnels
        self._find = find
        self._prober = Prober(resolve, lambda: tunnels.network)
        self._version = version
        self.actions: Mapping[str, Action] = {"explain": self.explain, "probe": self.probe}

    async def explain(self, caller: Caller, request: Named) -> Explanation:
        """Why a tunnel does not work, or ended; also one that nobody wants any more."""
        await self._bring_up_to_date(caller, request.name)
        evidence = self._evidence(caller, request.name).replace(version=self._version)
        return Explanation(await asyncio.to_thread(explain, evidence), evidence)

    async def _bring_up_to_date(self, caller: Caller, name: str | None) -> None:
        """Traffic is counted now and then; a verdict about traffic is due now."""
        with suppress(ControlError):
            entry = self._find(caller, name)
            if entry.status.state in CONNECTED:
                await count(entry)

    def _evidence(self, caller: Caller, name: str | None) -> Evidence:
        try:
            found = self._tunnels.evidence(self._find(caller, name).key)
        except ControlError as error:
            found = self._remembered(caller, name)
            if found is None:
                raise error from None
        if found is None:
            raise ControlError("tunnel.unknown", "nothing has been noted of this tunnel yet")
        return found

    def _remembered(self, caller: Caller, name: str | None) -> Evidence | None:
        """Of a tunnel that was wanted once: the caller's own, then the system's; the latest without a name."""
        if name is None:
            keys = [
                key
                for key in self._tunnels.noted
                if caller.controls(key.owner or 0, shared=key.owner is None)
            ]
            return self._tunnels.evidence(keys[-1]) if keys else None
        stem = name.removeprefix(SYSTEM_PREFIX)
        owners = [None] if stem != name else [caller.uid, None]
        keys = [Key(owner, stem) for owner in owners]
        if caller.access is Access.ADMIN:
            keys += [key for key in self._tunnels.noted if key.id == stem]
        return next((found for key in keys if (found := self._tunnels.evidence(key)) is not None), None)

    async def probe(self, _caller: Caller, request: Probe) -> Probed:
        """Look at a gateway."""
        return await self._prober.probe(request)


class Prober:
    """Looks at gateways, few at a time: who asks much is taken for an attacker."""

    def __init__(self, resolve: Resolve, network: Callable[[], NetworkState]) -> None:
        self._resolve = resolve
        self._network = network
        self._slots = asyncio.Semaphore(PROBES_AT_ONCE)

    async def probe(self, request: Probe) -> Probed:
        """One address of each family; what cannot be asked says why."""
        found = Probed(request.host, request.port)
        try:
            addresses = await self._resolve((request.host,))
        except OSError as error:
            return found.replace(problem=str(error), notes=(str(error),))
        first = {address.version: address for address in reversed(addresses)}
        async with self._slots:
            seen = await asyncio.gather(*(self._look(address, request) for address in first.values()))
        return suggested(found.replace(addresses=tuple(seen)))

    async def _look(self, address: Address, request: Probe) -> AddressFound:
        underlay = next(iter(candidates(self._network(), (address,))), None)
        if underlay is None:
            return AddressFound(str(address), problem="no network leads there")
        try:
            asked = probe_address(underlay, request.port, host=_name(request.host))
            probe, tcp = await asyncio.gather(asked, _tcp(underlay, request.port))
        except OSError as error:
            return AddressFound(str(address), underlay.interface, problem=str(error.strerror or error))
        return address_found(underlay, probe.findings, tcp)


async def _tcp(underlay: Underlay, port: int) -> PortFound:
    """IKE over TCP has port 4500, or the gateway's own (RFC 9329 section 2)."""
    number = 4500 if port == 500 else port
    return PortFound(f"tcp {number}", await check_tcp(underlay, number))


def _name(host: str) -> str:
    """The name to ask for; an address is no name."""
    try:
        ip_address(host)
    except ValueError:
        return host
    return ""


def address_found(underlay: Underlay, found: Findings, *more: PortFound) -> AddressFound:
    """A probe's findings as a message."""
    ports = tuple(
        PortFound(what, "answered" if reply.is_answer else "silent", reply.value)
        for what, reply in found.ports.items()
    )
    certificates = [entry for facts in found.login for entry in facts.certificates]
    return AddressFound(
        str(underlay.remote),
        underlay.interface,
        ports=(*ports, *more),
        cookie=found.cookie,
        redirect=found.redirect,
        fragmentation=found.fragmentation,
        signature_hashes=found.hashes,
        nat_local=found.nat.local if found.nat is not None and found.nat.supported else None,
        ikev1=found.is_old,
        vendors=tuple(found.vendors),
        vendor=vendor_of(found.vendors)[0],
        groups=tuple(found.groups),
        groups_refused=tuple(found.groups_refused),
        suites=tuple(found.suites),
        suites_refused=tuple(found.suites_refused),
        identity=_first(found.login, "identity"),
        certificates=tuple(certificate_record(entry) for entry in certificates),
        auth=_first(found.login, "auth"),
        eap=tuple(facts.eap for facts in found.login if facts.eap),
        refusal=next((n.name for facts in found.login for n in facts.notifies), ""),
        questions=found.questions,
    )


def _first(answers: Sequence[MessageFacts], field: str) -> str:
    return next((str(value) for facts in answers if (value := getattr(facts, field))), "")
