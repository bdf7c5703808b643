"""What is known of a gateway by what it says and does: rows as data, each with its evidence and its setting.

`ADAPTATIONS` are what Roam does differently of its own accord; the engine says when it has seen the reason, and
each has a switch in [quirks].  `PECULIARITIES` are told beside: what follows, and which setting decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..control.evidence import Evidence, QuirkRecord
from .view import AUTH, INIT, View


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What Roam does differently; `name` is its key in [quirks].

    `does` is a clause about Roam, `shows` what of the gateway turns it on, `who` where that is known from, with the
    source, and `without` what happens where it is switched off.
    """

    name: str
    does: str
    shows: str
    who: str
    reference: str
    without: str

    @property
    def switch(self) -> str:
        """How it is switched off."""
        return f'{self.name} = "off" in [quirks]'


@dataclass(frozen=True, slots=True)
class Peculiarity:
    """What a gateway is or lacks: what follows from it, and what in the profile decides about that."""

    name: str
    means: str
    switch: str
    find: Callable[[View], str]


@dataclass(frozen=True, slots=True)
class Seen:
    """A quirk of this gateway, with its evidence; as text it begins with the name and a colon."""

    quirk: Adaptation | Peculiarity
    evidence: str
    used: bool = True

    def __str__(self) -> str:
        quirk = self.quirk
        if isinstance(quirk, Peculiarity):
            return f"{quirk.name}: {quirk.means} (seen: {self.evidence}; see {quirk.switch})"
        if self.used:
            return (
                f"{quirk.name}: Roam {quirk.does} (seen: {self.evidence}; to switch it off: {quirk.switch})"
            )
        return f"{quirk.name}: switched off, {quirk.without} (seen: {self.evidence}; by {quirk.switch})"


def quirks(evidence: Evidence) -> tuple[Seen, ...]:
    """What the last attempt showed: what Roam adapts to first."""
    view = View(evidence)
    adapted = tuple(_adapted(entry) for entry in view.attempt.quirks if entry.name in BY_NAME)
    return (*adapted, *(Seen(row, found) for row in PECULIARITIES if (found := row.find(view))))


def _adapted(entry: QuirkRecord) -> Seen:
    return Seen(BY_NAME[entry.name], entry.evidence, entry.used)


@dataclass(frozen=True, slots=True)
class Vendor:
    """How vendor IDs of a maker begin, in hexadecimal, and where that is known from."""

    prefix: str
    name: str
    source: str


VENDORS: tuple[Vendor, ...] = (
    Vendor("1e2b516905991c7d7c96fcbfb587e461", "Microsoft Windows", 'MD5 of "MS NT5 ISAKMPOAKLEY"'),
    Vendor(
        "fb1de3cdf341b7ea16b7e5be0855f120", "Microsoft Windows", 'MD5 of "MS-Negotiation Discovery Capable"'
    ),
    Vendor("882fe56d6fd20dbc2251613b2ebe5beb", "strongSwan", 'MD5 of "strongSwan"'),
    Vendor("434953434f", "Cisco", '"CISCO", as in "CISCO-DELETE-REASON" and "CISCO(COPYRIGHT)&…"'),
    Vendor("464c455856504e2d535550504f52544544", "Cisco FlexVPN", '"FLEXVPN-SUPPORTED"'),
    Vendor(
        "8299031757a36082c6a621de", "Fortinet FortiGate", "FortiOS calls it FORTIGATE in its own debug log"
    ),
    Vendor("4f45", "Openswan or Libreswan", '"OE" and ten letters of a hash'),
    Vendor("699369228741c6d4ca094c93e242c9de", "Juniper", "fingerprints of ike-scan: NetScreen"),
    Vendor(
        "f4ed19e0c114eb516faaac0ee37daf2807b4381f", "Check Point", "Wireshark's packet-isakmp.c: Check Point"
    ),
)
"""How vendor IDs begin, and whose they are."""


def vendor_of(shown: Iterable[str]) -> tuple[str, str]:
    """Whose gateway it is, and the vendor ID that says so; empty where nobody is known by it."""
    for vendor in shown:
        for row in VENDORS:
            if vendor.startswith(row.prefix):
                return row.name, vendor
    return "", ""


ADAPTATIONS: tuple[Adaptation, ...] = (
    Adaptation(
        "small_login",
        "leaves certificate requests and, if need be, intermediate certificates out of its login",
        "no IKEV2_FRAGMENTATION_SUPPORTED in its first answer, and a login too large for one packet",
        "Windows Server, where EnableServerFragmentation is not set; appliances without RFC 7383",
        "RFC 7383 section 2.3; Richard Hicks, Always On VPN and IKEv2 Fragmentation (2019)",
        "a large login travels as IP fragments, which NATs drop",
    ),
    Adaptation(
        "first_group",
        "begins with the key exchange group that the gateway insists on",
        "INVALID_KE_PAYLOAD at an earlier login, which then succeeded",
        "Windows Server and Azure, which want a group of theirs",
        "RFC 7296 section 1.2; azure-docs issues 32421 and 104181",
        "each connection takes one round trip more",
    ),
    Adaptation(
        "no_pfs",
        "replaces Child SAs without a fresh key exchange",
        "a vendor ID of Microsoft; or NO_PROPOSAL_CHOSEN, INVALID_KE_PAYLOAD or a Windows error when a Child SA "
        "was to be replaced with one",
        "Windows answers an unexpected key exchange with its error 13816; MikroTik has group 2 alone by default",
        "RFC 7296 section 1.3.3; strongSwan documentation, Microsoft Status Notify",
        "the key exchange is insisted on, and the connection ends with its keys where the gateway refuses",
    ),
    Adaptation(
        "new_login",
        "logs in anew, beside the old connection, when keys are to be replaced",
        "NO_ADDITIONAL_SAS when keys were to be replaced",
        "gateways without CREATE_CHILD_SA",
        "RFC 7296 sections 1.3 and 2.8",
        "the connection ends with its keys, and is made anew with a gap",
    ),
    Adaptation(
        "one_family",
        "asks for IPv4 alone inside",
        "INTERNAL_ADDRESS_FAILURE when asked for addresses of both IP versions",
        "gateways that have no IPv6 to give and refuse all instead of giving IPv4",
        "RFC 7296 section 3.15.4",
        "the refusal is the end of the login",
    ),
    Adaptation(
        "unnamed_gateway",
        "does not name the gateway in its login (no IDr)",
        'a login refused that asked for it by name, with send_idr = "auto"',
        "Windows' own client never sends IDr; gateways refuse a name that they do not know",
        "RFC 7296 section 1.2; strongSwan documentation, Windows clients",
        "the gateway is asked for by name again",
    ),
    Adaptation(
        "pss_trailer",
        "accepts an RSA-PSS signature whose algorithm names the default trailer",
        "that signature",
        "FortiGate",
        "RFC 4055 section 3.1, X.690 section 11.5; strongSwan documentation, Fortinet: rsa_pss_trailerfield",
        "the signature is refused, and the login with it",
    ),
    Adaptation(
        "dns_prefix",
        "accepts a name server's IPv6 address with a prefix length behind it",
        "INTERNAL_IP6_DNS in 17 octets",
        "gateways that take the attribute for one like INTERNAL_IP6_ADDRESS",
        "RFC 7296 section 3.15.1",
        "that name server is left out",
    ),
    Adaptation(
        "size_questions",
        "asks no more how large packets may be, and takes a size that nearly every path carries",
        "paths on which none was answered whatever the size, or sessions that ended over one",
        "gateways that do not answer a large INFORMATIONAL request",
        "RFC 7296 section 1.4, RFC 8899",
        "they are asked all the same",
    ),
)
"""What Roam does differently for some gateways."""
BY_NAME = {row.name: row for row in ADAPTATIONS}


def _vendor(view: View) -> str:
    answers = (*view.answers(INIT), *view.answers(AUTH))
    name, shown = vendor_of(vendor for entry in answers for vendor in entry.vendors)
    return f"vendor ID {shown} ({name})" if name and name != "strongSwan" else ""


def _lacks(what: str) -> Callable[[View], str]:
    def find(view: View) -> str:
        opened = view.opened
        if opened is None or not opened.notifies or any(entry.name == what for entry in opened.notifies):
            return ""
        return f"no {what} in its first answer"

    return find


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


PECULIARITIES: tuple[Peculiarity, ...] = (
    Peculiarity(
        "maker known",
        "there may be a preset for gateways of this maker",
        "preset",
        _vendor,
    ),
    Peculiarity(
        "no IKE fragmentation",
        "large answers of the gateway travel as IP fragments, which NATs drop",
        "small_login in [quirks] for our own",
        _lacks("IKEV2_FRAGMENTATION_SUPPORTED"),
    ),
    Peculiarity(
        "no signature hashes",
        "it signs as in RFC 7296, with SHA-1 where it has RSA",
        "allow_legacy in [crypto], which admits that SHA-1",
        _lacks("SIGNATURE_HASH_ALGORITHMS"),
    ),
    Peculiarity(
        "no NAT detection",
        "everything stays on port 500, and ESP is not put into UDP",
        "force_encap in [mobility]",
        _lacks("NAT_DETECTION_SOURCE_IP"),
    ),
    Peculiarity(
        "distinguished name",
        "the gateway calls itself by its certificate's subject rather than by the name dialled",
        "match in [identity]",
        _calls_itself_otherwise,
    ),
    Peculiarity(
        "no MOBIKE",
        "a move to another network is a new login, beside the old connection",
        "mobike in [mobility]",
        _without_mobike,
    ),
)
"""What follows from the standards, and is good to know."""
