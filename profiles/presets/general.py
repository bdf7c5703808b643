"""Presets for gateways whose maker does not matter."""

from __future__ import annotations

from .rows import Preset, Value, offers

_MODERN = Preset(
    "strongswan",
    "strongSwan and what is built on it (OPNsense, pfSense, UniFi; home-made servers)",
    (
        *offers(
            (
                "aes256gcm16-prfsha384-ecp384-x25519-modp2048",
                "aes256-aes128-sha384-sha256-ecp384-x25519-modp2048",
            ),
            (
                "aes256gcm16-aes128gcm16-ecp384-x25519-modp2048",
                "aes256-aes128-sha256-ecp384-x25519-modp2048",
                "aes256gcm16-aes128gcm16",
                "aes256-aes128-sha256",
            ),
            "Its defaults take all of these; since 6.0.2 it rekeys with a group or without.",
        ),
        Value("mobility.mobike", True, "MOBIKE is on unless it was turned off."),
    ),
    notes=("Home-made servers often never renew keys themselves (rekey=no): Roam does.",),
    vendors=("strongSwan",),
)
_OPNSENSE = Preset(
    "opnsense",
    "OPNsense and pfSense as their guides for road warriors set them up",
    (
        *offers(
            ("aes256-sha256-modp2048",),
            ("aes256-sha256-modp2048", "aes256-sha256"),
            "The guide of 2026 chooses aes256-sha256-modp2048 and disables the defaults.",
        ),
        Value("routing.mode", "full", "The guide offers 0.0.0.0/0 and ::/0."),
        Value("mobility.force_encap", True, "The guide turns UDP encapsulation on."),
    ),
)
_APPLE = Preset(
    "apple-like",
    "servers built for iPhones and Macs",
    (
        *offers(
            ("aes256-sha256-modp2048-ecp256", "aes256gcm16-prfsha256-ecp256"),
            ("aes256-sha256-modp2048", "aes256-sha256", "aes256gcm16"),
            "Apple's devices offer one proposal, AES-256, SHA-256 and group 14, where a profile says nothing.",
        ),
        Value(
            "identity.match",
            "loose",
            "Such servers call themselves by address or by name, as they were set up.",
        ),
    ),
)
_PROVIDER = Preset(
    "provider",
    "commercial VPN providers, by their manual IKEv2 settings",
    (
        *offers(
            ("aes256-sha256-modp2048-modp4096-ecp384", "aes256gcm16-prfsha384-ecp384-modp2048"),
            ("aes256-sha256", "aes256gcm16"),
            "Published settings for routers use AES-256, SHA-256 and group 14 or 16, without PFS.",
        ),
        Value("crypto.pfs", "off", "Published settings for routers say pfs-group=none."),
        Value("routing.mode", "full", "Providers carry everything."),
        Value("identity.match", "loose", "The server's certificate bears its host name."),
    ),
    notes=(
        "User and password are service credentials from the account page, not those of the web site.",
        "Get the CA certificate from the provider's own page, and compare its fingerprint.",
        "Dial the server by its name: by an address its certificate does not confirm it.",
    ),
)

GENERAL: tuple[Preset, ...] = (_MODERN, _OPNSENSE, _APPLE, _PROVIDER)
