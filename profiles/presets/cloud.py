"""Presets for the gateways of clouds."""

from __future__ import annotations

from .rows import Preset, Value, offers

_SITE = "It connects sites: our identity must be an address or name that the gateway was told."
_AZURE = Preset(
    "azure-p2s",
    "Azure VPN Gateway, point-to-site",
    (
        *offers(
            ("aes256gcm16-prfsha384-modp2048-ecp384", "aes256-sha384-sha256-modp2048-ecp384"),
            ("aes256gcm16", "aes256-sha256"),
            "The gateway takes these with groups 14 and ECP-384, and asks for group 14 when offered another.",
        ),
        Value("crypto.pfs", "off", "The documented ESP proposals include those without a group."),
        Value(
            "identity.match",
            "loose",
            "It calls itself by a distinguished name with <guid>.vpn.azure.com; its certificate has ours.",
            "seen in logs",
        ),
        Value("routing.mtu", 1400, "The documentation asks for an MTU of 1400, or an MSS of 1350."),
        Value("routing.mode", "split", "The gateway names no networks; they come from the package's Routes."),
        Value("address.request", ["ipv4"], "It assigns IPv4 addresses."),
    ),
    notes=(
        "The gateway's root is rotated: then a new package has to be downloaded and imported.",
        "Microsoft Entra sign-in needs OpenVPN: certificates and RADIUS work with IKEv2.",
    ),
    hosts=(".vpn.azure.com",),
)
_AZURE_SITE = Preset(
    "azure-s2s",
    "Azure VPN Gateway, site-to-site",
    (
        *offers(
            ("aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048-ecp384"),
            ("aes256gcm16", "aes256-sha256"),
            "A custom policy is one combination, of which these can be chosen; without one the gateway has group 2 "
            "alone, which is weak: crypto.allow_legacy admits it.",
        ),
        Value("crypto.pfs", "off", "As initiator the gateway offers PFS None alone."),
        Value("lifetimes.ike", 28800, "The IKE SA of route-based gateways lives 28,800 s."),
        Value("lifetimes.child", 14400, "Child SAs live 27,000 s; Roam renews before."),
        Value("mobility.mobike", False, "Between sites there is no MOBIKE.", "general knowledge"),
    ),
    legacy=offers(
        (
            "aes256gcm16-prfsha384-ecp384",
            "aes256-sha256-modp2048-ecp384",
            "aes256-aes128-sha256-sha1-modp1024",
        ),
        ("aes256gcm16", "aes256-sha256", "aes256-sha1"),
        "A route-based gateway without a custom policy takes AES with SHA-256 or SHA-1 and group 2 alone.",
    ),
    notes=(_SITE,),
)
_AWS = Preset(
    "aws",
    "AWS Site-to-Site VPN",
    (
        *offers(
            ("aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048"),
            ("aes256gcm16-ecp384", "aes256-sha256-modp2048"),
            "It goes through its own list from the weakest upwards, whatever our order: only strong ones help.",
        ),
        Value("crypto.pfs", "require", "PFS is on, with groups 2, 5 and 14 to 24."),
        Value("lifetimes.ike", 28800, "Phase 1 lives 900 to 28,800 s, by default the latter."),
        Value(
            "lifetimes.child", 3000, "Phase 2 lives at most 3,600 s, and AWS renews within the last 540 s."
        ),
        Value(
            "mobility.dpd", 30, "It gives a silent peer up after 40 s, and then waits for us to begin anew."
        ),
        Value("mobility.mobike", False, "There is no MOBIKE.", "general knowledge"),
        Value("identity.match", "strict", "It calls itself by its outside address.", "general knowledge"),
    ),
    legacy=offers(
        ("aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048", "aes256-aes128-sha1-modp1024"),
        ("aes256gcm16-ecp384", "aes256-sha256-modp2048", "aes256-aes128-sha1-modp1024"),
        "AWS Classic VPN has AES-128, SHA-1 and group 2 alone; a later one, offered them, takes them first.",
        "general knowledge",
    ),
    needs=(
        (
            "address.static",
            "It assigns no address: write the inside address of the tunnel, 169.254.…/30, from its settings.",
        ),
    ),
    notes=(
        "With a pre-shared key identity.local is the public address that AWS was told; behind NAT it must be said.",
        "AWS Client VPN is OpenVPN, and another product.",
    ),
)
_GOOGLE = Preset(
    "google",
    "Google Cloud VPN (HA and Classic)",
    (
        *offers(
            ("aes256gcm16-prfsha512-x25519",),
            ("aes256gcm16-x25519",),
            "Google asks for exactly one cipher each: its own order decides anew at each rekey.",
        ),
        Value("crypto.pfs", "require", "Its proposals have a group."),
        Value("lifetimes.ike", 30000, "The IKE SA lives 36,000 s.", "general knowledge"),
        Value("lifetimes.child", 9000, "Child SAs live 10,800 s.", "general knowledge"),
        Value("mobility.mobike", False, "There is no MOBIKE.", "general knowledge"),
        Value("identity.match", "strict", "Identities are public addresses.", "general knowledge"),
    ),
    needs=(
        (
            "address.static",
            "It assigns no address: write one of the networks that the VPN was told are ours.",
        ),
    ),
    notes=("Google knows a peer by its public address: write it as identity.local.",),
)
_GOOGLE_CLASSIC = Preset(
    "google-cbc",
    "Google Cloud VPN, for peers without AES-GCM",
    (
        *offers(
            ("aes256-sha256-modp2048",),
            ("aes256-sha256-modp2048",),
            "Google asks for exactly one cipher each: its own order decides anew at each rekey.",
        ),
        *_GOOGLE.values[2:],
    ),
    needs=_GOOGLE.needs,
    notes=_GOOGLE.notes,
)

CLOUD: tuple[Preset, ...] = (_AZURE, _AZURE_SITE, _AWS, _GOOGLE, _GOOGLE_CLASSIC)
