"""What an embedded gateway is to be, as a JSON file: made by whoever starts one, read by `client.lab.gateway`.

The file holds throw-away secrets and keys of the lab; it is written for its owner alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ..ike.authentication import KeySigner
from ..ike.eap.methods import BY_WORD
from ..ike.identity import Identity
from ..ike.keys import Secret
from ..ike.options import Lifetimes
from ..ike.payloads import Attribute
from ..ike.proposals import PRESETS, parse_offer
from ..ike.registry import Kex, ProtocolId
from ..ike.selectors import selector_of
from . import pki
from .eap_methods import Accounts
from .responder import GatewayConfig, Personality


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """Strings and numbers alone: addresses to listen on, identity, networks, and how both ends log in."""

    addresses: tuple[str, ...] = ("192.0.2.1", "2001:db8::1")
    identity: str = "vpn.example.com"
    selectors: tuple[str, ...] = ("10.77.0.0/24", "fd77::/64")
    pools: tuple[str, ...] = ("10.99.0.0/24", "fd99::/64")
    dns: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    clients: Literal["psk", "cert", "eap"] = "eap"
    proof: Literal["psk", "cert"] = "cert"
    psk: str = field(default="", repr=False)
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    codes: Mapping[str, str] = field(default_factory=dict, repr=False)
    eap_methods: tuple[str, ...] = ("mschapv2",)
    certificates: tuple[str, ...] = ()  # PEM, the gateway's own first
    key: str = field(default="", repr=False)  # PEM
    client_authorities: tuple[str, ...] = ()
    link: str = "gw0"
    mtu: int = 1400
    child_lifetime: float = 3600.0
    ike_lifetime: float = 14400.0
    cookie: bool = False
    group: int = 0  # 0: none of its own
    mobike: bool = True
    assigned: tuple[str, ...] = ()  # more attributes of its configuration, as "NUMBER:OCTETS" (hexadecimal)

    def write(self, file: Path) -> None:
        """Write the plan, readable for its owner alone."""
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump(asdict(self), stream)

    @classmethod
    def read(cls, file: Path) -> GatewayPlan:
        """Read a plan written by `write`."""
        values: dict[str, Any] = json.loads(file.read_text())
        lists: dict[str, Any] = {name: tuple(v) for name, v in values.items() if isinstance(v, list)}
        return cls(**{**values, **lists})

    def config(self) -> GatewayConfig:
        """The typed values that the responder works with."""
        ike, esp = PRESETS["modern"]
        return GatewayConfig(
            identity=Identity.parse(self.identity),
            ike_offer=parse_offer(ProtocolId.IKE, ike),
            esp_offer=parse_offer(ProtocolId.ESP, esp),
            selectors=tuple(selector_of(ip_network(text)) for text in self.selectors),
            pools=tuple(ip_network(text) for text in self.pools),
            clients=self.clients,
            proof=self.proof,
            psk=Secret(self.psk.encode()),
            chain=tuple(pki.der(certificate) for certificate in _certificates(self.certificates)),
            signer=_signer(self.key),
            client_anchors=_certificates(self.client_authorities),
            accounts=Accounts(_secrets(self.users), _secrets(self.codes)),
            eap_methods=tuple(BY_WORD[word] for word in self.eap_methods),
            dns=tuple(ip_address(text) for text in self.dns),
            domains=self.domains,
            personality=Personality(
                cookie=self.cookie,
                group=Kex(self.group) if self.group else None,
                mobike=self.mobike,
                assigned=tuple(map(_attribute, self.assigned)),
            ),
            lifetimes=Lifetimes(self.ike_lifetime, self.child_lifetime),
        )


def _attribute(text: str) -> Attribute:
    number, _, octets = text.partition(":")
    return Attribute(int(number), bytes.fromhex(octets))


def _secrets(texts: Mapping[str, str]) -> dict[str, Secret]:
    return {name: Secret(text.encode()) for name, text in texts.items()}


def _certificates(texts: tuple[str, ...]) -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_pem_x509_certificate(text.encode()) for text in texts)


def _signer(text: str) -> KeySigner | None:
    if not text:
        return None
    key = serialization.load_pem_private_key(text.encode(), None)
    return KeySigner(key)  # type: ignore[arg-type]  # the lab makes only keys that can sign
