"""The older ipsec.conf, with the ipsec.secrets beside it.  Libreswan's dialect is told apart and warned about."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from . import algorithms
from . import strongswan_ids as ids
from .common import clamped, host, is_everything, leftovers, networks, seconds
from .draft import Draft, Imported
from .errors import ImportRefused
from .fields import Fields
from .intake import Intake
from .limits import MOST_ENTRIES, bounded, text_of

KIND = "an ipsec.conf"
SECRETS = "ipsec.secrets"
_LIBRESWAN = {
    "phase2alg",
    "ikev2",
    "leftrsasigkey",
    "leftmodecfgclient",
    "pfs",
    "narrowing",
    "rightrsasigkey",
}
_OWN_ORDER = "Roam has an order of its own for this."
_REASONS = {
    "keyexchange": "Roam speaks IKEv2 alone.",
    "auto": "'roam up' starts it.",
    "type": "Roam has tunnels alone.",
    "keyingtries": "Roam tries again until 'roam down'.",
    "fragmentation": "Roam splits messages wherever the gateway can join them.",
    "dpdaction": "Roam connects again by itself.",
    "dpdtimeout": _OWN_ORDER,
    "closeaction": "Roam connects again by itself.",
    "rekeymargin": _OWN_ORDER,
    "margintime": _OWN_ORDER,
    "rekeyfuzz": _OWN_ORDER,
    "rekey": "Roam renews the keys itself in any case.",
    "reauth": "Roam logs in again only where the gateway wants it.",
    "compress": "Roam does not compress.",
    "leftfirewall": "Roam guards its traffic itself.",
    "leftupdown": "Roam runs no script that a file names.",
    "left": "Roam chooses its own address from whatever network there is.",
    "leftsendcert": "Roam sends its certificate whenever it signs.",
    "rightsendcert": "It is about the gateway.",
    "installpolicy": _OWN_ORDER,
    "pfs": "The ESP proposals say it.",
}


def recognises(octets: bytes) -> bool:
    """Whether a section of a connection begins in the first column."""
    return bool(re.search(rb"(?m)^conn[ \t]+\S+", octets[: 1024 * 1024]))


def read(intake: Intake) -> list[Imported]:
    """One profile for each connection that dials somebody."""
    sections = _sections(text_of(intake.octets))
    secrets = _secrets(text_of(intake.beside[SECRETS])) if SECRETS in intake.beside else []
    used = {word for values in sections.values() for word in values.get("also", "").split()}
    imported = []
    for name in sections:
        if not name.startswith("conn ") or name == "conn %default" or name[5:] in used:
            continue
        values = _oriented({**sections.get("conn %default", {}), **_whole(sections, name)})
        if values.get("keyexchange", "ikev2") in ("ikev2", "ike") and not ids.is_anybody(
            values.get("right", "")
        ):
            authorities = [
                found["cacert"] for title, found in sections.items() if _is_authority(title, found)
            ]
            draft = intake.draft(KIND, name[5:])
            one = _Connection(draft, values, secrets, name, intake.user, authorities)
            imported.append(one.read(sections.get("config setup", {})))
    if not imported:
        raise ImportRefused("conn", "has none by IKEv2 that dials a gateway")
    return imported


def _is_authority(title: str, values: Mapping[str, str]) -> bool:
    return title.startswith("ca ") and bool(values.get("cacert"))


def _sections(text: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] | None = None
    lines = text.split("\n")
    if len(lines) > 10 * MOST_ENTRIES:
        raise ImportRefused("", "has too many lines")
    for number, line in enumerate(lines, 1):
        body = re.sub(r"(^|\s)#.*$", "", line) if '"' not in line else line
        if not body.strip():
            continue
        if not body[0].isspace():
            words = body.split()
            current = found.setdefault(" ".join(words[:2]), {})
            if words[0] == "include":
                current["file"] = bounded(" ".join(words[1:]), f"line {number}")
        elif current is not None:
            key, equals, value = body.strip().partition("=")
            if not equals:
                raise ImportRefused(f"line {number}", "is neither a section nor key=value")
            current[bounded(key.strip().lower(), f"line {number}")] = bounded(_plain(value), f"line {number}")
    return found


def _plain(value: str) -> str:
    value = value.strip()
    if value.startswith('"') and '"' in value[1:]:
        return value[1 : value.index('"', 1)]
    return value


def _whole(sections: Mapping[str, dict[str, str]], name: str, depth: int = 0) -> dict[str, str]:
    """A section with what `also=` names, its own keys winning."""
    if depth > 8:
        raise ImportRefused(name[:60], "has also= without end")
    own = sections.get(name, {})
    whole: dict[str, str] = {}
    for other in own.get("also", "").split()[:8]:
        if f"conn {other}" not in sections:
            raise ImportRefused(f"{name[:60]}.also", f'names "{other[:40]}", which is not in the file')
        whole.update(_whole(sections, f"conn {other}", depth + 1))
    return {**whole, **{key: value for key, value in own.items() if key != "also"}}


def _oriented(values: dict[str, str]) -> dict[str, str]:
    """With left for us and right for the gateway; the file may have it the other way round."""
    ours = ("%defaultroute", "%any", "%any4", "%any6")
    is_swapped = values.get("right", "") in ours or (
        "rightsourceip" in values and "leftsourceip" not in values
    )
    if not is_swapped:
        return values
    turn = {"left": "right", "right": "left"}
    return {re.sub(r"^(left|right)", lambda side: turn[side[1]], key): value for key, value in values.items()}


Secret = tuple[tuple[str, ...], str, tuple[str, ...]]


def _secrets(text: str) -> list[Secret]:
    """Rows of ipsec.secrets: whom it is for, its kind, its values."""
    rows: list[Secret] = []
    for line in text.split("\n"):
        if not line.strip() or line.lstrip().startswith(("#", "include")):
            continue
        before, colon, after = line.partition(": ") if ": " in line else line.partition(":")
        try:
            words = shlex.split(after.strip(), comments=False)
        except ValueError:
            raise ImportRefused(SECRETS, "has a quote that is not closed") from None
        if not colon or not words or len(rows) > 256:
            raise ImportRefused(SECRETS, "has a line that is no secret")
        values = tuple(bounded(word, SECRETS) for word in words[1:8])
        rows.append((tuple(before.split()[:16]), words[0].upper()[:16], values))
    return rows


class _Connection:
    """One connection on its way into a draft."""

    def __init__(
        self,
        draft: Draft,
        values: dict[str, str],
        secrets: list[Secret],
        where: str,
        user: str,
        authorities: list[str],
    ) -> None:
        self._authorities = authorities
        self._used: set[str] = set()  # kinds of secrets
        self._user = user
        self._draft = draft
        self._fields = Fields(values, where)
        self._secrets = secrets
        self._dialect = not _LIBRESWAN.isdisjoint(values)

    def read(self, setup: Mapping[str, str]) -> Imported:
        """The profile; `setup` is the section about the daemon."""
        draft, fields = self._draft, self._fields
        source = fields.path("right")
        draft.keep(
            source, "gateway.addresses", [host(text.lstrip("@"), source) for text in fields.words("right")]
        )
        if self._dialect:
            draft.note(
                "This is Libreswan's dialect: certificates in its NSS database have to be exported to a .p12 file."
            )
            fields.skip("ikev2")
        self._login()
        self._remote()
        self._crypto()
        self._networks()
        self._times()
        leftovers(draft, fields, _REASONS)
        for key in setup:
            draft.ignore(f"config setup.{key}", "It is about the other program's daemon.")
        for _owners, kind, _values in self._secrets:
            if kind not in self._used:
                draft.ignore(f"{SECRETS} {kind}", "This connection does not use it.")
        return draft.finish()

    def _login(self) -> None:
        draft, fields, path = self._draft, self._fields, "auth.local[0]"
        by = fields.text("authby")
        word = fields.text("leftauth") or {"secret": "psk", "psk": "psk", "eaponly": "eap"}.get(by, "pubkey")
        name, user = fields.text("leftid"), fields.text("eap_identity") or self._user
        if name and not ids.is_anybody(name) and not name.startswith("%"):
            draft.keep(fields.path("leftid"), "identity.local", name)
        elif name:
            draft.honoured(fields.path("leftid"), "The certificate's own name.")
        source = fields.path("leftauth" if "leftauth" in fields else "authby")
        if word.startswith("eap"):
            ids.eap_round(draft, source, path, word)
            draft.user(fields.path("eap_identity"), f"{path}.identity", "" if ids.is_anybody(user) else user)
        elif word in ("psk", "secret"):
            draft.keep(source, f"{path}.method", "psk")
            if draft.value("identity.local") is None:
                draft.user(fields.path("leftid"), "identity.local", self._user)
        elif word.startswith(("pubkey", "rsa", "ecdsa", "any")):
            draft.keep(source, f"{path}.method", "cert", "We sign with our certificate.")
        else:
            raise ImportRefused(source, f'"{word[:40]}" is no login that Roam has')
        self._credentials(path, word, user or name)
        if "leftauth2" in fields:
            draft.differs(
                fields.path("leftauth2"), "A second round: add it as another [[auth.local]].", "auth.local"
            )

    def _credentials(self, path: str, word: str, user: str) -> None:
        if word == "eap-tls" or self._draft.value(f"{path}.method") == "cert":
            self._certificate(path)
        elif word.startswith("eap"):
            self._secret(path, "password", ("EAP", "XAUTH", "NTLM"), user)
        else:
            self._secret(path, "psk", ("PSK",), self._fields.text("rightid").lstrip("%@"))

    def _certificate(self, path: str) -> None:
        draft, fields = self._draft, self._fields
        named, bundle = fields.text("leftcert"), self._of_kind("P12")
        if bundle and not named:
            draft.refer(
                f"{SECRETS} P12", f"{path}.cert", bundle[0], "client.p12", "your certificate with its key"
            )
            kept = bundle
        else:
            draft.refer(fields.path("leftcert"), f"{path}.cert", named, "client.pem", "your certificate")
            kept = self._of_kind("RSA", "ECDSA", "PKCS8")
            draft.refer(
                f"{SECRETS} RSA", f"{path}.key", kept[0] if kept else "", "client.key", "its private key"
            )
        if len(kept) > 1:
            draft.secret(f"{SECRETS} passphrase", f"{path}.secret", "passphrase", kept[1])

    def _of_kind(self, *kinds: str) -> tuple[str, ...]:
        found = next(
            ((kind, values) for _, kind, values in self._secrets if kind in kinds and values), ("", ())
        )
        self._used.add(found[0])
        return found[1]

    def _secret(self, path: str, word: str, kinds: tuple[str, ...], owner: str) -> None:
        rows = [row for row in self._secrets if row[1] in kinds and row[2]]
        fitting = [row for row in rows if owner in [name.lstrip("@%") for name in row[0]]]
        source = f"{SECRETS} {kinds[0]}"
        chosen = (fitting or [row for row in rows if not row[0]])[:1]
        value = ids.secret_value(chosen[0][2][0], source) if chosen else None
        self._used.update(row[1] for row in chosen)
        self._draft.secret(source, f"{path}.secret", word, value)

    def _remote(self) -> None:
        draft, fields = self._draft, self._fields
        name = fields.text("rightid")
        if name in ("", "%fromcert"):
            ids.remote(draft, fields.path("rightid"), "")
        else:
            ids.remote(draft, fields.path("rightid"), name)
        word = fields.text("rightauth")
        is_shared = word in ("psk", "secret") or (not word and fields.text("authby") in ("secret", "psk"))
        if word:
            draft.keep(fields.path("rightauth"), "auth.remote.method", "psk" if is_shared else "cert")
        if is_shared and draft.value("auth.local[0].method") != "psk":
            draft.put("auth.remote.method", "psk")
            self._secret("auth.remote", "psk", ("PSK",), name.lstrip("%@"))
        elif not is_shared:
            self._authority()

    def _authority(self) -> None:
        fields, wanted = self._fields, "the gateway's CA certificate"
        if place := fields.text("rightcert"):
            self._draft.refer(
                fields.path("rightcert"), "trust.ca", place, "ca.pem", "the gateway's certificate"
            )
            return
        if self._authorities:
            for place in self._authorities[:8]:
                self._draft.refer("ca.cacert", "trust.ca", place, "ca.pem", wanted)
            self._fields.skip("rightca")
            return
        name = fields.text("rightca")
        source = fields.path("rightca") if name else "ipsec.d/cacerts"
        self._draft.lack(source, "trust.ca", "ca.pem", "", f"{wanted}{f' ({name[:80]})' if name else ''}")

    def _crypto(self) -> None:
        draft, fields = self._draft, self._fields
        for keys, path in ((("ike",), "ike"), (("esp", "phase2alg"), "esp")):
            for key in keys:
                proposals = [text.replace(";", "-") for text in fields.text(key).split(",") if text]
                if self._dialect:
                    proposals = [_libreswan(text, esp=path == "esp") for text in proposals]
                algorithms.offer(draft, fields.path(key), path, proposals)
                if path == "esp" and proposals:
                    algorithms.perfect_secrecy(draft, proposals)

    def _networks(self) -> None:
        draft, fields = self._draft, self._fields
        assigned = fields.words("leftsourceip")
        if "leftmodecfgclient" in fields and fields.flag("leftmodecfgclient"):
            assigned = ("%config",)
        if assigned:
            four, six = "%config4" in assigned, "%config6" in assigned
            families = ["ipv4"] * (four or not six) + ["ipv6"] * (six or not four)
            draft.keep(fields.path("leftsourceip"), "address.request", families)
        wanted = networks(fields.words("rightsubnet"), fields.path("rightsubnet"))
        if any(is_everything(network) for network in wanted):
            draft.keep(
                fields.path("rightsubnet"), "routing.mode", "full", "Everything goes through the tunnel."
            )
        elif wanted:
            draft.put("routing.mode", "split")
            draft.put("routing.use_ts_from_gateway", False)
            draft.keep(fields.path("rightsubnet"), "routing.include", [str(network) for network in wanted])
        else:
            draft.put("routing.mode", "split")
            text = "Not said: the networks that the gateway names."
            draft.differs(fields.path("rightsubnet"), text, "routing.use_ts_from_gateway")

    def _times(self) -> None:
        draft, fields = self._draft, self._fields
        for keys, path, least in (
            (("dpddelay",), "mobility.dpd", 5),
            (("ikelifetime",), "lifetimes.ike", 60),
            (("lifetime", "keylife", "salifetime"), "lifetimes.child", 60),
        ):
            for key in keys:
                if value := seconds(fields.text(key) or "0", fields.path(key)):
                    clamped(draft, fields.path(key), path, value, least, 86400 if least == 5 else 864000)
        for key, path in (
            ("mobike", "mobility.mobike"),
            ("forceencaps", "mobility.force_encap"),
            ("encapsulation", "mobility.force_encap"),
        ):
            if (flag := fields.flag(key)) is not None:
                draft.keep(fields.path(key), path, flag)


def _libreswan(text: str, *, esp: bool) -> str:
    """aes_gcm256-sha2_512-dh19 and its like, in strongSwan's words."""
    words = text.replace("aes_gcm_c_", "aes_gcm").replace("+", "-").split("-")
    plain = [re.sub(r"^aes_gcm(\d*)$", r"aes\1gcm16", word) for word in words]
    if not esp and any("gcm" in word for word in plain):
        plain = [f"prf{word}" if word.startswith("sha") else word for word in plain]
    return "-".join(plain)
