"""What is told between two statuses, and how fast traffic goes between two reports."""

from __future__ import annotations

import pytest

from client.control.messages import Handover, OuterPath, StatusReport, Traffic, TunnelStatus
from ui.tui.rates import WINDOW, Rates
from ui.tui.story import happened

UP = TunnelStatus("office", "up", serial=1, ike_rekey_at=9000.0, child_rekey_at=3000.0)
MOVE = Handover("wlan0 is gone", "wlan0 192.168.1.23", "wwan0 100.64.0.23", 5.0)

CHANGES = [
    (None, UP, ["office: up"]),
    (UP, UP, []),
    (UP, UP.replace(traffic=Traffic(1, 2, 3, 4)), []),
    (None, UP.replace(state="waiting", detail="no network"), ["office: waiting: no network"]),
    (UP, UP.replace(state="moving", detail="to wwan0"), ["office: moving: to wwan0"]),
    (UP.replace(state="moving", detail="to wwan0"), UP, []),
    (UP, UP.replace(handover=MOVE), ["office: moved from wlan0 to wwan0: wlan0 is gone"]),
    (
        UP,
        UP.replace(handover=MOVE.replace(new="wlan0 192.168.1.99", gap_ms=4)),
        ["office: moved from wlan0 192.168.1.23 to wlan0 192.168.1.99: wlan0 is gone, 4 ms without traffic"],
    ),
    (
        UP.replace(handover=MOVE),
        UP.replace(handover=MOVE.replace(gap_ms=40)),
        ["office: carries traffic again after 40 ms"],
    ),
    (UP, UP.replace(child_rekey_at=6000.0), ["office: the Child SA has new keys"]),
    (UP, UP.replace(ike_rekey_at=18000.0), ["office: the IKE SA has new keys"]),
    (UP, UP.replace(serial=2, ike_rekey_at=18000.0), []),
    (UP, UP.replace(probing=True), ["office: the gateway does not answer"]),
    (
        UP.replace(state="connecting", detail="logging in"),
        UP.replace(path=OuterPath("wlan0", "a", "192.0.2.1:4500")),
        ["office: up, wlan0 to 192.0.2.1:4500"],
    ),
]


@pytest.mark.parametrize(("old", "new", "lines"), CHANGES)
def test_what_is_new_is_told_once(old: TunnelStatus | None, new: TunnelStatus, lines: list[str]) -> None:
    assert list(happened(old, new)) == lines


def test_nothing_from_outside_steers_the_terminal() -> None:
    evil = "\x1b[2J"
    told = happened(
        UP, UP.replace(name=evil, handover=Handover(evil, f"{evil} {evil}", f"{evil}1 {evil}", 1.0))
    )
    assert all(line.isprintable() for line in told)


def report(time: float, octets_in: int, octets_out: int) -> StatusReport:
    return StatusReport(time, tunnels=(UP.replace(traffic=Traffic(1, octets_in, 1, octets_out)),))


def test_a_rate_needs_two_reports() -> None:
    rates = Rates()
    rates.note(report(10.0, 1000, 0))
    assert rates.of(UP) is None
    rates.note(report(12.0, 5000, 100))
    assert rates.of(UP) == (2000.0, 50.0)


def test_a_rate_is_of_the_last_seconds() -> None:
    rates = Rates()
    for second in range(20):
        rates.note(report(float(second), 1000 * max(0, second - 20 + WINDOW), 0))
    assert rates.of(UP) == (1000.0, 0.0)


def test_counters_that_start_anew_are_no_negative_rate() -> None:
    rates = Rates()
    rates.note(report(1.0, 5000, 5000))
    rates.note(report(2.0, 0, 0))
    assert rates.of(UP) is None


def test_a_tunnel_that_is_gone_is_forgotten() -> None:
    rates = Rates()
    rates.note(report(1.0, 0, 0))
    rates.note(StatusReport(2.0))
    rates.note(report(3.0, 9000, 0))
    assert rates.of(UP) is None
