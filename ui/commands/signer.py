"""`roam signer`: keeps a key or a SIM at hand for a tunnel's logins, until it is ended.

The key stays on its card or in the agent, and the PIN in this program; the daemon is told nothing but signatures
and a SIM's answers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping

from client.control.client import Client
from client.control.kinds import DONE
from client.control.messages import (
    ControlError,
    SecretAnswer,
    SecretCancel,
    SecretNeeded,
    Snapshot,
    Subscribe,
    TunnelStatus,
)
from profiles.store import default_store

from .. import output, render
from ..credentials import Terminal
from ..preparation import Prepared, choose, prepare
from ..signers.holder import NEEDS_SIGNER, Holder, reply

RETRY_TIME = 2.0
"""Seconds between two looks for a daemon that is away."""
_AWAY = frozenset({"daemon.absent", "daemon.lost"})


def signer(options: argparse.Namespace) -> int:
    """Sign until somebody ends it."""
    file = choose(default_store(), options.name)
    prepared = prepare(file, Terminal(), ask=options.ask)
    if not prepared.holders:
        hint = 'It is for profiles with key = "pkcs11:…", "agent:…" or "sim:…".'
        raise ControlError("usage", f"{file.name} needs nobody to sign for it", hint)
    keys = ", ".join(render.printable(name) for name in prepared.holders)
    output.note(f"{file.name}: ready to prove who we are with {keys}; Ctrl-C ends it")
    try:
        serve(options.socket, file.path.stem, prepared)
    except KeyboardInterrupt:
        output.note("")
    return DONE


def serve(
    socket: str | None, tunnel: str, prepared: Prepared, pause: Callable[[float], None] = time.sleep
) -> None:
    """Answer what the daemon asks about this tunnel, over all of its restarts; never returns."""
    while True:
        try:
            with Client(socket) as client:
                _attend(client, tunnel, prepared)
        except ControlError as error:
            if error.kind not in _AWAY:
                raise
        pause(RETRY_TIME)


def _attend(client: Client, tunnel: str, prepared: Prepared) -> None:
    snapshot = client.subscribe(Subscribe(("tunnel", "secret")))
    for needed in snapshot.secrets:
        _sign(client, tunnel, needed, prepared.holders)
    if _waits_for_us(snapshot, tunnel):
        client.up(prepared.request)
    while (event := client.next_event()) is not None:
        if isinstance(event.data, SecretNeeded):
            _sign(client, tunnel, event.data, prepared.holders)


def _waits_for_us(snapshot: Snapshot, tunnel: str) -> bool:
    """Whether the tunnel came to a stand because nobody was there to sign."""
    return any(_is_stuck(status) for status in snapshot.report.tunnels if status.name == tunnel)


def _is_stuck(status: TunnelStatus) -> bool:
    return status.state == "blocked" and status.failure is not None and status.failure.kind == NEEDS_SIGNER


def _sign(client: Client, tunnel: str, needed: SecretNeeded, holders: Mapping[str, Holder]) -> None:
    if needed.tunnel != tunnel:
        return
    answer = reply(needed, holders)
    if answer is not None:
        send(client, answer)
        done = f"refused, {answer.why}" if isinstance(answer, SecretCancel) else _done(needed)
        output.note(f"{tunnel}: {render.printable(done)}")


def _done(needed: SecretNeeded) -> str:
    return "a login is signed" if needed.challenge is None else "the SIM has answered a challenge"


def send(client: Client, answer: SecretAnswer | SecretCancel | None) -> None:
    """Give an answer; that somebody else was faster, or that it came too late, is no failure of ours."""
    try:
        match answer:
            case SecretAnswer():
                client.answer_secret(answer)
            case SecretCancel():
                client.cancel_secret(answer.id, answer.why)
            case None:
                pass
    except ControlError as error:
        if error.kind != "secret.unknown":
            raise
