"""The usual remote access with strongSwan: a gateway that serves the lab's protected networks, and its client.

What differs between tests is a `Road`; `serve` loads the gateway's side, `dial` a strongSwan client's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from cryptography.hazmat.primitives import serialization

from client.lab.pki import Authority, Issued, KeyKind, der, make_authority
from client.lab.topology import GATEWAY, GATEWAY_V6
from tests.secrecy.scanner import kept_secret

from .strongswan import StrongSwan
from .vici import Value

GATEWAY_NAME = "gateway.example"
USER = "user@example.org"
SHARED_KEY = kept_secret("quiet-Otter-4711")
PASSWORD = kept_secret("brisk-Heron-0815")
CONNECTION = "road"
PROTECTED = ("10.77.0.0/24", "fd77::/64")
POOLS = {"inside4": "10.99.0.0/24", "inside6": "fd99::/112"}
IKE_PROPOSALS = ("aes256gcm16-prfsha384-x25519", "aes256-sha256-ecp256", "aes128-sha256-modp2048")
ESP_PROPOSALS = ("aes256gcm16", "aes256-sha256")


class Method(StrEnum):
    """How the user proves who he is; the gateway shows a certificate except with a pre-shared key."""

    PSK = "psk"
    CERTIFICATE = "certificate"
    EAP = "eap-mschapv2"
    EAP_GTC = "eap-gtc"
    EAP_MD5 = "eap-md5"

    @property
    def is_eap(self) -> bool:
        """Whether the gateway asks by EAP."""
        return self.value.startswith("eap-")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An authority with the certificates of both ends."""

    authority: Authority
    gateway: Issued
    user: Issued


@dataclass(frozen=True, slots=True)
class Road:
    """One set-up; `connection` and `child` are laid over the sections of the same names."""

    method: Method = Method.PSK
    credentials: Credentials | None = None
    ipv6: bool = False  # the outer addresses
    shared_key: bool = False  # likewise the pre-shared key
    passwords: bool = False  # the gateway knows the user's password also where the method is another
    connection: Mapping[str, Value] = field(default_factory=dict)
    child: Mapping[str, Value] = field(default_factory=dict)


def make_credentials(key: KeyKind = "ecdsa") -> Credentials:
    """Throw-away certificates with keys of one kind."""
    authority = make_authority("Lab Root", key=key)
    gateway = authority.issue(f"CN={GATEWAY_NAME}", dns=[GATEWAY_NAME], key=key)
    user = authority.issue(f"CN={USER}", emails=[USER], key=key, server=False)
    return Credentials(authority, gateway, user)


def serve(gateway: StrongSwan, road: Road) -> None:
    """Load the gateway's side."""
    for name, addresses in POOLS.items():
        gateway.pool(name, addresses, {"dns": ["10.77.0.1" if "." in addresses else "fd77::1"]})
    _load_credentials(gateway, road, own=road.credentials.gateway if road.credentials else None)
    gateway.connection(
        CONNECTION,
        {
            **_common(road),
            "local_addrs": [str(GATEWAY), str(GATEWAY_V6)],
            "pools": list(POOLS),
            "send_cert": "always",
            "local-1": _gateway_proof(road),
            "remote-1": _user_proof(road),
            "children": {
                "net": {"local_ts": list(PROTECTED), "esp_proposals": list(ESP_PROPOSALS), **road.child}
            },
            **road.connection,
        },
    )


def dial(client: StrongSwan, road: Road) -> None:
    """Load a client's side, to be brought up with `client.initiate(CONNECTION)`."""
    _load_credentials(client, road, own=road.credentials.user if road.credentials else None)
    client.connection(
        CONNECTION,
        {
            **_common(road),
            "remote_addrs": [str(GATEWAY_V6 if road.ipv6 else GATEWAY)],
            "vips": ["0.0.0.0", "::"],
            "local-1": {**_user_proof(road), "id": USER, **_certificate(road, "user")},
            "remote-1": {"auth": "psk" if road.method is Method.PSK else "pubkey", "id": GATEWAY_NAME},
            "children": {
                CONNECTION: {"remote_ts": list(PROTECTED), "esp_proposals": list(ESP_PROPOSALS), **road.child}
            },
            **road.connection,
        },
    )


def _common(road: Road) -> dict[str, Value]:
    """`encap`: kernel-libipsec carries ESP in UDP only."""
    return {"version": 2, "encap": "yes", "proposals": list(IKE_PROPOSALS), "rekey_time": 0}


def _gateway_proof(road: Road) -> dict[str, Value]:
    if road.method is Method.PSK:
        return {"auth": "psk", "id": GATEWAY_NAME}
    return {"auth": "pubkey", "id": GATEWAY_NAME, **_certificate(road, "gateway")}


def _user_proof(road: Road) -> dict[str, Value]:
    match road.method:
        case Method.PSK:
            return {"auth": "psk"}
        case Method.CERTIFICATE:
            return {"auth": "pubkey"}
        case _:
            return {"auth": road.method.value, "eap_id": USER}


def _certificate(road: Road, whose: Literal["gateway", "user"]) -> dict[str, Value]:
    if road.credentials is None or (whose == "user" and road.method is not Method.CERTIFICATE):
        return {}
    issued = road.credentials.gateway if whose == "gateway" else road.credentials.user
    return {"certs": [der(issued.certificate)]}


def _load_credentials(peer: StrongSwan, road: Road, own: Issued | None) -> None:
    if road.method is Method.PSK or road.shared_key:
        peer.secret("IKE", SHARED_KEY, [GATEWAY_NAME, USER])
    if road.method.is_eap or road.passwords:
        peer.secret("EAP", PASSWORD, [USER])
    if road.credentials is not None and own is not None:
        peer.authority(der(road.credentials.authority.certificate))
        form = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        peer.private_key(own.key.private_bytes(*form))
