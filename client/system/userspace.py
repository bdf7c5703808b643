"""The userspace data path: ESP in a pump process over a TUN interface (DESIGN 2).

A pump that dies is never replaced under a living Child SA: its sequence numbers are lost, and keys without
them must not be used again.  So its end is `DataPathFailed`, and everything on it is made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from ..esp import ipc
from ..ike.errors import InvalidSyntax
from ..ike.events import ChildSa, Endpoint, Path
from .datapath import (
    Activity,
    Counters,
    DataPathEvent,
    DataPathFailed,
    FirstInbound,
    PathCarries,
    PeerAddressSeen,
    SelectorViolation,
    SoftLimit,
)
from .drift import Deviation
from .tun import open_tun
from .xfrm_link import drop_link

_RECEIVE_BUFFER = 2 << 20  # octets: a burst of some milliseconds at 1 Gbit/s; more would only delay IKE
_SO_RCVBUFFORCE = 33  # Linux; not among Python's constants
_MOST_REPORTS = 64  # taken from the pump in one turn of the loop
_MOST_WAITING = 1024  # events that nobody has fetched yet, before IKE messages are lost
_ANSWER_TIMEOUT = 5.0  # seconds; a pump that takes longer is stuck
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from client.esp.pump import main; sys.exit(main(int(sys.argv[2])))"
)
_ROOT = str(FilePath(__file__).resolve().parents[2])


@dataclass(frozen=True, slots=True)
class IkeDatagram:
    """An IKE message that the pump has read from the natt socket, without the non-ESP marker."""

    data: bytes = field(repr=False)
    remote: Endpoint
    local: Endpoint


class PumpProcess:
    """A child process that runs `client.esp.pump`, and our end of its control socket."""

    def __init__(self) -> None:
        """Start it: returns at once, while the child still imports what it needs.

        Isolated (-I) and without an environment: what surrounds the daemon cannot reach into the pump.
        """
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-I", "-c", _PROGRAM, _ROOT, str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={},
                cwd="/",
            )

    @property
    def pid(self) -> int:
        """The process id of the child."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once: its packets and keys go with it."""
        self.control.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    async def wait(self) -> str:
        """Wait for its end, without a thread; how it ended, in words."""
        if self.running:
            await self._until_readable(os.pidfd_open(self.pid))
        status = self._process.wait()
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    async def _until_readable(self, pidfd: int) -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(pidfd, ended.set)
            await ended.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)


class PumpPool:
    """Keeps one pump warm, so that connecting does not wait for an interpreter to start.

    Call `warm` when there is time for it: at the start of the daemon, and when a tunnel has gone.  While one
    stands there is no spare: it would cost its memory all the time.
    """

    def __init__(self) -> None:
        self._spare: PumpProcess | None = None

    def warm(self) -> None:
        """Start a spare pump where none is ready."""
        if self._spare is None or not self._spare.running:
            self._spare = PumpProcess()

    def take(self) -> PumpProcess:
        """The spare pump, or a new one where there is none."""
        spare, self._spare = self._spare, None
        return spare if spare is not None and spare.running else PumpProcess()

    async def close(self) -> None:
        """End the spare."""
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.kill()
            await spare.wait()


class UserspaceDataPath:
    """`DataPath` over one pump.  Commands raise `OSError` where they are refused or the pump is gone.

    `rebind` hands over the first natt socket too: until then nothing goes out.
    """

    def __init__(self, pump: PumpProcess, link: str) -> None:
        """For `start` alone."""
        self.link = link
        self._pump = pump
        self._serial = 0
        self._answers: dict[int, asyncio.Future[ipc.Report]] = {}
        self._events: asyncio.Queue[DataPathEvent | IkeDatagram] = asyncio.Queue()
        self._last_words = ""
        self._failure = ""  # why commands are refused from now on
        self._ending: asyncio.Task[None] | None = None
        asyncio.get_running_loop().add_reader(pump.control, self._receive)

    @classmethod
    async def start(cls, link_name: str, mtu: int, pool: PumpPool) -> UserspaceDataPath:
        """Make the TUN interface, down and without addresses, and give it to a pump."""
        descriptor = await _open_link(link_name, mtu)
        try:
            path = cls(pool.take(), link_name)
            try:
                await path._command(ipc.Attach(path._next_serial()), descriptor)
            except BaseException:
                await path.close()
                raise
        finally:
            os.close(descriptor)  # the pump's copy alone keeps the interface: it goes when the pump does
        return path

    @property
    def pid(self) -> int:
        """The pump's process id."""
        return self._pump.pid

    def events(self) -> asyncio.Queue[DataPathEvent | IkeDatagram]:
        """What happens on the data path, in order; after `DataPathFailed` nothing more comes."""
        return self._events

    async def install(self, child: ChildSa, path: Path, *, outbound: bool = True) -> None:
        """Add a Child SA; it uses the path of the last `rebind`, which `path` must name."""
        del path
        await self._command(ipc.Install(self._next_serial(), child, outbound))

    async def use_outbound(self, spi_in: int) -> None:
        """Send on this Child SA from now."""
        await self._command(ipc.UseOutbound(self._next_serial(), spi_in))

    async def remove(self, spi_in: int) -> None:
        """Forget a Child SA; unknown ones are ignored."""
        await self._command(ipc.Remove(self._next_serial(), spi_in))

    async def rebind(self, path: Path, natt_fd: int, *, encapsulate: bool) -> None:
        """Carry everything over this natt socket from now; the earlier one is still read for some seconds.

        The pump gets a duplicate: `natt_fd` stays the caller's, to send IKE on, but not to read from.
        ESP always goes in UDP here, so `encapsulate` changes nothing.
        """
        del encapsulate
        _enlarge_receive_buffer(natt_fd)
        command = ipc.Bind(self._next_serial(), path.local_natt, path.remote_natt)
        await self._command(command, natt_fd)

    async def deviations(self) -> tuple[Deviation, ...]:
        """None: nobody reaches into another process."""
        return ()

    async def counters(self) -> tuple[Counters, ...]:
        """Counters of all installed Child SAs."""
        counted = await self._count()
        return tuple(
            Counters(row.spi_in, row.packets_in, row.octets_in, row.packets_out, row.octets_out, row.dropped)
            for row in counted.tallies
        )

    async def offloads(self) -> str:
        """Names of the kernel's offloads that the pump uses now, for the status."""
        return (await self._count()).offloads

    async def close(self) -> None:
        """End the pump; the interface goes with it.  No event follows."""
        if self._ending is None:
            self._abandon("closed")
            self._ending = asyncio.create_task(self._reap())
        await self._ending

    async def _count(self) -> ipc.Counted:
        answer = await self._command(ipc.Count(self._next_serial()))
        if not isinstance(answer, ipc.Counted):
            raise OSError("the pump gave another answer than asked for")
        return answer

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    async def _command(self, command: ipc.Command, *descriptors: int) -> ipc.Report:
        if self._failure:
            raise ConnectionError(self._failure)
        answer: asyncio.Future[ipc.Report] = asyncio.get_running_loop().create_future()
        self._answers[command.serial] = answer
        try:
            socket.send_fds(self._pump.control, [ipc.encode(command)], descriptors)
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                report = await answer
        finally:
            del self._answers[command.serial]
        if isinstance(report, ipc.Done) and report.error:
            raise OSError(report.error)
        return report

    def _receive(self) -> None:
        """Take in what the pump has said, some of it at a time: others have their turn too."""
        try:
            for _ in range(_MOST_REPORTS):
                data = self._pump.control.recv(ipc.LARGEST_MESSAGE)
                if not data:
                    break
                self._dispatch(ipc.decode_report(data))
            else:
                return
        except BlockingIOError:
            return
        except (InvalidSyntax, OSError) as error:
            self._last_words = self._last_words or str(error)
        self._abandon(self._last_words or "the pump is gone")
        self._ending = asyncio.create_task(self._fail())

    def _dispatch(self, report: ipc.Report) -> None:
        match report:
            case ipc.Done() | ipc.Counted():
                answer = self._answers.get(report.serial)
                if answer is not None and not answer.done():
                    answer.set_result(report)
            case ipc.Broken(reason):
                self._last_words = reason
            case ipc.IkeReceived() if self._events.qsize() >= _MOST_WAITING:
                pass  # lost, as on any network: a flood must not fill the memory
            case _:
                self._events.put_nowait(_event_of(report))

    def _abandon(self, reason: str) -> None:
        self._failure = reason
        asyncio.get_running_loop().remove_reader(self._pump.control)
        self._pump.kill()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError(reason))

    async def _fail(self) -> None:
        how = await self._pump.wait()
        self._events.put_nowait(DataPathFailed(f"{self._failure} ({how})"))

    async def _reap(self) -> None:
        await self._pump.wait()


def _event_of(
    report: ipc.IkeReceived | ipc.Notice | ipc.PeerSeen | ipc.Active | ipc.Carries,
) -> DataPathEvent | IkeDatagram:
    match report:
        case ipc.IkeReceived(data, remote, local):
            return IkeDatagram(data, remote, local)
        case ipc.PeerSeen(remote):
            return PeerAddressSeen(remote)
        case ipc.Active(inbound_ms, outbound_ms):
            return Activity(inbound_ms / 1000, outbound_ms / 1000)
        case ipc.Carries(before_ms, first_ms, outbound_ms):
            return PathCarries(before_ms / 1000, first_ms / 1000, outbound_ms / 1000)
        case ipc.Notice(ipc.Sign.FIRST_INBOUND, spi_in):
            return FirstInbound(spi_in)
        case ipc.Notice(ipc.Sign.SEQUENCE_LOW, spi_in):
            return SoftLimit(spi_in, sequence=True)
        case ipc.Notice(ipc.Sign.SELECTOR_VIOLATION, spi_in):
            return SelectorViolation(spi_in)
        case _:
            raise AssertionError(report)


async def _open_link(name: str, mtu: int) -> int:
    """A killed daemon may have left a link of this name, of the kernel's data path: unlike a TUN link it stays."""
    try:
        return open_tun(name, mtu)
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EINVAL):
            raise
    with ThreadPoolExecutor(max_workers=1) as worker:  # a thread of its own stands in our network namespace
        await asyncio.get_running_loop().run_in_executor(worker, drop_link, name)
    return open_tun(name, mtu)


def _enlarge_receive_buffer(descriptor: int) -> None:
    """Beyond the system's limit where we may, else up to it; the pump itself may not."""
    with socket.socket(fileno=os.dup(descriptor)) as natt:
        try:
            natt.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except PermissionError:
            natt.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
