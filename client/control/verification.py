"""Messages of `tunnel.verify`: is the machine as the tunnels want it, and does traffic pass?"""

from __future__ import annotations

from .wire import Message

LONGEST_PROOF = 30.0
"""Seconds for which an answer may be waited for."""


class Verify(Message):
    """`tunnel.verify`: compare, then ask somebody behind the gateway (`target`; none: whom the tunnel knows)."""

    name: str | None = None
    target: str = ""
    seconds: float = 3.0

    def objection(self) -> str:
        return (
            "" if 0 < self.seconds <= LONGEST_PROOF else f"seconds is not above 0 and up to {LONGEST_PROOF:g}"
        )


class Deviation(Message):
    """Something that is not as it should be: what it is, how it should be, how it is."""

    what: str
    wanted: str
    actual: str


class Proof(Message):
    """What was seen while we looked.

    Received packets count only where they were authentic and new (RFC 4303 section 3.4.4); so one is a proof of
    the way there and back.  `ike`: the gateway answered a request of the IKE SA.  `answered`: who inside answered,
    `how` in words.
    """

    seconds: float
    sent: int = 0
    received: int = 0
    ike: bool = False
    asked: tuple[str, ...] = ()
    answered: str = ""
    how: str = ""


class Verified(Message):
    """Answer to `tunnel.verify`.

    `verdict` is empty where everything is as it should be and ESP has passed both ways, else a kind of failure.
    The deviations are of the whole machine: what Roam owns there is made of all tunnels together.
    """

    name: str
    verdict: str
    proof: Proof
    deviations: tuple[Deviation, ...] = ()
    fight: str = ""  # who keeps undoing what we put back
