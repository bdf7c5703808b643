"""What a driver needs of the world, so that tests can put another one in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..control.evidence import CheckRecord
from ..ike.events import (
    Address,
    AnswerNeeded,
    Channel,
    ChildSa,
    Endpoint,
    Failure,
    Inquiry,
    Output,
    Path,
    Reply,
)
from ..ike.keys import Secret
from ..ike.options import Lifetimes, SessionConfig
from ..ike.trace import Sink
from ..net.icmp import IcmpReport
from ..system.choice import Choice, DataPathKind
from ..system.datapath import DataPath, DataPathEvent
from ..system.userspace import IkeDatagram
from ..tunnel.model import Underlay
from .clock import Clock

Receive = Callable[[bytes, Channel, Endpoint], None]
"""Takes an IKE message without marker, the channel it came in on and where from."""


class SessionPort(Protocol):
    """The part of `client.ike.session.Session` that a driver uses."""

    @property
    def spis(self) -> tuple[bytes, bytes] | None: ...
    @property
    def children(self) -> tuple[ChildSa, ...]: ...
    @property
    def child_suite(self) -> str | None: ...
    @property
    def ike_rekey_at(self) -> float | None: ...
    @property
    def child_rekey_at(self) -> float | None: ...
    @property
    def is_answered(self) -> bool: ...
    @property
    def encapsulate(self) -> bool: ...
    @property
    def peer_chain(self) -> tuple[bytes, ...]: ...
    @property
    def round_trip(self) -> float | None: ...
    @property
    def answered(self) -> int: ...
    @property
    def tries(self) -> int: ...

    def next_deadline(self) -> float | None: ...
    def outputs(self) -> Iterator[Output]: ...
    def initiate(self, path: Path, now: float, wall: datetime) -> None: ...
    def answer(self, value: Secret, now: float) -> None: ...
    def decline(self, now: float, why: str = "") -> None: ...
    def hear_revocation(self, replies: Sequence[Reply], now: float) -> None: ...
    def move(self, path: Path, now: float) -> None: ...
    def rekey_child(self, now: float) -> None: ...
    def rekey_ike(self, now: float) -> None: ...
    def probe(self, now: float) -> None: ...
    def probe_size(self, size: int, now: float) -> bool: ...
    def close(self, now: float) -> None: ...
    def note_activity(self, inbound_at: float, outbound_at: float, now: float) -> None: ...
    def note_first_inbound(self, spi_in: int, now: float) -> None: ...
    def note_soft_limit(self, spi_in: int, now: float) -> None: ...
    def handle_datagram(
        self, data: bytes, channel: Channel, remote: Endpoint, now: float, local: Endpoint | None = None
    ) -> None: ...
    def handle_timeout(self, now: float) -> None: ...


class SocketsPort(Protocol):
    """The two sockets of a path."""

    @property
    def path(self) -> Path: ...
    @property
    def natt_fd(self) -> int: ...

    @property
    def icmp(self) -> tuple[IcmpReport, ...]: ...

    def send(self, data: bytes, channel: Channel, *, whole: bool = False) -> None:
        """Send an IKE message, with the marker where the channel has one; `whole`: it may not be fragmented."""

    def keep_alive(self) -> None:
        """Send the one octet 0xFF on natt."""

    def leave_natt(self) -> None:
        """The data path reads natt from now; we go on to send on it."""

    def close(self) -> None:
        """Close both; a duplicate at the data path lives on."""


class CarrierPort(DataPath, Protocol):
    """A data path that also reads the natt socket."""

    def events(self) -> asyncio.Queue[DataPathEvent | IkeDatagram]: ...


class AskerPort(Protocol):
    """Reaches the tunnel's owner."""

    def ask_about(self, failure: Failure) -> None:
        """Only the owner can mend this."""

    def ask_in_login(self, leg: int, needed: AnswerNeeded) -> None:
        """A login waits for an answer in its course."""

    def secret_replaced(self, was: Secret, now: Secret) -> None:
        """The owner has given another password in the course of a login."""

    def withdraw(self, leg: int) -> None:
        """This login waits for nothing any more."""


async def nobody_knows() -> str:
    """Where nobody can be asked."""
    return ""


async def check_nothing(_underlay: Underlay, _port: int) -> tuple[CheckRecord, ...]:
    """Where nobody can look."""
    return ()


async def fetch_nothing(inquiry: Inquiry, _underlay: Underlay, _seconds: float) -> Reply:
    """Where nobody can fetch."""
    return Reply(trouble=f"{inquiry.url} cannot be reached from here")


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside of a driver."""

    clock: Clock
    wall: Callable[[], datetime]
    epoch: Callable[[], float]
    """What to add to the clock for Unix seconds."""
    chance: Callable[[], float]
    """A number from [0, 1)."""
    open_session: Callable[[SessionConfig, Sink], SessionPort]
    """A session, and who hears its trace."""
    open_path: Callable[[Underlay, int, Receive], SocketsPort]
    """The sockets for an underlay and the gateway's port; `OSError` where the path is gone already."""
    choose_data_path: Callable[[str], Choice]
    """The data path for what a profile says of it."""
    open_data_path: Callable[[DataPathKind, str, int, Lifetimes, bool], Awaitable[CarrierPort]]
    """A data path with a link of this name and MTU, for Child SAs that live so long; whether a guard stands."""
    resolve: Callable[[Sequence[str]], Awaitable[tuple[Address, ...]]]
    """The addresses of the gateway's names, best first; `OSError` where there is none."""
    count_stalls: Callable[[], int | None]
    """How often TCP had to send again for lack of an answer; None where nobody knows."""
    check_ports: Callable[[Underlay, int], Awaitable[tuple[CheckRecord, ...]]] = check_nothing
    """Whether the gateway's ports answer, where a session was not answered."""
    portal: Callable[[], Awaitable[str]] = nobody_knows
    """Whether this network wants a login, as `client.net.portal` says it."""
    fetch: Callable[[Inquiry, Underlay, float], Awaitable[Reply]] = fetch_nothing
    """What an authority's server says, asked outside of every tunnel, within so many seconds."""
