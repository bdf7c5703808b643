"""The pump: the kernel's part of ESP, in a process of its own (DESIGN 2).

Theory of operation.  The parent starts `python -I -m client.esp.pump FD` with one end of a SEQPACKET socket
pair and speaks `client.esp.ipc` over it.  The process first gives up all privileges, then waits for a TUN
descriptor, a UDP socket and Child SAs.  From then on it turns packets over until the socket pair is closed,
and takes the TUN interface with it when it ends.

One thread, one epoll.  Each turn serves the control socket first, then drains both directions for a bounded
number of packets, so that neither direction and no command waits for a flood of the other.  IKE messages are
handed over the moment they are read.  The parent sends IKE itself, on its own descriptor of the same socket.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable

from . import ipc
from .egress import Egress
from .ingress import Ingress
from .outer import OuterSocket
from .protection import set_up
from .sandbox import drop_privileges
from .table import Pair, SaTable

_TELL_EVERY = 0.25  # seconds between two reports of activity or of selector violations
_LINGER = 5.0  # seconds that a socket left behind by a move is still read
_MOST_UNSENT = 256  # reports waiting for the parent; then IKE messages are lost, as on any network


class Reporter:
    """What the parent is told, in order and without ever waiting for it."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._unsent: deque[bytes] = deque()

    @property
    def blocked(self) -> bool:
        """Whether something waits for room."""
        return bool(self._unsent)

    def tell(self, report: ipc.Report) -> None:
        """Send a report now or as soon as there is room; an IKE message is dropped where too many wait."""
        if len(self._unsent) >= _MOST_UNSENT and isinstance(report, ipc.IkeReceived):
            return
        self._unsent.append(ipc.encode(report))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        while self._unsent:
            try:
                self._control.send(self._unsent[0], socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            self._unsent.popleft()


class Pump:
    """Everything that the process holds: descriptors, Child SAs, and what is still to be told."""

    def __init__(self, control: socket.socket, clock: Callable[[], float]) -> None:
        self._control = control
        self._clock = clock
        self._poll = select.epoll()
        self._table = SaTable(os.urandom)
        self._reporter = Reporter(control)
        self._egress = Egress(self._table)
        self._ingress = Ingress(self._table, self._reporter.tell)
        self._left: list[tuple[float, OuterSocket]] = []  # sockets of earlier paths and when to close them
        self._inbound_at = self._outbound_at = 0.0
        self._moving = False  # bound to another socket, over which nothing has come in yet
        self._told = ipc.Active(0, 0)
        self._tell_at = 0.0
        self._interest: dict[int, int] = {}
        self._watch(control.fileno(), select.EPOLLIN)

    def run(self) -> None:
        """Turn packets over until the parent goes away."""
        while self._turn():
            pass

    def _turn(self) -> bool:
        ready = dict(self._poll.poll(self._delay()))
        if self._control.fileno() in ready:
            if not self._obey():
                return False
            self._reporter.flush()
        now = self._clock()
        if (self._egress.tun in ready or self._egress.blocked) and self._egress.drain():
            self._outbound_at = now
        for outer in self._sockets():
            if outer.fileno() in ready and self._ingress.drain(outer):
                self._note_inbound(outer, now)
        self._report(now)
        self._close_left(now)
        self._watch_all()
        return True

    def _note_inbound(self, outer: OuterSocket, now: float) -> None:
        """Keep the time; the first packet over a new path says how long the move was felt."""
        if self._moving and outer is self._egress.outer:
            self._moving = False
            before, first, outbound = (int(at * 1000) for at in (self._inbound_at, now, self._outbound_at))
            self._reporter.tell(ipc.Carries(before, first, outbound))
        self._inbound_at = now

    def _sockets(self) -> list[OuterSocket]:
        left = [outer for _, outer in self._left]
        return left if self._egress.outer is None else [self._egress.outer, *left]

    def _watch_all(self) -> None:
        """Wait for room only where something waits for it, and for packets only where they can go on."""
        blocked = self._egress.blocked
        self._watch(self._control.fileno(), select.EPOLLIN | select.EPOLLOUT * self._reporter.blocked)
        if self._egress.tun >= 0:
            self._watch(self._egress.tun, 0 if blocked else select.EPOLLIN)
        if self._egress.outer is not None:
            self._watch(self._egress.outer.fileno(), select.EPOLLIN | select.EPOLLOUT * blocked)

    def _watch(self, descriptor: int, events: int) -> None:
        known = self._interest.get(descriptor)
        if known is None:
            self._poll.register(descriptor, events)
        elif known != events:
            self._poll.modify(descriptor, events)
        self._interest[descriptor] = events

    def _forget(self, descriptor: int) -> None:
        del self._interest[descriptor]
        self._poll.unregister(descriptor)

    def _obey(self) -> bool:
        """Carry out one command; False where the parent is gone."""
        data, descriptors, _, _ = socket.recv_fds(self._control, ipc.LARGEST_MESSAGE, 1)
        if not data:
            return False
        command = ipc.decode_command(data)
        try:
            self._reporter.tell(self._answer(command, descriptors))
        except (ValueError, OSError) as error:
            self._reporter.tell(ipc.Done(command.serial, str(error)))
        return True

    def _answer(self, command: ipc.Command, descriptors: list[int]) -> ipc.Report:
        match command:
            case ipc.Install():
                self._table.install(command.child, outbound=command.outbound)
            case ipc.UseOutbound():
                self._table.use_outbound(command.spi_in)
            case ipc.Remove():
                self._table.remove(command.spi_in)
            case ipc.Attach():
                self._attach(*descriptors)
            case ipc.Bind():
                self._bind(command, *descriptors)
            case ipc.Count():
                return ipc.Counted(command.serial, self._tallies(), self._offloads())
        return ipc.Done(command.serial)

    def _attach(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._watch(descriptor, select.EPOLLIN)
        self._egress.tun = self._ingress.tun = descriptor

    def _bind(self, command: ipc.Bind, descriptor: int) -> None:
        """Sequence numbers and replay windows belong to the SAs: they know nothing of this."""
        outer = OuterSocket(socket.socket(fileno=descriptor), command.local, command.remote)
        self._watch(outer.fileno(), select.EPOLLIN)
        if self._egress.outer is not None:
            self._moving = True
            self._watch(self._egress.outer.fileno(), select.EPOLLIN)
            self._left.append((self._clock() + _LINGER, self._egress.outer))
        self._egress.outer = outer
        self._ingress.expect(command.remote)

    def _tallies(self) -> tuple[ipc.Tally, ...]:
        return tuple(map(_tally, self._table.pairs))

    def _offloads(self) -> str:
        outer = self._egress.outer
        words = ["tun-gso"] * self._ingress.joins
        if outer is not None:
            words += ["udp-gso"] * outer.sends_trains + ["udp-gro"] * outer.receives_trains
        return " ".join(words)

    def _delay(self) -> float | None:
        """Seconds until something is due although nothing comes in."""
        due = [at for at, _ in self._left]
        if self._activity() != self._told or self._ingress.violations:
            due.append(self._tell_at)
        return max(min(due) - self._clock(), 0.0) if due else None

    def _activity(self) -> ipc.Active:
        return ipc.Active(int(self._inbound_at * 1000), int(self._outbound_at * 1000))

    def _report(self, now: float) -> None:
        if now < self._tell_at or self._reporter.blocked:
            return
        activity = self._activity()
        if activity != self._told:
            self._reporter.tell(activity)
            self._told = activity
            self._tell_at = now + _TELL_EVERY
        for spi_in in self._ingress.violations:
            self._reporter.tell(ipc.Notice(ipc.Sign.SELECTOR_VIOLATION, spi_in))
            self._tell_at = now + _TELL_EVERY
        self._ingress.violations.clear()
        for pair in self._table.pairs:
            if pair.outbound.runs_low and not pair.told_low:
                pair.told_low = True
                self._reporter.tell(ipc.Notice(ipc.Sign.SEQUENCE_LOW, pair.inbound.spi))

    def _close_left(self, now: float) -> None:
        for entry in [entry for entry in self._left if entry[0] <= now]:
            self._left.remove(entry)
            self._forget(entry[1].fileno())
            entry[1].close()


def _tally(pair: Pair) -> ipc.Tally:
    inbound, outbound = pair.inbound, pair.outbound
    return ipc.Tally(
        inbound.spi, inbound.packets, inbound.octets, outbound.packets, outbound.octets, inbound.dropped
    )


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def main(control_descriptor: int) -> int:
    """The whole process, from its start with our end of the control socket to its exit status.

    It ends with its parent and not before: where a service manager or a terminal signals them all, the parent
    still has to say goodbye through it.
    """
    drop_privileges()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    set_up()
    control = socket.socket(fileno=control_descriptor)
    try:
        Pump(control, _boot_time).run()
    except (BrokenPipeError, ConnectionResetError):
        return 0  # the parent is gone
    except Exception as error:
        Reporter(control).tell(ipc.Broken(f"{type(error).__name__}: {error}"))
        raise
    return 0
