"""Plots as bars and as words, and the way to the gateway as a picture and as a sentence."""

from __future__ import annotations

import pytest

from client.control.messages import OuterPath, StatusReport, Traffic, TunnelStatus
from ui.tui.history import KEPT, History, Sample
from ui.tui.plots import BARS, LEAST_RATE, bars, plots
from ui.tui.way import in_words, picture

PATH = OuterPath("wlan0", "192.168.1.23:61440", "192.0.2.1:4500", nat_local=True)
UP = TunnelStatus(
    "office", "up", gateway="vpn.example.com", path=PATH, addresses=("10.99.0.10/32",), rtt_ms=23.4
)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], "    "),
        ([0.0], "   ▁"),
        ([1000.0], "   █"),
        ([0.0, 500.0, 999.0, 1000.0], "▁▅██"),
        ([1.0, None, 1000.0], " ▁ █"),
        ([0.0, 8000.0], "  ▁█"),
    ],
)
def test_bars_are_as_high_as_their_share_of_the_highest(values: list[float | None], line: str) -> None:
    assert bars(values, LEAST_RATE, 4) == line


def test_silence_does_not_look_like_a_storm() -> None:
    assert set(bars([3.0, 1.0, 2.0], LEAST_RATE, 3)) == {BARS[0]}


def test_a_plot_says_in_words_what_its_bars_show() -> None:
    samples = [Sample(n, 1000.0 * n, 500.0, 20.0 + n) for n in range(1, 11)]
    received, sent, trip = plots(samples, 5)
    assert received.words == "10.0 kB/s, from 6.0 kB/s to 10.0 kB/s"
    assert sent.words == "500 B/s, from 500 B/s to 500 B/s"
    assert trip.words == "30 ms, from 26 ms to 30 ms"
    assert [len(plot.bars) for plot in (received, sent, trip)] == [5, 5, 5]


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    for plot in (*plots([], 10), *plots([Sample(1.0, None, None, None)], 10)):
        assert (plot.bars, plot.words) == ("", "not known yet")
    ended = plots([Sample(1.0, 5.0, 5.0, 9.0), Sample(2.0, None, None, None)], 10)
    assert ended[2].words == "not known now, from 9.0 ms to 9.0 ms"


def test_samples_come_from_successive_reports() -> None:
    history = History()
    for second in range(KEPT + 5):
        status = UP.replace(traffic=Traffic(1, 1000 * second, 1, 10 * second))
        history.note(StatusReport(float(second), tunnels=(status,)))
    samples = history.of(UP)
    assert len(samples) == KEPT
    assert (samples[-1].received, samples[-1].sent, samples[-1].round_trip) == (1000.0, 10.0, 23.4)
    history.note(StatusReport(9999.0))
    assert history.of(UP) == ()


def test_the_way_is_drawn_with_what_is_known_below_each_hop() -> None:
    drawn = picture(UP, 100)
    assert drawn is not None
    above, below = drawn
    assert above.replace("─", "").split() == [
        "this",
        "machine",
        "wlan0",
        "NAT",
        "internet",
        "vpn.example.com",
    ]
    assert below.split() == ["10.99.0.10/32", "192.168.1.23", "23.4", "ms", "192.0.2.1:4500"]
    assert max(map(len, drawn)) <= 100


@pytest.mark.parametrize("width", [0, 20, 60])
def test_a_picture_without_room_is_none(width: int) -> None:
    assert picture(UP, width) is None


@pytest.mark.parametrize("state", ["off", "waiting", "blocked"])
def test_a_tunnel_without_a_path_in_use_has_no_picture(state: str) -> None:
    assert picture(UP.replace(state=state), 100) is None
    assert in_words(UP.replace(state=state)) == "no way to the gateway is in use"


def test_the_sentence_says_what_the_picture_shows() -> None:
    assert in_words(UP) == (
        "over wlan0 from 192.168.1.23:61440 to vpn.example.com at 192.0.2.1:4500, "
        "through a NAT here, 23.4 ms there and back"
    )
    both = UP.replace(path=PATH.replace(nat_remote=True), identity="gw.example.com", rtt_ms=None)
    assert in_words(both).endswith(
        "to gw.example.com at 192.0.2.1:4500, through a NAT here, through one there by the gateway's word"
    )


def test_a_name_from_outside_cannot_steer_the_terminal() -> None:
    hostile = UP.replace(identity="\x1b[2Jgw")
    drawn = picture(hostile, 100)
    assert drawn is not None
    assert "\x1b" not in "".join(drawn) + in_words(hostile)
