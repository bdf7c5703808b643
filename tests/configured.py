"""What the tests of configuration share: profiles of each kind with their files, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from client.config import Material, session_config
from client.ike.keys import Secret
from client.ike.options import (
    SessionConfig,
)
from client.lab.pki import make_authority, pem
from profiles.store import load_text

SAMPLE = Path(__file__).parent / "profiles" / "samples" / "14-profile-schema1.toml"
CA = make_authority("Office CA")
LAPTOP = CA.issue("CN=laptop,O=Example", dns=["laptop.example.com"], server=False)
CERTIFICATE, KEY = LAPTOP.certificate, LAPTOP.key

PSK = """
schema = 1
id = "site"
[gateway]
addresses = ["192.0.2.1"]
[identity]
local = "laptop.example.com"
[[auth.local]]
method = "psk"
secret = "keyring:site"
"""
EAP = """
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com", "192.0.2.1"]
[[auth.local]]
method = "eap"
identity = "alice"
secret = "ask:"
[trust]
ca = ["file:ca.pem"]
"""
CERT = """
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com"]
[[auth.local]]
method = "cert"
cert = "file:laptop.pem"
key = "file:laptop.key"
secret = "ask:passphrase"
[trust]
ca = ["file:ca.pem"]
"""
FILES = {
    "file:ca.pem": pem(CA.certificate).encode(),
    "file:laptop.pem": pem(CERTIFICATE).encode(),
    "file:laptop.key": pem(KEY).encode(),
}
SECRETS = {"keyring:site": Secret(b"a key"), "ask:": Secret(b"hollow-Cedar-2266")}


def configure(
    text: str,
    files: Mapping[str, bytes] = FILES,
    secrets: Mapping[str, Secret] = SECRETS,
    *,
    authorities: bytes = b"",
) -> SessionConfig:
    """The session that a profile describes."""
    return session_config(load_text(text), Material(files, secrets, authorities))
