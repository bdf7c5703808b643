"""Apple's configuration profiles, unsigned: keys as the documentation of `com.apple.vpn.managed` has them.

Apple's devices offer one proposal and have one name to check; what a profile says beyond that is reported.
"""

from __future__ import annotations

import plistlib
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from ..errors import ProfileError
from ..importers.apple_ike import ENCRYPTION, GROUPS, INTEGRITY, INTERVALS
from ..model import LocalRound, Profile
from .result import Exported, Ledger

_ENCRYPTION = {word: name for name, word in ENCRYPTION.items()}
_INTEGRITY = {word: name for name, word in INTEGRITY.items()}
_GROUPS = {word: number for number, word in GROUPS.items()}


def write(profile: Profile, files: Mapping[str, bytes]) -> Exported:
    """The file; a login that such a profile cannot say is a `ProfileError`."""
    return _Writer(profile, files).write()


class _Writer:
    def __init__(self, profile: Profile, files: Mapping[str, bytes]) -> None:
        self._profile = profile
        self._ledger = Ledger(profile, files)
        self._payloads: list[dict[str, Any]] = []

    def write(self) -> Exported:
        """All of it."""
        profile, ledger = self._profile, self._ledger
        ike = {**self._gateway(), **self._login(), **self._trust(), **self._crypto(), **self._mobility()}
        vpn = self._payload("com.apple.vpn.managed", "ike")
        vpn |= {"UserDefinedName": profile.title, "VPNType": "IKEv2", "IKEv2": ike}
        vpn |= self._routes(ike)
        if dns := self._dns():
            vpn["DNS"] = dns
        ledger.done("name")
        ledger.ignored("preset", "Its values are written out.")
        top = self._payload("Configuration", "profile")
        top |= {"PayloadDisplayName": profile.title, "PayloadContent": [vpn, *self._payloads]}
        return Exported("mobileconfig", plistlib.dumps(top), {}, ledger.report())

    def _payload(self, kind: str, part: str) -> dict[str, Any]:
        name = f"{part}.{self._profile.id}.{self._profile.gateway.addresses[0]}"
        return {
            "PayloadType": kind,
            "PayloadVersion": 1,
            "PayloadIdentifier": f"roam.{self._profile.id}.{part}",
            "PayloadUUID": str(uuid5(NAMESPACE_DNS, name)).upper(),
        }

    def _gateway(self) -> dict[str, Any]:
        profile, ledger = self._profile, self._ledger
        address = profile.gateway.addresses[0]
        if profile.gateway.port != 500:
            raise ProfileError("gateway.port", "Apple's devices dial port 500 alone")
        if len(profile.gateway.addresses) > 1:
            ledger.differs("gateway.addresses", "Apple's devices have one address: the first.")
        remote, local = profile.identity.remote, profile.identity.local
        name = address if remote is None else remote.value
        if remote is not None:
            ledger.differs("identity.match", "Apple's devices compare the gateway's name as they please.")
        ledger.done("gateway.addresses", "identity.remote", "identity.local", "identity.match")
        return {
            "RemoteAddress": address,
            "RemoteIdentifier": name,
            "LocalIdentifier": "" if local is None else local.value,
            "ServerCertificateCommonName": name,
        }

    def _login(self) -> dict[str, Any]:
        profile, ledger = self._profile, self._ledger
        entry, path = profile.auth.local[0], "auth.local[0]"
        if len(profile.auth.local) > 1:
            raise ProfileError("auth.local[1]", "Apple's devices have one round")
        ledger.done(*(f"{path}.{key}" for key in ("method", "eap_methods", "identity", "cert", "key")))
        ledger.done("auth.remote.method")
        if entry.method == "psk":
            ledger.missing(f"{path}.secret", "It stays in the keyring: the device asks for it.")
            return {"AuthenticationMethod": "SharedSecret", "ExtendedAuthEnabled": 0}
        if profile.auth.proof != "cert":
            raise ProfileError("auth.remote.method", "Apple's devices want a certificate beside EAP")
        if entry.method == "cert":
            return {
                "AuthenticationMethod": "Certificate",
                "ExtendedAuthEnabled": 0,
                **self._certificate(entry),
            }
        return self._eap(entry, path)

    def _eap(self, entry: LocalRound, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {"AuthenticationMethod": "Certificate", "ExtendedAuthEnabled": 1}
        if entry.identity:
            found["AuthName"] = entry.identity
        if entry.eap_methods[0] == "tls":
            return found | self._certificate(entry)
        if entry.eap_methods[0] not in ("mschapv2", "auto"):
            raise ProfileError(
                f"{path}.eap_methods", f"{entry.eap_methods[0]} cannot be said to Apple's devices"
            )
        if len(entry.eap_methods) > 1 or entry.eap_methods[0] == "auto":
            self._ledger.differs(f"{path}.eap_methods", "Apple's devices speak EAP-MSCHAPv2 here.")
        self._ledger.missing(f"{path}.secret", "It stays in the keyring: the device asks for it.")
        return found

    def _certificate(self, entry: LocalRound) -> dict[str, Any]:
        bundle, path = self._ledger.bundle(0), "auth.local[0]"
        if bundle is None:
            raise ProfileError(
                f"{path}.cert", "Apple's devices take a .p12 alone", "Put key and certificate into one."
            )
        payload = self._payload("com.apple.security.pkcs12", "client")
        payload |= {"PayloadContent": bundle, "PayloadCertificateFileName": f"{self._profile.id}.p12"}
        self._payloads.append(payload)
        self._ledger.missing(f"{path}.secret", "The device asks for the passphrase.")
        return {"PayloadCertificateUUID": payload["PayloadUUID"]}

    def _trust(self) -> dict[str, Any]:
        for n, octets in enumerate(self._ledger.authorities(), 1):
            payload = self._payload("com.apple.security.root", f"ca-{n}")
            self._payloads.append(payload | {"PayloadContent": octets})
        word = self._profile.trust.revocation
        if word == "strict":
            self._ledger.differs("trust.revocation", "Apple's devices check leniently.")
        self._ledger.done("trust.ca", "trust.system_store", "trust.revocation")
        return {"EnableCertificateRevocationCheck": int(word != "off")}

    def _crypto(self) -> dict[str, Any]:
        crypto, ledger, found = self._profile.crypto, self._ledger, {}
        for key, name, proposals in (
            ("ike", "IKESecurityAssociationParameters", crypto.ike),
            ("esp", "ChildSecurityAssociationParameters", crypto.esp),
        ):
            life = "ike" if key == "ike" else "child"
            seconds = self._profile.lifetimes.ike if key == "ike" else self._profile.lifetimes.child
            minutes = min(max(seconds // 60, 10), 1440)
            if minutes * 60 != seconds:
                ledger.differs(f"lifetimes.{life}", f"Apple's devices take 10 to 1440 minutes: {minutes}.")
            found[name] = {**_suite(proposals), "LifeTimeInMinutes": minutes}
            if not proposals or len(proposals) > 1 or len(proposals[0].split("-")) > 3:
                ledger.differs(
                    f"crypto.{key}", "Apple's devices offer one proposal: the first, or their own."
                )
            if key == "esp" and proposals and not any(word in _GROUPS for word in proposals[0].split("-")):
                ledger.differs(
                    "crypto.esp", "Apple's devices name a group; EnablePFS says whether it is used."
                )
            ledger.done(f"lifetimes.{life}", f"crypto.{key}")
        if crypto.pfs == "offer":
            ledger.differs("crypto.pfs", "Apple's devices insist on PFS, or have none: here none.")
        ledger.done("crypto.pfs", "crypto.allow_legacy", "crypto.preset")
        return {**found, "EnablePFS": int(crypto.pfs == "require")}

    def _mobility(self) -> dict[str, Any]:
        mobility, ledger = self._profile.mobility, self._ledger
        nearest = min(INTERVALS, key=lambda word: abs(INTERVALS[word] - mobility.dpd))
        if INTERVALS[nearest] != mobility.dpd:
            ledger.differs("mobility.dpd", f"Apple's devices have four rates: {nearest}.")
        found: dict[str, Any] = {"DeadPeerDetectionRate": nearest, "DisableMOBIKE": int(not mobility.mobike)}
        found["DisableRedirect"] = 1
        if ledger.has("mobility.nat_keepalive") and mobility.nat_keepalive >= 20:
            found["NATKeepAliveInterval"] = mobility.nat_keepalive
            ledger.done("mobility.nat_keepalive")
        if (mtu := self._profile.routing.mtu) is not None and 1280 <= mtu <= 1400:
            found["MTU"] = mtu
            ledger.done("routing.mtu")
        ledger.done("mobility.dpd", "mobility.mobike")
        return found

    def _routes(self, ike: dict[str, Any]) -> dict[str, Any]:
        routing, ledger = self._profile.routing, self._ledger
        if routing.mode == "split" and routing.include:
            ledger.differs("routing.include", "Apple's devices take the networks from the gateway alone.")
        ike["UseConfigurationAttributeInternalIPSubnet"] = int(routing.mode == "split")
        ike["ExcludeLocalNetworks"] = int(routing.allow_lan)
        ledger.done("routing.mode", "routing.include", "routing.allow_lan")
        return {"IPv4": {"OverridePrimary": int(routing.mode == "full")}}

    def _dns(self) -> dict[str, Any]:
        dns, ledger = self._profile.dns, self._ledger
        found: dict[str, Any] = {}
        if dns.servers:
            found["ServerAddresses"] = [str(server) for server in dns.servers]
            ledger.done("dns.servers")
        if dns.search:
            found["SearchDomains"] = list(dns.search)
            ledger.done("dns.search")
        if dns.route_only:
            found["SupplementalMatchDomains"] = list(dns.route_only)
            found["SupplementalMatchDomainsNoSearch"] = 1
            ledger.done("dns.route_only")
        return {"DNSProtocol": "Cleartext", **found} if found else {}


def _suite(proposals: tuple[str, ...]) -> dict[str, Any]:
    """Apple's three words for the first proposal; what is not in it stays with the device's default."""
    words = proposals[0].split("-") if proposals else []
    found: dict[str, Any] = {}
    for word in words:
        if word in _ENCRYPTION:
            found.setdefault("EncryptionAlgorithm", _ENCRYPTION[word])
        elif word.removeprefix("prf") in _INTEGRITY:
            found.setdefault("IntegrityAlgorithm", _INTEGRITY[word.removeprefix("prf")])
        elif word in _GROUPS:
            found.setdefault("DiffieHellmanGroup", _GROUPS[word])
    return found
