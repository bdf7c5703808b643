"""The kernel's data path: ESP in the kernel over an xfrm interface (DESIGN 2).

Theory of operation.  A thread of its own changes the kernel's tables, one command after the other, because that may
block.  The event loop hears what the kernel tells (limits reached, another peer address), has the counters read
from time to time, and reads the natt sockets: with UDP_ENCAP the kernel takes ESP out of them and leaves IKE.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from typing import TypeVar

from ..ike.events import ChildSa, Endpoint, Path
from .choice import why_filtered
from .datapath import (
    Counters,
    DataPathEvent,
    DataPathFailed,
    PeerAddressSeen,
    PoliciesMended,
    SoftLimit,
    WorkTaken,
)
from .drift import Deviation
from .feud import Feud
from .userspace import IkeDatagram
from .xfrm import Monitor, Xfrm
from .xfrm_layout import Group
from .xfrm_link import drop_link, make_link
from .xfrm_model import Limits, MappingChanged, Offload, PoliciesTouched, Report, SaExpired
from .xfrm_offload import GUARDED, Taken, told
from .xfrm_plan import Outer
from .xfrm_tunnel import IF_IDS, Reading, XfrmTunnel, sweep
from .xfrm_watch import Watch

_Result = TypeVar("_Result")

_UDP_ENCAP, _ESP_IN_UDP = 100, 2  # of Linux; not among Python's constants
_MARKER = bytes(4)
_LARGEST = 65535
_AT_A_TIME = 64  # datagrams taken before the loop gets its turn
_MOST_WAITING = 1024  # events that nobody has fetched yet, before IKE messages are lost
_LINGER = 5.0  # seconds that a socket left behind by a move is still read


@dataclass(frozen=True, slots=True)
class _Natt:
    """A natt socket of ours (a duplicate), where it is bound, and when it is given up."""

    opened: socket.socket
    local: Endpoint
    until: float | None = None


class KernelDataPath:
    """`DataPath` in the kernel.  Commands raise `OSError` where they are refused.

    It tells no `SelectorViolation`: the kernel drops such packets, but counts them for no SA.  The times that it
    tells are those of readings, as `xfrm_watch` says.
    """

    def __init__(
        self,
        link: str,
        worker: ThreadPoolExecutor,
        tunnel: XfrmTunnel,
        monitor: Monitor,
        *,
        offload: bool = False,
    ) -> None:
        """For `start` alone."""
        self.link = link
        self._offload = offload
        self._taken: tuple[Taken, Taken] | None = None
        self._worker = worker
        self._tunnel = tunnel
        self._monitor = monitor
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[DataPathEvent | IkeDatagram] = asyncio.Queue()
        self._watch = Watch(_boot_time())
        self._natt: list[_Natt] = []  # the last one is in use
        self._spis: dict[int, int] = {}  # inbound SPI by either SPI
        self._peer_seen: Endpoint | None = None
        self._ended: set[int] = set()  # Child SAs, by inbound SPI, of which an SA is gone, and why is known
        self._touched_by: set[int] | None = (
            None  # ports of those who changed policies since; None: nobody did
        )
        self._feud = Feud()
        self._failure = ""
        self._ending: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()
        self._loop.add_reader(monitor, self._hear)
        self._observer = asyncio.create_task(self._observe())

    @classmethod
    async def start(
        cls,
        link_name: str,
        mtu: int,
        limits: Limits | None = None,
        *,
        migrate: bool = True,
        offload: bool = False,
        guarded: bool = True,
    ) -> KernelDataPath:
        """Make the xfrm interface, down and without addresses.

        `migrate`: have the kernel itself move SAs, where it can.  `offload`: have network devices do what they can
        of the work, but not all of it where a guard stands (`guarded`), as `xfrm_offload` says.  The kernel drops
        such SAs when their device goes down, and their sequence numbers: each change of network costs a rekey.
        """
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="xfrm")
        monitor = Monitor((Group.EXPIRE, Group.MAPPING, Group.POLICY))
        try:
            loop = asyncio.get_running_loop()
            made = partial(
                _open, link_name, mtu, limits or Limits(), migrate=migrate, whole=offload and not guarded
            )
            tunnel = await loop.run_in_executor(worker, made)
        except BaseException:
            monitor.close()
            worker.shutdown(wait=False)
            raise
        return cls(link_name, worker, tunnel, monitor, offload=offload)

    def events(self) -> asyncio.Queue[DataPathEvent | IkeDatagram]:
        """What happens on the data path, in order; after `DataPathFailed` nothing more comes."""
        return self._events

    async def install(self, child: ChildSa, path: Path, *, outbound: bool = True) -> None:
        """Add a Child SA; it uses the path of the last `rebind`, which `path` must name."""
        del path
        await self._do(lambda: self._tunnel.install(child, outbound=outbound))
        self._spis |= {child.spi_in: child.spi_in, child.spi_out: child.spi_in}
        self._watch.expect_inbound(_boot_time())
        self._tell_taken()
        self._stirred.set()

    async def use_outbound(self, spi_in: int) -> None:
        """Send on this Child SA from now."""
        await self._do(lambda: self._tunnel.use_outbound(spi_in))
        self._tell_taken()

    async def remove(self, spi_in: int) -> None:
        """Forget a Child SA; unknown ones are ignored."""
        self._spis = {spi: owner for spi, owner in self._spis.items() if owner != spi_in}
        await self._do(lambda: self._tunnel.remove(spi_in))

    async def rebind(self, path: Path, natt_fd: int, *, encapsulate: bool) -> None:
        """Move all SAs to this path, keeping sequence and replay state; the earlier socket is read for a while.

        `natt_fd` stays the caller's, to send IKE on, but not to read from: we read a duplicate.
        """
        await self._read()  # what came in so far came over the earlier path
        self._adopt(natt_fd, path.local_natt, encapsulate=encapsulate)
        for spi_in in await self._do(lambda: self._tunnel.bind(self._outer(path, encapsulate=encapsulate))):
            self._end_of(spi_in)
        if len(self._natt) > 1:
            self._watch.note_move(_boot_time())
        self._tell_taken()
        self._stirred.set()

    def _end_of(self, spi_in: int) -> None:
        """A Child SA carries nothing any more, for a reason that another one mends."""
        self._ended.add(spi_in)
        self._events.put_nowait(SoftLimit(spi_in, sequence=True))

    def _tell_taken(self) -> None:
        """Say what devices do, where that is another thing than before."""
        taken = self._tunnel.taken
        if taken is not None and taken != self._taken:
            self._taken = taken
            self._put((WorkTaken(told(*taken), whole=taken[0].work is Offload.PACKET),))

    def _outer(self, path: Path, *, encapsulate: bool) -> Outer:
        """In the worker's thread, which stands in the right namespace."""
        device = socket.if_nametoindex(path.interface) if self._offload else 0
        return Outer(path.local_natt, path.remote_natt, encapsulate, device)

    async def counters(self) -> tuple[Counters, ...]:
        """Counters of all installed Child SAs."""
        await self._read()
        return self._watch.counters()

    async def deviations(self) -> tuple[Deviation, ...]:
        """The policies that are not as they should be, and are not put back yet."""
        return await self._do(self._tunnel.deviations)

    async def close(self) -> None:
        """Remove everything, the link included.  No event follows."""
        if self._ending is None:
            self._abandon("closed")
            self._ending = asyncio.create_task(self._end())
        await self._ending

    async def _end(self) -> None:
        self._observer.cancel()
        await asyncio.wait((self._observer,))
        try:
            await self._loop.run_in_executor(self._worker, _clear, self._tunnel, self.link)
        finally:
            self._worker.shutdown(wait=False)

    async def _do(self, work: Callable[[], _Result]) -> _Result:
        if self._failure:
            raise ConnectionError(self._failure)
        return await self._loop.run_in_executor(self._worker, work)

    # Readings

    async def _observe(self) -> None:
        """Read the counters whenever that is due or a command has changed what is expected; mend policies."""
        while not self._failure:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause(_boot_time())):
                    await self._stirred.wait()
            self._stirred.clear()
            self._leave_old_sockets(_boot_time())
            try:
                await self._read()
                await self._mend(_boot_time())
            except OSError as error:
                self._fail(error.strerror or str(error))

    def _pause(self, now: float) -> float:
        pause = self._watch.pause(now)
        return pause if self._touched_by is None else min(pause, max(self._feud.due_at() - now, 0.0))

    async def _mend(self, now: float) -> None:
        """Put back what another program has made of our policies, but not in a fight without end."""
        if self._touched_by is None or now < self._feud.due_at():
            return
        suspects, self._touched_by = self._touched_by, None
        mended = await self._do(self._tunnel.mend)
        self._feud = self._feud.repaired(mended, (), now)
        if mended:
            self._put((PoliciesMended(mended, tuple(suspects)),))

    async def _read(self) -> None:
        readings = await self._do(self._look)
        for reading in readings:
            if (reading.inbound is None or reading.outbound is None) and reading.spi_in not in self._ended:
                if not reading.dropped:
                    raise OSError(errno.ESRCH, f"another program has removed SA {reading.spi_in:08x}")
                self._end_of(reading.spi_in)
        self._put(self._watch.note(readings, _boot_time()))

    def _look(self) -> tuple[Reading, ...]:
        """In the worker's thread too."""
        socket.if_nametoindex(self.link)
        return self._tunnel.read()

    def _put(self, events: Iterable[DataPathEvent]) -> None:
        for event in events:
            self._events.put_nowait(event)

    def _fail(self, reason: str) -> None:
        if not self._failure:
            self._abandon(reason)
            self._events.put_nowait(DataPathFailed(reason))

    def _abandon(self, reason: str) -> None:
        """Nothing is heard or read any more."""
        if self._failure:
            return
        self._failure = reason
        self._loop.remove_reader(self._monitor)
        self._monitor.close()
        for natt in self._natt:
            self._leave(natt)
        self._natt = []

    # What the kernel tells

    def _hear(self) -> None:
        try:
            for report in self._monitor.receive():
                self._take(report)
        except OSError:  # something was lost: the counters tell the same, and policies are compared
            self._touch(())

    def _take(self, report: Report) -> None:
        match report:
            case SaExpired(sa, hard) if (spi_in := self._spis.get(sa.spi)) is not None:
                if hard:
                    self._ended.add(spi_in)
                self._put(self._watch.note_limit(spi_in, hard=hard))
            case MappingChanged(spi, source, port) if spi in self._spis:
                remote = Endpoint(source, port)
                if remote != self._peer_seen:
                    self._peer_seen = remote
                    self._put((PeerAddressSeen(remote),))
            case PoliciesTouched(if_id, by) if (
                if_id in (None, self._tunnel.if_id) and by != self._tunnel.port
            ):
                self._touch((by,) if by else ())  # many name nobody

    def _touch(self, suspects: Iterable[int]) -> None:
        """Policies may not be as they should be."""
        self._touched_by = (self._touched_by or set()).union(suspects)
        self._stirred.set()

    # The natt sockets

    def _adopt(self, natt_fd: int, local: Endpoint, *, encapsulate: bool) -> None:
        """Read another socket from now; the one before it is still read for some seconds."""
        opened = socket.socket(fileno=os.dup(natt_fd))
        try:
            if encapsulate:
                opened.setsockopt(socket.IPPROTO_UDP, _UDP_ENCAP, _ESP_IN_UDP)
        except OSError:
            opened.close()
            raise
        until = _boot_time() + _LINGER
        self._natt = [replace(natt, until=natt.until or until) for natt in self._natt]
        natt = _Natt(opened, local)
        self._natt.append(natt)
        self._loop.add_reader(opened, self._receive, opened, local)

    def _receive(self, opened: socket.socket, local: Endpoint) -> None:
        for _ in range(_AT_A_TIME):
            try:
                datagram, sender = opened.recvfrom(_LARGEST, socket.MSG_DONTWAIT)
            except OSError:  # nothing left, or an ICMP error that somebody sent
                return
            if datagram.startswith(_MARKER) and self._events.qsize() < _MOST_WAITING:
                remote = Endpoint(ip_address(sender[0].partition("%")[0]), sender[1])
                self._events.put_nowait(IkeDatagram(datagram[len(_MARKER) :], remote, local))

    def _leave_old_sockets(self, now: float) -> None:
        for natt in self._natt:
            if natt.until is not None and natt.until <= now:
                self._leave(natt)
        self._natt = [natt for natt in self._natt if natt.opened.fileno() >= 0]

    def _leave(self, natt: _Natt) -> None:
        self._loop.remove_reader(natt.opened)
        natt.opened.close()


def sweep_kernel() -> tuple[str, ...]:
    """Remove all SAs and policies of ours from this namespace, whoever made them; what they were, in words.

    It opens no way out: a packet for an xfrm interface that finds no policy is dropped.  The links themselves are
    swept with the routes.  Blocks; `OSError` where the kernel refuses.
    """
    try:
        tables = Xfrm()
    except OSError:
        return ()  # a kernel without XFRM has none of them
    with tables:
        return sweep(tables)


def _open(link: str, mtu: int, limits: Limits, *, migrate: bool, whole: bool) -> XfrmTunnel:
    """What a killed daemon has left under the interface's number is no part of the tunnel."""
    tables = Xfrm()
    try:
        if_id = make_link(link, mtu, IF_IDS)
        sweep(tables, (if_id,))
        no_whole = why_filtered(tables) if whole else GUARDED
    except OSError:
        tables.close()
        raise
    return XfrmTunnel(tables, if_id, limits, migrates=migrate, no_whole=no_whole)


def _clear(tunnel: XfrmTunnel, link: str) -> None:
    """The link goes last: its packets are dropped meanwhile, and do not go another way."""
    try:
        tunnel.close()
    finally:
        drop_link(link)


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
