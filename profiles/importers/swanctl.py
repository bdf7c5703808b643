"""strongSwan's swanctl.conf: its connections as initiator, with secrets and authorities of the same file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from . import algorithms
from . import strongswan_ids as ids
from .common import clamped, host, is_everything, leftovers, networks, seconds
from .draft import Draft, Imported
from .errors import ImportRefused
from .fields import Fields
from .intake import Intake
from .limits import text_of
from .strongswan_conf import Section, parse, resolve

KIND = "a swanctl.conf"
_OWN_ORDER = "Roam has an order of its own for this."
_REASONS = {
    "version": "Roam speaks IKEv2 alone.",
    "fragmentation": "Roam splits messages wherever the gateway can join them.",
    "keyingtries": "Roam tries again until 'roam down'.",
    "over_time": _OWN_ORDER,
    "rand_time": _OWN_ORDER,
    "life_time": _OWN_ORDER,
    "rekey_bytes": _OWN_ORDER,
    "rekey_packets": _OWN_ORDER,
    "dpd_timeout": _OWN_ORDER,
    "unique": "It is about a gateway's many clients.",
    "send_certreq": "Roam asks for a certificate of its authorities.",
    "send_cert": "Roam sends its certificate whenever it signs.",
    "local_addrs": "Roam chooses its own address from whatever network there is.",
    "local_port": "Roam takes any free port.",
    "start_action": "'roam up' starts it.",
    "close_action": "Roam connects again by itself.",
    "dpd_action": "Roam connects again by itself.",
    "local_ts": "Roam's own addresses.",
    "if_id_in": "Roam chooses the number of its link itself.",
    "if_id_out": "Roam chooses the number of its link itself.",
    "updown": "Roam runs no script that a file names.",
    "reauth_time": "Roam renews the keys, and logs in again only where the gateway wants it.",
    "pools": "It is about a gateway's clients.",
}


def recognises(octets: bytes) -> bool:
    """Whether it has a section of connections."""
    return bool(re.search(rb"(?m)^\s*connections\s*(:[^\n{]*)?\{", octets[: 1024 * 1024]))


def read(intake: Intake) -> list[Imported]:
    """One profile for each connection that dials somebody."""
    root = parse(text_of(intake.octets))
    connections = resolve(root, root.sections.get("connections", Section()))
    dialled = list(_dialled(root, connections))
    if not dialled:
        raise ImportRefused("connections", "has none by IKEv2 that dials a gateway")
    return [
        _Connection(intake.draft(KIND, name), root, section, name, intake.user).read()
        for name, section in dialled
    ]


def _dialled(root: Section, connections: Section) -> Iterator[tuple[str, Section]]:
    for name, found in list(connections.sections.items())[:64]:
        section = resolve(root, found)
        places = section.keys.get("remote_addrs", "")
        if places and not ids.is_anybody(places.split(",")[0]) and section.keys.get("version", "0") != "1":
            yield name, section


class _Connection:
    """One connection on its way into a draft."""

    def __init__(self, draft: Draft, root: Section, section: Section, name: str, user: str) -> None:
        self._draft = draft
        self._user = user
        self._root = root
        self._section = section
        self._where = f"connections.{name}"
        self._fields = Fields(section.keys, self._where)
        self._used: set[str] = set()  # sections of secrets

    def read(self) -> Imported:
        self._gateway()
        remotes = self._below("remote")
        is_shared = any(section.keys.get("auth", "pubkey") == "psk" for _, section in remotes)
        self._logins(is_shared=is_shared)
        for name, section in remotes[:1]:
            self._remote(Fields(section.keys, f"{self._where}.{name}"), is_shared=is_shared)
        for name, _ in remotes[1:]:
            self._draft.ignore(f"{self._where}.{name}", "Roam lets the gateway prove itself once.")
        if not remotes:
            ids.remote(self._draft, f"{self._where}.remote", "")
        self._trust(is_shared=is_shared)
        self._children()
        leftovers(self._draft, self._fields, _REASONS)
        self._tell_unused()
        for include in self._root.includes:
            self._draft.ignore(f"include {include}", "Roam follows no file that another one names.")
        return self._draft.finish()

    def _tell_unused(self) -> None:
        """Secrets and sections that this connection has nothing of."""
        for name in list(self._root.sections.get("secrets", Section()).sections)[:64]:
            if name not in self._used:
                self._draft.ignore(f"secrets.{name}", "This connection does not use it.")
        if "pools" in self._root.sections:
            self._draft.ignore("pools", "It is about a gateway's clients.")

    def _gateway(self) -> None:
        draft, fields = self._draft, self._fields
        source = fields.path("remote_addrs")
        draft.keep(source, "gateway.addresses", [host(text, source) for text in fields.words("remote_addrs")])
        if port := fields.number("remote_port"):
            draft.keep(fields.path("remote_port"), "gateway.port", port)
        self._address()
        proposals = [text for text in fields.text("proposals").split(",") if text]
        algorithms.offer(draft, fields.path("proposals"), "ike", proposals)
        for key, path in (("mobike", "mobility.mobike"), ("encap", "mobility.force_encap")):
            if (flag := fields.flag(key)) is not None:
                draft.keep(fields.path(key), path, flag)
        for key, path, most in (
            ("dpd_delay", "mobility.dpd", 86400),
            ("rekey_time", "lifetimes.ike", 864000),
        ):
            if value := seconds(fields.text(key) or "0", fields.path(key)):
                clamped(draft, fields.path(key), path, value, 5 if key == "dpd_delay" else 60, most)
        if name := fields.text("ppk_id"):
            draft.ignore(
                fields.path("ppk_id"),
                f'A post-quantum key by the name "{name[:40]}" has to be given by hand.',
            )

    def _address(self) -> None:
        source, wanted = self._fields.path("vips"), self._fields.words("vips")
        families = [word for word, any_of in (("ipv4", "0.0.0.0"), ("ipv6", "::")) if any_of in wanted]
        fixed = [text for text in wanted if text not in ("0.0.0.0", "::")]
        if families and not fixed:
            self._draft.keep(source, "address.request", families)
        elif fixed:
            value = ["ipv6" if ":" in text else "ipv4" for text in wanted]
            text = "The gateway assigns the addresses, whatever was asked for."
            self._draft.bend(source, "address.request", list(dict.fromkeys(value)), text)

    def _below(self, kind: str) -> list[tuple[str, Section]]:
        """Sections such as local, local-1, local-2, by their round."""
        found = [
            (name, resolve(self._root, section))
            for name, section in self._section.sections.items()
            if re.fullmatch(rf"{kind}[-_.\w]*", name)
        ]
        return sorted(found, key=lambda row: row[1].keys.get("round", "0").zfill(4)[:12])[:8]

    def _logins(self, *, is_shared: bool) -> None:
        rounds = self._below("local") or [("local", Section())]
        for n, (name, section) in enumerate(rounds):
            fields = Fields(section.keys, f"{self._where}.{name}")
            self._login(fields, f"auth.local[{n}]", n)
            leftovers(self._draft, fields, {"round": "The rounds are in this order."})
        first = self._draft.value("auth.local[0].method")
        if is_shared and first != "psk":
            self._draft.put("auth.remote.method", "psk")
            self._shared("auth.remote.secret")

    def _login(self, fields: Fields, path: str, number: int) -> None:
        draft, word = self._draft, fields.text("auth") or "pubkey"
        name, user = fields.text("id"), fields.text("eap_id") or self._user
        if name and number == 0 and not ids.is_anybody(name):
            draft.keep(fields.path("id"), "identity.local", name)
        if word.startswith("eap"):
            ids.eap_round(draft, fields.path("auth"), path, word)
            draft.user(fields.path("eap_id"), f"{path}.identity", "" if ids.is_anybody(user) else user)
            if word != "eap-tls":
                self._password(path, user or name)
        elif word == "psk":
            draft.keep(fields.path("auth"), f"{path}.method", "psk")
            if draft.value("identity.local") is None:
                draft.user(fields.path("id"), "identity.local", self._user)
            self._shared(f"{path}.secret")
        elif word.startswith(("pubkey", "rsa", "ecdsa", "ed25519", "any")):
            draft.keep(fields.path("auth"), f"{path}.method", "cert", "We sign with our certificate.")
        else:
            raise ImportRefused(fields.path("auth"), f'"{word[:40]}" is no login that Roam has')
        if word == "eap-tls" or draft.value(f"{path}.method") == "cert":
            self._certificate(fields, path)
        if name_of_server := fields.text("aaa_id"):
            draft.keep(fields.path("aaa_id"), "auth.remote.aaa_name", name_of_server)

    def _certificate(self, fields: Fields, path: str) -> None:
        draft, certs = self._draft, fields.words("certs")
        bundle = next((s for n, s in self._secrets("pkcs12") if s.keys.get("file")), None)
        if certs or bundle is None:
            named = certs[0] if certs else ""
            draft.refer(fields.path("certs"), f"{path}.cert", named, "client.pem", "your certificate")
            key = next(
                (s.keys.get("file", "") for _, s in self._secrets("private", "rsa", "ecdsa", "pkcs8")), ""
            )
            draft.refer("secrets.private", f"{path}.key", key, "client.key", "its private key")
        else:
            draft.refer(
                "secrets.pkcs12",
                f"{path}.cert",
                bundle.keys["file"],
                "client.p12",
                "your certificate with its key",
            )
        kinds = self._secrets("private", "rsa", "ecdsa", "pkcs8", "pkcs12")
        self._used.update(name for name, _ in kinds)
        phrase = next(
            ((f"secrets.{n}.secret", s.keys["secret"]) for n, s in kinds if s.keys.get("secret")), None
        )
        if phrase is not None:
            draft.secret(phrase[0], f"{path}.secret", "passphrase", ids.secret_value(phrase[1], phrase[0]))

    def _password(self, path: str, user: str) -> None:
        for name, section in self._secrets("eap", "ntlm"):
            owners = [value for key, value in section.keys.items() if key.startswith("id")]
            if (user in owners or not owners) and section.keys.get("secret"):
                self._used.add(name)
                where = f"secrets.{name}.secret"
                self._draft.secret(
                    where, f"{path}.secret", "password", ids.secret_value(section.keys["secret"], where)
                )
                return
        self._draft.secret("secrets.eap", f"{path}.secret", "password")

    def _shared(self, path: str) -> None:
        remote_id = next((s.keys.get("id", "") for _, s in self._below("remote")), "")
        found = [row for row in self._secrets("ike") if row[1].keys.get("secret")]
        fitting = [
            row for row in found if remote_id in [v for k, v in row[1].keys.items() if k.startswith("id")]
        ]
        for name, section in (fitting or found)[:1]:
            self._used.add(name)
            where = f"secrets.{name}.secret"
            self._draft.secret(where, path, "psk", ids.secret_value(section.keys["secret"], where))
            return
        self._draft.secret("secrets.ike", path, "psk")

    def _secrets(self, *kinds: str) -> list[tuple[str, Section]]:
        secrets = self._root.sections.get("secrets", Section())
        pattern = rf"({'|'.join(kinds)})[-_.\w]*"
        return [
            (name, resolve(self._root, section))
            for name, section in secrets.sections.items()
            if re.fullmatch(pattern, name)
        ]

    def _remote(self, fields: Fields, *, is_shared: bool) -> None:
        draft = self._draft
        ids.remote(draft, fields.path("id"), fields.text("id"))
        word = fields.text("auth") or "pubkey"
        if word != "psk" and not word.startswith(("pubkey", "rsa", "ecdsa", "ed25519", "any")):
            raise ImportRefused(
                fields.path("auth"), f'"{word[:40]}" is no proof of a gateway that Roam takes'
            )
        path = "auth.remote.method"
        draft.keep(fields.path("auth"), path, "psk" if is_shared else "cert")
        for key in ("cacerts", "certs"):
            for place in fields.words(key):
                draft.refer(fields.path(key), "trust.ca", place, "ca.pem", "the gateway's CA certificate")
        if (word := fields.text("revocation")) in ("strict", "ifuri", "relaxed"):
            value = "strict" if word == "strict" else "relaxed"
            draft.keep(fields.path("revocation"), "trust.revocation", value)
        leftovers(draft, fields)

    def _trust(self, *, is_shared: bool) -> None:
        for name, section in self._root.sections.get("authorities", Section()).sections.items():
            if (place := resolve(self._root, section).keys.get("cacert")) and self._draft.value(
                "trust.ca"
            ) is None:
                self._draft.refer(
                    f"authorities.{name}.cacert", "trust.ca", place, "ca.pem", "the CA certificate"
                )
        if not is_shared and self._draft.value("trust.ca") is None:
            text = "swanctl trusts whatever lies in x509ca: put the CA there beside the profile."
            self._draft.lack("x509ca", "trust.ca", "ca.pem", "", "the gateway's CA certificate")
            self._draft.note(text)

    def _children(self) -> None:
        children = resolve(self._root, self._section.sections.get("children", Section())).sections
        for n, (name, found) in enumerate(list(children.items())[:8]):
            where = f"{self._where}.children.{name}"
            if n:
                self._draft.ignore(
                    where, "Roam has one Child SA for a tunnel: add its networks to routing.include."
                )
            else:
                self._child(Fields(resolve(self._root, found).keys, where))

    def _child(self, fields: Fields) -> None:
        draft = self._draft
        wanted = fields.words("remote_ts")
        source = fields.path("remote_ts")
        if wanted and "dynamic" not in wanted:
            self._selectors(source, wanted)
        else:
            draft.put("routing.mode", "split")
            draft.put("routing.include", [])
            draft.honoured(source, "The networks that the gateway names.", "routing.use_ts_from_gateway")
        proposals = [text for text in fields.text("esp_proposals").split(",") if text]
        algorithms.offer(draft, fields.path("esp_proposals"), "esp", proposals)
        algorithms.perfect_secrecy(draft, proposals)
        if value := seconds(fields.text("rekey_time") or "0", fields.path("rekey_time")):
            clamped(draft, fields.path("rekey_time"), "lifetimes.child", value, 60, 864000)
        if (mode := fields.text("mode")) not in ("", "tunnel"):
            raise ImportRefused(fields.path("mode"), f'"{mode[:20]}" is no tunnel')
        leftovers(draft, fields, _REASONS)

    def _selectors(self, source: str, wanted: tuple[str, ...]) -> None:
        found = networks(wanted, source)
        if any(is_everything(network) for network in found):
            self._draft.keep(source, "routing.mode", "full", "Everything goes through the tunnel.")
            return
        self._draft.put("routing.mode", "split")
        self._draft.put("routing.use_ts_from_gateway", False)
        self._draft.keep(source, "routing.include", [str(network) for network in found])
