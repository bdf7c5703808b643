"""What a person at a desktop is told of tunnels: which changes are worth a notification, and in what words.  Pure.

One notification for each tunnel, replaced by the next: what was true a minute ago helps nobody.  A tunnel of
somebody else, of which the daemon tells little, is not told of.
"""

from __future__ import annotations

from dataclasses import dataclass

from client.control.messages import Notice, SecretNeeded, TunnelStatus

from . import render

LOW, NORMAL, CRITICAL = 0, 1, 2
"""Urgencies of the Desktop Notifications Specification."""

_LONGEST = 300
_LOST = frozenset({"waiting", "connecting"})


@dataclass(frozen=True, slots=True)
class Note:
    """A notification; one with the same `about` takes its place."""

    about: str
    summary: str
    body: str = ""
    urgency: int = NORMAL
    category: str = "network"


def of_status(before: TunnelStatus | None, now: TunnelStatus) -> Note | None:
    """For a tunnel that was `before` and is `now`; None where nobody needs to know."""
    if not now.gateway:  # redacted: somebody else's
        return None
    name = render.printable(now.name)
    was = before.state if before is not None else ""
    if now.state == "up" and was not in {"up", "moving"}:
        return Note(name, f"{name} is connected", _way(now), LOW, "network.connected")
    if now.state == "up" and before is not None and now.handover not in (None, before.handover):
        return Note(name, f"{name} has moved", _moved(now), LOW)
    if now.state == was:
        return None
    if now.state == "blocked":
        return Note(name, f"{name} needs you", _failure(now), CRITICAL, "network.error")
    if now.state in _LOST and was in render.CONNECTED:
        return Note(name, f"{name} has lost its connection", _held_back(now), NORMAL, "network.disconnected")
    if now.state == "off" and before is not None:
        return Note(name, f"{name} is down", _failure(now), LOW, "network.disconnected")
    return None


def of_secret(needed: SecretNeeded) -> Note:
    """For a question: where it can be answered."""
    name = render.printable(needed.tunnel)
    where = f"Answer in the terminal UI ('roam'), or with 'roam answer {name}'."
    body = f"{render.printable(needed.prompt, _LONGEST)}\n{where}"
    return Note(name, f"{name} asks for {_ASKED.get(needed.kind, 'an answer')}", body, CRITICAL)


def of_notice(notice: Notice) -> Note | None:
    """For something about the whole machine, where it is a warning."""
    if notice.level != "warning":
        return None
    return Note("", "Roam", render.printable(notice.text, _LONGEST), NORMAL, "network.error")


_ASKED = {
    "password": "a password",
    "otp": "a one-time code",
    "pin": "a PIN",
    "passphrase": "a passphrase",
    "confirm-fingerprint": "your confirmation",
    "choose-certificate": "a certificate",
}


def _way(status: TunnelStatus) -> str:
    path = f" over {render.printable(status.path.interface)}" if status.path is not None else ""
    return f"to {render.printable(status.gateway)}{path}"


def _moved(status: TunnelStatus) -> str:
    move = status.handover
    if move is None:
        return ""
    gap = "" if move.gap_ms is None else f", without traffic for {move.gap_ms} ms"
    return f"from {render.printable(move.old)} to {render.printable(move.new)}{gap}"


def _held_back(status: TunnelStatus) -> str:
    detail = render.printable(status.detail, _LONGEST)
    guard = "What belongs into the tunnel is held back until then." if status.guard else ""
    return "\n".join(filter(None, (detail, guard)))


def _failure(status: TunnelStatus) -> str:
    if status.failure is None:
        return ""
    told = (status.failure.evidence, status.failure.hint)
    return "\n".join(render.printable(text, _LONGEST) for text in told if text)
