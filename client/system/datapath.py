"""The one protocol of all data paths (DESIGN 2): plain values and file descriptors, no callbacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..ike.events import ChildSa, Endpoint, Path
from .drift import Deviation
from .xfrm_policies import DropPolicy, PutPolicy


@dataclass(frozen=True, slots=True)
class Counters:
    """Of one Child SA, since its installation."""

    spi_in: int
    packets_in: int
    octets_in: int
    packets_out: int
    octets_out: int
    dropped: int  # replayed, forged, outside the selectors, or unroutable


@dataclass(frozen=True, slots=True)
class FirstInbound:
    """The first authentic packet came in on this SA."""

    spi_in: int


@dataclass(frozen=True, slots=True)
class SoftLimit:
    """The SA has reached its soft limit of octets or packets (`sequence`: sequence numbers run low)."""

    spi_in: int
    sequence: bool


@dataclass(frozen=True, slots=True)
class SelectorViolation:
    """An authentic packet carried an inner packet outside the SA's selectors; it was dropped."""

    spi_in: int


@dataclass(frozen=True, slots=True)
class PeerAddressSeen:
    """An authentic packet came from another outer address than expected."""

    remote: Endpoint


@dataclass(frozen=True, slots=True)
class Activity:
    """Times (CLOCK_BOOTTIME seconds) of the last authentic inbound and the last outbound packet; 0.0: never."""

    inbound_at: float
    outbound_at: float


@dataclass(frozen=True, slots=True)
class PathCarries:
    """The first packet came in over the path of the last `rebind`.

    Times in CLOCK_BOOTTIME seconds; `before` is the last one over an earlier path, 0.0: there was none.
    `outbound` is the last packet that went out.
    """

    before: float
    first: float
    outbound: float


@dataclass(frozen=True, slots=True)
class PoliciesMended:
    """Another program had changed IPsec policies of ours, which are put back; `by`: netlink ports of suspects."""

    steps: tuple[PutPolicy | DropPolicy, ...]
    by: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkTaken:
    """What network devices do of the cryptography, in words, and why no more.

    `whole`: packets leave the kernel as they are, and a device encrypts them, which no guard allows.
    """

    told: str
    whole: bool


@dataclass(frozen=True, slots=True)
class DataPathFailed:
    """The data path is gone (the pump died): everything on it must be made anew."""

    reason: str


DataPathEvent = (
    FirstInbound
    | SoftLimit
    | SelectorViolation
    | PeerAddressSeen
    | Activity
    | PathCarries
    | PoliciesMended
    | WorkTaken
    | DataPathFailed
)


class DataPath(Protocol):
    """What a tunnel's driver needs of the kernel or of its stand-in."""

    async def install(self, child: ChildSa, path: Path, *, outbound: bool = True) -> None:
        """Add a Child SA, inbound first; with `outbound` it is the one to send on from now."""

    async def use_outbound(self, spi_in: int) -> None:
        """Send on this Child SA from now."""

    async def remove(self, spi_in: int) -> None:
        """Forget a Child SA; unknown ones are ignored."""

    async def rebind(self, path: Path, natt_fd: int, *, encapsulate: bool) -> None:
        """Move all SAs to new outer addresses and a new natt socket, keeping sequence and replay state."""

    async def counters(self) -> tuple[Counters, ...]:
        """Counters of all installed Child SAs."""

    async def deviations(self) -> tuple[Deviation, ...]:
        """What another program has changed of it, and is not put back yet."""

    async def close(self) -> None:
        """Remove everything, the link included."""
