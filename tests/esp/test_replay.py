"""The anti-replay window against a plain set of numbers, and across the wrap of ESN."""

from __future__ import annotations

import random

import pytest

from client.esp.rejected import EspRejected
from client.esp.replay import ReplayWindow

EPOCH = 1 << 32


def accepts(window: ReplayWindow, number: int) -> bool:
    """Offer the packet with this whole number, as the network would: by its low half."""
    try:
        sequence = window.infer(number % EPOCH)
    except EspRejected:
        return False
    if sequence != number:  # the integrity check would fail
        return False
    window.accept(sequence)
    return True


@pytest.mark.parametrize("esn", [False, True])
def test_zero_and_duplicates_are_rejected(esn: bool) -> None:
    window = ReplayWindow(esn=esn)
    assert not accepts(window, 0)
    assert accepts(window, 1)
    assert not accepts(window, 1)
    assert not accepts(window, 0)


def test_late_packets_are_accepted_once_within_the_window() -> None:
    window = ReplayWindow(64, esn=False)
    assert accepts(window, 100)
    assert accepts(window, 37)
    assert not accepts(window, 37)
    assert not accepts(window, 36)
    assert window.edge == 100


def test_a_forged_number_does_not_move_the_window() -> None:
    window = ReplayWindow(64, esn=False)
    assert accepts(window, 5)
    assert window.infer(4_000_000_000) == 4_000_000_000  # and then the integrity check fails
    assert window.edge == 5
    assert accepts(window, 6)


def test_a_long_run_in_order_is_remembered() -> None:
    window = ReplayWindow(esn=False)
    for number in range(1, 5000):
        assert accepts(window, number)
    assert not any(accepts(window, number) for number in range(1, 5000))


def test_a_jump_forgets_what_falls_out() -> None:
    window = ReplayWindow(64, esn=False)
    assert accepts(window, 1)
    assert accepts(window, 1000)
    assert not accepts(window, 900)
    assert accepts(window, 999)


def test_numbers_go_on_beyond_32_bits_with_esn() -> None:
    window = ReplayWindow(64, esn=True)
    window.accept(EPOCH - 10)
    for number in (EPOCH - 1, EPOCH, EPOCH + 5, EPOCH - 3, EPOCH + 2):
        assert accepts(window, number)
        assert not accepts(window, number)
    assert window.edge == EPOCH + 5


def test_a_late_packet_after_the_wrap_belongs_to_the_epoch_before() -> None:
    window = ReplayWindow(64, esn=True)
    window.accept(3 * EPOCH + 2)
    assert window.infer(0xFFFFFFF0) == 3 * EPOCH - 16
    assert window.infer(0x100) == 3 * EPOCH + 0x100


def test_numbers_end_at_64_bits() -> None:
    window = ReplayWindow(64, esn=True)
    window.accept(EPOCH * EPOCH - 1)
    assert accepts(window, EPOCH * EPOCH - 2)
    with pytest.raises(EspRejected):
        window.infer(5)


def test_without_esn_a_wrapped_number_is_old() -> None:
    window = ReplayWindow(64, esn=False)
    window.accept(EPOCH - 1)
    assert not accepts(window, 5)


@pytest.mark.parametrize("start", [0, EPOCH - 500, 7 * EPOCH - 3000])
def test_window_agrees_with_a_plain_set(start: int) -> None:
    chance = random.Random(start)
    window, seen, edge = ReplayWindow(1024, esn=True), set[int](), 0
    if start:
        window.accept(start)
        seen.add(start)
        edge = start
    ahead = start
    for _ in range(20_000):
        ahead += chance.choice((1, 1, 1, 1, 2, 40, 700 if chance.random() < 0.02 else 1))
        number = ahead if chance.random() < 0.6 else ahead - chance.randrange(1500)
        wanted = number > 0 and number not in seen and number > edge - 1024
        assert accepts(window, number) == wanted, number
        if wanted:
            seen.add(number)
            edge = max(edge, number)
