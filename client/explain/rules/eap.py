"""What a login server says inside EAP: wrong passwords, locked accounts, other methods."""

from __future__ import annotations

from ..clues import logs_in_by, notified
from ..rule import Clue, Rule
from ..sources import Source
from ..view import AUTH, View

REFUSED = "AUTHENTICATION_FAILED"


def _code(number: int, meaning: str) -> Clue:
    """MSCHAPv2's own errors, RFC 2759 section 6."""

    def find(view: View) -> str:
        said = any(entry.eap_detail == f"E={number}" for entry in view.eap(sent=False))
        return f"the login server answered the password with error {number}: {meaning}" if said else ""

    return Clue(Source.EAP, f"error {number} of MSCHAPv2", find)


def _refused_method(view: View) -> str:
    """What the gateway asked for, and got a Nak for."""
    asked = [entry.eap.removeprefix("request ") for entry in view.eap(sent=False) if "request " in entry.eap]
    naks = [entry.eap_detail for entry in view.eap(sent=True) if entry.eap == "response Nak"]
    if not naks:
        return ""
    wanted = [entry for entry in asked if entry not in ("Identity", "Notification")]
    return f"the gateway asks by {wanted[-1]}, the profile allows {naks[-1]}" if wanted else ""


def _failed_after(view: View) -> tuple[str, str]:
    """The request before the EAP-Failure, and our answer to it."""
    if view.last_eap != "failure":
        return "", ""
    asked = [entry.eap for entry in view.eap(sent=False) if entry.eap.startswith("request ")]
    said = [entry.eap for entry in view.eap(sent=True)]
    return (asked[-1] if asked else "", said[-1] if said else "")


def _unknown_user(view: View) -> str:
    _, said = _failed_after(view)
    return "the login server ended EAP right after the user name" if said == "response Identity" else ""


def _failed_method(view: View) -> str:
    asked, said = _failed_after(view)
    if not asked or said in ("response Identity", "response Nak") or _any_code(view):
        return ""
    return f"the login server ended {asked.removeprefix('request ')} with EAP-Failure"


def _any_code(view: View) -> bool:
    return any(entry.eap_detail.startswith("E=") for entry in view.eap(sent=False))


def _succeeded(view: View) -> str:
    return (
        "EAP ended with success: the password or certificate is right" if view.last_eap == "success" else ""
    )


RULES: tuple[Rule, ...] = (
    Rule(
        "login.password",
        "The user name or the password is wrong.",
        (
            "'roam up NAME --ask' asks for the password again, stored or not.",
            "Some gateways want the user name with its domain, such as DOMAIN\\user or user@domain.",
        ),
        (_code(691, "user name or password is wrong"),),
        unlike=("login.account_disabled", "login.password_expired", "login.no_dial_in"),
    ),
    Rule(
        "login.hours",
        "The account may not log in at this time of the day.",
        ("Ask the administrator about the account's logon hours.",),
        (_code(646, "not at this hour"),),
        unlike=("login.account_disabled", "login.no_dial_in"),
    ),
    Rule(
        "login.account_disabled",
        "The account is disabled or locked.",
        ("Ask the administrator to unlock the account; more tries may prolong the lock.",),
        (_code(647, "the account is disabled or locked"),),
        unlike=("login.password", "login.password_expired"),
    ),
    Rule(
        "login.password_expired",
        "The password has expired.",
        (
            "'roam up NAME' in a terminal asks for a new password and changes it, where the server takes one.",
            "Else change it on the organization's web page or on a computer in the office.",
        ),
        (_code(648, "the password has expired"),),
        unlike=("login.password", "login.account_disabled"),
    ),
    Rule(
        "login.password_not_changed",
        "The password has expired, and the server has not taken the new one.",
        (
            "'roam up NAME' asks for a new one again; the old one still stands.",
            "Choose one that the organization's rules allow: length, characters, none that was used before.",
        ),
        (_code(709, "the password could not be changed"),),
        unlike=("login.password_expired", "login.password"),
    ),
    Rule(
        "login.no_dial_in",
        "The account has no permission for remote access.",
        ("Ask the administrator for the permission to dial in (remote access).",),
        (_code(649, "no permission to dial in"),),
        unlike=("login.account_disabled", "login.after_eap"),
    ),
    Rule(
        "login.eap_method",
        "The gateway asks for another way to log in (EAP method) than the profile allows.",
        ("Set eap_methods in [[auth.local]] to the one that the gateway asks for.",),
        (Clue(Source.EAP, "a method that was turned down with a Nak", _refused_method), logs_in_by("eap")),
        unlike=("login.user_unknown", "login.password", "login.not_by_eap"),
    ),
    Rule(
        "login.user_unknown",
        "The login server does not know the user name, or does not serve it.",
        (
            "Check identity in [[auth.local]]: some servers want user@domain or DOMAIN\\user.",
            "Ask the administrator whether the account may use this gateway.",
        ),
        (Clue(Source.EAP, "an EAP-Failure right after the user name", _unknown_user),),
        likely=True,
        unlike=("login.eap_refused", "login.eap_method"),
    ),
    Rule(
        "login.eap_refused",
        "The login server refused the password, code or certificate.",
        (
            "'roam up NAME --ask' asks for the secret again; with a certificate, ask whether it is known there.",
        ),
        (Clue(Source.EAP, "an EAP-Failure in the middle of a method", _failed_method),),
        likely=True,
        unlike=("login.password", "login.user_unknown", "login.eap_method"),
    ),
    Rule(
        "login.after_eap",
        "The login itself was right, and the gateway refused it all the same.",
        (
            "The account may lack a group or licence, or be logged in elsewhere already: end the other session.",
            "Ask the administrator what the gateway's log says.",
        ),
        (notified(AUTH, REFUSED), Clue(Source.EAP, "EAP that ended with success", _succeeded)),
        likely=True,
        unlike=("login.password", "login.session_limit"),
    ),
)
