"""The port between the control server and whatever carries its requests out (`client.daemon`, or a test)."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, Protocol

from .messages import (
    Accepted,
    Cleaned,
    Down,
    Ended,
    LockdownSet,
    LockdownStatus,
    PortalOpen,
    ProfileList,
    Rekey,
    SecretAnswer,
    SecretNeeded,
    StatusReport,
    Up,
)


class Access(IntEnum):
    """What a caller may do; each level includes the ones before it."""

    READ = 0  # anybody who reaches the socket: redacted status
    CONTROL = 1  # members of the group: their own and shared tunnels
    ADMIN = 2  # root, and the daemon's own user


class Caller(NamedTuple):
    """Who sent a request, as the kernel says."""

    uid: int
    access: Access

    def controls(self, owner: int, *, shared: bool) -> bool:
        """Whether this caller may act on, and see, a tunnel of `owner`."""
        if self.access is Access.ADMIN:
            return True
        return self.access is Access.CONTROL and (shared or owner == self.uid)


class Handlers(Protocol):
    """What the server calls.  All are called in the event loop.

    A method raises `ControlError(kind, evidence, hint)` for what it cannot do; the server has checked the
    access level of the method, the handler checks whose tunnel it is (`Caller.controls`, else
    `permission.denied`).  Names are resolved for the caller: own tunnels shadow the system's, "system/NAME"
    says it.  None means the only tunnel; `tunnel.unknown` (with the known names) where there is none or more
    than one.
    """

    async def up(self, caller: Caller, request: Up) -> Accepted:
        """Want a tunnel: returns at once with its status (and new `serial`), what follows are events.

        Wanting it again with the same profile changes nothing; with another profile it is made anew.
        """

    async def down(self, caller: Caller, request: Down) -> Ended:
        """End the wish; returns when the tunnel is gone from the machine."""

    async def rekey(self, caller: Caller, request: Rekey) -> Accepted:
        """Start a rekey; `tunnel.not_connected` where there is nothing to rekey."""

    async def cleanup(self, caller: Caller) -> Cleaned:
        """End every tunnel that the caller controls and sweep; with a foreign one, `permission.denied`."""

    async def answer(self, caller: Caller, request: SecretAnswer) -> None:
        """A person's answer to `SecretNeeded`; `secret.unknown` where nobody waits for it any more."""

    async def cancel(self, caller: Caller, secret_id: str) -> None:
        """The person does not answer: the tunnel becomes `blocked`."""

    async def set_lockdown(self, caller: Caller, request: LockdownSet) -> LockdownStatus:
        """Turn lockdown on or off; `permission.denied` where somebody else turned it on."""

    async def open_portal(self, caller: Caller, request: PortalOpen) -> LockdownStatus:
        """Let the caller's browser out for a time."""

    def lockdown(self) -> LockdownStatus:
        """How the machine stands."""

    async def profiles(self, caller: Caller) -> ProfileList:
        """The system's profiles."""

    def status(self) -> StatusReport:
        """All tunnels as they stand now; the server leaves out what the caller may not see."""

    def pending_secrets(self) -> tuple[SecretNeeded, ...]:
        """The questions that wait for an answer."""
