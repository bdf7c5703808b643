"""The package that Azure's portal makes for point-to-site clients (zip): Generic/VpnSettings.xml and the roots.

The gateway's root is rotated now and then; every root in the package is taken, and a new package brings new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from . import archive, markup
from .common import addresses, anchor, host, networks
from .draft import Draft, Imported
from .errors import ImportRefused
from .intake import Intake
from .limits import text_of

KIND = "an Azure point-to-site package"
_FOLDERS = ("generic/", "mac/", "openvpn/", "azurevpn/")
_SETTINGS = "generic/vpnsettings.xml"
_ENTRA = "Microsoft Entra sign-in needs OpenVPN, and has no client for Linux any more."


def recognises(octets: bytes) -> bool:
    """Whether it is a zip archive."""
    return octets.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def read(intake: Intake) -> list[Imported]:
    """The one gateway of the package."""
    files = archive.members(intake.octets, _FOLDERS)
    by_name = {name.lower(): octets for name, octets in files.items()}
    if _SETTINGS not in by_name:
        raise _without_settings(by_name)
    root = markup.parse(text_of(by_name[_SETTINGS]))
    if markup.name(root) != "VpnProfile":
        raise ImportRefused("Generic/VpnSettings.xml", "is about something else")
    draft = intake.draft(KIND, "azure")
    draft.put("preset", "azure-p2s")
    _settings(draft, root)
    _login(draft, root, by_name, intake.user)
    for name in sorted(name for name in by_name if name.startswith("generic/vpnserverroot.cer")):
        anchor(draft, _as_written(files, name), by_name[name])
    if draft.value("trust.ca") is None:
        draft.lack("Generic/VpnServerRoot.cer", "trust.ca", "ca.pem", "", "the gateway's root certificate")
    for name in sorted(files):
        if name.lower().startswith(("openvpn/", "azurevpn/", "mac/")):
            draft.ignore(
                name, _ENTRA if name.lower().startswith("azure") else "It is for another kind of client."
            )
    draft.note("When the gateway's root is rotated, download a new package and import it with --force.")
    return [draft.finish()]


def _without_settings(files: Mapping[str, bytes]) -> ImportRefused:
    if any(name.startswith("azurevpn/") for name in files):
        return ImportRefused("Generic", f"is not in the package: this gateway speaks OpenVPN alone. {_ENTRA}")
    if files:
        return ImportRefused(
            "Generic", "is not in the package: the gateway has no IKEv2, or is of the Basic SKU"
        )
    return ImportRefused("", "is a zip archive, and no package of Azure's")


def _settings(draft: Draft, root: Element) -> None:
    for element in root:
        key, value = markup.name(element), markup.text(element)
        match key:
            case "VpnServer":
                draft.keep(key, "gateway.addresses", [host(value, key)])
                draft.honoured(
                    key, "The gateway calls itself by another name; its certificate must confirm this one."
                )
            case "VpnType":
                _type(draft, value)
            case "Routes":
                _routes(draft, value)
            case "CustomDnsServers":
                if value:
                    draft.keep(key, "dns.servers", addresses(value.split(","), key))
            case "Auth":
                continue  # told with the login
            case _:
                draft.ignore(key, "Roam does not know this key.")
    if draft.value("gateway.addresses") is None:
        raise ImportRefused("VpnServer", "is missing")


def _type(draft: Draft, value: str) -> None:
    kinds = [word.strip() for word in value.split(",")]
    if "ikev2" not in [word.lower() for word in kinds]:
        raise ImportRefused(
            "VpnType", f'"{value[:40]}" has no IKEv2: ask for that tunnel type at the gateway'
        )
    draft.honoured("VpnType", "IKEv2 is among them.")


def _routes(draft: Draft, value: str) -> None:
    wanted = networks([text for text in value.split(",") if text.strip()], "Routes")
    if wanted:
        draft.put("routing.mode", "split")
        draft.keep(
            "Routes",
            "routing.include",
            [str(network) for network in wanted],
            "Kept: the gateway names no routes itself.",
        )


def _login(draft: Draft, root: Element, files: Mapping[str, bytes], user: str) -> None:
    """By certificate, or with a RADIUS server behind the gateway by EAP."""
    word = markup.text(markup.below(root, "Auth"))
    has_radius = "generic/radiusserverroot.cer" in files
    if "mschap" in word.lower() or (has_radius and "tls" not in word.lower()):
        draft.put("auth.local[0].method", "eap")
        draft.user("(user)", "auth.local[0].identity", user)
        draft.honoured("Auth", "User name and password, by EAP-MSCHAPv2.", "auth.local[0].eap_methods")
        draft.secret("(password)", "auth.local[0].secret", "password")
        return
    path = "auth.local[0].cert"
    if has_radius:
        draft.put("auth.local[0].method", "eap")
        draft.put("auth.local[0].eap_methods", ["tls"])
        draft.honoured("Auth", "A certificate, by EAP-TLS at the RADIUS server.", "auth.local[0].eap_methods")
        draft.user("(user)", "auth.local[0].identity", user)
        draft.file(
            "Generic/RadiusServerRoot.cer",
            "auth.remote.aaa_ca",
            "radius-ca.cer",
            files["generic/radiusserverroot.cer"],
        )
    else:
        draft.put("auth.local[0].method", "cert")
        text = "A certificate, by IKEv2's own signature: what such a gateway takes."
        (draft.differs if "eap" in word.lower() else draft.honoured)("Auth", text, "auth.local[0].method")
    draft.lack("(certificate)", path, "client.p12", "", "your certificate with its key (.p12)")
    draft.put("auth.local[0].secret", f"keyring:{draft.id}/passphrase")


def _as_written(files: Mapping[str, bytes], lower: str) -> str:
    return next(name for name in files if name.lower() == lower)
