"""What the daemon does for the callers of the control socket (DESIGN 3 and 4).

The server has checked a method's access level; here it is checked whose tunnel is meant.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from typing import NoReturn

from profiles.errors import ProfileError
from profiles.store import SYSTEM_PREFIX, Store

from ..config import SecretMissing
from ..control.details import TunnelDetails
from ..control.handlers import Access, Action, Caller
from ..control.messages import (
    Accepted,
    Cleaned,
    ControlError,
    Down,
    Empty,
    Ended,
    LeakVerdict,
    LockdownStatus,
    Named,
    Rekey,
    SecretAnswer,
    SecretCancel,
    SecretNeeded,
    SecretText,
    StatusReport,
    TunnelStatus,
    Up,
)
from ..ike.keys import Secret
from ..ike.refusal import printable
from ..tunnel.events import NotAnswered, Reauthenticate
from .doctor import Doctor
from .inbox import AnswerGiven, ProbeAsked, RekeyAsked
from .order import Key, Order, missing_secret, refuse_profile, system_order, user_order
from .questions import OfGateway, OfLogin, OfProfile, Question
from .tunnels import Entry, Tunnels
from .warden import Warden

_YES = {b"y", b"yes"}


class DaemonHandlers:
    """`client.control.handlers.Handlers` over the daemon's tunnels."""

    def __init__(
        self,
        tunnels: Tunnels,
        store: Store,
        unix: Callable[[], float],
        sweep: Callable[[], Awaitable[tuple[str, ...]]],
        warden: Warden,
        doctor: Doctor,
    ) -> None:
        self._tunnels = tunnels
        self._store = store
        self._unix = unix
        self._sweep = sweep
        self._warden = warden
        self.actions: dict[str, Action] = {
            "tunnel.up": self.up,
            "tunnel.down": self.down,
            "tunnel.rekey": self.rekey,
            "tunnel.details": self.details,
            "tunnel.probe": self.probe,
            "tunnel.reauth": self.reauth,
            "lockdown.status": self.lockdown,
            "lockdown.set": self._warden.set_lockdown,
            "portal.open": self._warden.open_portal,
            "doctor": doctor.examine,
            "secret.answer": self.answer,
            "secret.cancel": self.cancel,
            "daemon.cleanup": self.cleanup,
        }

    async def up(self, caller: Caller, request: Up) -> Accepted:
        """Want a tunnel; what becomes of it, events tell."""
        try:
            order = await asyncio.to_thread(self._order, caller, request)
            return Accepted(await self._want(order))
        except ProfileError as error:
            refuse_profile(error)

    def _order(self, caller: Caller, request: Up) -> Order:
        """Reads files: not for the event loop."""
        secrets = {reference: _secret(text) for reference, text in request.secrets.items()}
        if request.profile is not None:
            return user_order(caller.uid, request.profile, request.files, secrets)
        name = (request.name or "").removeprefix(SYSTEM_PREFIX)
        order = system_order(self._store, caller.uid, name, os.getuid(), request.files)
        return order.with_secrets(secrets)

    async def _want(self, order: Order) -> TunnelStatus:
        try:
            return await self._tunnels.up(order)
        except SecretMissing as missing:
            failure = missing_secret(order, missing)
            raise ControlError(failure.kind, f'{missing.path} ("{missing.text}") is not known') from None

    async def down(self, caller: Caller, request: Down) -> Ended:
        """End the wish for one tunnel; returns when it is gone from the machine.  Without a name, none may be."""
        if request.name is None and not any(_controls(caller, entry) for entry in self._tunnels):
            return Ended()
        entry = self.find(caller, request.name)
        await self._tunnels.down(entry, force=request.force)
        return Ended((entry.key.id,))

    async def rekey(self, caller: Caller, request: Rekey) -> Accepted:
        """Fresh keys for a tunnel that stands."""
        entry = self.find(caller, request.name)
        if entry.status.state not in {"up", "moving"}:
            raise ControlError("tunnel.not_connected", f"{entry.key.id} is {entry.status.state}")
        entry.driver.tell(RekeyAsked(request.ike))
        return Accepted(entry.status)

    async def reauth(self, caller: Caller, request: Named) -> Accepted:
        """A new login, without a break, for a tunnel that stands."""
        entry = self.find(caller, request.name)
        if entry.status.state != "up":
            raise ControlError("tunnel.not_connected", f"{entry.key.id} is {entry.status.state}")
        entry.driver.tell(Reauthenticate())
        return Accepted(entry.status)

    async def details(self, caller: Caller, request: Named) -> TunnelDetails:
        """What a status has no room for."""
        return self.find(caller, request.name).driver.details

    async def probe(self, caller: Caller, request: Named) -> Accepted:
        """Ask the gateway for a sign of life."""
        entry = self.find(caller, request.name)
        entry.driver.tell(ProbeAsked())
        return Accepted(entry.status)

    async def cleanup(self, caller: Caller, _request: Empty) -> Cleaned:
        """End everything that the caller controls, and sweep."""
        foreign = [entry.key.id for entry in self._tunnels if not _controls(caller, entry)]
        if foreign:
            raise ControlError("permission.denied", f"{', '.join(foreign)} belongs to somebody else")
        ended = [(entry.key.id, self._tunnels.down(entry)) for entry in self._tunnels]
        await asyncio.gather(*(ending for _, ending in ended))
        return Cleaned((*(f"tunnel {name}" for name, _ in ended), *await self._sweep()))

    async def answer(self, caller: Caller, request: SecretAnswer) -> Empty:
        """A person's answer: to a login that waits for it, or for the tunnel to be tried again with it."""
        question, entry = self._asked(caller, request.id)
        self._tunnels.questions.close(request.id)
        value = _secret(request.value)
        match question.subject:
            case OfLogin(leg):
                entry.driver.tell(AnswerGiven(leg, value))
            case OfGateway(mark) if value.reveal().strip().lower() in _YES:
                await self._want_again(entry.order.with_pin(mark))
            case OfGateway():
                entry.driver.tell(NotAnswered())
            case OfProfile(reference):
                await self._want_again(entry.order.with_secret(reference, value))
        return Empty()

    async def _want_again(self, order: Order) -> None:
        try:
            await self._want(order)
        except ProfileError as error:
            refuse_profile(error)

    async def cancel(self, caller: Caller, request: SecretCancel) -> Empty:
        """The person does not answer: a login is over with that, and a tunnel that has never stood."""
        question, entry = self._asked(caller, request.id)
        self._tunnels.questions.close(request.id)
        match question.subject:
            case OfLogin(leg):
                entry.driver.tell(AnswerGiven(leg, None, printable(request.why)))
            case OfProfile() | OfGateway():
                entry.driver.tell(NotAnswered())
        return Empty()

    def _asked(self, caller: Caller, secret_id: str) -> tuple[Question, Entry]:
        """The open question of this id, if it is the caller's to answer."""
        question = self._tunnels.questions.find(secret_id)
        entry = None if question is None else self._tunnels.find(question.key)
        if question is None or entry is None:
            raise ControlError("secret.unknown", "nobody waits for this answer")
        if caller.access is not Access.ADMIN and caller.uid != question.needed.owner:
            raise ControlError("permission.denied", "the question was for somebody else")
        return question, entry

    async def lockdown(self, _caller: Caller, _request: Empty) -> LockdownStatus:
        """How the machine stands."""
        return self._warden.status

    def status(self) -> StatusReport:
        """All tunnels as they stand now."""
        tunnels = tuple(entry.status for entry in self._tunnels)
        leaks = tuple(
            LeakVerdict(verdict.what, str(verdict.goes), verdict.why) for verdict in self._tunnels.leaks
        )
        return StatusReport(self._unix(), tunnels=tunnels, lockdown=self._warden.status, leaks=leaks)

    def pending_secrets(self) -> tuple[SecretNeeded, ...]:
        """The questions that wait for an answer."""
        return self._tunnels.questions.pending()

    def find(self, caller: Caller, name: str | None) -> Entry:
        """The tunnel that the caller means: an own one before the system's, before (for root) anybody's."""
        entries = [entry for entry in self._tunnels if _controls(caller, entry)]
        if name is None:
            if len(entries) == 1:
                return entries[0]
            if entries:
                names = ", ".join(entry.key.id for entry in entries)
                raise ControlError("usage", f"there are several tunnels: {names}", "Name one of them.")
            _refuse_name("no name is given", entries)
        stem = name.removeprefix(SYSTEM_PREFIX)
        owners = [None] if stem != name else [caller.uid, None]
        for key in (Key(owner, stem) for owner in owners):
            if (found := next((entry for entry in entries if entry.key == key), None)) is not None:
                return found
        others = [entry for entry in entries if entry.key.id == name]
        if len(others) == 1:
            return others[0]
        if any(entry.key.id == stem for entry in self._tunnels) and not others:
            raise ControlError("permission.denied", f"{name} belongs to somebody else")
        _refuse_name(f'no tunnel is called "{name}"', entries, stem)


def _controls(caller: Caller, entry: Entry) -> bool:
    return caller.controls(entry.order.owner, shared=entry.order.shared)


def _refuse_name(what: str, entries: list[Entry], name: str = "") -> NoReturn:
    if not entries:
        raise ControlError(
            "tunnel.unknown", f"{what}, and no tunnel is wanted now", "'roam up NAME' starts one."
        )
    names = [entry.key.id for entry in entries]
    close = get_close_matches(name, names, n=1)
    hint = f'Did you mean "{close[0]}"?' if close else "Name one of them."
    raise ControlError("tunnel.unknown", f"{what}; there are: {', '.join(names)}", hint)


def _secret(text: SecretText) -> Secret:
    return Secret(text.reveal().encode())
