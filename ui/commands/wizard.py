"""`roam new`: a profile from a name, a server and a user, with a look at the gateway where the daemon can."""

from __future__ import annotations

import argparse
import sys

from client.control.client import Client
from client.control.kinds import DONE
from client.control.messages import ControlError
from profiles.errors import ProfileError
from profiles.placing import place
from profiles.store import user_directory
from profiles.wizard import Answers, Login, Made, Trust, likely_login, make, name_for

from .. import output
from ..credentials import Prompter, Terminal
from ..gateway import PROBE_TIME, read_material, seen
from ..preparation import as_control_error

_LOGINS: dict[str, Login] = {"password": "password", "cert": "cert", "psk": "psk"}
_TRUST = "Who vouches for the gateway? Empty: a public authority. ask: you compare its key yourself."


def new(options: argparse.Namespace) -> int:
    """Ask what is missing, look at the gateway, and write the profile."""
    try:
        return _new(options, Terminal(), asks=sys.stdin.isatty() and not options.yes)
    except ProfileError as error:
        raise as_control_error(error) from None


def _new(options: argparse.Namespace, prompter: Prompter, *, asks: bool) -> int:
    server = options.server or (prompter.line("Server (name or address of the gateway):") if asks else "")
    if not server:
        raise ControlError(
            "usage", "which server?", "roam new NAME --server vpn.example.com --user you --yes"
        )
    name = options.name or name_for(server)
    if asks and not options.name:
        name = _default(prompter, "Name of the profile", name)
    found = _look(server, options)
    login = _login(options, found, prompter, asks=asks)
    answers = Answers(
        server,
        name,
        user=_user(options, login, prompter, asks=asks),
        login=login,
        preset=options.preset or "",
        trust=_trust(options, login, prompter, asks=asks),
        certificate=read_material(_certificate(options, login, prompter, asks=asks)),
        shared_key=options.shared_key,
        networks=options.network,
        addresses=options.static,
        found=str(found.get("profile") or ""),
    )
    made = make(answers)
    if not options.json:
        output.say(made.text.rstrip())
    if asks and _default(prompter, "Write it", "y").lower() not in {"y", "yes"}:
        raise ControlError("interrupted", "nothing was written")
    return _write(made, found, options)


def _write(made: Made, found: dict[str, object], options: argparse.Namespace) -> int:
    paths = place(user_directory(), made.profile.id, made.text, made.files, force=options.force)
    if options.json:
        answer = {"name": made.profile.id, "paths": [str(path) for path in paths], "profile": made.text}
        output.say(output.envelope("new", {**answer, "looked": bool(found)}))
        return DONE
    for path in paths:
        output.note(f"written: {path}")
    output.note(
        f"'roam up {made.profile.id}' connects; 'roam profiles {made.profile.id} --show' shows every value"
    )
    return DONE


# The gateway


def _look(server: str, options: argparse.Namespace) -> dict[str, object]:
    """What the daemon sees of the gateway; without a daemon that can look, a sentence and nothing."""
    if options.no_probe:
        return {}
    output.note(f"looking at {server} …")
    try:
        with Client(options.socket) as client:
            found = client.raw("probe", {"host": server}, PROBE_TIME)
    except ControlError as error:
        output.note(
            f"{server} was not looked at: {error.evidence or error.kind}. The profile is made without."
        )
        return {}
    for line in seen(found):
        output.note(line)
    return found


# The person


def _default(prompter: Prompter, question: str, default: str) -> str:
    return prompter.line(f"{question} [{default}]:") or default


def _login(options: argparse.Namespace, found: dict[str, object], prompter: Prompter, *, asks: bool) -> Login:
    likely = likely_login(str(found.get("profile") or ""))
    if not asks and likely == "cert" and not options.cert:
        likely = "password"
    word = options.login or (_default(prompter, "Login by password, cert or psk", likely) if asks else likely)
    if word in _LOGINS:
        return _LOGINS[word]
    raise ControlError("usage", f"{word!r} is no way to log in", "password, cert or psk.")


def _user(options: argparse.Namespace, login: Login, prompter: Prompter, *, asks: bool) -> str:
    if options.user or login == "cert" or not asks:
        return options.user or ""
    return prompter.line("User name:" if login == "password" else "Your name, as the gateway knows you:")


def _certificate(options: argparse.Namespace, login: Login, prompter: Prompter, *, asks: bool) -> str:
    if options.cert or login != "cert" or not asks:
        return options.cert or ""
    return prompter.line("File with your certificate and key (.p12 or PEM):")


def _trust(options: argparse.Namespace, login: Login, prompter: Prompter, *, asks: bool) -> Trust:
    word = options.ca
    if word is None and asks and login != "psk":
        output.note(_TRUST)
        word = prompter.line("The file of its CA, ask, or empty:")
    if word == "ask":
        return "ask"
    return read_material(word) if word not in (None, "", "system") else "system"
