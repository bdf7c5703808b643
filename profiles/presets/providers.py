"""Presets for commercial providers: no credentials and no certificates, which are theirs to hand out."""

from __future__ import annotations

from .rows import Preset, Value, offers

_FULL = Value("routing.mode", "full", "Providers carry everything.")
_NAME = Value("identity.match", "loose", "The server's certificate bears its host name.", "general knowledge")
_FINGERPRINT = "Get the CA certificate from the provider's own page, and compare its fingerprint."

_NORD = Preset(
    "nordvpn",
    "NordVPN",
    (
        *offers(
            ("aes256-sha256-modp2048-modp4096", "aes256gcm16-prfsha384-ecp384-modp2048"),
            ("aes256-sha256", "aes256gcm16"),
            "Its recipe for RouterOS keeps that router's profile, whose strongest group is 14, with PFS none.",
        ),
        Value("crypto.pfs", "off", "Its recipe for RouterOS says pfs-group=none."),
        Value("address.request", ["ipv4"], "It assigns IPv4 alone.", "general knowledge"),
        _FULL,
        _NAME,
    ),
    notes=(
        "Servers are called CCNN.nordvpn.com; those with IKEv2 are listed by its API (technology ikev2).",
        "User and password are the service credentials of the account page.",
        "Its CA is NordVPN Root CA, valid from 2016 to the end of 2035.",
        _FINGERPRINT,
    ),
    hosts=(".nordvpn.com",),
)
_SURFSHARK = Preset(
    "surfshark",
    "Surfshark",
    (
        *offers(
            ("aes256-sha256-modp2048-modp4096-ecp384", "aes256gcm16-prfsha384-ecp384-modp2048"),
            ("aes256-sha256", "aes256gcm16"),
            "What strongSwan takes by default, which its servers run.",
            "general knowledge",
        ),
        Value("crypto.pfs", "off", "Clients of its own ask for none.", "general knowledge"),
        _FULL,
        _NAME,
    ),
    notes=(
        "Servers are called CC-CITY.prod.surfshark.com; the CA comes as surfshark_ikev2.crt.",
        "User and password are the service credentials of the account page.",
        _FINGERPRINT,
    ),
    hosts=(".prod.surfshark.com",),
)
_PROTON = Preset(
    "protonvpn",
    "Proton VPN",
    (
        *offers(
            ("aes256-sha256-modp4096-modp2048",),
            ("aes256-sha256-modp2048", "aes256-sha256"),
            "A published recipe for RouterOS takes AES-256, SHA-256, groups 16 and 14, and PFS with group 14.",
        ),
        _FULL,
        _NAME,
    ),
    notes=(
        "Its own apps have no IKEv2 any more; third-party clients are still documented.",
        "User and password are the OpenVPN/IKEv2 ones of the account page; the CA comes as ProtonVPN_ike_root.der.",
        _FINGERPRINT,
    ),
    hosts=(".protonvpn.net", ".protonvpn.com"),
)

PROVIDERS: tuple[Preset, ...] = (_NORD, _SURFSHARK, _PROTON)
