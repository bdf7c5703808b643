"""What one tunnel does to the world: the controller's commands carried out, its sessions' outputs performed.

What comes of it that the controller must know is put into `events`, in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from functools import partial

from ..control.evidence import CheckRecord
from ..ike.events import (
    AnswerNeeded,
    Channel,
    ChildDown,
    ChildOutbound,
    ChildUp,
    Closed,
    Endpoint,
    Established,
    Failure,
    IkeRekeyed,
    Keepalive,
    Kind,
    LoginWanted,
    MoveRefused,
    Output,
    PathMoved,
    PeerAddresses,
    Probing,
    QuirkSeen,
    Remark,
    RevocationNeeded,
    SecretReplaced,
    SizeProbed,
    Transmit,
)
from ..ike.quirks import Quirk
from ..tunnel.events import (
    Answered,
    Apply,
    AskSecret,
    CloseSession,
    Command,
    DataPathGone,
    Doubt,
    DropSession,
    Event,
    Moved,
    MoveSession,
    NotMoved,
    OtherAddresses,
    Probe,
    Reauthenticate,
    Release,
    Resolve,
    SessionClosed,
    SessionUp,
    StartSession,
)
from ..tunnel.model import NetworkState, TunnelConfig, TunnelUp, Underlay
from .applier import Applier, Share
from .carrier import Carrier
from .crashes import logged
from .holding import Holding
from .inbox import AnswerGiven, Counted, Datagram, Inbox, SystemAnswer
from .leg import Leg
from .logins import Logins
from .lookups import Lookups
from .notes import Notes
from .passages import Passages
from .ports import AskerPort, CarrierPort, World
from .records import report_record
from .sizing import Sizing, strikes
from .status import NO_CHOICE

log = logging.getLogger("roam.tunnel")

DOUBTFUL = {False: 4, True: 7}
"""Transmissions of one request, after some five seconds, that make one look at the gateway's ports.

There are more of them once it has answered and the time to an answer is known.  Gateways wait two seconds before
they refuse a password: that is no reason to look.
"""

NAMED_IN_VAIN = "a login refused that asked for the gateway by name"

LINK_MTU = 1400
"""Of the link until the first `Apply` sets what the path allows."""


class Effects:
    """Owns the legs, the data path and the tunnel's share of the machine; `name` is unique in the daemon."""

    def __init__(
        self,
        name: str,
        link: str,
        world: World,
        applier: Applier,
        inbox: Inbox,
        asker: AskerPort,
        notes: Notes,
    ) -> None:
        self.name = name
        self.notes = notes
        self.link = link
        self.legs: dict[int, Leg] = {}
        self.events: deque[Event] = deque()
        self.passages = Passages()
        self.logins = Logins()
        self.data_path = NO_CHOICE
        self.carrier = Carrier(self._open_data_path, inbox)
        self.sizing = Sizing(world.count_stalls)
        self._world = world
        self._applier = applier
        self._inbox = inbox
        self._asker = asker
        self._lookups = Lookups(world, inbox, notes)
        self._holding = Holding(name, applier, inbox)
        self._port = 0
        """The gateway's port for IKE, once a session has been started."""
        self._size_told: int | None = None  # leg
        self._mtu_noted: tuple[int, int] | None = None  # leg, octets

    # Commands of the controller

    async def carry_out(self, command: Command, config: TunnelConfig) -> None:
        """Do what the controller decided."""
        match command:
            case Resolve(names):
                if (resolved := self._lookups.resolve(names)) is not None:
                    self.events.append(resolved)
            case StartSession():
                await self._start(command, config.port)
            case MoveSession():
                await self._move(command, config.port)
            case CloseSession(leg) if leg in self.legs:
                self.legs[leg].session.close(self._world.clock())
            case DropSession(leg) if leg in self.legs:
                await self._drop(self.legs[leg])
            case Probe(leg) if leg in self.legs:
                self.legs[leg].session.probe(self._world.clock())
            case Apply(up):
                self._holding.take(Share(config, up, self._underlays(), self.link, self.sizing.mtu))
            case Release():
                self._lookups.stop_resolving()
                self._holding.release()
            case AskSecret(failure):
                self._asker.ask_about(failure)
            case CloseSession() | DropSession() | Probe():
                pass  # it has closed itself meanwhile

    async def _start(self, command: StartSession, port: int) -> None:
        number, underlay, self._port = command.leg, command.underlay, port
        if self.logins.wanted.lacks_code:
            missing = Failure(Kind.AUTH_NEEDS_SECRET, "a code serves one login: another one is needed")
            self.events.append(SessionClosed(number, missing))
            return
        try:
            sockets = self._world.open_path(underlay, port, partial(self._receive, number))
        except OSError as error:
            evidence = f"{underlay.local} on {underlay.interface} cannot be used: {error.strerror or error}"
            self.events.append(SessionClosed(number, Failure(Kind.NET_NO_PATH, evidence)))
            return
        now = self._world.clock()
        sink = self.notes.begin(
            number,
            self.logins.wanted,
            sockets.path,
            unix=now + self._world.epoch(),
            now=now,
            trigger=command.trigger,
        )
        if self.logins.is_other:
            self._tell_quirk(number, Quirk.UNNAMED_GATEWAY, NAMED_IN_VAIN)
        session = self._world.open_session(self.logins.config, sink)
        self.legs[number] = Leg(number, session, sockets, underlay, command.trigger)
        session.initiate(sockets.path, now, self._world.wall())
        await self.carrier.prepare_for(self.data_path.kind)
        self._holding.use(self._underlays())

    async def _open_data_path(self) -> CarrierPort:
        lifetimes = self.logins.wanted.lifetimes
        kind, guarded = self.data_path.kind, self._applier.is_guarded
        return await self._world.open_data_path(kind, self.link, LINK_MTU, lifetimes, guarded)

    def _receive(self, leg: int, data: bytes, channel: Channel, remote: Endpoint) -> None:
        there = self.legs.get(leg)
        local = None if there is None else there.sockets.path.ends(channel)[0]
        self._inbox.put(Datagram(leg, data, channel, remote, local))

    async def _move(self, command: MoveSession, port: int) -> None:
        leg = self.legs.get(command.leg)
        if leg is None:
            return
        old = leg.underlay
        try:
            sockets = self._world.open_path(command.underlay, port, partial(self._receive, leg.id))
        except OSError as error:
            self.events.append(NotMoved(leg.id, str(error)))
            return
        leg.move(sockets, command.underlay)
        leg.session.move(sockets.path, self._world.clock())
        self._holding.use(self._underlays())
        if self.carrier.bound is leg:
            self.passages.note(command.trigger, old, command.underlay, self._world.clock())
            # The data path is told first; while it answers, the gateway is told too.
            await asyncio.gather(self._try(self.carrier.bind(leg)), self.drain(leg))

    async def _drop(self, leg: Leg) -> None:
        """Forget a leg; what it still has to send goes out, what it would have answered does not matter."""
        leg.send_rest()
        if not leg.is_answered and not leg.stands:
            silence = Failure(Kind.NET_NO_RESPONSE, f"no answer from {leg.underlay.remote} in time")
            self.notes.note(leg.id, Closed(silence), self._world.clock())
            self._lookups.check_ports(leg, self._port)
        for child in leg.session.children:
            await self._try(self.carrier.remove(child.spi_in))
        self._forget(leg)

    def wonder(self, leg: Leg) -> None:
        """A login goes unanswered: see which of the gateway's ports answer, long before it is given up."""
        if not leg.stands and not leg.is_asking and leg.session.tries >= DOUBTFUL[leg.session.is_answered]:
            self._lookups.check_ports(leg, self._port)

    def _forget(self, leg: Leg) -> None:
        self.legs.pop(leg.id, None)
        self.notes.note_icmp(leg.id, (report_record(report) for report in leg.sockets.icmp))
        self._asker.withdraw(leg.id)
        self.carrier.forget(leg)
        leg.close()
        self._holding.use(self._underlays())

    def answer(self, given: AnswerGiven) -> None:
        """What the user says to a login that asked."""
        leg = self.legs.get(given.leg)
        if leg is None:
            return
        leg.is_asking = False
        if given.value is None:
            leg.session.decline(self._world.clock(), given.why)
        else:
            leg.session.answer(given.value, self._world.clock())

    # The tunnel's share of the machine

    def _underlays(self) -> frozenset[Underlay]:
        return frozenset(leg.underlay for leg in self.legs.values())

    def size(self, config: TunnelConfig, network: NetworkState) -> None:
        """See that the link is as large as what the path carries; the user's own word stands, and is looked at."""
        leg = self.carrier.bound
        self.sizing.look(leg, network, self._world.clock(), strikes(self.logins.quirks))
        self._holding.resize(self.sizing.mtu)
        mtu = config.mtu or self.sizing.mtu
        if leg is not None and mtu is not None and self._mtu_noted != (leg.id, mtu):
            self._mtu_noted = leg.id, mtu
            self.notes.note_mtu(leg.id, mtu)
        if leg is not None and self.sizing.is_unanswered and self._size_told != leg.id:
            self._size_told = leg.id
            self._tell_quirk(leg.id, Quirk.SIZE_QUESTIONS, "large questions, and none was answered")

    async def hear_system(self, answer: SystemAnswer) -> None:
        """What became of the last change of the machine."""
        if not self._holding.hears(answer):
            return
        if self._holding.share is None:
            await self.carrier.close()
        self.events.append(answer.event)

    # Outputs of a session

    async def drain(self, leg: Leg) -> bool:
        """Perform all that a session has let out; whether there was anything."""
        any_output = False
        for output in leg.session.outputs():
            any_output = True
            self.notes.note(leg.id, output, self._world.clock())
            await self._perform(leg, output)
        if leg.session.is_answered and not leg.is_answered:
            leg.is_answered = True
            self.events.append(Answered(leg.id))
        return any_output

    async def _perform(self, leg: Leg, output: Output) -> None:
        match output:
            case Transmit():
                leg.send(output)
            case Keepalive():
                leg.sockets.keep_alive()
            case Established():
                leg.note_established(output)
                log.info("%s has proven itself: %s", output.peer_identity, output.suite)
            case AnswerNeeded():
                leg.is_asking = True
                self._asker.ask_in_login(leg.id, output)
            case SecretReplaced(was, now):
                self.logins.replace_secret(was, now)
                self._asker.secret_replaced(was, now)
            case RevocationNeeded():
                self._lookups.inquire(leg, output)
            case QuirkSeen(quirk, evidence, used):
                log.info("%s: %s: %s%s", self.name, quirk, evidence, "" if used else "; switched off")
            case LoginWanted():
                self.events.append(Reauthenticate())
            case Remark(text):
                leg.remarks.append(text)
                log.warning("%s: %s", self.name, text)
            case ChildUp():
                await self._child_up(leg, output)
            case ChildOutbound(spi_in):
                await self._try(self.carrier.use_outbound(spi_in))
            case ChildDown(spi_in):
                await self._try(self.carrier.remove(spi_in))
            case IkeRekeyed(suite=suite):
                leg.ike_suite = suite
            case PathMoved(nat_local=nat_local):
                leg.nat_local = nat_local
                self.passages.confirm(leg.underlay, self._world.clock())
                await self._try(self.carrier.adapt(leg))
                self.events.append(Moved(leg.id))
            case MoveRefused():
                self.events.append(NotMoved(leg.id, "the gateway refuses this address"))
            case PeerAddresses(addresses):
                self.events.append(OtherAddresses(leg.id, addresses))
            case Probing(active, since, hinted):
                leg.is_doubted = active
                self.events.append(Doubt(leg.id, active, since, hinted))
            case SizeProbed():
                if (size := self.sizing.hear(leg, output)) is not None:
                    outcome = "answered" if output.carried else "silent"
                    self.notes.note_checks(leg.id, (CheckRecord(f"inside {size} octets", outcome),))
            case Closed(failure):
                if failure.kind is Kind.AUTH_REJECTED and not self.logins.refuse():
                    self._tell_quirk(leg.id, Quirk.UNNAMED_GATEWAY, NAMED_IN_VAIN)
                if failure.kind is Kind.NET_NO_RESPONSE:
                    self._lookups.check_ports(leg, self._port)
                self._forget(leg)
                self.events.append(SessionClosed(leg.id, failure))

    def _tell_quirk(self, leg: int, quirk: Quirk, evidence: str) -> None:
        self.notes.note(leg, QuirkSeen(quirk, evidence, self.logins.is_used(quirk)), self._world.clock())

    async def _child_up(self, leg: Leg, output: ChildUp) -> None:
        before = self.carrier.bound
        if before is not None and before is not leg and before.underlay != leg.underlay:
            self.passages.note(leg.trigger, before.underlay, leg.underlay, self._world.clock())
        await self._try(self.carrier.install(leg, output))
        leg.remote_selectors = output.child.remote_selectors
        if leg.established is not None and not leg.stands:
            leg.stands = True
            up = TunnelUp(self.link, leg.established.assigned, leg.remote_selectors)
            self.events.append(SessionUp(leg.id, leg.established.mobike, up))

    async def _try(self, work: Awaitable[None]) -> None:
        """Have the data path do something; one that cannot is given up."""
        try:
            await work
        except OSError as error:
            await self.data_path_failed(str(error))

    async def count(self) -> None:
        """Bring the counters up to date."""
        await self._try(self.carrier.count())
        if (bound := self.carrier.bound) is not None:
            totals = self.carrier.totals
            self.notes.note_traffic(bound.id, totals.packets_in, totals.packets_out)

    async def counted(self, *, compare: bool = False) -> Counted:
        """What the data path has carried, which of our SAs it lacks; with `compare` what else is changed of it."""
        await self.count()
        bound, installed = self.carrier.bound, self.carrier.installed
        if bound is None:
            return Counted(self.carrier.totals)
        missing = tuple(child.spi_in for child in bound.session.children if child.spi_in not in installed)
        changed = await self.carrier.deviations() if compare else ()
        return Counted(self.carrier.totals, missing, bound.session.answered, changed)

    async def data_path_failed(self, reason: str) -> None:
        """Everything that was on it must be made anew."""
        log.warning("the data path failed: %s", reason)
        await self.carrier.close()
        self.events.append(DataPathGone(reason))

    async def reset(self) -> None:
        """After a fault of ours nothing of the sessions and the data path is to be trusted; the guard stays."""
        self._lookups.stop_resolving()
        self.events.clear()
        for leg in list(self.legs.values()):
            with logged("a session was not closed"):
                leg.session.close(self._world.clock())
                leg.send_rest()
            with logged("a session was not forgotten"):
                self._forget(leg)
        self.legs.clear()
        with logged("the data path was not closed"):
            await self.carrier.close()

    async def abandon(self) -> None:
        """The daemon ends: say goodbye to the gateway, and give everything back but the guard."""
        self._lookups.close()
        for leg in list(self.legs.values()):
            leg.session.close(self._world.clock())
            leg.send_rest()
            leg.close()
        self.legs.clear()
        await self.carrier.close()
