"""What the controller is told, and what it tells the shell to do."""

from __future__ import annotations

from dataclasses import dataclass

from ..ike.events import Address, Failure
from .model import NetworkChange, TunnelConfig, TunnelUp, Underlay


@dataclass(frozen=True, slots=True)
class UserUp:
    """The user wants the tunnel.

    `restored`: it was wanted before the daemon was restarted.  `renew`: by another profile than before, or with
    other secrets.
    """

    config: TunnelConfig
    restored: bool = False
    renew: bool = False


@dataclass(frozen=True, slots=True)
class UserDown:
    """The wish ends; `force`: without waiting for the gateway's answer."""

    force: bool = False


@dataclass(frozen=True, slots=True)
class SecretMissing:
    """The tunnel is wanted, but a secret must be given first; `restored` as in `UserUp`."""

    config: TunnelConfig
    failure: Failure
    restored: bool = True


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """The user was asked for what is missing, and does not want to answer."""


@dataclass(frozen=True, slots=True)
class Reauthenticate:
    """The user wants to log in anew, without a break: a second session, and the first one goes when it stands."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The gateway's addresses, best first."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class ResolveFailed:
    """No name of the gateway has an address."""

    evidence: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The gateway has answered this session for the first time."""

    leg: int


@dataclass(frozen=True, slots=True)
class SessionUp:
    """The IKE SA and its first Child SA stand, and the data path has them."""

    leg: int
    mobike: bool
    up: TunnelUp


@dataclass(frozen=True, slots=True)
class Moved:
    """The gateway has confirmed the new addresses."""

    leg: int


@dataclass(frozen=True, slots=True)
class NotMoved:
    """The path cannot be used: the gateway refused it, or it could not be opened."""

    leg: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """The gateway's liveness is in question (`active`), or not any more."""

    leg: int
    active: bool
    since: float
    hinted: bool = False


@dataclass(frozen=True, slots=True)
class OtherAddresses:
    """The gateway can be reached at these addresses too."""

    leg: int
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """The session is over: closed, refused, unanswered, or left without any Child SA."""

    leg: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class DataPathGone:
    """The data path died, and with it the keys of all Child SAs."""

    evidence: str


@dataclass(frozen=True, slots=True)
class Crashed:
    """A fault of our own: the sessions and the data path were given up; with a `final` failure, for good."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Applied:
    """The machine is as the last `Apply` or `Release` wanted it."""


@dataclass(frozen=True, slots=True)
class ApplyFailed:
    """The machine could not be made so."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Slept:
    """The machine was suspended for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Timer:
    """The state's deadline has come."""


Event = (
    UserUp
    | UserDown
    | SecretMissing
    | NotAnswered
    | Reauthenticate
    | NetworkChange
    | Resolved
    | ResolveFailed
    | Answered
    | SessionUp
    | Moved
    | NotMoved
    | Doubt
    | OtherAddresses
    | SessionClosed
    | DataPathGone
    | Crashed
    | Applied
    | ApplyFailed
    | Slept
    | Timer
)


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look the gateway's names up; `Resolved` or `ResolveFailed` follows."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartSession:
    """Set a new session up on this path, beside those that exist; `trigger` as for `MoveSession`."""

    leg: int
    underlay: Underlay
    trigger: str = ""


@dataclass(frozen=True, slots=True)
class MoveSession:
    """Take an existing session to another path (RFC 4555); `trigger` says why, for status."""

    leg: int
    underlay: Underlay
    trigger: str


@dataclass(frozen=True, slots=True)
class CloseSession:
    """Send the gateway a Delete; the session may finish in the background."""

    leg: int


@dataclass(frozen=True, slots=True)
class DropSession:
    """Forget a session without a word."""

    leg: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask the gateway at once whether it still knows us."""

    leg: int


@dataclass(frozen=True, slots=True)
class Apply:
    """From now this tunnel contributes its guard, and with `up` its link, addresses and routes."""

    up: TunnelUp | None


@dataclass(frozen=True, slots=True)
class Release:
    """This tunnel contributes nothing any more: take everything of it away, the data path last."""


@dataclass(frozen=True, slots=True)
class AskSecret:
    """Only the user can help: ask for what is missing, was refused, or must be confirmed."""

    failure: Failure


Command = (
    Resolve | StartSession | MoveSession | CloseSession | DropSession | Probe | Apply | Release | AskSecret
)
