"""Windows' phone book (rasphone.pbk): sections of flat keys, in which MEDIA= and DEVICE= begin groups."""

from __future__ import annotations

import re
import struct

from . import windows
from .common import addresses, clamped, host, leftovers
from .draft import Draft, Imported
from .errors import ImportRefused
from .fields import Fields
from .inifile import sections
from .intake import Intake
from .limits import text_of

KIND = "a Windows phone book"
_STRATEGIES = {
    0: "automatic",
    7: "IKEv2 alone",
    8: "IKEv2 first",
    14: "IKEv2, then SSTP",
    15: "a list of protocols",
}
_INTEGRITY = ("MD5", "SHA1", "SHA256", "SHA384")
_ENCRYPTION = ("DES", "DES3", "AES128", "AES192", "AES256", "AES_GCM_128", "AES_GCM_256")
_GROUP = ("None", "Group1", "Group2", "Group14", "ECP256", "ECP384", "Group24")
_CIPHER = ("None", "DES", "DES3", "AES128", "AES192", "AES256", "GCMAES128", "GCMAES192", "GCMAES256")
_AUTHENTICATION = ("MD596", "SHA196", "SHA256128", "GCMAES128", "GCMAES192", "GCMAES256")
_PFS = ("None", "PFS1", "PFS2", "PFS2048", "ECP256", "ECP384", "PFSMM", "PFS24")
_TABLES = (_INTEGRITY, _ENCRYPTION, _GROUP, _CIPHER, _AUTHENTICATION, _PFS)
_FIELDS = ("integrity", "encryption", "group", "cipher", "authentication", "pfs")
_MOST_ENTRIES = 32
_REASONS = {
    "AuthRestrictions": "The EAP type says it.",
    "DataEncryption": "The proposals say it.",
    "DisableClassBasedDefaultRoute": "Roam adds no route of its own by class.",
    "NetworkOutageTime": "Roam holds a tunnel for as long as it is wanted.",
    "Disable_IKEv2_Fragmentation": "Roam splits messages wherever the gateway can join them.",
    "PlumbIKEv2TSAsRoutes": "Roam takes the networks that the gateway names.",
    "CustomAuthData": "Settings of the EAP method, in a form of Windows' own.",
    "AlwaysOn": "Roam comes up when it is told to.",
}
_OF_WINDOWS = "A setting of Windows' own, without meaning for the tunnel."


def recognises(octets: bytes) -> bool:
    """Whether there is an entry with what only a phone book has."""
    text = octets[: 1024 * 1024].replace(b"\0", b"").lstrip(b"\xff\xfe\xef\xbb\xbf")
    return bool(re.search(rb"(?m)^\s*\[[^\]]+\]", text)) and (
        b"PBVersion=" in text or b"MEDIA=rastapi" in text
    )


def read(intake: Intake) -> list[Imported]:
    """One profile for each entry that may be IKEv2."""
    imported, others = [], []
    for name, values in list(sections(text_of(intake.octets)).items())[:_MOST_ENTRIES]:
        entry = Fields(values, f"[{name}]")
        strategy = entry.number("VpnStrategy")
        if strategy in _STRATEGIES and values.get("PhoneNumber"):
            imported.append(_entry(intake.draft(KIND, name), entry, strategy or 0, intake.user))
        else:
            others.append(name)
    if not imported:
        raise ImportRefused("VpnStrategy", f"makes none of {len(others)} entries IKEv2")
    return imported


def _entry(draft: Draft, entry: Fields, strategy: int, user: str) -> Imported:
    source = entry.path("PhoneNumber")
    draft.keep(source, "gateway.addresses", [host(entry.text("PhoneNumber"), source)])
    word = _STRATEGIES[strategy]
    (draft.honoured if strategy in (7, 8, 14) else draft.differs)(
        entry.path("VpnStrategy"), f"It is {word}; Roam speaks IKEv2."
    )
    _identities(draft, entry)
    number = entry.number("CustomAuthKey")
    windows.trust(draft, "(machine store)")
    if number:
        windows.eap(draft, entry.path("CustomAuthKey"), number)
        windows.login(draft, user, needs_certificate=number == 13)
    elif shared := entry.text("PreSharedKey"):
        draft.put("auth.local[0].method", "psk")
        draft.put("trust", {})
        draft.secret(entry.path("PreSharedKey"), "auth.local[0].secret", "psk", shared)
        if draft.value("identity.local") is None:
            draft.user(entry.path("IDI"), "identity.local", user)
    else:
        draft.put("auth.local[0].method", "cert")
        draft.differs(
            entry.path("CustomAuthKey"),
            "No EAP: the machine's certificate, it seems.",
            "auth.local[0].method",
        )
        windows.login(draft, user, needs_certificate=True)
    _policy(draft, entry)
    _network(draft, entry)
    rest = [key for key in entry.rest() if key not in _REASONS]
    entry.skip(*rest)
    if rest:
        draft.ignore(entry.path(f"{rest[0]} and {len(rest) - 1} others"), _OF_WINDOWS)
    leftovers(draft, entry, _REASONS)
    return draft.finish()


def _identities(draft: Draft, entry: Fields) -> None:
    for key, path in (("IDI", "identity.local"), ("IDR", "identity.remote")):
        if name := entry.text(key):
            draft.keep(entry.path(key), path, name)
    entry.skip("IdiType", "IdrType", "PreSharedKey", "NumCustomPolicy", "Type", "Encoding", "PBVersion")


def _policy(draft: Draft, entry: Fields) -> None:
    """Six little-endian numbers: IKE integrity, encryption, group; ESP cipher, authentication, PFS."""
    source, text = entry.path("CustomIPSecPolicies"), entry.text("CustomIPSecPolicies")
    if not text or entry.number("NumCustomPolicy") == 0:
        windows.defaults(draft, source)
        return
    try:
        numbers = struct.unpack("<6I", bytes.fromhex(text)[:24])
        words = [table[number] for table, number in zip(_TABLES, numbers, strict=True)]
    except (ValueError, struct.error, IndexError):
        raise ImportRefused(source, "is no policy that can be read") from None
    windows.Suite(**dict(zip(_FIELDS, words, strict=True))).apply(draft, source)


def _network(draft: Draft, entry: Fields) -> None:
    is_full = entry.flag("IpPrioritizeRemote")
    if is_full is not None:
        draft.keep(entry.path("IpPrioritizeRemote"), "routing.mode", "full" if is_full else "split")
    if (other := entry.flag("Ipv6PrioritizeRemote")) is not None:
        text = "Roam has one rule for both families."
        (draft.honoured if other == is_full else draft.differs)(
            entry.path("Ipv6PrioritizeRemote"), text, "routing.mode"
        )
    if domain := entry.text("IpDnsSuffix"):
        draft.keep(entry.path("IpDnsSuffix"), "dns.search", [domain])
    server = entry.text("IpDnsAddress")
    if server not in ("", "0.0.0.0"):
        draft.keep(entry.path("IpDnsAddress"), "dns.servers", addresses([server], entry.path("IpDnsAddress")))
    if (fixed := entry.flag("DisableMobility")) is not None:
        draft.keep(entry.path("DisableMobility"), "mobility.mobike", not fixed)
    if mtu := entry.number("InterfaceMtu"):
        clamped(draft, entry.path("InterfaceMtu"), "routing.mtu", mtu, 576, 65535, "octets")
