"""Keyfiles of NetworkManager (.nmconnection) with its strongSwan plugin."""

from __future__ import annotations

import re

from . import algorithms
from .common import addresses, host, leftovers, networks, route, system_trust
from .draft import Draft, Imported
from .errors import ImportRefused
from .fields import Fields
from .inifile import sections
from .intake import Intake
from .limits import text_of

KIND = "a NetworkManager connection"
_SERVICE = "org.freedesktop.NetworkManager.strongswan"
_ROUNDS = {"eap": "mschapv2", "eap-tls": "tls"}
_REASONS = {
    "permissions": "The profile is yours alone where it lies now.",
    "uuid": "A number of NetworkManager's own.",
    "interface-name": "Roam names its link itself.",
    "ipcomp": "Roam does not compress.",
    "proposal": "The lists say it.",
    "timestamp": "A note of NetworkManager's own.",
    "password-flags": "Roam keeps passwords in the keyring, or asks.",
    "method": "Roam takes what the gateway assigns.",
    "addr-gen-mode": "Roam takes what the gateway assigns.",
    "may-fail": "Roam takes what the gateway assigns.",
}


def recognises(octets: bytes) -> bool:
    """Whether it is a keyfile of a VPN connection."""
    return b"[connection]" in octets and bool(
        re.search(rb"(?m)^type\s*=\s*vpn\s*$", octets.replace(b"\r", b""))
    )


def read(intake: Intake) -> list[Imported]:
    """The one connection of the file."""
    found = sections(text_of(intake.octets))
    connection = Fields(found.get("connection", {}), "connection")
    vpn = Fields(found.get("vpn", {}), "vpn")
    service = vpn.text("service-type")
    if service != _SERVICE:
        raise ImportRefused("vpn.service-type", f'"{service[:80]}" is another kind of VPN, not IKEv2')
    draft = intake.draft(KIND, connection.text("id"))
    connection.skip("type")
    if (automatic := connection.flag("autoconnect")) is not None:
        draft.keep("connection.autoconnect", "mobility.autoconnect", automatic)
    _gateway(draft, vpn)
    _login(draft, vpn, Fields(found.get("vpn-secrets", {}), "vpn-secrets"), intake.user)
    _crypto(draft, vpn)
    _addresses(draft, vpn, Fields(found.get("ipv4", {}), "ipv4"), Fields(found.get("ipv6", {}), "ipv6"))
    for fields in (connection, vpn):
        leftovers(draft, fields, _REASONS)
    if found.get("proxy"):
        draft.ignore("proxy", "Roam sets no proxy.")
    return [draft.finish()]


def _gateway(draft: Draft, vpn: Fields) -> None:
    source = vpn.path("address")
    draft.keep(source, "gateway.addresses", [host(vpn.text("address"), source)])
    if port := vpn.number("server-port"):
        draft.keep(vpn.path("server-port"), "gateway.port", port)
    if name := vpn.text("remote-identity"):
        draft.keep(vpn.path("remote-identity"), "identity.remote", name)
        draft.put("identity.match", "strict")
    if name := vpn.text("local-identity"):
        draft.keep(vpn.path("local-identity"), "identity.local", name)
    if (encap := vpn.flag("encap")) is not None:
        draft.keep(vpn.path("encap"), "mobility.force_encap", encap)


def _login(draft: Draft, vpn: Fields, secrets: Fields, given: str) -> None:
    word, path = vpn.text("method") or vpn.text("cert-source"), "auth.local[0]"
    source, password = vpn.path("method"), secrets.text("password") or None
    user = vpn.text("user") or given
    if word in _ROUNDS:
        draft.put(f"{path}.method", "eap")
        draft.keep(source, f"{path}.eap_methods", [_ROUNDS[word]])
        draft.user(vpn.path("user"), f"{path}.identity", user)
    elif word == "psk":
        draft.keep(source, f"{path}.method", "psk")
        if draft.value("identity.local") is None:
            draft.user(vpn.path("user"), "identity.local", user)
    elif word in ("cert", "key", "file"):
        draft.keep(source, f"{path}.method", "cert", "We sign with our certificate.")
    else:
        raise ImportRefused(source, f'"{word[:40]}" keeps the key where Roam has no way to it')
    if word in ("cert", "key", "file", "eap-tls"):
        draft.refer(
            vpn.path("usercert"), f"{path}.cert", vpn.text("usercert"), "client.pem", "your certificate"
        )
        draft.refer(vpn.path("userkey"), f"{path}.key", vpn.text("userkey"), "client.key", "its private key")
        draft.secret(secrets.path("password"), f"{path}.secret", "passphrase", password)
    else:
        draft.secret(
            secrets.path("password"), f"{path}.secret", "psk" if word == "psk" else "password", password
        )
    if word != "psk":
        _trust(draft, vpn)
    leftovers(draft, secrets)


def _trust(draft: Draft, vpn: Fields) -> None:
    source = vpn.path("certificate")
    if place := vpn.text("certificate"):
        draft.refer(source, "trust.ca", place, "ca.pem", "the gateway's CA certificate")
    else:
        system_trust(draft, source, "No certificate in the file: the system's authorities are trusted.")


def _crypto(draft: Draft, vpn: Fields) -> None:
    if vpn.flag("proposal") is False:
        vpn.skip("ike", "esp")
        return
    for key in ("ike", "esp"):
        proposals = [text for text in re.split(r"[;,]", vpn.text(key)) if text.strip()]
        algorithms.offer(draft, vpn.path(key), key, proposals)
        if key == "esp" and proposals:
            algorithms.perfect_secrecy(draft, proposals)


def _addresses(draft: Draft, vpn: Fields, *families: Fields) -> None:
    if vpn.flag("virtual"):
        draft.keep(vpn.path("virtual"), "address.request", ["ipv4", "ipv6"])
    elif "virtual" in vpn:
        draft.differs(vpn.path("virtual"), "Roam asks for an inside address in any case.", "address.request")
    texts = [text for text in re.split(r"[;,\s]+", vpn.text("remote-ts")) if text]
    further = [text for fields in families for text in _routes(draft, fields)]
    if texts:
        route(draft, vpn.path("remote-ts"), networks([*texts, *further], vpn.path("remote-ts")))
    elif further:
        route(draft, families[0].path("route1"), networks(further, families[0].path("route1")))
    elif any(fields.flag("never-default") for fields in families):
        draft.put("routing.mode", "split")
    search: dict[str, None] = {}
    servers: list[str] = []
    for fields in families:
        if (only := fields.flag("never-default")) is not None:
            _default_route(draft, fields, is_split=only)
        search.update(dict.fromkeys(text for text in fields.text("dns-search").split(";") if text))
        if search and "dns-search" in fields:
            draft.keep(fields.path("dns-search"), "dns.search", list(search))
        texts = [text for text in re.split(r"[;,]", fields.text("dns")) if text]
        servers += addresses(texts, fields.path("dns"))
        if texts:
            draft.keep(fields.path("dns"), "dns.servers", servers)
        leftovers(draft, fields, _REASONS)


def _routes(draft: Draft, fields: Fields) -> list[str]:
    """Networks of route1, route2 and so on: NETWORK,GATEWAY,METRIC."""
    keys = [key for key in fields.rest() if re.fullmatch(r"route\d{1,3}", key)]
    for key in keys:
        draft.honoured(fields.path(key), "Goes through the tunnel too.", "routing.include")
    return [fields.text(key).split(",")[0] for key in keys]


def _default_route(draft: Draft, fields: Fields, *, is_split: bool) -> None:
    source, mode = fields.path("never-default"), draft.value("routing.mode") or "full"
    if is_split == (mode == "split"):
        draft.honoured(source, f"The tunnel is {mode}.", "routing.mode")
    else:
        draft.differs(source, "The networks decide: Roam has one rule for both families.", "routing.mode")
