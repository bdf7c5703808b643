"""Which changes of a tunnel are worth a notification, and what it says."""

from __future__ import annotations

import pytest

from client.control.messages import Fault, Handover, Notice, OuterPath, SecretNeeded, TunnelStatus
from ui.notifications import CRITICAL, LOW, NORMAL, Note, of_notice, of_secret, of_status

PATH = OuterPath("wlan0", "192.0.2.7:61440", "198.51.100.1:4500")
UP = TunnelStatus("office", "up", gateway="vpn.example.com", path=PATH, guard=True)
MOVED = Handover("wlan0 is gone", "wlan0", "wwan0", 1.0, 143)
REFUSED = Fault("auth.rejected", "the gateway refused alice", "Check the user name.")


def at(state: str, **more: object) -> TunnelStatus:
    return UP.replace(state=state, **more)


@pytest.mark.parametrize(
    ("before", "now", "summary", "body", "urgency"),
    [
        (at("connecting"), UP, "office is connected", "to vpn.example.com over wlan0", LOW),
        (None, UP, "office is connected", "to vpn.example.com over wlan0", LOW),
        (at("waiting"), UP, "office is connected", "to vpn.example.com over wlan0", LOW),
        (
            at("moving"),
            at("up", handover=MOVED),
            "office has moved",
            "from wlan0 to wwan0, without traffic for 143 ms",
            LOW,
        ),
        (UP, at("up", handover=MOVED.replace(gap_ms=None)), "office has moved", "from wlan0 to wwan0", LOW),
        (
            UP,
            at("waiting", detail="no network"),
            "office has lost its connection",
            "no network\nWhat belongs into the tunnel is held back until then.",
            NORMAL,
        ),
        (at("moving"), at("connecting", guard=False), "office has lost its connection", "", NORMAL),
        (
            at("connecting"),
            at("blocked", failure=REFUSED),
            "office needs you",
            "the gateway refused alice\nCheck the user name.",
            CRITICAL,
        ),
        (UP, at("off"), "office is down", "", LOW),
        (
            at("connecting"),
            at("off", failure=REFUSED),
            "office is down",
            "the gateway refused alice\nCheck the user name.",
            LOW,
        ),
    ],
)
def test_what_changes_for_a_person_is_told(
    before: TunnelStatus | None, now: TunnelStatus, summary: str, body: str, urgency: int
) -> None:
    note = of_status(before, now)
    assert note is not None
    assert (note.about, note.summary, note.body, note.urgency) == ("office", summary, body, urgency)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, at("connecting")),
        (at("connecting"), at("connecting", detail="asking again")),
        (UP, UP.replace(ike_rekey_at=7.0)),
        (UP, at("moving")),
        (at("moving"), UP),
        (at("up", handover=MOVED), at("up", handover=MOVED, probing=True)),
        (UP, at("closing")),
        (at("connecting"), at("waiting")),
        (at("blocked", failure=REFUSED), at("blocked", failure=REFUSED, asking=True)),
        (None, at("off")),
        (at("connecting", gateway=""), at("up", gateway="")),  # somebody else's
    ],
)
def test_what_changes_nothing_for_a_person_is_not_told(
    before: TunnelStatus | None, now: TunnelStatus
) -> None:
    assert of_status(before, now) is None


def test_a_question_says_where_it_can_be_answered() -> None:
    note = of_secret(SecretNeeded("7", "office", "otp", "Code\x1b[2J", 1.0))
    assert note == Note(
        "office",
        "office asks for a one-time code",
        "Code\N{REPLACEMENT CHARACTER}[2J\nAnswer in the terminal UI ('roam'), or with 'roam answer office'.",
        CRITICAL,
    )


def test_of_the_machine_warnings_alone_are_told() -> None:
    assert of_notice(Notice("all is well")) is None
    note = of_notice(Notice("the guard was changed", "warning"))
    assert note is not None
    assert (note.summary, note.body) == ("Roam", "the guard was changed")
