"""Presets for the gateways of makers, in hardware and as servers."""

from __future__ import annotations

from .rows import Preset, Value, offers

_WINDOWS = Preset(
    "windows-rras",
    "Windows Server (RRAS, Always On VPN)",
    (
        *offers(
            ("aes256-sha384-sha256-modp2048", "aes256gcm16-prfsha384-modp2048-ecp384"),
            ("aes256-sha256", "aes256gcm16"),
            "It reads some 15 transforms of a kind: few are offered.  A server without a custom policy has group 2 "
            "alone, which is weak: it needs Set-VpnServerConfiguration -CustomPolicy, or crypto.allow_legacy here.",
        ),
        Value("crypto.pfs", "off", "A rekey with a group that it does not expect ends in its error 13816."),
        Value(
            "identity.match",
            "loose",
            "It calls itself by its certificate's distinguished name; the certificate bears the name dialled.",
            "seen in logs",
        ),
    ),
    legacy=offers(
        (
            "aes256-sha384-sha256-modp2048",
            "aes256gcm16-prfsha384-modp2048-ecp384",
            "aes256-aes128-sha384-sha256-sha1-modp1024",
        ),
        ("aes256-sha256", "aes256gcm16", "aes256-aes128-sha1"),
        "A server without a custom policy takes AES with group 2, and has SHA-1 for ESP.",
        "general knowledge",
    ),
    notes=(
        "Routes are not told by IKE: write them in routing.include, as ProfileXML has them.",
        "Without EnableServerFragmentation on the server long certificates are lost on the way.",
    ),
    vendors=("Microsoft Windows",),
)
_FORTIGATE = Preset(
    "fortigate",
    "Fortinet FortiGate, dial-up",
    (
        *offers(
            (
                "aes256-aes128-sha256-modp2048-ecp384-x25519",
                "aes256gcm16-prfsha384-ecp384-modp2048-x25519",
            ),
            ("aes256gcm16-modp2048-ecp384-x25519", "aes256-aes128-sha256-modp2048-ecp384-x25519"),
            "Phase 2 has PFS on by default, with the groups of phase 1.",
        ),
        Value("crypto.pfs", "require", "Phase 2 has PFS on by default."),
        Value(
            "mobility.mobike",
            False,
            "MOBIKE is not known to work: Roam connects anew quickly instead.",
            "general knowledge",
        ),
        Value("lifetimes.ike", 43200, "Phase 1 lives 86,400 s.", "general knowledge"),
        Value("lifetimes.child", 14400, "Phase 2 lives 43,200 s.", "general knowledge"),
    ),
    notes=(
        'Usual: the gateway proves itself by a pre-shared key ([auth.remote] method = "psk"), the user by EAP.',
        'LDAP users need eap_methods = ["ttls"] and inner = ["pap"].',
        "Where several dial-ups share an address, identity.local chooses among them.",
    ),
    vendors=("Fortinet FortiGate",),
)
_CISCO = Preset(
    "cisco",
    "Cisco ASA and Secure Firewall, IOS-XE FlexVPN",
    (
        *offers(
            ("aes256gcm16-prfsha384-ecp384-modp2048", "aes256-sha512-sha384-sha256-ecp384-modp2048"),
            ("aes256gcm16", "aes256-sha256", "aes256gcm16-ecp384-modp2048", "aes256-sha256-ecp384-modp2048"),
            "It takes what its administrator's policies list; AES-256 with groups 14, 19, 20, 21 is usual.",
            "general knowledge",
        ),
        Value(
            "identity.match",
            "loose",
            "It calls itself by a key identifier or its certificate's name.",
            "general knowledge",
        ),
        Value("lifetimes.ike", 43200, "The IKE SA lives 86,400 s.", "general knowledge"),
        Value("lifetimes.child", 14400, "Child SAs live 28,800 s.", "general knowledge"),
    ),
    notes=(
        "EAP goes through to a RADIUS server; AnyConnect-EAP is Cisco's own and cannot be used.",
        "FlexVPN finds the profile by identity.local: often a keyid or an e-mail address.",
    ),
    vendors=("Cisco", "Cisco FlexVPN"),
)
_MIKROTIK = Preset(
    "mikrotik",
    "MikroTik RouterOS 7",
    (
        *offers(
            ("aes256-aes128-sha256-modp2048",),
            ("aes256-aes128-sha256",),
            "Its default proposals end in SHA-1 and group 2, which its administrator should raise to these, or "
            "crypto.allow_legacy admits.",
        ),
        Value(
            "crypto.pfs",
            "off",
            "The default is PFS with group 2, which fails at the first rekey after 30 minutes.",
        ),
        Value("mobility.mobike", False, "There is no MOBIKE: Roam connects anew.", "general knowledge"),
        Value(
            "identity.match",
            "loose",
            "It calls itself by its certificate's distinguished name.",
            "general knowledge",
        ),
        Value("lifetimes.child", 1500, "Child SAs live 30 minutes."),
    ),
    legacy=(
        *offers(
            ("aes256-aes128-sha256-modp2048", "aes256-aes128-sha1-modp2048-modp1024"),
            ("aes256-aes128-sha256", "aes256-aes192-aes128-sha1-modp1024", "aes256-aes192-aes128-sha1"),
            "Its default profile has AES-128, SHA-1 and groups 14 and 2, its default proposal AES, SHA-1 and PFS "
            "with group 2.",
        ),
        Value("crypto.pfs", "offer", "The default is PFS with group 2."),
    ),
    notes=("Set pfs-group=none or modp2048 at the router.",),
)
_PALOALTO = Preset(
    "paloalto",
    "Palo Alto PAN-OS, site-to-site",
    (
        *offers(
            ("aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048"),
            ("aes256gcm16-ecp384", "aes256-sha256"),
            "Its profiles of crypto can be set to these.",
        ),
        Value("lifetimes.ike", 25200, "Phase 1 lives 8 hours."),
        Value("lifetimes.child", 3000, "Phase 2 lives one hour."),
        Value("mobility.mobike", False, "Between sites there is no MOBIKE.", "general knowledge"),
    ),
    notes=(
        "GlobalProtect is not IKEv2; third-party clients get IKEv1 with XAuth there, which Roam does not speak.",
        "A peer without a fixed address needs a name in identity.local: fqdn, e-mail address or keyid.",
    ),
)
_JUNIPER = Preset(
    "juniper",
    "Juniper SRX",
    (
        *offers(
            ("aes256gcm16-prfsha256-ecp256-ecp384", "aes256-sha256-ecp256-modp2048"),
            ("aes256gcm16-ecp256", "aes256gcm16", "aes256-sha256"),
            "The guide of Secure Connect takes AES-256-GCM with group 19.",
        ),
        Value("mobility.mobike", False, "There is no MOBIKE.", "general knowledge"),
        Value("lifetimes.ike", 25200, "The guide's proposals live 28,800 s."),
    ),
    vendors=("Juniper",),
)

APPLIANCES: tuple[Preset, ...] = (_WINDOWS, _FORTIGATE, _CISCO, _MIKROTIK, _PALOALTO, _JUNIPER)
