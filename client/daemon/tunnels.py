"""All tunnels of the machine: one driver each, what they are wanted by, and who hears of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from ..config import SecretMissing, tunnel_config
from ..control.evidence import Evidence
from ..control.messages import (
    HINTS,
    ControlError,
    SecretNeeded,
    SignatureWanted,
    SimChallenge,
    TunnelStatus,
)
from ..ike.events import AnswerNeeded, Failure, Kind
from ..ike.keys import Secret
from ..tunnel.leaks import Resolving, Verdict, verdicts
from ..tunnel.model import OWN_LINKS, NetworkChange, NetworkState, TunnelConfig
from .applier import Applier
from .driver import Driver, Wish
from .inbox import Item, Stop
from .intent import Intent, Intents
from .journal import Subject, about
from .notes import MOST_KEPT, Book
from .order import Key, Order, missing_secret
from .ports import World
from .questions import OfGateway, OfLogin, OfProfile, Questions
from .status import Wished

MOST_TUNNELS = 32


@dataclass(frozen=True, slots=True)
class Lacking:
    """A wish that has to wait for its user."""

    config: TunnelConfig
    wished: Wished
    failure: Failure
    missing: SecretMissing

    @property
    def is_key(self) -> bool:
        """Whether a private key is missing, which nobody can type."""
        return self.missing.kind == "key"


@dataclass(slots=True)
class Entry:
    """One tunnel: what was asked for last, and the driver that runs it."""

    order: Order
    driver: Driver
    task: asyncio.Task[None]
    link: str

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.order.key

    @property
    def status(self) -> TunnelStatus:
        """Everything that its owner may know."""
        return self.driver.status


class Tunnels:
    """Commands: `up`, `down`, `restore`, `tell_all`, `stop`; tasks run in the group given."""

    def __init__(
        self,
        world: World,
        applier: Applier,
        intents: Intents,
        group: asyncio.TaskGroup,
        publish: Callable[[TunnelStatus | SecretNeeded], None],
        unix: Callable[[], float],
        book: Book | None = None,
    ) -> None:
        self.book = book or Book()
        self.questions = Questions(unix, publish)
        self._world = world
        self._applier = applier
        self._intents = intents
        self._group = group
        self._publish = publish
        self._entries: dict[Key, Entry] = {}
        self._network = NetworkState()
        self._serials = count(1)
        self._noted: dict[Key, None] = {}
        self._noting: dict[Key, asyncio.Task[None]] = {}
        self._refusals: dict[Key, asyncio.Task[None]] = {}
        self._writing = asyncio.Lock()  # wishes are written one after the other, in the order of their coming

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries.values()))

    def find(self, key: Key) -> Entry | None:
        """The tunnel of this key."""
        return self._entries.get(key)

    @property
    def leaks(self) -> tuple[Verdict, ...]:
        """Where traffic goes by what stands."""
        namings = (self._applier.naming(str(entry.key)) for entry in self)
        return verdicts(
            self._applier.config, [Resolving(seen.servers, seen.domains, seen.by) for seen in namings]
        )

    # What the user wants

    async def up(self, order: Order) -> TunnelStatus:
        """Want a tunnel; what is missing is asked for.  `ProfileError`, `ControlError` for a second full tunnel.

        `SecretMissing` where nobody can be asked for it, or while the tunnel is under way with other secrets.
        """
        entry = self._entries.get(order.key)
        is_same = entry is not None and entry.order == order and entry.driver.wanted
        wish = self._wish(order, next(self._serials))
        if isinstance(wish, Lacking) and (wish.is_key or (entry is not None and not entry.driver.rests)):
            raise wish.missing
        conflict = self._applier.conflict(str(order.key), wish.config)
        if conflict is not None:
            raise ControlError(conflict.kind, conflict.evidence, HINTS[conflict.kind])
        entry = entry or self._add(order)
        entry.order = order
        self._refusals.pop(order.key, None)
        self.questions.withdraw(order.key)
        await asyncio.gather(self._want(entry, wish, renew=not is_same), self._keep(order))
        if not entry.driver.wanted:  # it has ended while it was written down
            self._intents.forget(order.key)
        return entry.status

    async def _keep(self, order: Order) -> None:
        """A slow disk delays the answer, but not the tunnel."""
        async with self._writing:
            await asyncio.to_thread(self._intents.keep, _intent(order))

    async def _keep_refusal(self, key: Key) -> None:
        """Over a restart too: a password that the daemon reads by itself would be tried at each of them."""
        async with self._writing:
            entry = self._entries.get(key)
            if entry is not None and _is_refused(entry.status) and entry.driver.wanted:
                await asyncio.to_thread(self._intents.keep, replace(_intent(entry.order), refused=True))

    async def restore(self, order: Order, *, refused: bool = False) -> None:
        """Want a tunnel again that was wanted before a restart; a password that was refused is asked for."""
        order = order.without_passwords() if refused else order
        await self._want(self._add(order), self._wish(order, next(self._serials)), restored=True)

    def _wish(self, order: Order, serial: int) -> Wish | Lacking:
        try:
            return order.wish(serial, self._world.choose_data_path(order.profile.data_path))
        except SecretMissing as missing:
            config = tunnel_config(order.profile)
            return Lacking(config, order.wished(serial), missing_secret(order, missing), missing)

    async def _want(
        self, entry: Entry, wish: Wish | Lacking, *, restored: bool = False, renew: bool = False
    ) -> None:
        if isinstance(wish, Wish):
            await entry.driver.want(wish, restored=restored, renew=renew)
        else:
            await entry.driver.await_secret(wish.config, wish.wished, wish.failure, restored=restored)

    async def down(self, entry: Entry, *, force: bool = False) -> None:
        """End the wish; returns when the tunnel is off the machine (or somebody wants it again)."""
        self._intents.forget(entry.key)
        self._refusals.pop(entry.key, None)
        self.questions.withdraw(entry.key)
        await entry.driver.unwant(force=force)
        if not entry.driver.wanted and self._entries.get(entry.key) is entry:
            del self._entries[entry.key]
            entry.driver.tell(Stop())

    def _add(self, order: Order) -> Entry:
        if len(self._entries) >= MOST_TUNNELS:
            raise ControlError("local.fault", f"the daemon holds {MOST_TUNNELS} tunnels already")
        link = self._free_link()
        key = order.key
        notes = self.book.open(str(key), self._world.clock())
        notes.changed = partial(self._note, key)
        self._noted.pop(key, None)
        self._noted[key] = None
        if len(self._noted) > MOST_KEPT:
            self._noted.pop(next(iter(self._noted)))
        driver = Driver(
            tunnel_config(order.profile),
            order.wished(0),
            str(key),
            link,
            self._network,
            self._world,
            self._applier,
            partial(self._heard, key),
            _Asker(self, key),
            notes,
        )
        context = about(Subject(key.id, order.owner, order.shared))
        task = self._group.create_task(driver.run(), name=f"tunnel {key}", context=context)
        entry = self._entries[key] = Entry(order, driver, task, link)
        return entry

    @property
    def network(self) -> NetworkState:
        """As it was reported last."""
        return self._network

    @property
    def noted(self) -> tuple[Key, ...]:
        """The tunnels of this daemon's time, the one begun last at the end."""
        return tuple(self._noted)

    def evidence(self, key: Key) -> Evidence | None:
        """What the last attempts of a tunnel left behind, whether or not it is wanted now."""
        notes = self.book.of(str(key))
        if notes is None:
            return None
        now = self._world.clock()
        return notes.evidence(key.id, now, now + self._world.epoch())

    def _note(self, key: Key) -> None:
        """Have it written down soon; until then more may come."""
        if key not in self._noting:
            self._noting[key] = asyncio.create_task(self._write_notes(key), name=f"notes of {key}")

    async def _write_notes(self, key: Key) -> None:
        async with self._writing:
            self._noting.pop(key, None)
            if (evidence := self.evidence(key)) is not None:
                await asyncio.to_thread(self.book.keep, str(key), evidence)

    def _free_link(self) -> str:
        taken = {entry.link for entry in self._entries.values()}
        return next(name for n in count() if (name := f"{OWN_LINKS}{n}") not in taken)

    def _heard(self, key: Key, status: TunnelStatus) -> None:
        """A first attempt that failed for good is not wanted any more, also not after a restart."""
        entry = self._entries.get(key)
        if status.state == "blocked" and entry is not None and not entry.driver.wanted:
            self._intents.forget(key)
            self.questions.withdraw(key)
        elif _is_refused(status) and key not in self._refusals:
            self._refusals[key] = asyncio.create_task(self._keep_refusal(key), name=f"refusal of {key}")
        self._publish(status)

    # What happens

    def network_changed(self, change: NetworkChange) -> None:
        """All tunnels follow the network."""
        self._network = change.new
        self.tell_all(change)  # first: where to go is more urgent than which local networks there are
        self._applier.adapt(change.new)

    def tell_all(self, item: Item) -> None:
        """Something happened that concerns every tunnel."""
        for entry in self:
            entry.driver.tell(item)

    async def stop(self) -> None:
        """The daemon ends: gateways are told, wishes and guards stay."""
        entries = tuple(self)
        self.tell_all(Stop())
        await asyncio.gather(*(entry.task for entry in entries))


@dataclass(frozen=True, slots=True)
class _Asker:
    """Puts the questions of one tunnel to its owner."""

    tunnels: Tunnels
    key: Key

    def ask_about(self, failure: Failure) -> None:
        entry = self.tunnels.find(self.key)
        asked = None if entry is None else entry.order.question(failure)
        if entry is not None and asked is not None:
            confirms = asked.kind == "confirm-fingerprint"
            subject = OfGateway(asked.reference) if confirms else OfProfile(asked.reference)
            self.tunnels.questions.ask(self.key, entry.order.owner, subject, asked.kind, asked.prompt)

    def ask_in_login(self, leg: int, needed: AnswerNeeded) -> None:
        entry = self.tunnels.find(self.key)
        if entry is not None:
            title = entry.order.profile.title
            prompt = f"{title} asks: {needed.prompt}" if needed.prompt else f"Answer for {title}"
            signature, challenge = None, None
            if (sim := needed.challenge) is not None:
                prompt = f"{title} needs the answer of {sim.key} to the network's challenge"
                challenge = SimChallenge(sim.key, sim.rand, sim.autn)
            if (wanted := needed.signature) is not None:
                prompt = f"{title} needs a signature with {wanted.key}"
                signature = SignatureWanted(wanted.key, wanted.algorithms, wanted.octets)
            questions, owner = self.tunnels.questions, entry.order.owner
            reference = entry.order.password_of_login(needed.kind)
            questions.ask(self.key, owner, OfLogin(leg), needed.kind, prompt, signature, reference, challenge)

    def secret_replaced(self, was: Secret, now: Secret) -> None:
        entry = self.tunnels.find(self.key)
        if entry is not None:
            entry.order = entry.order.with_replaced(was, now)

    def withdraw(self, leg: int) -> None:
        self.tunnels.questions.withdraw(self.key, OfLogin(leg))


def _is_refused(status: TunnelStatus) -> bool:
    """Whether it waits for its owner because a login was refused."""
    failure = status.failure
    return status.state == "blocked" and failure is not None and failure.kind == Kind.AUTH_REJECTED


def _intent(order: Order) -> Intent:
    return Intent(order.owner, order.shared, order.profile.id, order.text, order.public_files, order.pins)
