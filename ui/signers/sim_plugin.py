"""What a plugin for SIMs does: the contract between Roam and whatever reaches a SIM (a card reader, a modem).

A plugin is an entry point of the group `roam.sim`, whose name a profile gives (`key = "sim:plugin=modem"`); it is
an `OpenSim`.  It runs in the user's session: the daemon never sees a SIM, a reader or a PIN.

    [project.entry-points."roam.sim"]
    modem = "my_package:open_sim"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .pin import AskPin as AskPin
from .pin import Pin as Pin

GROUP = "roam.sim"
"""Of the entry points."""


class SimError(Exception):
    """A SIM cannot be used: why, in words for people and without secrets; and what to do."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


class PinRefused(SimError):
    """The SIM refuses the PIN, which must not be tried again."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which SIM is meant: by a part of its reader's name and by its IMSI; empty where any will do."""

    reader: str = ""
    imsi: str = ""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Whose subscription a SIM has.

    `imsi`: 6 to 15 digits; the first three name a country, the next `mnc_digits` (2 or 3) the network.
    """

    imsi: str
    mnc_digits: int = 2

    @property
    def name(self) -> str:
        """IMSI and realm (3GPP TS 23.003 section 19.3.2), without the digit before them that tells the method."""
        country, network = self.imsi[:3], self.imsi[3 : 3 + self.mnc_digits]
        return f"{self.imsi}@nai.epc.mnc{network.zfill(3)}.mcc{country}.3gppnetwork.org"


@dataclass(frozen=True, slots=True)
class Vectors:
    """The network has proven itself; RES has 4 to 16 octets, CK and IK have 16."""

    res: bytes = field(repr=False)
    ck: bytes = field(repr=False)
    ik: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Auts:
    """The network is genuine and counts otherwise than the SIM: these 14 octets tell it."""

    auts: bytes


@dataclass(frozen=True, slots=True)
class Impostor:
    """AUTN was not made by who has the SIM's key."""


Judgement = Vectors | Auts | Impostor


class Sim(Protocol):
    """An open SIM.  It may be taken out and come back: then it is opened anew, or says why not."""

    def subscriber(self) -> Subscriber:
        """Whose it is; `SimError`."""
        ...

    def authenticate(self, rand: bytes, autn: bytes) -> Judgement:
        """Run the 3G algorithm on a challenge, 16 octets each; `SimError` where the SIM does not."""
        ...


OpenSim = Callable[[Choice, AskPin], Sim]
"""Find and unlock a SIM; the PIN is asked for once, and only where the SIM wants one.  `SimError`."""
