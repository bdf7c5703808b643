"""The two kinds of security association that a session keeps, with what changes in them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from .events import ChildSa, Rng
from .exchanges.base import Exchange
from .fragments import Reassembly
from .keys import IkeKeys
from .seal import Opener, Sealer, make_opener, make_sealer
from .transforms import EspSuite, IkeSuite
from .window import Window

SPI_SIZE = 8


class IkeSaState(Enum):
    """Where an IKE SA stands in its life."""

    HALF_OPEN = "half-open"
    LIVE = "live"
    REKEYING = "rekeying"  # we have asked for a successor
    REPLACED = "replaced"  # the successor stands; only its Delete is still to come
    CLOSING = "closing"  # we have sent, or queued, its Delete
    GONE = "gone"  # the peer has deleted it: one response is still owed


@dataclass(slots=True)
class Refusals:
    """How often, and since when, the peer has refused to replace an SA."""

    count: int = 0
    since: float | None = None


@dataclass(slots=True)
class IkeSa:
    """One IKE SA: its SPIs, keys and message window.

    `initiated` tells whether we initiated the exchange that created it: our messages on it then carry the I flag
    (RFC 7296 section 2.2), and our directional keys are those of the initiator.
    """

    spi_i: bytes
    spi_r: bytes
    initiated: bool
    suite: IkeSuite
    keys: IkeKeys
    sealer: Sealer
    opener: Opener
    fragmentation: bool
    created_at: float
    refusals: Refusals = field(default_factory=Refusals)
    state: IkeSaState = IkeSaState.HALF_OPEN
    predecessor: IkeSa | None = None  # what the peer still uses until it has our answer to its rekey
    window: Window = field(default_factory=Window)
    queue: deque[Exchange] = field(default_factory=deque)
    requests: Reassembly = field(default_factory=Reassembly)
    responses: Reassembly = field(default_factory=Reassembly)

    @classmethod
    def keyed(
        cls,
        spi_i: bytes,
        spi_r: bytes,
        suite: IkeSuite,
        keys: IkeKeys,
        rng: Rng,
        *,
        initiated: bool,
        fragmentation: bool,
        now: float,
    ) -> IkeSa:
        """A fresh IKE SA whose directional keys are chosen by our role."""
        seal_e, seal_a, open_e, open_a = (
            (keys.ei, keys.ai, keys.er, keys.ar) if initiated else (keys.er, keys.ar, keys.ei, keys.ai)
        )
        return cls(
            spi_i,
            spi_r,
            initiated,
            suite,
            keys,
            make_sealer(suite, seal_e, seal_a, rng),
            make_opener(suite, open_e, open_a),
            fragmentation,
            now,
        )

    @property
    def local_spi(self) -> bytes:
        """The SPI by which the peer names this SA to us."""
        return self.spi_i if self.initiated else self.spi_r

    @property
    def is_usable(self) -> bool:
        """Whether new exchanges may begin here."""
        return self.state in (IkeSaState.LIVE, IkeSaState.REKEYING)


class ChildState(Enum):
    """Where a Child SA stands in its life."""

    LIVE = "live"
    REKEYING = "rekeying"  # we have asked for a successor
    REPLACED = "replaced"  # the successor stands
    DELETING = "deleting"  # we have asked the peer to delete it
    DELETED = "deleted"  # gone for the peer; inbound kept for packets under way


@dataclass(slots=True)
class PeerRekey:
    """A rekey of the same SA that the peer began while ours was under way: the lower nonce of its exchange."""

    spi_in: int
    lowest_nonce: bytes


@dataclass(slots=True)
class Child:
    """One pair of ESP SAs."""

    sa: ChildSa
    suite: EspSuite
    state: ChildState = ChildState.LIVE
    outbound: bool = True  # False: waits for the peer to use it (RFC 7296 section 2.8)
    replaces: int | None = None
    refusals: Refusals = field(default_factory=Refusals)
    peer_rekey: PeerRekey | None = None
