"""Scripts with Add-VpnConnection and its companions: parameters are read, nothing is run."""

from __future__ import annotations

import re

from . import windows
from .common import host, networks
from .draft import Draft, Imported
from .errors import ImportRefused
from .intake import Intake
from .limits import MOST_ENTRIES, bounded, text_of

KIND = "a script with Add-VpnConnection"
_CALL = re.compile(
    r"(?im)^\s*(add-vpnconnection|set-vpnconnectionipsecconfiguration|add-vpnconnectionroute|set-vpnconnection)\b([^\n]*)"
)
_WORD = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^\s,;|]+)")
_ASSIGNMENT = re.compile(r"(?m)^\s*\$(\w+)\s*=\s*(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s;\n]+))\s*;?\s*$")
_SUITE = {
    "integritycheckmethod": "integrity",
    "encryptionmethod": "encryption",
    "dhgroup": "group",
    "authenticationtransformconstants": "authentication",
    "ciphertransformconstants": "cipher",
    "pfsgroup": "pfs",
}
_REASONS = {
    "force": "It is about asking before.",
    "passthru": "It is about the script.",
    "alluserconnection": "The profile is yours; /etc/roam/profiles has those of everybody.",
    "remembercredential": "Roam keeps passwords in the keyring, if you agree.",
    "usewinlogoncredential": "Roam asks for the password once.",
    "encryptionlevel": "The proposals say it.",
    "l2tppsk": "It is for L2TP.",
    "idledisconnectseconds": "Roam does not end idle tunnels.",
    "eapconfigxmlstream": "Settings of the EAP method, in a form of Windows' own.",
}
_FLAGS = {
    "splittunneling",
    "force",
    "passthru",
    "alluserconnection",
    "remembercredential",
    "usewinlogoncredential",
}
Call = dict[str, list[str]]


def recognises(octets: bytes) -> bool:
    """Whether the command is called in it."""
    return b"add-vpnconnection" in octets[: 1024 * 1024].replace(b"\0", b"").lower()


def read(intake: Intake) -> list[Imported]:
    """One profile for each connection that the script makes."""
    text = re.sub(r"`[ \t]*\n", " ", text_of(intake.octets))
    text = re.sub(r"(?m)^\s*#.*$", "", text)
    variables = {name.lower(): a or b or c for name, a, b, c in _ASSIGNMENT.findall(text)}
    calls = [
        (verb.lower(), _parameters(rest, variables)) for verb, rest in _CALL.findall(text)[:MOST_ENTRIES]
    ]
    made = [call for verb, call in calls if verb == "add-vpnconnection"]
    if not made:
        raise ImportRefused("Add-VpnConnection", "is never called with its parameters in plain sight")
    return [_connection(intake, call, calls) for call in made[:32]]


def _parameters(text: str, variables: dict[str, str]) -> Call:
    """-Name value, value -Switch: each parameter with its values."""
    found: Call = {}
    current = ""
    for quoted, single, bare in _WORD.findall(text)[:200]:
        if bare.startswith("-") and not quoted and bare[1:2].isalpha():
            current, _, value = bare[1:].lower().partition(":")
            found[current] = [value] if value else []
        elif current and (
            current not in _FLAGS or found[current] or (quoted or single or bare).startswith("$")
        ):
            found[current].append(bounded(_value(quoted or single or bare, variables), f"-{current}"))
    return found


def _value(text: str, variables: dict[str, str]) -> str:
    known = re.fullmatch(r"\$(\w+)", text)
    if known and known[1].lower() in ("true", "false"):
        return known[1].lower()
    return variables.get(known[1].lower(), text) if known else text


def _one(call: Call, key: str) -> str:
    return call[key][0] if call.get(key) else ""


def _connection(intake: Intake, call: Call, calls: list[tuple[str, Call]]) -> Imported:
    name = _one(call, "name")
    draft = intake.draft(KIND, name or _one(call, "serveraddress"))
    draft.keep("-ServerAddress", "gateway.addresses", [host(_one(call, "serveraddress"), "-ServerAddress")])
    kind = _one(call, "tunneltype").lower()
    if kind not in ("ikev2", "automatic", ""):
        raise ImportRefused("-TunnelType", f'"{kind[:40]}" is not IKEv2')
    text = "It is IKEv2." if kind == "ikev2" else "It is automatic; Roam speaks IKEv2."
    (draft.honoured if kind == "ikev2" else draft.differs)("-TunnelType", text)
    own = [
        (verb, other)
        for verb, other in calls
        if _one(other, "connectionname") in (name, "") or _one(other, "name") == name
    ]
    _login(draft, call, intake.user)
    _policy(draft, [other for verb, other in own if verb == "set-vpnconnectionipsecconfiguration"])
    _routes(draft, call, own)
    if domain := _one(call, "dnssuffix"):
        draft.keep("-DnsSuffix", "dns.search", [domain])
    for key in call:
        if key not in (
            "name",
            "serveraddress",
            "tunneltype",
            "authenticationmethod",
            "splittunneling",
            "dnssuffix",
        ):
            draft.ignore(f"-{key}", _REASONS.get(key, "Roam does not know this parameter."))
    return draft.finish()


def _login(draft: Draft, call: Call, user: str) -> None:
    word = _one(call, "authenticationmethod").lower()
    windows.trust(draft, "(machine store)")
    source = "-AuthenticationMethod"
    if word == "machinecertificate":
        draft.keep(source, "auth.local[0].method", "cert", "The machine logs in by its certificate.")
        windows.login(draft, user, needs_certificate=True)
    elif word in ("eap", "", "mschapv2"):
        windows.eap(draft, source, 26)
        if word != "mschapv2":
            draft.differs(
                source, "EAP, which is EAP-MSCHAPv2 where nothing else is said.", "auth.local[0].eap_methods"
            )
        windows.login(draft, user, needs_certificate=False)
    else:
        raise ImportRefused(source, f'"{word[:40]}" is no login of IKEv2')


def _policy(draft: Draft, calls: list[Call]) -> None:
    source = "Set-VpnConnectionIPsecConfiguration"
    if not calls:
        windows.defaults(draft, source)
        return
    given = {field: _one(calls[0], key) for key, field in _SUITE.items() if _one(calls[0], key)}
    windows.Suite(**given).apply(draft, source)


def _routes(draft: Draft, call: Call, own: list[tuple[str, Call]]) -> None:
    later = [other for verb, other in own if verb == "set-vpnconnection" and "splittunneling" in other]
    words = [other["splittunneling"] for other in (call, *later) if "splittunneling" in other]
    is_split = bool(words) and words[-1] != ["false"]
    draft.keep("-SplitTunneling", "routing.mode", "split" if is_split else "full")
    texts = [_one(other, "destinationprefix") for verb, other in own if verb == "add-vpnconnectionroute"]
    wanted = networks([text for text in texts if text], "-DestinationPrefix")
    if wanted and is_split:
        draft.keep("Add-VpnConnectionRoute", "routing.include", [str(network) for network in wanted])
    elif wanted:
        draft.honoured(
            "Add-VpnConnectionRoute", "Everything goes through the tunnel, and so do these.", "routing.mode"
        )
