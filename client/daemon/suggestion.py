"""From what a probe has found to a profile to start from: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from profiles.presets import Preset, for_gateway
from profiles.writing import compose

from ..control.probing import AddressFound, Probed
from ..ike.proposals import PRESETS

_METHODS = {
    "EAP-MSCHAPv2": "mschapv2",
    "EAP-TLS": "tls",
    "EAP-TTLS": "ttls",
    "PEAP": "peap",
    "EAP-GTC": "gtc",
    "EAP-OTP": "otp",
    "EAP-MD5": "md5",
    "EAP-AKA": "aka",
    "EAP-AKA'": "aka-prime",
}
_WEAK = ("sha1", "prfsha1")
_WEAK_GROUPS = {"modp1536", "modp1024"}


def suggested(found: Probed) -> Probed:
    """The same with a profile, a preset and notes for people."""
    answering = next((entry for entry in found.addresses if entry.groups or entry.certificates), None)
    notes = tuple(_notes(found))
    if answering is None:
        return found.replace(notes=notes)
    preset = for_gateway(answering.vendor, found.host)
    table, comments = _table(found, answering, preset)
    heading = (f"Made from what {found.host} answered. Compare it with what its administrator says.",)
    return found.replace(
        preset=preset.name if preset is not None else "",
        profile=compose(table, comments, heading),
        notes=notes,
    )


def _table(found: Probed, seen: AddressFound, preset: Preset | None) -> tuple[dict[str, Any], dict[str, str]]:
    comments: dict[str, str] = {}
    table: dict[str, Any] = {"schema": 1, "id": _id(found.host)}
    gateway: dict[str, Any] = {"addresses": [found.host]}
    port = _port(found, seen)
    if port != 500:
        gateway["port"] = port
    table["gateway"] = gateway
    if preset is not None:
        table["preset"] = preset.name
        comments["preset"] = preset.title
    login = _login(seen)
    identity: dict[str, Any] = {"local": "YOUR-NAME"} if login["method"] == "psk" else {}
    if remote := _remote(found.host, seen):
        identity["remote"] = remote
        comments["identity.remote"] = "the name in its certificate"
    if identity:
        table["identity"] = identity
    table["auth"] = {"local": [login]}
    if not seen.certificates:
        table["auth"]["remote"] = {"method": "psk"}
    else:
        table["trust"] = {"system_store": True}
        comments["trust.system_store"] = f"or name its authority in ca: {seen.certificates[-1].issuer}"
    if preset is None and (crypto := _crypto(seen)):
        table["crypto"] = crypto
    if preset is not None and preset.legacy and _has_weak_groups_alone(seen):
        table["crypto"] = {"allow_legacy": True}
    return table, comments


def _id(host: str) -> str:
    label = host if _is_address(host) else host.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]", "-", label).strip("-.")[:40] or "gateway"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _port(found: Probed, seen: AddressFound) -> int:
    """4500 from the start where 500 is closed."""
    outcomes = {entry.what: entry.outcome for entry in seen.ports}
    closed = outcomes.get("udp 500") == "silent" and outcomes.get("udp 4500") == "answered"
    return 4500 if found.port == 500 and closed else found.port


def _remote(host: str, seen: AddressFound) -> str:
    """A name in its certificate, where it is not the one dialled."""
    names = seen.certificates[0].names if seen.certificates else ()
    if not names or host.lower() in (name.lower() for name in names) or _covered(host, names):
        return ""
    return next((name for name in names if not name.startswith("*")), "")


def _covered(host: str, names: tuple[str, ...]) -> bool:
    return any(name.startswith("*.") and host.partition(".")[2].lower() == name[2:].lower() for name in names)


def _login(seen: AddressFound) -> dict[str, Any]:
    asked = [name.removeprefix("request ") for name in seen.eap if name.startswith("request ")]
    methods = [_METHODS[name] for name in asked if name in _METHODS]
    if methods:
        return {"method": "eap", "identity": "YOUR-USER-NAME", "eap_methods": methods[:1]}
    if asked:
        return {"method": "eap", "identity": "YOUR-USER-NAME"}
    if seen.certificates or seen.auth.endswith("SIGNATURE"):
        return {"method": "cert", "cert": "file:client.p12"}
    return {"method": "psk"}


def _crypto(seen: AddressFound) -> dict[str, Any]:
    """What it takes where that is not what we offer anyway; strong things alone where there are any."""
    if _suits(seen):
        return {}  # what is offered without a word, and what later versions put in its place
    strong = [suite for suite in seen.suites if not suite.endswith(_WEAK)]
    suites = strong or list(seen.suites)
    if not suites or not seen.groups:
        return {}
    groups = "-".join(seen.groups[:3])
    crypto: dict[str, Any] = {"ike": [f"{suite}-{groups}" for suite in suites[:3]]}
    if not strong or _has_weak_groups_alone(seen):
        crypto["allow_legacy"] = True
    return crypto


def _suits(seen: AddressFound) -> bool:
    """Whether it takes something of what a profile without [crypto] offers."""
    for words in (set(proposal.split("-")) for proposal in PRESETS["modern"][0]):
        if not words.isdisjoint(seen.groups) and any(words.issuperset(s.split("-")) for s in seen.suites):
            return True
    return False


def _has_weak_groups_alone(seen: AddressFound) -> bool:
    return bool(seen.groups) and set(seen.groups) <= _WEAK_GROUPS


def _notes(found: Probed) -> Iterator[str]:
    if found.problem:
        yield found.problem
    for seen in found.addresses:
        yield from (f"{seen.address}: {note}" for note in _notes_of(seen))


def _notes_of(seen: AddressFound) -> Iterator[str]:
    outcomes = {entry.what: entry.outcome for entry in seen.ports}
    silent = [what for what, outcome in outcomes.items() if what.startswith("udp") and outcome == "silent"]
    if seen.problem:
        yield seen.problem
    elif silent and len(silent) == sum(what.startswith("udp") for what in outcomes):
        yield "nothing answers: no gateway is there, or this network blocks UDP"
    elif silent:
        yield f"{silent[0]} does not answer"
    if seen.ikev1:
        yield "it speaks version 1 of IKE, which Roam does not"
    if seen.redirect:
        yield f"it sends its clients to {seen.redirect}: probe that one"
    if seen.fragmentation is False:
        yield "it does not take IKE fragments: a large login may get lost on the way"
    if seen.suites and all(suite.endswith(_WEAK) for suite in seen.suites):
        yield "it takes SHA-1 alone, which is too weak to be offered unasked (allow_legacy)"
    if _has_weak_groups_alone(seen):
        yield "it takes groups below 14 alone, which a well-funded attacker can break (allow_legacy)"
    if seen.groups and not seen.certificates and not seen.eap:
        yield f"it shows nothing to a stranger ({seen.refusal or 'no answer'}): a pre-shared key, perhaps"
