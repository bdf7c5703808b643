"""The one family of errors of the ESP codec."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a packet is dropped, in words for a log."""

    TOO_SHORT = "too short for ESP"
    REPLAYED = "sequence number seen before or too old"
    FORGED = "integrity check failed"
    PADDING = "padding is malformed"
    NEXT_HEADER = "next header is no IP version"
    DUMMY = "dummy packet"
    INNER = "inner packet is malformed"
    SELECTOR = "inner packet is outside the traffic selectors"
    CONGESTION = "congestion mark on a packet whose sender cannot know it"
    EXHAUSTED = "sequence numbers are used up"
    TOO_LARGE = "inner packet is too large for a datagram"


_BEFORE_PROOF = frozenset(
    {Reason.TOO_SHORT, Reason.REPLAYED, Reason.FORGED, Reason.EXHAUSTED, Reason.TOO_LARGE}
)


class EspRejected(Exception):
    """The packet is not to be passed on; nothing but its disappearance may follow from it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason

    @property
    def authentic(self) -> bool:
        """Whether the peer has made this packet: then it is a sign of life all the same."""
        return self.reason not in _BEFORE_PROOF
