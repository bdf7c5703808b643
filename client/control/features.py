"""What a daemon can do, in words that a program may test for: `hello` tells them.

A word says more than the methods do that it stands with: how questions are answered, what events promise.
Words are added, and never taken away or given another meaning.
"""

from __future__ import annotations

from typing import NamedTuple


class Feature(NamedTuple):
    """A row: what the word promises, and the methods that it is about."""

    promise: str
    methods: tuple[str, ...]


FEATURES: dict[str, Feature] = {
    "tunnels": Feature(
        "Tunnels come up, go down and get new keys; a status tells how they are.",
        ("tunnel.status", "tunnel.up", "tunnel.down", "tunnel.rekey"),
    ),
    "events": Feature("Every change is told, and a snapshot comes before.", ("events.subscribe",)),
    "replay": Feature(
        "Events that were missed are told again, by `since` and `boot`.", ("events.subscribe",)
    ),
    "questions": Feature(
        "The daemon asks for what a login needs, and takes the answer.", ("secret.answer", "secret.cancel")
    ),
    "new-password": Feature(
        "An expired password can be replaced in the course of the login.", ("secret.answer",)
    ),
    "signature": Feature(
        "A program that holds a key is asked to sign with it (cards, agents).",
        ("secret.answer", "secret.cancel"),
    ),
    "sim-challenge": Feature(
        "A program that holds a SIM is asked to run its algorithm.", ("secret.answer", "secret.cancel")
    ),
    "reauth": Feature("A new login takes over without a break.", ("tunnel.reauth",)),
    "details": Feature("SAs, selectors, certificates and past moves can be had.", ("tunnel.details",)),
    "round-trip": Feature("The gateway can be asked for a sign of life.", ("tunnel.probe",)),
    "verify": Feature("The machine is compared with what is wanted, and traffic proven.", ("tunnel.verify",)),
    "lockdown": Feature(
        "Nothing leaves outside a tunnel, also while none is wanted.", ("lockdown.status", "lockdown.set")
    ),
    "portal": Feature("A browser is let out for a time.", ("portal.open",)),
    "profiles": Feature(
        "The system's profiles are listed and told, and any profile's text is checked.",
        ("profile.list", "profile.get", "profile.check"),
    ),
    "presets": Feature("What is known of gateways is told, with the facts.", ("profile.presets",)),
    "explain": Feature("A failure is told with its cause, evidence and remedy.", ("explain",)),
    "probe": Feature("A gateway is looked at before there is a profile.", ("probe",)),
    "doctor": Feature("The machine is looked at.", ("doctor",)),
    "log": Feature(
        "The daemon's log is told as far as it is the caller's.", ("daemon.log", "daemon.set_log_level")
    ),
    "report": Feature("What a report of a fault needs is told, redacted.", ("daemon.report",)),
    "daemon": Feature(
        "It tells which it is, and sweeps the machine.", ("hello", "daemon.info", "daemon.cleanup")
    ),
    "varlink": Feature("The same methods are served by varlink on a socket beside.", ()),
}
"""word -> what it promises"""
