"""A new profile from a few answers and what a look at the gateway has found: text with comments, and files."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from . import containers
from .errors import ProfileError
from .importers.common import host
from .importers.limits import identifier
from .model import Profile
from .presets import PRESETS, for_gateway
from .store import load_text
from .writing import compose

Login = Literal["password", "psk", "cert"]
Trust = Literal["system", "ask"] | bytes


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person says.

    `trust` is "system" (authorities of the system), "ask" (its key is confirmed at the first connection), or the
    octets of its CA's certificate; `shared_key`: the gateway proves itself by a pre-shared key, whatever we do;
    `found` a profile that a look at the gateway suggests, as TOML.
    """

    server: str
    name: str = ""
    user: str = ""
    login: Login = "password"
    preset: str = ""
    trust: Trust = "system"
    certificate: bytes = field(default=b"", repr=False)
    shared_key: bool = False
    networks: Sequence[str] = ()
    addresses: Sequence[str] = ()
    found: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """The profile as text, and what belongs beside it."""

    profile: Profile
    text: str
    files: dict[str, bytes] = field(repr=False)


def make(answers: Answers) -> Made:
    """The profile; `ProfileError` names the answer or the key that cannot be."""
    server = host(answers.server, "server")
    draft = _Draft(server, answers)
    draft.gateway()
    draft.login()
    draft.trust()
    draft.networks()
    heading = (f"Made by 'roam new' for {server}; docs/profile.md lists every key.",)
    text = compose(draft.table, draft.comments, heading)
    return Made(load_text(text), text, draft.files)


def name_for(server: str) -> str:
    """A name for the profile of a gateway: the part of its name that tells it from others."""
    labels = [label for label in server.lower().split(".") if label not in ("vpn", "ikev2", "gw", "www")]
    return identifier(labels[0] if labels and not server.replace(".", "").isdigit() else server)


def likely_login(found: str) -> Login:
    """How such a gateway wants us to log in, as far as a look at it tells."""
    auth: dict[str, Any] = tomllib.loads(found).get("auth", {}) if found else {}
    rounds: list[dict[str, Any]] = auth.get("local") or [{}]
    method = rounds[0].get("method")
    return "psk" if method == "psk" else "cert" if method == "cert" else "password"


class _Draft:
    def __init__(self, server: str, answers: Answers) -> None:
        found = tomllib.loads(answers.found) if answers.found else {}
        self.id = answers.name or name_for(server)
        self.table: dict[str, Any] = {"schema": 1, "id": self.id} | {
            key: value
            for key, value in found.items()
            if key in ("gateway", "identity", "auth", "crypto", "preset")
        }
        auth: dict[str, Any] = found.get("auth", {})
        self._found_key = auth.get("remote", {}).get("method") == "psk"
        self.comments: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self._server = server
        self._answers = answers

    def gateway(self) -> None:
        """Where it is and what kind it is; a preset that was chosen wins over what was found."""
        self.table.setdefault("gateway", {})["addresses"] = [self._server]
        wanted = self._answers.preset
        if wanted and wanted != "none":
            self.table["preset"] = wanted
            self.table.pop("crypto", None)
        elif wanted == "none":
            self.table.pop("preset", None)
        elif "preset" not in self.table and (known := for_gateway("", self._server)) is not None:
            self.table["preset"] = known.name
        if (preset := PRESETS.get(self.table.get("preset", ""))) is not None:
            self.comments["preset"] = f"{preset.title}: docs/presets.md"

    def login(self) -> None:
        """How we prove who we are."""
        answers, auth = self._answers, self.table.get("auth", {})
        entry: dict[str, Any]
        before: dict[str, Any] = next(iter(auth.get("local", [])), {})
        methods: dict[str, Any] = {key: before[key] for key in before if key in ("eap_methods", "inner")}
        match answers.login:
            case "password":
                entry = {"method": "eap", "identity": answers.user, **methods, "secret": f"keyring:{self.id}"}
                self.comments["auth.local[0].secret"] = "asked for once, and kept in the keyring if you like"
                if not answers.user:
                    raise ProfileError("user", "is missing", "Say your name at the gateway: --user NAME.")
            case "psk":
                entry = {"method": "psk", "secret": f"keyring:{self.id}"}
                self.comments["auth.local[0].secret"] = "the pre-shared key; asked for once"
                self.table.setdefault("identity", {})["local"] = answers.user
                if not answers.user:
                    hint = "Say how the gateway knows you: --user you@example.com."
                    raise ProfileError("user", "is missing", hint)
            case "cert":
                entry = self._certificate()
        self.table["auth"] = {"local": [entry]}
        if self.shares_key and answers.login != "psk":
            self.table["auth"]["remote"] = {"method": "psk", "secret": f"keyring:{self.id}/psk"}
            self.comments["auth.remote.secret"] = "the gateway's pre-shared key; asked for once"

    @property
    def shares_key(self) -> bool:
        """Whether the gateway proves itself by a pre-shared key."""
        return self._answers.login == "psk" or self._answers.shared_key or self._found_key

    def _certificate(self) -> dict[str, Any]:
        octets = self._answers.certificate
        if not octets:
            hint = "Say where yours lies: --cert FILE (.p12, or PEM with its key)."
            raise ProfileError("certificate", "is missing", hint)
        if not containers.holds_key(octets):
            raise ProfileError("certificate", "has no key", "A .p12 has both, or a PEM file with both in it.")
        name = f"{self.id}-client.{'p12' if containers.is_bundle(octets) else 'pem'}"
        self.files[name] = octets
        entry = {"method": "cert", "cert": f"file:{name}"}
        if containers.is_locked(octets):
            entry["secret"] = f"keyring:{self.id}/passphrase"
            self.comments["auth.local[0].secret"] = "the passphrase of the key"
        if self._answers.user:
            self.table.setdefault("identity", {})["local"] = self._answers.user
        return entry

    def trust(self) -> None:
        """Who may vouch for the gateway."""
        wanted = self._answers.trust
        methods = self.table["auth"]["local"][0].get("eap_methods", [])
        if self.shares_key and {"tls", "ttls", "peap", "auto"}.isdisjoint(methods):
            return  # whoever knows the key is the gateway
        if isinstance(wanted, bytes):
            name = f"{self.id}-ca.pem"
            try:
                found = containers.certificates(wanted)
            except containers.UNREADABLE:
                found = []
            if not found:
                raise ProfileError("ca", "holds no certificate that can be read", "PEM or DER is wanted.")
            self.files[name] = wanted
            self.table["trust"] = {"ca": [f"file:{name}"]}
        elif wanted == "ask":
            self.table["trust"] = {"pin": ["ask"]}
            self.comments["trust.pin"] = "the key of its certificate is shown at the first connection"
        else:
            self.table["trust"] = {"system_store": True}
            self.comments["trust.system_store"] = 'or its own CA: ca = ["file:company-ca.pem"]'

    def networks(self) -> None:
        """What goes through the tunnel, and which address we have inside."""
        if self._answers.networks:
            self.table["routing"] = {"mode": "split", "include": list(self._answers.networks)}
        elif "preset" not in self.table:
            self.table["routing"] = {"mode": "full"}
            self.comments["routing.mode"] = '"split" with include = ["10.0.0.0/8"] for some networks alone'
        if self._answers.addresses:
            self.table["address"] = {"static": list(self._answers.addresses)}
