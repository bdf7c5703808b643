"""What is told of a tunnel: facts of the driver in, one message out.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from profiles.weakness import remarks

from ..control.kinds import HINTS, passes
from ..control.messages import Fault, Handover, OuterPath, Traffic, TunnelStatus
from ..ike.events import Failure, Kind
from ..ike.transforms import weak_words
from ..system.choice import Choice, DataPathKind
from ..system.datapath import Counters
from ..tunnel.model import SystemConfig, TunnelUp, Underlay
from ..tunnel.selection import MOST_TOLD, claims, overlaps
from ..tunnel.states import (
    Blocked,
    Closing,
    Connecting,
    Leg,
    Moving,
    Off,
    Resolving,
    State,
    Tunnel,
    Up,
    Waiting,
)
from .names import Naming
from .passages import Passage

NO_CHOICE = Choice(DataPathKind.USERSPACE, "")
"""Where nobody has looked what else there is."""


@dataclass(frozen=True, slots=True)
class Wished:
    """What is known from the user: whose tunnel it is and how people call it."""

    owner: int = 0
    shared: bool = False
    title: str = ""
    serial: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the leg in use says of itself."""

    path: OuterPath
    identity: str = ""
    ike_suite: str = ""
    esp_suite: str = ""
    ike_rekey_at: float | None = None
    child_rekey_at: float | None = None
    is_answered: bool = False
    is_doubted: bool = False
    round_trip: float | None = None
    is_asking: bool = False
    session: int = 0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a status is made of; times in boottime, `epoch` is what to add for Unix time."""

    tunnel: Tunnel
    wished: Wished
    link: str
    seen: Seen | None = None
    system: SystemConfig = field(default_factory=SystemConfig)
    naming: Naming = field(default_factory=Naming)
    traffic: Counters | None = None
    passage: Passage | None = None
    since: float = 0.0
    epoch: float = 0.0
    data_path: Choice = NO_CHOICE
    is_open: bool = False
    """The guard could not be made, and nothing is left of the attempt."""
    mtu_reason: str = ""
    quirks: tuple[str, ...] = ()


def describe(facts: Facts) -> TunnelStatus:
    """One tunnel as its owner sees it."""
    tunnel, seen = facts.tunnel, facts.seen
    status = TunnelStatus(
        tunnel.config.name,
        word(tunnel.state),
        since=round(facts.since + facts.epoch, 3),
        serial=facts.wished.serial,
        owner=facts.wished.owner,
        shared=facts.wished.shared,
        title=facts.wished.title,
        detail=detail(tunnel, seen),
        gateway=", ".join(tunnel.config.gateways),
        link=facts.link if tunnel.up is not None else "",
        guard=tunnel.config.guard and tunnel.wanted and not facts.is_open,
        retry_at=_unix(_retry_at(tunnel.state), facts.epoch),
        handover=None if facts.passage is None else handover(facts.passage, facts.epoch),
        failure=fault(tunnel),
        asking=_is_asking(tunnel.state, seen),
    )
    return _with_session(_with_system(status, facts), seen, facts)


def _with_system(status: TunnelStatus, facts: Facts) -> TunnelStatus:
    up = facts.tunnel.up
    if up is None:
        return status
    routes = tuple(str(route.destination) for route in facts.system.routes if route.link == facts.link)
    entry = next((entry for entry in facts.system.links if entry.name == facts.link), None)
    return status.replace(
        mtu=None if entry is None else entry.mtu,
        mtu_reason=facts.mtu_reason if facts.tunnel.config.mtu is None else "the profile says so",
        addresses=tuple(str(entry) for entry in up.assigned.addresses),
        routes=routes,
        dns=tuple(str(server) for server in facts.naming.servers),
        domains=facts.naming.domains,
        resolver=facts.naming.by,
        resolver_reason=facts.naming.reason,
        remarks=(*_login_remarks(facts.seen), *_assignment(facts.tunnel, up), *facts.naming.remarks),
    )


def _login_remarks(seen: Seen | None) -> tuple[str, ...]:
    if seen is None:
        return ()
    weak = remarks((*weak_words(seen.ike_suite), *weak_words(seen.esp_suite)))
    return (*weak, *seen.remarks)


def _assignment(tunnel: Tunnel, up: TunnelUp) -> tuple[str, ...]:
    """What of the gateway's configuration is not used."""
    config, network = tunnel.config, tunnel.network
    return (
        *up.assigned.ignored,
        *up.remarks,
        *claims(config, up, network),
        *islice(overlaps(config, up, network), MOST_TOLD),
    )


def _with_session(status: TunnelStatus, seen: Seen | None, facts: Facts) -> TunnelStatus:
    if seen is None:
        return status
    return status.replace(
        identity=seen.identity,
        path=seen.path,
        ike_suite=seen.ike_suite,
        esp_suite=seen.esp_suite,
        ike_rekey_at=_unix(seen.ike_rekey_at, facts.epoch),
        child_rekey_at=_unix(seen.child_rekey_at, facts.epoch),
        data_path=str(facts.data_path.kind),
        data_path_reason=facts.data_path.reason,
        mobike=_mobike(facts.tunnel.state),
        session=seen.session,
        quirks=facts.quirks if seen.ike_suite else (),
        renewal=_renewal(facts.tunnel),
        probing=seen.is_doubted,
        traffic=_traffic(facts.traffic),
        rtt_ms=None if seen.round_trip is None else round(seen.round_trip * 1000, 1),
    )


def word(state: State) -> str:
    """The state's name in the control protocol."""
    match state:
        case Off():
            return "off"
        case Resolving() | Connecting() | Up(applied=False):
            return "connecting"
        case Up():
            return "up"
        case Moving():
            return "moving"
        case Waiting():
            return "waiting"
        case Blocked():
            return "blocked"
        case Closing():
            return "closing"


def detail(tunnel: Tunnel, seen: Seen | None) -> str:
    """The step under way, in words."""
    match tunnel.state:
        case Resolving():
            return f"looking up {', '.join(tunnel.config.gateways)}"
        case Connecting() if seen is not None and seen.is_asking:
            return "waiting for what the gateway asks you"
        case Connecting(attempt):
            doing = "logging in at" if seen is not None and seen.is_answered else "waiting for an answer from"
            return f"{doing} {attempt.underlay.remote} over {attempt.underlay.interface}"
        case Up(applied=False):
            return "setting addresses and routes"
        case Up(doubt_at=float()):
            return "the gateway does not answer"
        case Moving(leg=leg, replacement=other):
            target = leg.underlay if other is None else other.underlay
            return f"to {target.interface}, local address {target.local}"
        case Waiting(failure) | Blocked(failure):
            return failure.evidence
        case Closing(leg=int()):
            return "telling the gateway"
        case Closing():
            return "taking addresses and routes away"
        case _:
            return ""


def fault(tunnel: Tunnel) -> Fault | None:
    """The failure to show: of a state that is one, else why the last session ended.

    While a refusal is about to be tried once more by itself it is no verdict yet: `detail` tells of it.  A tunnel
    that has stood tries on for longer, and then says why it must.
    """
    match tunnel.state:
        case Blocked(failure):
            return _fault(failure)
        case Waiting(failure) if _is_verdict(tunnel, failure):
            return _fault(failure)
        case Resolving() | Connecting() if tunnel.last_failure is not None:
            return _fault(tunnel.last_failure) if _is_verdict(tunnel, tunnel.last_failure) else None
        case Off() if tunnel.last_failure is not None and tunnel.last_failure.kind is Kind.LOCAL_FAULT:
            return _fault(tunnel.last_failure)
        case _:
            return None


def _is_verdict(tunnel: Tunnel, failure: Failure) -> bool:
    return passes(failure.kind) or tunnel.refusals > 1


def _renewal(tunnel: Tunnel) -> Fault | None:
    """Of a tunnel that stands, only a new login beside it can have failed."""
    match tunnel:
        case Tunnel(
            state=Up(applied=True, doubt_at=None, replacement=None), last_failure=Failure() as failure
        ):
            return _fault(failure)
        case _:
            return None


def _fault(failure: Failure) -> Fault:
    return Fault(str(failure.kind), failure.evidence, failure.hint or HINTS[failure.kind])


def _is_asking(state: State, seen: Seen | None) -> bool:
    return (isinstance(state, Blocked) and state.until is not None) or (seen is not None and seen.is_asking)


def _mobike(state: State) -> bool | None:
    match state:
        case Up(leg=leg) | Moving(leg=leg) | Waiting(leg=Leg() as leg):
            return leg.mobike
        case _:
            return None


def _retry_at(state: State) -> float | None:
    return state.until if isinstance(state, Waiting) else None


def handover(passage: Passage, epoch: float) -> Handover:
    """A move, as it is told."""
    return Handover(
        passage.trigger,
        _way(passage.old),
        _way(passage.new),
        round(passage.at + epoch, 3),
        gap_ms=None if passage.gap is None else round(passage.gap * 1000),
        confirmed_ms=None if passage.confirmed is None else round((passage.confirmed - passage.at) * 1000),
    )


def _way(underlay: Underlay) -> str:
    return f"{underlay.interface} {underlay.local}"


def _traffic(counted: Counters | None) -> Traffic | None:
    if counted is None:
        return None
    return Traffic(
        counted.packets_in,
        counted.octets_in,
        counted.packets_out,
        counted.octets_out,
        counted.dropped,
    )


def _unix(at: float | None, epoch: float) -> float | None:
    return None if at is None else round(at + epoch, 3)
