"""Timers as data."""

from __future__ import annotations

from client.ike.timers import Timer, Timers


def test_without_timers_there_is_no_deadline() -> None:
    timers = Timers()
    assert timers.next_deadline() is None
    assert timers.expired(1e9) == []


def test_the_earliest_timer_is_the_next_deadline() -> None:
    timers = Timers()
    timers.set(Timer.IDLE, 30.0)
    timers.set(Timer.KEEPALIVE, 20.0)
    timers.set(Timer.REKEY_CHILD, 25.0, 7)
    assert timers.next_deadline() == 20.0


def test_what_is_due_comes_out_once_and_earliest_first() -> None:
    timers = Timers()
    timers.set(Timer.IDLE, 3.0)
    timers.set(Timer.RETRANSMIT, 1.0, b"one")
    timers.set(Timer.RETRANSMIT, 2.0, b"two")
    timers.set(Timer.CLOSE, 3.1)
    assert timers.expired(3.0) == [(Timer.RETRANSMIT, b"one"), (Timer.RETRANSMIT, b"two"), (Timer.IDLE, None)]
    assert timers.expired(3.0) == []
    assert timers.next_deadline() == 3.1


def test_timers_due_at_the_same_time_keep_the_order_in_which_they_were_set() -> None:
    timers = Timers()
    for number in range(20):
        timers.set(Timer.DROP_CHILD, 5.0, number)
    assert [of for _, of in timers.expired(5.0)] == list(range(20))


def test_one_timer_has_one_setting_for_each_thing_that_it_is_about() -> None:
    timers = Timers()
    timers.set(Timer.REKEY_CHILD, 1.0, 7)
    timers.set(Timer.REKEY_CHILD, 2.0, 7)
    timers.set(Timer.REKEY_CHILD, 9.0, 8)
    assert timers.at(Timer.REKEY_CHILD, 7) == 2.0
    assert timers.at(Timer.REKEY_CHILD, 8) == 9.0
    assert timers.at(Timer.REKEY_CHILD) is None
    assert timers.expired(1.5) == []


def test_a_stopped_timer_does_not_fall_due_and_stopping_nothing_is_no_mistake() -> None:
    timers = Timers()
    timers.set(Timer.CLOSE, 1.0)
    timers.stop(Timer.CLOSE)
    timers.stop(Timer.CLOSE)
    timers.stop(Timer.RETRANSMIT, b"never set")
    assert timers.expired(2.0) == []


def test_clear_forgets_everything() -> None:
    timers = Timers()
    for timer in Timer:
        timers.set(timer, 1.0)
    timers.clear()
    assert timers.next_deadline() is None
