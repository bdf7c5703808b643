"""The rehearsal plays through, as often as one likes."""

from __future__ import annotations

from client.daemon.rehearsal import rehearse


def test_the_rehearsal_plays_through() -> None:
    rehearse()
    rehearse()
