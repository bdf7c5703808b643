"""One tunnel's driver: the loop around the controller and its sessions.

Theory of operation.  One task takes one item after the other from the inbox.  An item goes to a session or to
the controller; sessions let outputs out, which are performed in order, and become events; the controller answers
events with commands, which are carried out, and may make sessions let more out.  When nothing is left to do, the
next deadline of all sessions and of the controller is how long the driver sleeps.  The item goes in before the
timers, so that a reply in hand beats its own time-out; timers run on every turn, so that a flood cannot starve
them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..control.details import TunnelDetails
from ..control.messages import ControlError, TunnelStatus
from ..ike.events import Failure
from ..ike.options import SessionConfig
from ..system.choice import Choice
from ..system.datapath import (
    Activity,
    DataPathEvent,
    DataPathFailed,
    FirstInbound,
    PathCarries,
    PeerAddressSeen,
    PoliciesMended,
    SelectorViolation,
    SoftLimit,
    WorkTaken,
)
from ..tunnel.controller import step
from ..tunnel.events import Crashed, Event, SecretMissing, Timer, UserDown, UserUp
from ..tunnel.model import NetworkState, TunnelConfig
from ..tunnel.states import Blocked, Off, State, Tunnel, Waiting, live_legs, next_deadline
from .applier import Applier
from .crashes import Crashes
from .details import details
from .effects import Effects
from .inbox import (
    AnswerGiven,
    CountAsked,
    Datagram,
    Inbox,
    Item,
    NamesChanged,
    PathEvent,
    ProbeAsked,
    RekeyAsked,
    RevocationFound,
    Stop,
    SystemAnswer,
    UserAsked,
)
from .leg import Leg
from .notes import Notes
from .ports import AskerPort, World
from .records import local_record
from .status import NO_CHOICE, Facts, Wished, describe

log = logging.getLogger("roam.tunnel")

COUNT_EVERY = 1.0
"""Seconds between two looks at the data path's counters while there is traffic."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants, as the daemon understands it."""

    config: TunnelConfig
    session: SessionConfig
    wished: Wished
    after_refusal: SessionConfig | None = None
    """Another way to log in, worth the one retry after a refusal."""
    data_path: Choice = NO_CHOICE


class Driver:
    """Runs one tunnel; `publish` hears of every change of its status.

    Getters: `state`, `status`.  Commands: `want`, `await_secret`, `unwant`, `tell`, `stop`.
    """

    def __init__(
        self,
        config: TunnelConfig,
        wished: Wished,
        name: str,
        link: str,
        network: NetworkState,
        world: World,
        applier: Applier,
        publish: Callable[[TunnelStatus], None],
        asker: AskerPort,
        notes: Notes | None = None,
    ) -> None:
        self.wished = wished
        self.notes = notes or Notes()
        self._world = world
        self._applier = applier
        self._publish = publish
        self._inbox = Inbox()
        self._tunnel = Tunnel(config, network=network)
        self._effects = Effects(name, link, world, applier, self._inbox, asker, self.notes)
        self._since = world.clock()
        self._counted_at = 0.0
        self._told: TunnelStatus | None = None
        self._noted: NetworkState | None = None
        self._ended = asyncio.Event()
        self._crashes = Crashes()

    # What others see

    @property
    def state(self) -> State:
        """Where the tunnel stands."""
        return self._tunnel.state

    @property
    def wanted(self) -> bool:
        """Whether the user wants it."""
        return self._tunnel.wanted

    @property
    def rests(self) -> bool:
        """Whether nothing of it is under way."""
        return isinstance(self.state, Off | Blocked)

    @property
    def status(self) -> TunnelStatus:
        """Everything that its owner may know."""
        leg = self._leg()
        return describe(
            Facts(
                self._tunnel,
                self.wished,
                self._effects.link,
                None if leg is None else leg.seen,
                self._applier.config,
                self._applier.naming(self._effects.name),
                self._effects.carrier.totals,
                self._effects.passages.last,
                self._since,
                self._world.epoch(),
                self._effects.carrier.told(self._effects.data_path),
                self._applier.leaves_open(self._effects.name),
                self._effects.sizing.reason,
                self.notes.quirks,
            )
        )

    @property
    def details(self) -> TunnelDetails:
        """What a status has no room for."""
        return details(self.status, self._leg(), self._effects.passages.all, self._world.epoch())

    # What the user wants

    async def want(self, wish: Wish, *, restored: bool = False, renew: bool = False) -> None:
        """The tunnel is wanted; `restored` and `renew` as in `UserUp`."""
        self.wished = wish.wished
        self._crashes = Crashes()  # the user may know better than we do
        self._effects.logins.want(wish.session, wish.after_refusal)
        self._effects.data_path = wish.data_path
        await self._hear(UserUp(wish.config, restored, renew))

    async def await_secret(
        self, config: TunnelConfig, wished: Wished, failure: Failure, *, restored: bool
    ) -> None:
        """The tunnel is wanted, but a secret must be given first."""
        self.wished = wished
        await self._hear(SecretMissing(config, failure, restored))

    async def unwant(self, *, force: bool = False) -> None:
        """The wish ends; returns when the tunnel is off the machine, or wanted again."""
        await self._hear(UserDown(force))
        while not self._is_over:
            self._ended.clear()
            await self._ended.wait()

    async def _hear(self, event: UserUp | UserDown | SecretMissing) -> None:
        done = asyncio.get_running_loop().create_future()
        self._inbox.put(UserAsked(event, done))
        await done

    def tell(self, item: Item) -> None:
        """Something happened that may concern the tunnel."""
        self._inbox.put(item)

    # The loop

    async def run(self) -> None:
        """Until `Stop`.  A fault of our own costs this tunnel its sessions, and no other one anything."""
        item: Item | None = None
        try:
            while not isinstance(item, Stop):
                item = None
                try:
                    item = await self._inbox.next(self._delay())
                    await self._turn(item)
                except Exception as error:
                    await self._recover(error, item)
                await asyncio.sleep(0)  # a full inbox must not keep the other tasks from their turn
        finally:
            await self._effects.abandon()

    async def _turn(self, item: Item | None) -> None:
        if isinstance(item, Stop):
            return
        now = self._world.clock()
        if item is not None:
            await self._work(item, now)
        await self._expire(now)
        if await self._settle(now) or not isinstance(item, Datagram):
            self._report(now)  # a datagram that changed nothing costs no more than itself
        if isinstance(item, UserAsked) and not item.done.done():
            item.done.set_result(None)

    async def _recover(self, error: Exception, item: Item | None) -> None:
        """Give up what the fault may have spoilt, and go on from the guard alone."""
        now = self._world.clock()
        incident = f"{int(self._world.chance() * 16**6):06x}"
        log.error("%s: fault %s in our own program", self._effects.name, incident, exc_info=error)
        failure = self._crashes.failure(now, incident, type(error).__name__)
        await self._effects.reset()
        try:
            await self._decide(Crashed(failure), now)
            await self._settle(now)
            self._report(now)
        except Exception:
            log.exception("%s: no way on from fault %s", self._effects.name, incident)
            self._tunnel = replace(self._tunnel, state=Blocked(failure, guarded=self._tunnel.wanted))
        if isinstance(item, UserAsked) and not item.done.done():
            item.done.set_exception(ControlError(failure.kind, failure.evidence))

    def _delay(self) -> float | None:
        """Seconds until something is due."""
        due = [at for leg in self._running() if (at := leg.session.next_deadline()) is not None]
        if (deadline := next_deadline(self._tunnel.state)) is not None:
            due.append(deadline)
        return max(min(due) - self._world.clock(), 0.0) if due else None

    def _running(self) -> list[Leg]:
        """The legs whose time passes: without a network nothing is sent, and nothing given up."""
        state = self._tunnel.state
        is_paused = isinstance(state, Waiting) and state.until is None
        kept = live_legs(state) if is_paused else frozenset()
        return [leg for leg in self._effects.legs.values() if leg.id not in kept]

    async def _work(self, item: Item, now: float) -> None:
        match item:
            case Datagram(number, data, channel, remote, local):
                if (leg := self._effects.legs.get(number)) is not None:
                    leg.session.handle_datagram(data, channel, remote, now, leg.own(local))
            case PathEvent(event):
                await self._hear_data_path(event, now)
            case SystemAnswer():
                await self._effects.hear_system(item)
            case UserAsked(event):
                self._effects.events.append(event)
            case AnswerGiven():
                self._effects.answer(item)
            case RevocationFound(number, replies):
                if (leg := self._effects.legs.get(number)) is not None:
                    leg.session.hear_revocation(replies, now)
            case ProbeAsked():
                self._probe(now)
            case CountAsked(done, compare):
                counted = await self._effects.counted(compare=compare)
                if not done.done():
                    done.set_result(counted)
            case RekeyAsked(ike):
                self._rekey(now, ike=ike)
            case NamesChanged():
                pass
            case Stop():
                raise AssertionError("the loop ends before")
            case _:
                self._effects.events.append(item)

    async def _expire(self, now: float) -> None:
        for leg in self._running():
            leg.session.handle_timeout(now)
            self._effects.wonder(leg)
        deadline = next_deadline(self._tunnel.state)
        if deadline is not None and deadline <= now:
            self._effects.events.append(Timer())

    async def _settle(self, now: float) -> bool:
        """Until nothing is left to do; whether there was anything."""
        effects = self._effects
        turns, busy = 0, True
        while busy:
            turns += 1
            busy = False
            if conflict := effects.carrier.conflict(guarded=self._applier.is_guarded):
                await effects.data_path_failed(conflict)
            effects.size(self._tunnel.config, self._tunnel.network)
            for leg in list(effects.legs.values()):
                busy = await effects.drain(leg) or busy
            while effects.events:
                busy = True
                await self._decide(effects.events.popleft(), now)
        return turns > 1

    async def _decide(self, event: Event, now: float) -> None:
        self._tunnel, commands = step(self._tunnel, event, now, self._world.chance())
        for command in commands:
            await self._effects.carry_out(command, self._tunnel.config)

    # The data path

    async def _hear_data_path(self, event: DataPathEvent, now: float) -> None:
        effects = self._effects
        match event:
            case Activity(inbound_at, outbound_at):
                if (bound := effects.carrier.bound) is not None:
                    bound.session.note_activity(inbound_at, outbound_at, now)
                    self.notes.note_activity(bound.id, inbound_at, outbound_at)
                await self._count(now)
            case PathCarries():
                effects.passages.carried(event)
            case FirstInbound(spi_in):
                for leg in effects.legs.values():
                    leg.session.note_first_inbound(spi_in, now)
            case SoftLimit(spi_in):
                for leg in effects.legs.values():
                    leg.session.note_soft_limit(spi_in, now)
            case DataPathFailed(reason):
                await effects.data_path_failed(reason)
            case SelectorViolation(spi_in):
                log.warning("a packet outside the selectors of SA %08x was dropped", spi_in)
            case PeerAddressSeen(remote):
                log.info("ESP comes from %s", remote)  # RFC 7296 2.23: behind a NAT we do not follow
            case PoliciesMended():
                self._applier.hear_mended(event)
            case WorkTaken(told):
                log.info("%s", told)

    async def _count(self, now: float) -> None:
        if now - self._counted_at >= COUNT_EVERY:
            self._counted_at = now
            await self._effects.count()
            self._effects.sizing.note_traffic(now)

    def _probe(self, now: float) -> None:
        if (leg := self._leg()) is not None and leg.stands:
            leg.session.probe(now)

    def _rekey(self, now: float, *, ike: bool) -> None:
        for leg in self._effects.legs.values():
            if leg.stands and leg.id in live_legs(self._tunnel.state):
                (leg.session.rekey_ike if ike else leg.session.rekey_child)(now)

    # Status

    def _report(self, now: float) -> None:
        """Publish what has changed; wake those who wait for the end."""
        status = self.status
        told = self._told
        if told is None or status.state != told.state:
            if told is None or {told.state, status.state} != {"up", "moving"}:
                self._since = now  # a move does not end the connection
                status = self.status
            kind = status.failure.kind if status.failure is not None else ""
            beside = {"roam_state": status.state, "roam_kind": kind}
            detail = f", {status.detail}" if status.detail else ""
            log.info("%s: %s%s", status.name, status.state, detail, extra=beside)
        has_turned = told is None or (status.state, status.failure) != (told.state, told.failure)
        if has_turned or (not self.rests and self._tunnel.network is not self._noted):
            self._noted = self._tunnel.network
            wall = now + self._world.epoch()
            local = local_record(self._noted, wall)
            self.notes.note_local(local)
        if has_turned:
            self.notes.settle(status.gateway, status.state, status.failure)
        if status != told:
            self._told = status
            self._publish(status)
        if self._is_over:
            self._ended.set()

    @property
    def _is_over(self) -> bool:
        return isinstance(self._tunnel.state, Off) or self._tunnel.wanted

    def _leg(self) -> Leg | None:
        """The leg to tell of: the one that carries the traffic, else the latest."""
        legs = [
            self._effects.legs[number] for number in live_legs(self.state) if number in self._effects.legs
        ]
        bound = self._effects.carrier.bound
        return bound if bound in legs else max(legs, key=lambda leg: leg.id, default=None)
