"""What a pump tells its parent and when, without a network and on a clock of the test's."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from client.esp import ipc
from client.esp.pump import Pump, Reporter
from tests.esp.children import child_pair
from tests.esp.turning import REMOTE


@dataclass
class Driven:
    """A pump of which each command makes one turn."""

    pump: Pump
    parent: socket.socket
    now: float = 100.0

    def do(self, command: ipc.Command) -> list[ipc.Report]:
        """Carry out a command; everything told since the last one."""
        self.parent.send(ipc.encode(command))
        assert self.pump._turn()
        return self.told()

    def told(self) -> list[ipc.Report]:
        return received(self.parent)


def received(parent: socket.socket) -> list[ipc.Report]:
    """Every report that waits."""
    reports = list[ipc.Report]()
    with contextlib.suppress(BlockingIOError):
        while True:
            reports.append(ipc.decode_report(parent.recv(ipc.LARGEST_MESSAGE)))
    return reports


@contextmanager
def driven() -> Iterator[Driven]:
    parent, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with parent, control:
        parent.setblocking(False)
        clock = [lambda: 0.0]
        pump = Pump(control, lambda: clock[0]())
        made = Driven(pump, parent)
        clock[0] = lambda: made.now
        yield made
        pump._poll.close()


def test_commands_are_answered_with_their_serial_or_the_reason() -> None:
    child = child_pair()[0]
    with driven() as made:
        assert made.do(ipc.Install(7, child, outbound=True)) == [ipc.Done(7)]
        assert made.do(ipc.Install(8, child, outbound=True)) == [ipc.Done(8, "these keys were in use before")]
        assert made.do(ipc.UseOutbound(9, 1)) == [ipc.Done(9, "inbound SPI 00000001 is unknown")]
        counted = ipc.Counted(10, (ipc.Tally(child.spi_in, 0, 0, 0, 0, 0),), "tun-gso")
        assert made.do(ipc.Count(10)) == [counted]
        assert made.do(ipc.Remove(11, child.spi_in)) == [ipc.Done(11)]
        assert made.do(ipc.Count(12)) == [ipc.Counted(12, (), "tun-gso")]


def test_activity_is_told_on_change_and_four_times_a_second_at_most() -> None:
    with driven() as made:
        told = list[ipc.Report]()
        for step in range(100):
            made.now = 100 + step / 100
            made.pump._inbound_at = made.now
            told += [report for report in made.do(ipc.Count(step)) if isinstance(report, ipc.Active)]
        assert len(told) == 4
        assert told[0] == ipc.Active(100_000, 0)
        assert made.pump._delay() is not None  # the last change is still to be told
        made.now = 102
        assert made.do(ipc.Count(1))[1:] == [ipc.Active(100_990, 0)]
        made.now = 200
        assert made.do(ipc.Count(2))[1:] == []
        assert made.pump._delay() is None  # an idle pump does not wake up


def test_sequence_numbers_that_run_low_are_told_once() -> None:
    child = child_pair()[0]
    with driven() as made:
        made.do(ipc.Install(1, child, outbound=True))
        made.pump._table.pairs[0].outbound._sequence = 4_000_000_000
        low = ipc.Notice(ipc.Sign.SEQUENCE_LOW, child.spi_in)
        assert made.do(ipc.Count(2))[1:] == [low]
        made.now += 10
        assert made.do(ipc.Count(3))[1:] == []


def test_selector_violations_are_told_once_for_each_burst() -> None:
    with driven() as made:
        made.pump._ingress.violations.update((5, 5, 6))
        assert made.do(ipc.Count(1))[1:] == [ipc.Notice(ipc.Sign.SELECTOR_VIOLATION, spi) for spi in (5, 6)]
        made.pump._ingress.violations.add(5)
        assert made.do(ipc.Count(2))[1:] == []
        made.now += 0.25
        assert made.do(ipc.Count(3))[1:] == [ipc.Notice(ipc.Sign.SELECTOR_VIOLATION, 5)]


def test_the_end_of_the_parent_is_the_end_of_the_pump() -> None:
    with driven() as made:
        made.parent.close()
        assert not made.pump._turn()


def test_a_parent_that_does_not_read_loses_ike_and_nothing_else() -> None:
    parent, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with parent, control:
        parent.setblocking(False)
        reporter = Reporter(control)
        for number in range(2000):
            reporter.tell(ipc.IkeReceived(bytes(1000), REMOTE, REMOTE))
            if number % 100 == 0:
                reporter.tell(ipc.Notice(ipc.Sign.FIRST_INBOUND, number))
        assert reporter.blocked
        got = list[ipc.Report]()
        while waiting := received(parent):
            got += waiting
            reporter.flush()
        notices = [report.spi_in for report in got if isinstance(report, ipc.Notice)]
        assert notices == list(range(0, 2000, 100))
        assert len(got) < 2000
