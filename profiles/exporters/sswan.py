"""Profiles for strongSwan's Android client (.sswan)."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from ..errors import ProfileError
from ..importers.algorithms import GROUPS
from ..model import Profile
from .result import Exported, Ledger

_KINDS = {
    (("eap", "mschapv2"),): "ikev2-eap",
    (("cert", ""),): "ikev2-cert",
    (("cert", ""), ("eap", "mschapv2")): "ikev2-cert-eap",
    (("eap", "tls"),): "ikev2-eap-tls",
}


def write(profile: Profile, files: Mapping[str, bytes]) -> Exported:
    """The file; a login that the client does not have is a `ProfileError`."""
    ledger = Ledger(profile, files)
    table: dict[str, Any] = {
        "uuid": str(uuid5(NAMESPACE_DNS, f"{profile.id}.{profile.gateway.addresses[0]}")),
        "name": profile.title,
        "type": _kind(profile),
        "remote": _remote(profile, ledger),
        "local": _local(profile, ledger),
    }
    ledger.done("name")
    ledger.ignored("preset", "Its values are written out.")
    _crypto(profile, ledger, table)
    _network(profile, ledger, table)
    return Exported("sswan", (json.dumps(table, indent=2) + "\n").encode(), {}, ledger.report())


def _kind(profile: Profile) -> str:
    rounds = tuple(
        (entry.method, entry.eap_methods[0] if entry.method == "eap" else "") for entry in profile.auth.local
    )
    if rounds not in _KINDS or profile.auth.proof != "cert":
        raise ProfileError("auth.local", "log in as strongSwan's Android client cannot")
    return _KINDS[rounds]


def _remote(profile: Profile, ledger: Ledger) -> dict[str, Any]:
    remote: dict[str, Any] = {"addr": profile.gateway.addresses[0]}
    if len(profile.gateway.addresses) > 1:
        ledger.differs("gateway.addresses", "The client has one address: the first.")
    if profile.gateway.port != 500:
        remote["port"] = profile.gateway.port
    name = profile.identity.remote
    if name is not None:
        remote["id"] = name.value
        if profile.identity.match == "loose":
            ledger.differs("identity.match", "The client insists that the gateway calls itself so.")
    found = ledger.authorities()
    if found:
        remote["cert"] = b64encode(found[0]).decode()
    if len(found) > 1:
        ledger.differs("trust.ca", "The client takes one certificate: the first.")
    word = profile.trust.revocation
    remote["revocation"] = {"crl": word != "off", "ocsp": word != "off", "strict": word == "strict"}
    ledger.done("gateway.addresses", "gateway.port", "identity.remote", "identity.match", "trust.ca")
    ledger.done("trust.system_store", "trust.revocation", "auth.remote.method")
    return remote


def _local(profile: Profile, ledger: Ledger) -> dict[str, Any]:
    local: dict[str, Any] = {}
    if (name := profile.identity.local) is not None:
        local["id"] = name.value
        ledger.done("identity.local")
    for n, entry in enumerate(profile.auth.local):
        path = f"auth.local[{n}]"
        if entry.method == "eap" and entry.identity:
            local["eap_id"] = entry.identity
        if entry.shows_certificate:
            if (bundle := ledger.bundle(n)) is not None:
                local["p12"] = b64encode(bundle).decode()
                ledger.missing(f"{path}.secret", "The client asks for the passphrase.")
            else:
                ledger.missing(
                    f"{path}.cert", "The client wants a .p12: choose the certificate on the device."
                )
        else:
            ledger.missing(f"{path}.secret", "The client asks for it.")
        if len(entry.eap_methods) > 1:
            ledger.differs(f"{path}.eap_methods", "The client has one method: the first.")
        ledger.done(*(f"{path}.{key}" for key in ("method", "eap_methods", "identity", "cert", "key")))
    return local


def _crypto(profile: Profile, ledger: Ledger, table: dict[str, Any]) -> None:
    crypto = profile.crypto
    if crypto.ike:
        table["ike-proposal"] = ",".join(crypto.ike)
    if crypto.esp:
        kept = [
            text for text in crypto.esp if crypto.pfs != "require" or not GROUPS.isdisjoint(text.split("-"))
        ]
        if crypto.pfs == "off":
            kept = ["-".join(word for word in text.split("-") if word not in GROUPS) for text in kept]
        table["esp-proposal"] = ",".join(dict.fromkeys(kept))
        if crypto.pfs == "offer" and not any(GROUPS.isdisjoint(text.split("-")) for text in kept):
            ledger.differs("crypto.pfs", "The client insists on the group.")
    if crypto.ike or crypto.esp:
        ledger.done("crypto.ike", "crypto.esp", "crypto.pfs", "crypto.allow_legacy")
    ledger.ignored("crypto.preset", "The client's own defaults stand instead.")


def _network(profile: Profile, ledger: Ledger, table: dict[str, Any]) -> None:
    routing, mobility = profile.routing, profile.mobility
    if routing.mtu is not None and 1280 <= routing.mtu <= 1500:
        table["mtu"] = routing.mtu
        ledger.done("routing.mtu")
    if ledger.has("mobility.nat_keepalive") and 10 <= mobility.nat_keepalive <= 120:
        table["nat-keepalive"] = mobility.nat_keepalive
        ledger.done("mobility.nat_keepalive")
    if profile.dns.servers:
        table["dns-servers"] = [str(server) for server in profile.dns.servers]
        ledger.done("dns.servers")
    split: dict[str, Any] = {}
    if routing.mode == "split" and not routing.include:
        ledger.differs("routing.mode", "The client takes whatever the gateway allows.")
    elif routing.mode == "split":
        split["subnets"] = [str(network) for network in routing.include]
        if routing.use_ts_from_gateway:
            ledger.differs(
                "routing.use_ts_from_gateway",
                "The client routes what is included alone.",
            )
    elif not routing.block_other_families:
        split |= {"block-ipv4": False, "block-ipv6": False}
    if routing.exclude:
        split["excluded"] = [str(network) for network in routing.exclude]
    if split:
        table["split-tunneling"] = split
    ledger.done("routing.mode", "routing.include", "routing.exclude", "routing.use_ts_from_gateway")
    ledger.done("routing.block_other_families")
