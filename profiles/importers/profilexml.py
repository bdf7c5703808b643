"""Windows' ProfileXML (VPNv2 CSP), bare, HTML-escaped, or inside SyncML as management servers wrap it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from . import markup, windows
from .common import addresses, host, networks
from .draft import Draft, Imported
from .errors import ImportRefused
from .intake import Intake
from .limits import text_of

KIND = "a Windows ProfileXML"
_REASONS = {
    "RememberCredentials": "Roam keeps passwords in the keyring, if you agree.",
    "DeviceCompliance": "It is about managed devices.",
    "RegisterDNS": "Roam registers no name of this machine.",
    "Proxy": "Roam sets no proxy.",
    "AppTrigger": "Roam does not choose by app.",
    "TrafficFilter": "Roam has no filter by app; routing.include says what goes through the tunnel.",
    "ByPassForLocal": "It is about a proxy.",
    "EdpModeId": "It is about managed devices.",
    "DataEncryption": "The proposals say it.",
    "DisableClassBasedDefaultRoute": "Roam adds no route of its own by class.",
    "L2tpPsk": "It is for L2TP.",
    "PlumbIKEv2TSAsRoutes": "Roam takes the networks that the gateway names.",
}
_READ = {
    "Servers",
    "RoutingPolicyType",
    "NativeProtocolType",
    "CryptographySuite",
    "Authentication",
    "NativeProfile",
    "Route",
    "DnsSuffix",
    "DomainNameInformation",
    "AlwaysOn",
    "LockDown",
    "TrustedNetworkDetection",
    "DeviceTunnel",
    "ProfileName",
}
_SUITE = {
    "IntegrityCheckMethod": "integrity",
    "EncryptionMethod": "encryption",
    "DHGroup": "group",
    "AuthenticationTransformConstants": "authentication",
    "CipherTransformConstants": "cipher",
    "PfsGroup": "pfs",
}


def recognises(octets: bytes) -> bool:
    """Whether a VPNProfile is in it, escaped or not."""
    plain = octets[: 1024 * 1024].replace(b"\0", b"")
    return bool(re.search(rb"(<|&lt;)VPNProfile[\s>&/]", plain))


def read(intake: Intake) -> list[Imported]:
    """The one profile of the document."""
    root = _profile(text_of(intake.octets))
    draft = intake.draft(KIND, markup.text(markup.below(root, "ProfileName")) or _server(root)[0])
    native = markup.below(root, "NativeProfile")
    if native is None:
        raise ImportRefused("NativeProfile", "is missing: the profile is for the app of a provider")
    _native(draft, native)
    _suite(draft, native)
    _login(draft, root, native, intake.user)
    _routes(draft, root, native)
    _names(draft, root)
    _wishes(draft, root)
    for element in (*root, *native):
        if (key := markup.name(element)) not in _READ:
            draft.ignore(key, _REASONS.get(key, "Roam does not know this key."))
    return [draft.finish()]


def _profile(text: str) -> Element:
    match = re.search(r"(<|&lt;)VPNProfile[\s>&/]", text)
    if match and match[1] == "&lt;":
        text = html.unescape(
            text[match.start() :].partition("&lt;/VPNProfile&gt;")[0] + "&lt;/VPNProfile&gt;"
        )
    root = markup.parse(text)
    found = next(markup.every(root, "VPNProfile"), None)
    if found is None:
        raise ImportRefused("", "has no VPNProfile")
    return found


def _server(root: Element) -> list[str]:
    native = markup.below(root, "NativeProfile")
    text = "" if native is None else markup.text(markup.below(native, "Servers"))
    return [entry.partition(";")[0].strip() for entry in text.split(",") if entry.strip()] or [""]


def _native(draft: Draft, native: Element) -> None:
    servers = markup.text(markup.below(native, "Servers"))
    names = [host(entry.partition(";")[0], "Servers") for entry in servers.split(",") if entry.strip()]
    if not names:
        raise ImportRefused("Servers", "is missing")
    draft.keep("Servers", "gateway.addresses", names)
    kind = markup.text(markup.below(native, "NativeProtocolType"))
    if kind.lower() not in ("ikev2", "automatic", "protocollist", ""):
        raise ImportRefused("NativeProtocolType", f'"{kind[:40]}" is not IKEv2')
    text = "It is IKEv2." if kind.lower() == "ikev2" else f"It is {kind or 'automatic'}; Roam speaks IKEv2."
    (draft.honoured if kind.lower() == "ikev2" else draft.differs)("NativeProtocolType", text)


def _suite(draft: Draft, native: Element) -> None:
    suite = markup.below(native, "CryptographySuite")
    if suite is None:
        windows.defaults(draft, "CryptographySuite")
        return
    given = {
        _SUITE[key]: markup.text(element) for element in suite if (key := markup.name(element)) in _SUITE
    }
    windows.Suite(**given).apply(draft, "CryptographySuite")


def _login(draft: Draft, root: Element, native: Element, user: str) -> None:
    windows.trust(draft, "(machine store)")
    authentication = markup.below(native, "Authentication")
    if markup.text(markup.below(root, "DeviceTunnel")).lower() == "true":
        draft.honoured("DeviceTunnel", "The machine logs in by its certificate.", "auth.local[0].method")
    method = "" if authentication is None else markup.text(markup.below(authentication, "UserMethod")).lower()
    if authentication is None or method not in ("eap", "mschapv2"):
        draft.keep("MachineMethod", "auth.local[0].method", "cert", "The machine logs in by its certificate.")
        windows.login(draft, user, needs_certificate=True)
        return
    if method == "mschapv2":
        windows.eap(draft, "UserMethod", 26)
        windows.login(draft, user, needs_certificate=False)
        return
    number = _eap_type(authentication)
    windows.eap(draft, "Eap.Type", number)
    inner = _inner_type(authentication) if number == 25 else None
    if inner == 13:
        draft.keep("Eap.Type (inside)", "auth.local[0].inner", ["eap-tls"])
    windows.login(draft, user, needs_certificate=number == 13 or inner == 13)
    _login_server(draft, authentication, uses_tls=number != 26)


def _eap_type(authentication: Element) -> int:
    """The type of the method, as the host's part says it."""
    for method in markup.every(authentication, "EapMethod"):
        return _number(markup.text(markup.below(method, "Type")))
    raise ImportRefused("Eap", "does not say which method")


def _inner_type(authentication: Element) -> int | None:
    nested = [_number(markup.text(element)) for element in markup.every(authentication, "Type")]
    return next((number for number in nested if number not in (25, 0)), None)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def _login_server(draft: Draft, authentication: Element, *, uses_tls: bool) -> None:
    """Who may vouch for the server inside EAP: a name, and thumbprints of authorities."""
    names = [
        text for element in markup.every(authentication, "ServerNames") if (text := markup.text(element))
    ]
    if names and uses_tls:
        draft.keep("Eap.ServerNames", "auth.remote.aaa_name", names[0].split(";")[0])
    prints = [
        text for element in markup.every(authentication, "TrustedRootCA") if (text := markup.text(element))
    ]
    if prints and uses_tls:
        plain = re.sub(r"[^0-9a-fA-F]", "", prints[0])[:40].lower()
        what = f"the login server's CA certificate (its SHA-1 is {plain})"
        draft.lack("Eap.TrustedRootCA", "auth.remote.aaa_ca", "radius-ca.pem", "", what)


def _routes(draft: Draft, root: Element, native: Element) -> None:
    policy = markup.text(markup.below(native, "RoutingPolicyType"))
    mode = "split" if policy.lower() == "splittunnel" else "full"
    draft.keep("RoutingPolicyType", "routing.mode", mode)
    wanted: list[str] = []
    excluded: list[str] = []
    for element in root:
        if markup.name(element) == "Route":
            address, size = (markup.text(markup.below(element, key)) for key in ("Address", "PrefixSize"))
            is_out = markup.text(markup.below(element, "ExclusionRoute")).lower() == "true"
            (excluded if is_out else wanted).append(f"{address}/{size}")
    if excluded:
        draft.keep("Route (excluded)", "routing.exclude", [str(n) for n in networks(excluded, "Route")])
    if wanted and mode == "split":
        draft.keep("Route", "routing.include", [str(n) for n in networks(wanted, "Route")])
    elif wanted:
        draft.honoured("Route", "Everything goes through the tunnel, and so do these.", "routing.mode")


def _names(draft: Draft, root: Element) -> None:
    search = [text for text in markup.text(markup.below(root, "DnsSuffix")).split(",") if text]
    if search:
        draft.keep("DnsSuffix", "dns.search", search)
    domains: dict[str, None] = {}
    servers: dict[str, None] = {}
    for entry in _children(root, "DomainNameInformation"):
        name = markup.text(markup.below(entry, "DomainName")).lstrip(".")
        if name:
            domains[name] = None
        servers.update(
            dict.fromkeys(markup.text(markup.below(entry, "DnsServers")).replace(" ", "").split(","))
        )
    if domains:
        draft.keep("DomainName", "dns.route_only", list(domains))
    if found := addresses(list(servers), "DnsServers"):
        text = "Kept: one list of servers for all the domains." if len(domains) > 1 else ""
        draft.keep("DnsServers", "dns.servers", found, text)


def _children(root: Element, name: str) -> Iterator[Element]:
    return (element for element in root if markup.name(element) == name)


def _wishes(draft: Draft, root: Element) -> None:
    if markup.text(markup.below(root, "AlwaysOn")).lower() == "true":
        draft.keep("AlwaysOn", "mobility.autoconnect", True)
    if markup.text(markup.below(root, "LockDown")).lower() == "true":
        draft.differs(
            "LockDown",
            "The guard holds while the tunnel is wanted; 'roam lockdown on' also when it is not.",
            "routing.guard",
        )
    if text := markup.text(markup.below(root, "TrustedNetworkDetection")):
        draft.keep("TrustedNetworkDetection", "mobility.trusted_networks", text.split(","))
