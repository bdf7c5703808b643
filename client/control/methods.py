"""The method table: what can be asked of the daemon, by whom, with which parameters, and what comes back.

A new method is: its message types (in `messages`, or where only its own command needs them in a module beside
it), a row here, and an action of the same name in `client.daemon.handlers`.  The JSON-RPC server, the varlink
façade, the JSON Schema and the document of the protocol all follow this table; tests compare.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from .affairs import DaemonInfo, LogLevel, LogQuery, LogReport, ReportData
from .catalog import PresetList, ProfileCheck, ProfileChecked, ProfileNamed, ProfileText
from .details import TunnelDetails
from .diagnosis import Diagnosis, Examine
from .evidence import Explanation
from .handlers import Access
from .messages import (
    Accepted,
    Cleaned,
    Down,
    Empty,
    Ended,
    Hello,
    LockdownSet,
    LockdownStatus,
    Message,
    Named,
    PortalOpen,
    ProfileList,
    Rekey,
    SecretAnswer,
    SecretCancel,
    Snapshot,
    StatusReport,
    Subscribe,
    Up,
    Welcome,
)
from .probing import Probe, Probed
from .verification import Verified, Verify


class Whose(Enum):
    """What the action checks beyond the level of access, because only it knows whose thing is meant."""

    NOBODY = "nothing more is checked"
    TUNNEL = "the tunnel must be the caller's own, or a shared one; root controls all"
    QUESTION = "the question must have been put to the caller; root may answer for him"
    PORTAL = "an open portal is closed or replaced by whoever opened it, or root"
    LOCKDOWN = "lockdown is ended or changed by whoever turned it on, or root"


class Method(NamedTuple):
    """A row of the table.

    `access` is the least that a caller needs, `summary` one sentence for people.  `patience` is how many
    seconds an answer may take; a client waits so long.
    """

    access: Access
    params: type[Message]
    result: type[Message]
    summary: str
    whose: Whose = Whose.NOBODY
    patience: float = 10.0


METHODS: dict[str, Method] = {
    "hello": Method(Access.READ, Hello, Welcome, "Tells who answers, and who the caller is to it."),
    "profile.list": Method(Access.CONTROL, Empty, ProfileList, "Lists the system's profiles."),
    "profile.get": Method(
        Access.CONTROL,
        ProfileNamed,
        ProfileText,
        "Tells what a system profile says, and what its user hands over.",
    ),
    "profile.check": Method(
        Access.CONTROL,
        ProfileCheck,
        ProfileChecked,
        "Tells what is wrong with a profile's text, by its keys, and what it refers to.",
    ),
    "profile.presets": Method(
        Access.READ, Empty, PresetList, "Tells what is known of kinds of gateways, with the facts."
    ),
    "tunnel.status": Method(
        Access.READ, Named, StatusReport, "Tells how one tunnel stands, or all; those of others redacted."
    ),
    "tunnel.details": Method(
        Access.CONTROL,
        Named,
        TunnelDetails,
        "Tells what a status has no room for: SAs, selectors, certificates, past moves.",
        Whose.TUNNEL,
    ),
    "tunnel.probe": Method(
        Access.CONTROL,
        Named,
        Accepted,
        "Asks the gateway for a sign of life; its round trip comes with a status.",
        Whose.TUNNEL,
    ),
    "tunnel.verify": Method(
        Access.CONTROL,
        Verify,
        Verified,
        "Compares the machine with what is wanted, and proves that traffic passes.",
        Whose.TUNNEL,
        60.0,
    ),
    "tunnel.up": Method(
        Access.CONTROL, Up, Accepted, "Wants a tunnel; what becomes of it, events tell.", Whose.TUNNEL
    ),
    "tunnel.down": Method(
        Access.CONTROL, Down, Ended, "Ends the wish; answers when the tunnel is gone.", Whose.TUNNEL, 60.0
    ),
    "tunnel.rekey": Method(
        Access.CONTROL, Rekey, Accepted, "Starts to replace keys; events tell when.", Whose.TUNNEL
    ),
    "tunnel.reauth": Method(
        Access.CONTROL, Named, Accepted, "Starts a new login beside the one that stands.", Whose.TUNNEL
    ),
    "lockdown.status": Method(Access.READ, Empty, LockdownStatus, "Tells how the machine stands."),
    "lockdown.set": Method(
        Access.CONTROL, LockdownSet, LockdownStatus, "Turns lockdown on or off.", Whose.LOCKDOWN
    ),
    "portal.open": Method(
        Access.CONTROL,
        PortalOpen,
        LockdownStatus,
        "Lets the caller's browser out around the guard.",
        Whose.PORTAL,
    ),
    "doctor": Method(
        Access.CONTROL,
        Examine,
        Diagnosis,
        'Looks at this machine; with "dns", by asking for names.',
        patience=120.0,
    ),
    "explain": Method(
        Access.CONTROL,
        Named,
        Explanation,
        "Tells why a tunnel failed or ended, from what its attempts left behind.",
        Whose.TUNNEL,
    ),
    "probe": Method(
        Access.CONTROL, Probe, Probed, "Looks at a gateway before there is a profile.", patience=90.0
    ),
    "secret.answer": Method(
        Access.CONTROL, SecretAnswer, Empty, "Answers a question of the daemon.", Whose.QUESTION
    ),
    "secret.cancel": Method(
        Access.CONTROL, SecretCancel, Empty, "Declines a question of the daemon.", Whose.QUESTION
    ),
    "events.subscribe": Method(
        Access.READ, Subscribe, Snapshot, "Starts events: a snapshot, then everything that follows it."
    ),
    "daemon.info": Method(Access.READ, Empty, DaemonInfo, "Tells which daemon this is."),
    "daemon.log": Method(
        Access.CONTROL, LogQuery, LogReport, "Tells what was logged, or waits for more.", Whose.TUNNEL, 70.0
    ),
    "daemon.set_log_level": Method(
        Access.ADMIN, LogLevel, DaemonInfo, "Logs more, or less, until the daemon ends."
    ),
    "daemon.report": Method(
        Access.CONTROL, Empty, ReportData, "Tells what helps to understand a fault, redacted.", Whose.TUNNEL
    ),
    "daemon.cleanup": Method(
        Access.CONTROL,
        Empty,
        Cleaned,
        "Ends the caller's tunnels and sweeps the machine.",
        Whose.TUNNEL,
        60.0,
    ),
}
