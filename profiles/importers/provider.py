"""What providers print on a page for "manual IKEv2": lines such as "Server address: …", in no fixed form."""

from __future__ import annotations

import re

from .common import anchor, host, system_trust
from .draft import Draft, Imported
from .errors import ImportRefused
from .intake import Intake
from .limits import MOST_ENTRIES, bounded, text_of

KIND = "a provider's text"
_NAMES = {
    "server": (
        "server",
        "server address",
        "server name",
        "gateway",
        "host",
        "hostname",
        "address",
        "vpn server",
    ),
    "remote": ("remote id", "remote identifier", "server id"),
    "local": ("local id", "local identifier"),
    "login": ("authentication", "authentication method", "auth", "user authentication", "login"),
    "user": ("username", "user name", "user", "account", "account name"),
    "password": ("password", "pass", "secret"),
    "shared": ("pre-shared key", "preshared key", "shared secret", "psk"),
    "ca": ("ca certificate", "ca", "certificate", "root certificate", "ca file"),
}
_KIND_OF = {name: kind for kind, names in _NAMES.items() for name in names}
_NOTHING = re.compile(r"\(.*\)|<.*>|\[.*\]|-+|none|empty|n/a|leave (blank|empty)", re.IGNORECASE)
_BOUNDARY = re.compile(r"^\s*([A-Za-z][A-Za-z0-9 /_-]{0,40}?)\s*[:=]\s*(.*?)\s*$")


def recognises(octets: bytes) -> bool:
    """Whether some line names a server in words."""
    try:
        lines = text_of(octets[: 64 * 1024]).split("\n")[:MOST_ENTRIES]
    except ImportRefused:
        return False
    return any(_kind(line) == "server" for line in lines)


def read(intake: Intake) -> list[Imported]:
    """The one account of the text."""
    text = text_of(intake.octets)
    values = _values(text)
    draft = intake.draft(KIND, values["server"][1].split(".")[0] if "server" in values else "provider")
    source, server = values.get("server", ("server", ""))
    draft.keep(source, "gateway.addresses", [host(server, source)])
    draft.put("preset", "provider")
    if "remote" in values:
        draft.keep(values["remote"][0], "identity.remote", values["remote"][1])
    if "local" in values:
        draft.keep(values["local"][0], "identity.local", values["local"][1])
    _login(draft, values, intake.user)
    _authority(draft, values, text)
    return [draft.finish()]


def _kind(line: str) -> str:
    match = _BOUNDARY.match(line[:400])
    return _KIND_OF.get(match[1].strip().lower(), "") if match else ""


def _values(text: str) -> dict[str, tuple[str, str]]:
    """kind -> (the line's own name, its value); what says nothing is left out."""
    found: dict[str, tuple[str, str]] = {}
    lines = text.split("\n")
    if len(lines) > 10 * MOST_ENTRIES:
        raise ImportRefused("", "has too many lines")
    for line in lines:
        match = _BOUNDARY.match(line) if len(line) <= 4096 else None
        if match is None:
            if len(line) > 4096:
                raise ImportRefused("", "has a line that never ends")
            continue
        kind, value = _KIND_OF.get(match[1].strip().lower()), bounded(match[2], match[1])
        if (kind and value and not _NOTHING.fullmatch(value)) or (kind == "login" and value):
            found.setdefault(kind, (match[1].strip(), value))
    return found


def _login(draft: Draft, values: dict[str, tuple[str, str]], user: str) -> None:
    source, word = values.get("login", ("Authentication", ""))
    path = "auth.local[0]"
    if "shared" in values and "user" not in values:
        draft.put(f"{path}.method", "psk")
        draft.secret(values["shared"][0], f"{path}.secret", "psk", values["shared"][1])
        if draft.value("identity.local") is None:
            draft.user("Local ID", "identity.local", user)
        return
    draft.put(f"{path}.method", "eap")
    draft.honoured(
        source,
        f"User name and password, by EAP-MSCHAPv2{f' ({word[:40]})' if word else ''}.",
        f"{path}.method",
    )
    name_source, name = values.get("user", ("Username", user))
    draft.user(name_source, f"{path}.identity", name)
    password_source, password = values.get("password", ("Password", ""))
    draft.secret(password_source, f"{path}.secret", "password", password or None)


def _authority(draft: Draft, values: dict[str, tuple[str, str]], text: str) -> None:
    """A certificate in the text itself, or the place where the provider has it."""
    if "-----BEGIN CERTIFICATE-----" in text:
        start, end = text.index("-----BEGIN CERTIFICATE-----"), text.rfind("-----END CERTIFICATE-----")
        anchor(draft, "certificate", text[start : end + 26].encode() if end > start else b"-")
    elif "ca" in values:
        source, place = values["ca"]
        draft.lack(source, "trust.ca", "ca.pem", "", f"the provider's CA certificate ({place[:120]})")
        draft.note("Compare the certificate's fingerprint with the one that the provider publishes.")
    elif draft.value("auth.local[0].method") != "psk":
        system_trust(draft, "(CA)", "No certificate in the text: the system's authorities are trusted.")
