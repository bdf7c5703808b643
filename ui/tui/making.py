"""A new profile, in the terminal UI: what `roam new` does, in a form and one question."""

from __future__ import annotations

from client.control.client import Client
from client.control.messages import ControlError
from profiles.errors import ProfileError
from profiles.placing import place
from profiles.store import user_directory
from profiles.wizard import Answers, Trust, make, name_for

from ..gateway import PROBE_TIME, read_material, seen
from ..preparation import as_control_error
from .importing import Show
from .screens.new import Wanted


def make_profile(wanted: Wanted, socket: str, show: Show) -> str | None:
    """Name of the profile that was written; None: the person does not want it.  For a thread: it waits.

    Raises `ControlError` for answers of which no profile can be made.
    """
    try:
        found, lines = _look(wanted.server, socket)
        answers = Answers(
            wanted.server,
            name_for(wanted.server),
            user=wanted.user,
            login=wanted.login,
            trust=_trust(wanted.trust),
            certificate=read_material(wanted.certificate),
            found=str(found.get("profile") or ""),
        )
        made = make(answers)
        text = "\n".join([*lines, "", made.text.rstrip()])
        if not show(f"New profile {made.profile.id}", text, "Write it?"):
            return None
        place(user_directory(), made.profile.id, made.text, made.files, force=False)
    except ProfileError as error:
        raise as_control_error(error) from None
    return made.profile.id


def _trust(word: str) -> Trust:
    if word == "ask":
        return "ask"
    return read_material(word) if word else "system"


def _look(server: str, socket: str) -> tuple[dict[str, object], list[str]]:
    """What the daemon sees of the gateway; without one that can look, a sentence and nothing."""
    try:
        with Client(socket) as client:
            found = client.raw("probe", {"host": server}, PROBE_TIME)
    except ControlError as error:
        return {}, [f"{server} was not looked at: {error.evidence or error.kind}"]
    return found, seen(found)
