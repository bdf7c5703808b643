"""`roam up`: hand a profile to the daemon and follow what becomes of it.

A command that fails leaves nothing behind: where the tunnel was not wanted before, the wish ends with it.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping
from time import monotonic

from client.control.client import Client
from client.control.kinds import DONE
from client.control.messages import (
    HELD_KINDS,
    VISIBLE_KINDS,
    ControlError,
    Event,
    Fault,
    SecretAnswer,
    SecretNeeded,
    SecretText,
    Snapshot,
    Subscribe,
    TunnelStatus,
    passes,
)
from profiles.store import ProfileFile, default_store

from .. import output, render
from ..credentials import Prompter, Terminal, new_password, offer_to_keep
from ..preparation import Prepared, choose, prepare
from ..progress import TICK, Steps
from ..signers.holder import Holder, reply
from .signer import send

_EXPLAINED = ("address.", "auth.", "crypto.", "net.", "peer.", "trust.", "ts.", "wait.")
MOST_TRIES = 3
"""Passwords that a person may type: a gateway may lock an account after a few more."""
VERDICT_TIME = 2.0
"""Seconds that the daemon has to say what a question means that nobody can answer here."""
_TOPICS = ("tunnel", "secret")
_ANSWERABLE = frozenset({"auth.needs_secret", "trust.unconfirmed"})
"""What keeps a tunnel waiting for its user, rather than being the end."""


def up(options: argparse.Namespace) -> int:
    """Bring a tunnel up."""
    file = choose(default_store(), options.name)
    prompter = Terminal()
    with Client(options.socket) as client:
        _require_access(client)
        try:
            prepared, status = _connect(client, file, prompter, options)
        except ControlError as error:
            raise _with_more(error, file.name) from None
    _tell(status, options)
    if options.wait:
        if prepared.holders:
            output.note(
                f"note: for the next login the key is needed again; 'roam signer {status.name}' stays for it"
            )
        offer_to_keep(prepared.secrets, prompter)
    return DONE


def _with_more(error: ControlError, name: str) -> ControlError:
    """The same, with the command that tells more, where an attempt has left evidence."""
    if not error.kind.startswith(_EXPLAINED) or error.kind == "auth.needs_secret":
        return error
    return ControlError(error.kind, error.evidence, f"{error.hint} 'roam explain {name}' tells more.".strip())


def _connect(
    client: Client, file: ProfileFile, prompter: Prompter, options: argparse.Namespace
) -> tuple[Prepared, TunnelStatus]:
    """Try, and where the gateway refuses what a person has typed just now, ask that person again."""
    ask: bool = options.ask
    for tries_left in reversed(range(MOST_TRIES)):
        prepared = prepare(file, prompter, ask=ask)
        attempt = Attempt(client, prompter, options.timeout)
        try:
            status = attempt.run(prepared, wait=options.wait)
            return prepared.with_replaced(attempt.replaced), status
        except ControlError as error:
            if error.kind != "auth.rejected" or not prepared.secrets.typed or not tries_left:
                raise
        ask = True
    raise AssertionError("the last try ends in one way or the other")


def _require_access(client: Client) -> None:
    """Refuse before anybody types a password for nothing."""
    welcome = client.hello("roam")
    if welcome.access == "read":
        raise ControlError("permission.denied", f"uid {welcome.uid} may look at tunnels, but not start one")


def _tell(status: TunnelStatus, options: argparse.Namespace) -> None:
    if options.json:
        output.say(output.envelope("up", status))
    elif options.wait:
        output.say(render.connected(status))
        for remark in status.remarks:
            output.note(f"note: {render.printable(remark)}")
    else:
        output.say(f"{status.name}: wanted; 'roam status {status.name}' shows how it goes")


class Attempt:
    """One `up`: its progress, the questions on the way, and its end."""

    def __init__(self, client: Client, prompter: Prompter, patience: float) -> None:
        self._client = client
        self._prompter = prompter
        self._patience = patience
        self._deadline = 0.0
        self._steps = Steps()
        self._last = TunnelStatus("", "off")
        self._failure: Fault | None = None
        self._answered: set[str] = set()
        self._unanswered: ControlError | None = None
        self.replaced: dict[str, SecretText] = {}
        """Other passwords that the person has given in the course of the login, by reference."""
        self._holders: Mapping[str, Holder] = {}

    def run(self, prepared: Prepared, *, wait: bool) -> TunnelStatus:
        """The tunnel's status at the end; `ControlError` where it did not come up."""
        before = self._client.subscribe(Subscribe(_TOPICS))
        accepted = self._client.up(prepared.request).tunnel
        if not wait:
            return accepted
        self._holders = prepared.holders
        wanted_already = _stood(before, accepted.name)
        self._deadline = monotonic() + self._patience
        try:
            self._catch_up(accepted.name)
            status = self._follow(accepted)
            self._steps.end()
            return status
        except (ControlError, KeyboardInterrupt):
            self._steps.end(ok=False)
            if not wanted_already:
                with contextlib.suppress(ControlError):
                    self._client.down(accepted.name, force=True)
            raise

    def _catch_up(self, name: str) -> None:
        """Answer what the daemon has asked before, perhaps somebody who went away."""
        for needed in self._client.subscribe(Subscribe(_TOPICS)).secrets:
            if needed.tunnel == name:
                self._answer(needed)

    def _follow(self, status: TunnelStatus) -> TunnelStatus:
        serial = status.serial
        settled = status.state != "off" and self._settled(status)  # off: the daemon has not begun yet
        while not settled:
            event = self._next_event()
            if event is None:
                raise self._too_late()
            data = event.data
            if isinstance(data, SecretNeeded) and data.tunnel == status.name:
                self._answer(data)
            elif isinstance(data, TunnelStatus) and data.name == status.name and data.serial >= serial:
                status = data
                settled = self._settled(status)
        return status

    def _next_event(self) -> Event | None:
        """The next event before the deadline; the clock of the step under way goes on meanwhile."""
        while self._steps.live and (left := self._deadline - monotonic()) > TICK:
            if (event := self._client.next_event(monotonic() + min(left, TICK))) is not None:
                return event
            self._steps.tick()
        return self._client.next_event(self._deadline)

    def _settled(self, status: TunnelStatus) -> bool:
        """Whether the tunnel is up; raises where it will not be."""
        self._show(status)
        if status.state == "up":
            return True
        self._failure = status.failure or self._failure
        if status.asking and status.failure is not None and status.failure.kind in _ANSWERABLE:
            return False  # the question is on its way
        hopeless = status.failure is not None and not passes(status.failure.kind)
        if status.state in {"off", "blocked"} or (status.state == "waiting" and hopeless):
            raise self._refused(status)
        return False

    def _show(self, status: TunnelStatus) -> None:
        line = render.progress(status)
        if line != render.progress(self._last) and status.state != "up":
            self._steps.begin(line)
        self._last = status

    def _refused(self, status: TunnelStatus) -> ControlError:
        failure = status.failure
        if failure is None:
            return ControlError("user.down", f"{status.name} was taken down meanwhile")
        return ControlError(failure.kind, f"{status.name}: {failure.evidence}", failure.hint)

    def _too_late(self) -> ControlError:
        if self._unanswered is not None:
            return self._unanswered
        if self._failure is not None:
            evidence = f"after {self._patience:g} s, {self._last.name}: {self._failure.evidence}"
            return ControlError(self._failure.kind, evidence, self._failure.hint)
        gateway = f" (gateway {self._last.gateway})" if self._last.gateway else ""
        return ControlError(
            "wait.timeout", f"after {self._patience:g} s, {render.progress(self._last)}{gateway}"
        )

    def _answer(self, needed: SecretNeeded) -> None:
        """Ask the person, once; the time that takes is given back to the deadline."""
        if needed.id in self._answered:
            return
        self._answered.add(needed.id)
        if needed.kind in HELD_KINDS:
            return send(self._client, reply(needed, self._holders))
        self._steps.pause()
        asked_at = monotonic()
        try:
            value = SecretText(self._ask(needed))
        except (ControlError, KeyboardInterrupt) as error:
            with contextlib.suppress(ControlError):
                self._client.cancel_secret(needed.id)
            if isinstance(error, ControlError) and error.kind == "secret.no_terminal":
                self._unanswered = error  # what the gateway has judged before counts more
                self._deadline = min(self._deadline, monotonic() + VERDICT_TIME)
                return
            raise
        self._client.answer_secret(SecretAnswer(needed.id, value))
        if needed.reference and needed.kind in {"password", "new-password"}:
            self.replaced[needed.reference] = value
        self._deadline += monotonic() - asked_at

    def _ask(self, needed: SecretNeeded) -> str:
        if needed.kind == "new-password":
            return new_password(self._prompter, needed.prompt)
        ask = self._prompter.line if needed.kind in VISIBLE_KINDS else self._prompter.secret
        return ask(needed.prompt)


def _stood(before: Snapshot, name: str) -> bool:
    return any(entry.name == name and entry.state != "off" for entry in before.report.tunnels)
