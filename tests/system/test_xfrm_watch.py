"""What readings of the kernel's counters say, with a clock of our own."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from client.system.datapath import Activity, Counters, FirstInbound, PathCarries, SoftLimit
from client.system.xfrm_model import Replay, SaReport, Usage
from client.system.xfrm_plan import SOFT_SEQUENCE
from client.system.xfrm_tunnel import Reading
from client.system.xfrm_watch import BUSY, EAGER, IDLE, Watch

SA = SaReport(
    IPv4Address("192.0.2.1"),
    IPv4Address("192.0.2.2"),
    1,
    50,
    1,
    1,
    Usage(),
    Replay(),
    dropped=0,
    larval=False,
)


def reading(packets_in: int, packets_out: int, spi_in: int = 7, *, spent: bool = False) -> Reading:
    inbound = replace(SA, usage=Usage(packets_in * 100, packets_in), dropped=3)
    outbound = replace(SA, usage=Usage(packets_out * 100, 1), replay=Replay(sent=packets_out))
    return Reading(spi_in, inbound, outbound, spent)


def test_counters_are_those_of_the_last_reading_and_sequence_numbers_count_what_went_out() -> None:
    watch = Watch(10.0)
    watch.note((reading(2, 5),), 11.0)
    assert watch.counters() == (Counters(7, 2, 200, 5, 500, 3),)
    watch.note((), 12.0)
    assert watch.counters() == ()


def test_the_first_inbound_packet_is_told_once_for_each_sa() -> None:
    watch = Watch(10.0)
    assert FirstInbound(7) not in watch.note((reading(0, 1),), 11.0)
    assert FirstInbound(7) in watch.note((reading(1, 1),), 12.0)
    assert watch.note((reading(2, 1), reading(1, 0, 8)), 13.0)[0] == FirstInbound(8)


def test_activity_is_told_on_change_and_not_too_often() -> None:
    watch = Watch(10.0)
    assert watch.note((reading(0, 1),), 11.0)[-1] == Activity(0.0, 11.0)
    assert watch.note((reading(0, 1),), 11.5) == []
    watch.note((reading(0, 2),), 12.0)
    assert watch.note((reading(0, 3),), 12.1) == []
    assert watch.note((reading(0, 3),), 12.3) == [Activity(0.0, 12.1)]


def test_a_move_is_felt_from_the_reading_before_the_last_packet_to_the_first_one_after() -> None:
    watch = Watch(10.0)
    watch.note((reading(0, 1),), 11.0)
    watch.note((reading(1, 1),), 12.0)  # it came between 11 and 12
    watch.note((reading(1, 2),), 13.0)
    watch.note_move(13.5)
    watch.note((reading(1, 3),), 14.0)
    assert PathCarries(11.0, 15.0, 14.0) in watch.note((reading(2, 3),), 15.0)
    assert not [event for event in watch.note((reading(3, 3),), 16.0) if isinstance(event, PathCarries)]


def test_readings_are_close_while_a_packet_is_expected_and_far_apart_in_silence() -> None:
    watch = Watch(10.0)
    assert watch.pause(30.0) == IDLE
    watch.expect_inbound(30.0)
    assert watch.pause(31.0) == EAGER
    assert watch.pause(33.0) == IDLE
    watch.note((reading(0, 1),), 33.0)
    assert watch.pause(34.0) == BUSY
    assert watch.pause(44.0) == IDLE


def test_the_first_packet_after_a_move_ends_the_close_readings() -> None:
    watch = Watch(10.0)
    watch.note_move(11.0)
    watch.note((reading(1, 0),), 11.1)
    assert watch.pause(11.2) == BUSY


def test_a_limit_is_told_once_whoever_tells_it_and_again_when_the_sa_ends() -> None:
    watch = Watch(10.0)
    assert SoftLimit(7, sequence=False) in watch.note((reading(0, 1, spent=True),), 11.0)
    assert watch.note_limit(7) == []
    assert watch.note_limit(7, hard=True) == [SoftLimit(7, sequence=False)]


def test_a_limit_of_sequence_numbers_is_told_as_such() -> None:
    watch = Watch(10.0)
    assert SoftLimit(7, sequence=True) in watch.note((reading(0, SOFT_SEQUENCE, spent=True),), 11.0)


def test_an_sa_that_is_gone_counts_nothing() -> None:
    watch = Watch(10.0)
    watch.note((Reading(7, None, None),), 11.0)
    assert watch.counters() == (Counters(7, 0, 0, 0, 0, 0),)
