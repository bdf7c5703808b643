"""The port between the control server and whatever carries its requests out (`client.daemon`, or a test)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from .messages import Message, SecretNeeded, StatusReport


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


Action = Callable[[Caller, Any], Awaitable[Message]]
"""What carries a method out: its parameters in, its result out; both as the method's row says."""


class Handlers(Protocol):
    """What the server calls.  All are called in the event loop.

    An action raises `ControlError(kind, evidence, hint)` for what it cannot do; the server has checked the
    access level of the method, the action checks whose tunnel it is (`Caller.controls`, else
    `permission.denied`).  Names are resolved for the caller: own tunnels shadow the system's, "system/NAME"
    says it.  None means the only tunnel; `tunnel.unknown` (with the known names) where there is none or more
    than one.
    """

    @property
    def actions(self) -> Mapping[str, Action]:
        """One for each row of `methods.METHODS` that the server does not answer itself (`server.OWN`)."""

    def status(self) -> StatusReport:
        """All tunnels as they stand now; the server leaves out what the caller may not see."""

    def pending_secrets(self) -> tuple[SecretNeeded, ...]:
        """The questions that wait for an answer."""
