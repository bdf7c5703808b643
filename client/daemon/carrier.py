"""The data path of one tunnel: made with its first session, used by one leg at a time, taken away at the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from ..ike.events import Channel, ChildUp, Endpoint
from ..system.choice import Choice, DataPathKind
from ..system.datapath import Counters, DataPathFailed, WorkTaken
from ..system.drift import Deviation
from ..system.userspace import IkeDatagram
from ..system.xfrm_offload import GUARDED
from .inbox import Datagram, Inbox, PathEvent
from .leg import Leg
from .ports import CarrierPort

log = logging.getLogger("roam.tunnel")

Open = Callable[[], Awaitable[CarrierPort]]


class Carrier:
    """What is awaited here raises `OSError` where the data path cannot do it: then it is as good as dead."""

    def __init__(self, open_data_path: Open, inbox: Inbox) -> None:
        self._open = open_data_path
        self._inbox = inbox
        self._kind: DataPathKind | None = None
        self._started: asyncio.Task[CarrierPort] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._bound: Leg | None = None
        self._encapsulates = False
        self._legs_by_end: dict[Endpoint, int] = {}
        self._counted: dict[int, Counters] = {}
        self._installed: frozenset[int] = frozenset()
        self._taken: WorkTaken | None = None

    @property
    def bound(self) -> Leg | None:
        """The leg whose socket carries the traffic."""
        return self._bound

    @property
    def totals(self) -> Counters:
        """Of all Child SAs since the data path was made, as of the last `count`."""
        rows = self._counted.values()
        return Counters(
            0,
            sum(row.packets_in for row in rows),
            sum(row.octets_in for row in rows),
            sum(row.packets_out for row in rows),
            sum(row.octets_out for row in rows),
            sum(row.dropped for row in rows),
        )

    @property
    def installed(self) -> frozenset[int]:
        """The Child SAs that the data path had at the last `count`, by their inbound SPIs."""
        return self._installed

    def told(self, choice: Choice) -> Choice:
        """The choice that it was made by, with what network devices do of it, where they are asked."""
        if self._taken is None:
            return choice
        return replace(choice, reason=f"{choice.reason}; {self._taken.told}")

    def conflict(self, *, guarded: bool) -> str:
        """Why it cannot go on where a guard stands now, as it could not be foreseen; "" where it can."""
        is_whole = self._taken is not None and self._taken.whole
        return f"whole packets go to a network device: {GUARDED}" if guarded and is_whole else ""

    async def prepare_for(self, kind: DataPathKind) -> None:
        """What was wanted before may have been carried by the other data path, which would read our new sockets."""
        if self._kind not in (None, kind):
            await self.close()
        self._kind = kind
        self.prepare()

    def prepare(self) -> None:
        """Have one made, unless there is one: a handshake takes longer than that."""
        if self._started is None:
            self._started = asyncio.create_task(self._start())

    async def _start(self) -> CarrierPort:
        try:
            port = await self._open()
        except OSError as error:
            self._inbox.put(PathEvent(DataPathFailed(f"the data path does not start: {_reason(error)}")))
            raise
        self._listener = asyncio.create_task(self._listen(port))
        return port

    async def _port(self) -> CarrierPort:
        self.prepare()
        if self._started is None:
            raise AssertionError("prepare() starts one")
        return await self._started

    async def _listen(self, port: CarrierPort) -> None:
        try:
            await self._hear(port)
        except Exception as error:
            log.exception("the data path is not listened to any more")
            self._inbox.put(PathEvent(DataPathFailed(f"an event of it was not understood: {error!r}")))

    async def _hear(self, port: CarrierPort) -> None:
        events = port.events()
        while True:
            event = await events.get()
            if isinstance(event, IkeDatagram):
                self._take(event)
                continue
            if isinstance(event, WorkTaken):
                self._taken = event
            self._inbox.put(PathEvent(event))
            if isinstance(event, DataPathFailed):
                return

    def _take(self, datagram: IkeDatagram) -> None:
        leg = self._legs_by_end.get(datagram.local)
        if leg is not None:
            self._inbox.put(Datagram(leg, datagram.data, Channel.NATT, datagram.remote, datagram.local))

    async def bind(self, leg: Leg) -> None:
        """Carry everything over the leg's present path."""
        port = await self._port()
        path = leg.sockets.path
        self._encapsulates = leg.session.encapsulate
        await port.rebind(path, leg.sockets.natt_fd, encapsulate=self._encapsulates)
        leg.sockets.leave_natt()
        self._legs_by_end[path.local_natt] = leg.id
        self._bound = leg

    async def adapt(self, leg: Leg) -> None:
        """Begin or end UDP encapsulation where the answer to a move, which tells of NATs, calls for it.

        Before that answer, all was bound as on the path before.
        """
        if self._bound is leg and leg.session.encapsulate != self._encapsulates:
            await self.bind(leg)

    async def install(self, leg: Leg, output: ChildUp) -> None:
        """Add a Child SA of `leg`, which becomes the one that carries the traffic."""
        port = await self._port()
        if self._bound is not leg:
            await self.bind(leg)
        await port.install(output.child, leg.sockets.path, outbound=output.outbound)

    async def use_outbound(self, spi_in: int) -> None:
        """Send on this Child SA from now."""
        await (await self._port()).use_outbound(spi_in)

    async def remove(self, spi_in: int) -> None:
        """Forget a Child SA, but not what it has carried."""
        if self._started is None:
            return
        await self.count()
        await (await self._port()).remove(spi_in)

    async def count(self) -> None:
        """Bring `totals` up to date."""
        if self._started is not None:
            port = await self._port()
            rows = {row.spi_in: row for row in await port.counters()}
            self._installed = frozenset(rows)
            self._counted.update(rows)

    async def deviations(self) -> tuple[Deviation, ...]:
        """What another program has changed of it, and is not put back yet; nothing where it does not answer."""
        if self._started is not None:
            with contextlib.suppress(OSError):
                return await (await self._port()).deviations()
        return ()

    def forget(self, leg: Leg) -> None:
        """The leg is gone: nothing that comes in on its sockets matters any more."""
        self._legs_by_end = {end: number for end, number in self._legs_by_end.items() if number != leg.id}
        if self._bound is leg:
            self._bound = None

    async def close(self) -> None:
        """Take it away, the link included; the next `prepare` makes another one."""
        started, listener = self._started, self._listener
        self._started = self._listener = self._bound = self._taken = None
        self._legs_by_end, self._counted, self._installed = {}, {}, frozenset()
        if listener is not None:
            listener.cancel()
        if started is not None:
            with contextlib.suppress(OSError):
                await (await started).close()


def _reason(error: OSError) -> str:
    """Why, in words; a time-out has none of its own."""
    return "it takes too long" if isinstance(error, TimeoutError) else str(error)
