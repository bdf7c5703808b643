"""The commands of `roam`, one module for those that belong together; imported when one of them runs."""

from __future__ import annotations

from client.control.messages import ControlError


def is_profile(name: str | None) -> bool:
    """Whether a profile has this name, wanted or not."""
    if name is None:
        return False
    from profiles.errors import ProfileError
    from profiles.store import default_store

    try:
        default_store().find(name)
    except ProfileError:
        return False
    return True


def not_up(error: ControlError, name: str | None) -> ControlError:
    """What to say where the daemon knows no tunnel of this name: it may be one that nobody wants now."""
    if error.kind != "tunnel.unknown" or not is_profile(name):
        return error
    return ControlError("tunnel.not_connected", f"{name} is not wanted now", f"'roam up {name}' starts it.")
