"""What is known of a gateway by what it says and does: rows as data, each with its evidence.

A row never changes what Roam does by itself: it says what was seen, what that means, and which setting of the
profile switches the accommodation on or off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..control.evidence import Evidence
from .view import AUTH, INIT, View


@dataclass(frozen=True, slots=True)
class Quirk:
    """A peculiarity: how it shows, what follows from it, and what in the profile decides about that."""

    name: str
    means: str
    switch: str
    find: Callable[[View], str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A quirk of this gateway, with its evidence."""

    quirk: Quirk
    evidence: str

    def __str__(self) -> str:
        return f"{self.quirk.name}: {self.quirk.means} (seen: {self.evidence}; {self.quirk.switch})"


def quirks(evidence: Evidence) -> tuple[Seen, ...]:
    """The peculiarities that the last attempt showed."""
    view = View(evidence)
    return tuple(Seen(row, found) for row in QUIRKS if (found := row.find(view)))


VENDORS: tuple[tuple[str, str], ...] = (
    ("1e2b516905991c7d7c96fcbfb587e461", "Microsoft Windows"),
    ("fb1de3cdf341b7ea16b7e5be0855f120", "Microsoft Windows"),
    ("882fe56d6fd20dbc2251613b2ebe5beb", "strongSwan"),
    ("434953434f", "Cisco"),  # "CISCO-DELETE-REASON", "CISCO(COPYRIGHT)…", "CISCO-GRE-MODE"
    ("464c455856504e2d535550504f52544544", "Cisco FlexVPN"),
    ("8299031757a36082c6a621de", "Fortinet FortiGate"),
    ("4f45", "Openswan or Libreswan"),
    ("69936922", "Juniper"),
    ("f4ed19e0c114eb516faaac0ee37daf2807b4381f", "Check Point"),
)
"""How vendor IDs begin, in hexadecimal, and whose they are."""


def vendor_of(shown: Iterable[str]) -> tuple[str, str]:
    """Whose gateway it is, and the vendor ID that says so; empty where nobody is known by it."""
    for vendor in shown:
        for prefix, name in VENDORS:
            if vendor.startswith(prefix):
                return name, vendor
    return "", ""


def _vendor(*names: str) -> Callable[[View], str]:
    def find(view: View) -> str:
        answers = (*view.answers(INIT), *view.answers(AUTH))
        name, shown = vendor_of(vendor for entry in answers for vendor in entry.vendors)
        return f"vendor ID {shown}" if name.startswith(names) and name else ""

    return find


def _lacks(what: str) -> Callable[[View], str]:
    def find(view: View) -> str:
        opened = view.opened
        if opened is None or not opened.notifies or any(entry.name == what for entry in opened.notifies):
            return ""
        return f"no {what} in its first answer"

    return find


def _group_first(view: View) -> str:
    entry = view.notify(INIT, "INVALID_KE_PAYLOAD")
    return f"INVALID_KE_PAYLOAD asking for {entry.detail}" if entry is not None and view.opened else ""


def _calls_itself_otherwise(view: View) -> str:
    for entry in view.answers(AUTH):
        if entry.id_type == "DER_ASN1_DN":
            return f"IDr is the name {entry.identity}"
    return ""


def _without_mobike(view: View) -> str:
    standing = view.standing
    if standing is None or standing.mobike or not view.offer.mobike:
        return ""
    return "no MOBIKE_SUPPORTED in its last answer of the login"


QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        "Windows or Azure",
        "it reads only the first transforms of each kind, ignores IDr, and needs IKE fragmentation switched on",
        'a short list in ike of [crypto]; send_idr = "never" in [identity]',
        _vendor("Microsoft"),
    ),
    Quirk(
        "FortiGate",
        "it signs RSA-PSS with an explicit trailer and has no MOBIKE: a move is a new login",
        "mobike in [mobility]",
        _vendor("Fortinet"),
    ),
    Quirk(
        "Cisco",
        "it deletes with a reason of its own and often calls itself by a DN",
        "match in [identity]",
        _vendor("Cisco"),
    ),
    Quirk(
        "group first",
        "it wants one group and refuses the first guess: one round trip more for each connection",
        "put its group first in ike of [crypto]",
        _group_first,
    ),
    Quirk(
        "no IKE fragmentation",
        "large logins travel as IP fragments, which NATs drop",
        "fewer authorities in [trust] ca make the login smaller",
        _lacks("IKEV2_FRAGMENTATION_SUPPORTED"),
    ),
    Quirk(
        "no signature hashes",
        "it signs as in RFC 7296, with SHA-1 where it has RSA",
        "allow_legacy in [crypto] admits that SHA-1",
        _lacks("SIGNATURE_HASH_ALGORITHMS"),
    ),
    Quirk(
        "no NAT detection",
        "everything stays on port 500, and ESP is not put into UDP",
        "force_encap in [mobility]",
        _lacks("NAT_DETECTION_SOURCE_IP"),
    ),
    Quirk(
        "distinguished name",
        "the gateway calls itself by its certificate's subject rather than by the name dialled",
        'match = "loose" in [identity] accepts that',
        _calls_itself_otherwise,
    ),
    Quirk(
        "no MOBIKE",
        "a move to another network is a new login, beside the old connection",
        "mobike in [mobility]",
        _without_mobike,
    ),
)
