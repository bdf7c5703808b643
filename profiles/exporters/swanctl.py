"""strongSwan's swanctl.conf.  Passwords stay where they are: their places are left as comments.

A key and a value that strongSwan would take from its own defaults are written only where the profile says them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .. import containers
from ..errors import ProfileError
from ..importers.algorithms import GROUPS
from ..model import LocalRound, Name, Profile
from .result import Exported, Ledger

_EAP = {"mschapv2", "tls", "ttls", "peap", "gtc", "md5", "aka"}
_EVERYTHING = ("0.0.0.0/0", "::/0")


def write(profile: Profile, files: Mapping[str, bytes]) -> Exported:
    """The file, with the certificates and keys that belong into x509ca, x509, private and pkcs12."""
    return _Writer(profile, files).write()


class _Writer:
    def __init__(self, profile: Profile, files: Mapping[str, bytes]) -> None:
        self._profile = profile
        self._ledger = Ledger(profile, files)
        self._beside: dict[str, bytes] = {}
        self._secrets: list[str] = []

    def write(self) -> Exported:
        """All of it."""
        name = self._profile.id
        inside = [*self._connection(), *self._logins(), *self._remote(), *self._children()]
        lines = [
            f"# Written by Roam from the profile {name}.",
            "connections {",
            f"  {_section(name)} {{",
            *(f"    {line}" for line in inside),
            "  }",
            "}",
            *self._secrets,
        ]
        for path in ("name", "preset"):
            self._ledger.ignored(path, "It is for people; its values are written out.")
        return Exported("conf", "\n".join([*lines, ""]).encode(), self._beside, self._ledger.report())

    def _connection(self) -> list[str]:
        profile, ledger = self._profile, self._ledger
        lines = ["version = 2", f"remote_addrs = {','.join(profile.gateway.addresses)}"]
        if ledger.has("gateway.port"):
            lines.append(f"remote_port = {profile.gateway.port}")
        lines += self._proposals("ike", "proposals", profile.crypto.ike)
        vips = {"ipv4": "0.0.0.0", "ipv6": "::"}
        asked = [vips[family] for family in profile.address.families]
        asked += [str(interface.ip) for interface in profile.address.static]
        lines.append(f"vips = {','.join(asked)}")
        lines.append(f"mobike = {_flag(profile.mobility.mobike)}")
        lines.append(f"encap = {_flag(profile.mobility.force_encap)}")
        lines.append(f"dpd_delay = {profile.mobility.dpd}s")
        lines.append(f"rekey_time = {profile.lifetimes.ike}s")
        ledger.done("gateway.addresses", "gateway.port", "address.request", "mobility.mobike")
        ledger.done("mobility.force_encap", "mobility.dpd", "lifetimes.ike")
        if profile.address.static:
            ledger.differs("address.static", "strongSwan asks for it, and the gateway may assign another.")
        return lines

    def _proposals(self, key: str, word: str, proposals: Sequence[str]) -> list[str]:
        if not proposals:
            self._ledger.ignored("crypto.preset", "strongSwan's own defaults stand instead.")
            return [f"{word} = default"]
        self._ledger.done(f"crypto.{key}", "crypto.allow_legacy")
        return [f"{word} = {','.join(proposals)}"]

    def _logins(self) -> list[str]:
        lines: list[str] = []
        for n, entry in enumerate(self._profile.auth.local):
            lines += [f"local-{n + 1} {{", *(f"  {line}" for line in self._login(entry, n)), "}"]
        self._ledger.done("identity.local")
        return lines

    def _login(self, entry: LocalRound, n: int) -> list[str]:
        path, lines = f"auth.local[{n}]", []
        local = self._profile.identity.local
        if local is not None and n == 0:
            lines.append(f"id = {_quoted(_identity(local))}")
        if entry.method == "eap":
            word = "eap-dynamic" if "auto" in entry.eap_methods else f"eap-{entry.eap_methods[0]}"
            if entry.eap_methods[0] not in _EAP | {"auto"}:
                raise ProfileError(
                    f"{path}.eap_methods", f"{entry.eap_methods[0]} is nothing that strongSwan has"
                )
            if len(entry.eap_methods) > 1:
                self._ledger.differs(f"{path}.eap_methods", "strongSwan has one method here: the first.")
            lines.append(f"auth = {word}")
            if entry.identity:
                lines.append(f"eap_id = {_quoted(entry.identity)}")
        else:
            lines.append(f"auth = {'psk' if entry.method == 'psk' else 'pubkey'}")
        if entry.shows_certificate:
            lines += self._certificate(entry, n)
        if entry.sim is not None:
            self._ledger.differs(f"{path}.key", "strongSwan needs a plugin of its own that reaches the SIM.")
        if entry.needs_password:
            self._note_secret(entry, n)
        self._ledger.done(
            f"{path}.method", f"{path}.eap_methods", f"{path}.identity", f"{path}.cert", f"{path}.key"
        )
        return lines

    def _certificate(self, entry: LocalRound, n: int) -> list[str]:
        """Certificates into x509, keys into private; a bundle into pkcs12, where strongSwan finds both."""
        path, name = f"auth.local[{n}]", self._profile.id
        octets = self._ledger.files.get(entry.cert or "", b"")
        locked = entry.key_file is not None and containers.is_locked(
            self._ledger.files.get(entry.key_file, b"")
        )
        if locked:
            self._ledger.missing(
                f"{path}.secret", "The passphrase: strongSwan asks for it, or takes it from secrets."
            )
        if self._ledger.bundle(n) is not None:
            self._beside[f"pkcs12/{name}-{n + 1}.p12"] = octets
            return []
        if entry.cert is None or entry.key_file is None:
            raise ProfileError(f"{path}.cert", "a bare key cannot be written into a swanctl.conf")
        if entry.key_file not in self._ledger.files or entry.cert not in self._ledger.files:
            raise ProfileError(f"{path}.key", "is not in a file, and cannot be handed on")
        self._beside[f"x509/{name}-{n + 1}.pem"] = octets
        self._beside[f"private/{name}-{n + 1}.pem"] = self._ledger.files[entry.key_file]
        return [f"certs = {name}-{n + 1}.pem"]

    def _note_secret(self, entry: LocalRound, n: int) -> None:
        path = f"auth.local[{n}].secret"
        self._ledger.missing(path, "It stays in the keyring: write it into the section secrets.")
        local = self._profile.identity.local
        owner = entry.identity or (local.value if local else "")
        kind = "ike" if entry.method == "psk" else "eap"
        self._comment_secret(f"{kind}-{n + 1}", owner)

    def _comment_secret(self, section: str, owner: str) -> None:
        start = [] if self._secrets else ["# secrets {"]
        end = ["# }"]
        before = self._secrets[:-1] if self._secrets else start
        lines = [f"#   {section} {{", f"#     id = {_quoted(owner)}", "#     secret = ", "#   }"]
        self._secrets = [*before, *lines, *end]

    def _remote(self) -> list[str]:
        profile, ledger = self._profile, self._ledger
        proof, lines = profile.auth.proof, ["remote-1 {"]
        if proof == "eap":
            raise ProfileError("auth.remote.method", "a gateway without a certificate cannot be written so")
        lines.append(f"  auth = {'psk' if proof == 'psk' else 'pubkey'}")
        lines.append(f"  id = {_quoted(self._remote_id())}")
        if proof == "psk" and profile.auth.remote.secret is not None:
            ledger.missing(
                "auth.remote.secret", "It stays in the keyring: write it into the section secrets."
            )
            self._comment_secret("ike-gateway", profile.gateway.addresses[0])
        if authorities := ledger.authorities():
            names = [f"{profile.id}-ca-{n}.der" for n, _ in enumerate(authorities, 1)]
            self._beside.update(
                {f"x509ca/{name}": octets for name, octets in zip(names, authorities, strict=True)}
            )
            lines.append(f"  cacerts = {','.join(names)}")
            ledger.done("trust.ca")
        if profile.trust.system_store:
            ledger.differs("trust.system_store", "strongSwan trusts what lies in x509ca: put the CA there.")
        if profile.trust.revocation == "strict":
            lines.append("  revocation = strict")
            ledger.done("trust.revocation")
        ledger.done("auth.remote.method")
        return [*lines, "}"]

    def _remote_id(self) -> str:
        """strongSwan expects what it asks for; a leading "%" asks for nothing and leaves it to the certificate."""
        identity = self._profile.identity
        if identity.remote is None:
            return f"%{self._profile.gateway.addresses[0]}"
        self._ledger.done("identity.remote", "identity.match")
        if identity.send_idr == "never":
            self._ledger.done("identity.send_idr")
            return f"%{_identity(identity.remote)}"
        if identity.match == "loose":
            self._ledger.differs("identity.match", "strongSwan insists that the gateway calls itself so.")
        return _identity(identity.remote)

    def _children(self) -> list[str]:
        profile, ledger = self._profile, self._ledger
        routing = profile.routing
        wanted = [str(network) for network in routing.include] or list(_EVERYTHING)
        if routing.mode == "full":
            wanted = list(_EVERYTHING)
        elif not routing.include:
            ledger.differs("routing.mode", "strongSwan takes whatever the gateway allows.")
        elif routing.use_ts_from_gateway:
            ledger.differs(
                "routing.use_ts_from_gateway",
                "strongSwan asks for what is included alone.",
            )
        ledger.done(
            "routing.mode", "routing.include", "routing.use_ts_from_gateway", "lifetimes.child", "crypto.pfs"
        )
        lines = [f"remote_ts = {','.join(wanted)}", *self._proposals("esp", "esp_proposals", self._esp())]
        lines += [f"rekey_time = {profile.lifetimes.child}s", "dpd_action = restart", "start_action = none"]
        return ["children {", f"  {_section(profile.id)} {{", *(f"    {line}" for line in lines), "  }", "}"]

    def _esp(self) -> list[str]:
        """ESP proposals cut to what `pfs` says; "none" beside a group leaves the gateway the choice."""
        crypto = self._profile.crypto
        found = []
        for text in crypto.esp:
            words = text.split("-")
            has_group = not GROUPS.isdisjoint(words)
            if crypto.pfs == "off":
                found.append("-".join(word for word in words if word not in GROUPS))
            elif has_group or crypto.pfs == "offer":
                found.append(
                    f"{text}-none" if has_group and crypto.pfs == "offer" and len(crypto.esp) == 1 else text
                )
        return list(dict.fromkeys(found))


def _identity(name: Name) -> str:
    prefix = {"dn": "asn1dn:", "keyid": "keyid:", "email": "email:", "fqdn": "fqdn:"}.get(name.type or "", "")
    return f"{prefix}{name.value}"


def _section(name: str) -> str:
    """A name without dots: they separate sections."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def _flag(value: bool) -> str:
    return "yes" if value else "no"


def _quoted(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9@._:%+-]+", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
