"""The IKEv2 dictionary of Apple's VPN payload, with the routes, name servers and certificates beside it."""

from __future__ import annotations

from collections.abc import Sequence

from .. import containers
from . import algorithms
from .bundle import inside
from .common import (
    addresses,
    anchor,
    certificate,
    clamped,
    common_name,
    host,
    leftovers,
    looks_like_dn,
    system_trust,
)
from .draft import Draft
from .errors import ImportRefused
from .fields import Fields

ENCRYPTION = {
    "DES": "des",
    "3DES": "3des",
    "AES-128": "aes128",
    "AES-256": "aes256",
    "AES-128-GCM": "aes128gcm16",
    "AES-256-GCM": "aes256gcm16",
    "ChaCha20Poly1305": "chacha20poly1305",
}
INTEGRITY = {
    "SHA1-96": "sha1",
    "SHA1-160": "sha1_160",
    "SHA2-256": "sha256",
    "SHA2-384": "sha384",
    "SHA2-512": "sha512",
}
GROUPS = {
    1: "modp768",
    2: "modp1024",
    5: "modp1536",
    14: "modp2048",
    15: "modp3072",
    16: "modp4096",
    17: "modp6144",
    18: "modp8192",
    19: "ecp256",
    20: "ecp384",
    21: "ecp521",
    31: "x25519",
    32: "x448",
}
INTERVALS = {
    "None": 86400,
    "Low": 1800,
    "Medium": 600,
    "High": 60,
}  # seconds between questions whether the gateway lives
_CA_TYPES = ("com.apple.security.root", "com.apple.security.pem", "com.apple.security.pkcs1")
_REASONS = {
    "CertificateType": "The key itself says what kind it is.",
    "TLSMinimumVersion": "Roam speaks TLS 1.2 and 1.3 inside EAP.",
    "TLSMaximumVersion": "Roam speaks TLS 1.2 and 1.3 inside EAP.",
    "NATKeepAliveOffloadEnable": "Roam sends the keepalives itself.",
    "ProviderType": "It is for the app of a provider.",
    "ProviderBundleIdentifier": "It is for the app of a provider.",
    "ExcludeCellularServices": "It is about telephony of the device.",
    "ExcludeAPNs": "It is about Apple's push notifications.",
    "ExcludeDeviceCommunication": "It is about devices paired by cable.",
    "EnableFallback": "Roam follows the network by itself.",
    "DisconnectOnIdle": "Roam does not end idle tunnels.",
    "DisconnectOnIdleTimer": "Roam does not end idle tunnels.",
}


def tunnel(draft: Draft, outer: Fields, ike: Fields, payloads: Sequence[Fields], user: str) -> None:
    """Everything that one VPN payload says."""
    _gateway(draft, ike)
    _login(draft, ike, payloads, user)
    _trust(draft, ike, payloads)
    _crypto(draft, ike)
    _mobility(draft, ike)
    _on_demand(draft, ike)
    _routes(draft, outer, ike)
    _dns(draft, outer)
    leftovers(draft, ike, _REASONS)


def _gateway(draft: Draft, ike: Fields) -> None:
    source = ike.path("RemoteAddress")
    draft.keep(source, "gateway.addresses", [host(ike.text("RemoteAddress"), source)])
    remote = ike.text("RemoteIdentifier")
    shown = ike.text("ServerCertificateCommonName")
    if remote:
        _remote(draft, ike.path("RemoteIdentifier"), remote)
    if shown and remote and shown != remote:
        text = f"Roam checks one name, {remote}, in the certificate; this one is not looked at."
        draft.differs(ike.path("ServerCertificateCommonName"), text, "identity.remote")
    elif shown:
        draft.keep(ike.path("ServerCertificateCommonName"), "identity.remote", shown)
    if local := ike.text("LocalIdentifier"):
        draft.keep(ike.path("LocalIdentifier"), "identity.local", local)
    elif "LocalIdentifier" in ike:
        draft.differs(
            ike.path("LocalIdentifier"),
            "Apple sends its address; Roam the user name or certificate's subject.",
        )


def _remote(draft: Draft, source: str, remote: str) -> None:
    if looks_like_dn(remote):
        value = {"type": "dn", "value": remote}
        draft.bend(
            source,
            "identity.remote",
            value,
            "Apple sends this as a domain name by mistake; Roam as what it is.",
        )
    else:
        draft.keep(source, "identity.remote", remote)


def _login(draft: Draft, ike: Fields, payloads: Sequence[Fields], user: str) -> None:
    """The combinations of AuthenticationMethod, ExtendedAuthEnabled and PayloadCertificateUUID."""
    method = ike.text("AuthenticationMethod") or "None"
    extended, uuid = bool(ike.flag("ExtendedAuthEnabled")), ike.text("PayloadCertificateUUID")
    source = ike.path("AuthenticationMethod")
    if method not in ("None", "SharedSecret", "Certificate"):
        raise ImportRefused(source, f'"{method[:40]}" is no way to log in')
    if extended:
        _eap(draft, ike, source, method, user)
        if uuid:
            _own_certificate(draft, ike, uuid, payloads)
    elif method == "Certificate":
        draft.keep(
            source, "auth.local[0].method", "cert", "We sign with our certificate, and so does the gateway."
        )
        _own_certificate(draft, ike, uuid, payloads)
    else:
        draft.keep(source, "auth.local[0].method", "psk", "Both sides know one pre-shared key.")
        draft.secret(
            ike.path("SharedSecret"), "auth.local[0].secret", "psk", ike.text("SharedSecret") or None
        )
        if draft.value("identity.local") is None:
            draft.user(ike.path("LocalIdentifier"), "identity.local", user)
    for key in ("AuthName", "AuthPassword", "SharedSecret", "ExtendedAuthEnabled"):
        if key in ike and key in ike.rest():
            draft.ignore(ike.path(key), "This way to log in does not use it.")


def _eap(draft: Draft, ike: Fields, source: str, method: str, user: str) -> None:
    draft.put("auth.local[0].method", "eap")
    if method == "None":
        text = "Apple may do without the gateway's certificate; Roam insists on it."
        draft.bend(source, "auth.remote.method", "cert", text)
    else:
        draft.keep(source, "auth.remote.method", "cert", "The gateway proves itself by its certificate.")
    has_certificate = bool(ike.text("PayloadCertificateUUID"))
    word = "tls" if has_certificate else "mschapv2"
    draft.keep(ike.path("ExtendedAuthEnabled"), "auth.local[0].eap_methods", [word])
    draft.user(ike.path("AuthName"), "auth.local[0].identity", ike.text("AuthName") or user)
    if not has_certificate:
        password = ike.text("AuthPassword") or None
        draft.secret(ike.path("AuthPassword"), "auth.local[0].secret", "password", password)


def _own_certificate(draft: Draft, ike: Fields, uuid: str, payloads: Sequence[Fields]) -> None:
    source, path = ike.path("PayloadCertificateUUID"), "auth.local[0].cert"
    wanted = (entry for entry in payloads if uuid and entry.text("PayloadUUID").lower() == uuid.lower())
    bundle = next(wanted, None)
    if bundle is None or bundle.text("PayloadType") != "com.apple.security.pkcs12":
        draft.lack(source, path, "client.p12", "", "your certificate with its key (.p12)")
        draft.put("auth.local[0].secret", f"keyring:{draft.id}/passphrase")
        return
    place = bundle.path("PayloadContent")
    draft.file(place, path, "client.p12", inside(bundle.octets("PayloadContent"), place))
    password = bundle.text("Password") or None
    draft.secret(bundle.path("Password"), "auth.local[0].secret", "passphrase", password)


def _trust(draft: Draft, ike: Fields, payloads: Sequence[Fields]) -> None:
    wanted = ike.text("ServerCertificateIssuerCommonName")
    found = [
        (entry.path("PayloadContent"), octets)
        for entry in payloads
        if entry.text("PayloadType") in _CA_TYPES and (octets := entry.octets("PayloadContent"))
    ]
    named = [row for row in found if wanted in {common_name(item) for item in certificate(row[1], row[0])}]
    for source, octets in named or found:
        if any(containers.is_authority(item) for item in certificate(octets, source)) or not found:
            anchor(draft, source, octets)
    if wanted:
        source = ike.path("ServerCertificateIssuerCommonName")
        if named:
            draft.honoured(source, "Its certificate is the one that is trusted.", "trust.ca")
        else:
            draft.differs(source, "No certificate of that name is in the file.", "trust.ca")
    if draft.value("auth.local[0].method") != "psk":
        system_trust(draft, "PayloadContent", "No authority in the file: those of the system are trusted.")
    if (revocation := ike.flag("EnableCertificateRevocationCheck")) is not None:
        key = ike.path("EnableCertificateRevocationCheck")
        draft.keep(key, "trust.revocation", "relaxed" if revocation else "off")


def _crypto(draft: Draft, ike: Fields) -> None:
    parameters = ike.table("IKESecurityAssociationParameters")
    child = ike.table("ChildSecurityAssociationParameters")
    for key, fields, path in (("ike", parameters, "lifetimes.ike"), ("esp", child, "lifetimes.child")):
        if fields.rest():
            words = _proposal(fields, parameters, esp=key == "esp")
            algorithms.offer(draft, fields.path("EncryptionAlgorithm"), key, [words])
        if (minutes := fields.number("LifeTimeInMinutes")) is not None:
            clamped(draft, fields.path("LifeTimeInMinutes"), path, minutes * 60, 60, 864000)
        leftovers(draft, fields)
    if (pfs := ike.flag("EnablePFS")) is not None:
        has_group = bool(draft.value("crypto.esp"))
        draft.keep(
            ike.path("EnablePFS"), "crypto.pfs", ("require" if has_group else "offer") if pfs else "off"
        )
    if ppk := ike.octets("PPK"):
        draft.secret(ike.path("PPK"), "crypto.ppk", "ppk", f"0x{ppk.hex()}")
    ike.skip("PPKIdentifier", "PPKMandatory")


def _proposal(fields: Fields, parameters: Fields, *, esp: bool) -> str:
    """Apple's one proposal; what the child leaves out, it takes from the IKE SA's."""
    cipher_word = fields.text("EncryptionAlgorithm") or parameters.text("EncryptionAlgorithm") or "AES-256"
    hash_word = fields.text("IntegrityAlgorithm") or parameters.text("IntegrityAlgorithm") or "SHA2-256"
    number = fields.number("DiffieHellmanGroup") or parameters.number("DiffieHellmanGroup") or 14
    cipher = ENCRYPTION.get(cipher_word, cipher_word)
    integrity = INTEGRITY.get(hash_word, hash_word)
    group = GROUPS.get(number, f"dh{number}")
    if "gcm" in cipher or "chacha" in cipher:
        return f"{cipher}-{group}" if esp else f"{cipher}-prf{integrity}-{group}"
    return f"{cipher}-{integrity}-{group}"


def _mobility(draft: Draft, ike: Fields) -> None:
    if (rate := ike.text("DeadPeerDetectionRate")) in INTERVALS:
        source = ike.path("DeadPeerDetectionRate")
        text = "Roam asks a silent gateway at least once a day." if rate == "None" else ""
        (draft.bend if text else draft.keep)(source, "mobility.dpd", INTERVALS[rate], text)
    if (off := ike.flag("DisableMOBIKE")) is not None:
        draft.keep(ike.path("DisableMOBIKE"), "mobility.mobike", not off)
    if (redirect := ike.flag("DisableRedirect")) is not None:
        source = ike.path("DisableRedirect")
        if redirect:
            draft.honoured(source, "Roam follows no redirect.")
        else:
            draft.ignore(source, "Roam follows no redirect.")
    if (interval := ike.number("NATKeepAliveInterval")) is not None:
        clamped(draft, ike.path("NATKeepAliveInterval"), "mobility.nat_keepalive", interval, 0, 3600)
    if (mtu := ike.number("MTU")) is not None:
        clamped(draft, ike.path("MTU"), "routing.mtu", mtu, 576, 65535, "octets")
    if (subnets := ike.flag("UseConfigurationAttributeInternalIPSubnet")) is not None:
        source, path = ike.path("UseConfigurationAttributeInternalIPSubnet"), "routing.use_ts_from_gateway"
        if subnets:
            draft.keep(source, path, True)
        else:
            draft.differs(source, "Roam asks for the gateway's networks all the same.", path)


def _on_demand(draft: Draft, ike: Fields) -> None:
    """Come up by itself; networks of Wi-Fi where it shall not."""
    enabled = ike.flag("OnDemandEnabled")
    if enabled:
        draft.keep(ike.path("OnDemandEnabled"), "mobility.autoconnect", True)
    elif enabled is not None:
        draft.keep(ike.path("OnDemandEnabled"), "mobility.autoconnect", False)
    for rule in ike.tables("OnDemandRules"):
        action, names = rule.text("Action"), list(rule.words("SSIDMatch"))
        if action == "Disconnect" and names and not rule.rest():
            known = draft.value("mobility.trusted_networks")
            value = [*(known if isinstance(known, list) else []), *names]
            draft.keep(rule.path("SSIDMatch"), "mobility.trusted_networks", value)
        elif action == "Connect" and not rule.rest():
            draft.honoured(rule.path("Action"), "Otherwise connected: what coming up by itself means.")
        else:
            draft.ignore(rule.path("Action"), "Roam has no rule of this kind.")


def _routes(draft: Draft, outer: Fields, ike: Fields) -> None:
    everything = ike.flag("IncludeAllNetworks")
    ipv4 = outer.table("IPv4")
    primary = ipv4.flag("OverridePrimary")
    if everything:
        draft.keep(
            ike.path("IncludeAllNetworks"),
            "routing.mode",
            "full",
            "Everything, or nothing at all: the guard.",
        )
        draft.put("routing.guard", True)
    elif primary is not None:
        draft.keep(ipv4.path("OverridePrimary"), "routing.mode", "full" if primary else "split")
    else:
        draft.put("routing.mode", "full")
        draft.differs(
            "IPv4.OverridePrimary", "Not said, so that the gateway decides at Apple's: here everything goes."
        )
    if (local := ike.flag("ExcludeLocalNetworks")) is not None:
        draft.keep(ike.path("ExcludeLocalNetworks"), "routing.allow_lan", local)
    if (enforced := ike.flag("EnforceRoutes")) is not None:
        draft.honoured(
            ike.path("EnforceRoutes"), f"{'So' if enforced else 'More:'} Roam's routes win over others."
        )
    leftovers(draft, ipv4)


def _dns(draft: Draft, outer: Fields) -> None:
    dns = outer.table("DNS")
    if servers := dns.words("ServerAddresses"):
        draft.keep(
            dns.path("ServerAddresses"), "dns.servers", addresses(servers, dns.path("ServerAddresses"))
        )
    search = [*dns.words("SearchDomains"), *([name] if (name := dns.text("DomainName")) else [])]
    if search:
        draft.keep(dns.path("SearchDomains"), "dns.search", search)
    match = [name for name in dns.words("SupplementalMatchDomains") if name]
    quiet = dns.flag("SupplementalMatchDomainsNoSearch")
    if match:
        source = dns.path("SupplementalMatchDomains")
        draft.keep(source, "dns.route_only", match)
        if not quiet:
            draft.put("dns.search", list(dict.fromkeys([*search, *match])))
            draft.honoured(
                dns.path("SupplementalMatchDomainsNoSearch"), "The domains are searched too.", "dns.search"
            )
        elif quiet:
            draft.honoured(dns.path("SupplementalMatchDomainsNoSearch"), "The domains are not searched.")
    if (protocol := dns.text("DNSProtocol")) not in ("", "Cleartext"):
        draft.ignore(dns.path("DNSProtocol"), f"Roam asks in clear inside the tunnel, not by {protocol}.")
    leftovers(draft, dns)
