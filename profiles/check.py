"""What the keys of a profile must be to each other, beyond their own types."""

from __future__ import annotations

import re
from collections.abc import Callable

from . import references
from .errors import ProfileError
from .model import LocalRound, Profile
from .weakness import weak_words

_PIN = re.compile(r"(sha256:)?([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check(profile: Profile) -> None:
    """Raise `ProfileError` for the first thing that does not fit."""
    for rule in _RULES:
        rule(profile)


def problems(profile: Profile) -> tuple[ProfileError, ...]:
    """Everything that does not fit, the first of each kind."""
    found: list[ProfileError] = []
    for rule in _RULES:
        try:
            rule(profile)
        except ProfileError as error:
            found.append(error)
    return tuple(found)


def _names(profile: Profile) -> None:
    if not _ID.fullmatch(profile.id):
        hint = "At most 64 letters, digits, dots, dashes and underscores, a letter or digit first."
        raise ProfileError("id", f"{profile.id!r} cannot be typed safely on a command line", hint)
    if not profile.gateway.addresses:
        raise ProfileError("gateway.addresses", "names no gateway")


def _rounds(profile: Profile) -> None:
    if not profile.auth.local:
        raise ProfileError("auth.local", "names no way to prove who we are")
    for n, entry in enumerate(profile.auth.local):
        path = f"auth.local[{n}]"
        _certificate(entry, path)
        names_itself = entry.method == "cert" or entry.sim is not None
        if not names_itself and entry.identity is None and profile.identity.local is None:
            hint = 'Write local = "you@example.com" under [identity], as the gateway knows you.'
            raise ProfileError("identity.local", "is missing, and nothing else says who we are", hint)
        if entry.method == "eap":
            _eap(entry, path)
        if entry.one_time and (entry.method != "eap" or not entry.secret.startswith("ask:")):
            hint = 'Write secret = "ask:" with method = "eap", or leave one_time out.'
            raise ProfileError(f"{path}.one_time", "a code that serves once is asked for each time", hint)
        if entry.method == "eap" and profile.auth.proof != "cert":
            _weak_proof(profile, entry, path)
    asked = [
        entry.secret for entry in profile.auth.local if entry.needs_password and entry.secret[:4] == "ask:"
    ]
    if len(asked) != len(set(asked)):
        hint = 'Write what a person shall be asked, for example secret = "ask:Code of the token".'
        raise ProfileError("auth.local", "asks for several secrets in the same words", hint)


PROVING = {"tls", "ttls", "peap", "aka", "aka-prime"}
"""EAP methods that prove the server, so that they may stand for the gateway's certificate (RFC 5998)."""


def _weak_proof(profile: Profile, entry: LocalRound, path: str) -> None:
    """What must not go to a gateway that shows no certificate."""
    words = set(entry.eap_methods)
    if profile.auth.proof == "eap" and not words <= PROVING:
        known = ", ".join(sorted(PROVING))
        hint = f"Only {known} prove the server; without a certificate nothing else is safe."
        raise ProfileError(f"{path}.eap_methods", 'do not suit method = "eap" under [auth.remote]', hint)
    if not words.isdisjoint({"auto", "md5", "gtc", "otp"}):
        hint = "Whoever knows the gateway's pre-shared key could ask for the password."
        raise ProfileError(f"{path}.eap_methods", "need a gateway that shows a certificate", hint)


def _certificate(entry: LocalRound, path: str) -> None:
    if entry.shows_certificate and entry.cert is None and (entry.method == "eap" or entry.key is None):
        raise ProfileError(f"{path}.cert", "is missing")
    if entry.sim is not None:
        _sim(entry, path)
        return
    if entry.key_is_elsewhere:
        _key_elsewhere(entry, path)
    why = "these eap_methods" if entry.method == "eap" else f'method = "{entry.method}"'
    for name, value in (("cert", entry.cert), ("key", entry.key)):
        if not entry.shows_certificate and value is not None:
            raise ProfileError(f"{path}.{name}", f"means nothing with {why}")


def _sim(entry: LocalRound, path: str) -> None:
    if not entry.uses_card:
        hint = 'It goes with method = "eap" and eap_methods = ["aka"] or ["aka-prime"].'
        raise ProfileError(f"{path}.key", "a SIM proves nothing in this way to log in", hint)
    if entry.cert is not None:
        raise ProfileError(f"{path}.cert", "means nothing with a SIM")


def _key_elsewhere(entry: LocalRound, path: str) -> None:
    where = f"{path}.{'cert' if entry.key is None else 'key'}"
    if entry.needs_password and (entry.key_file or "").startswith("pkcs11:"):
        hint = "Allow methods alone that need no password."
        raise ProfileError(f"{path}.secret", "cannot be both a password and the PIN of a card", hint)
    if (entry.key or "").strip() == "agent:" and entry.cert is None:
        hint = "Write its fingerprint as ssh-add -l prints it, for example agent:SHA256:…"
        raise ProfileError(where, "which key of the agent is meant?", hint)
    if "pin-value=" in (entry.key_file or "") or "pin-source=" in (entry.key_file or ""):
        hint = "Leave it out: you are asked for it, or name a reference in secret."
        raise ProfileError(where, "a PIN does not belong in a profile", hint)


def _eap(entry: LocalRound, path: str) -> None:
    words, inner = set(entry.eap_methods), set(entry.inner)
    for name, value in (("eap_methods", words), ("inner", inner)):
        if not value:
            raise ProfileError(f"{path}.{name}", "is empty")
    if entry.uses_card and not words <= {"aka", "aka-prime"}:
        hint = "The secret is a subscription's key then, and no password."
        raise ProfileError(f"{path}.eap_methods", "aka and aka-prime do not go with other methods", hint)
    if words.isdisjoint({"auto", "ttls", "peap"}) and entry.inner != ("mschapv2",):
        raise ProfileError(f"{path}.inner", 'means nothing without "ttls" or "peap" in eap_methods')
    if not words.isdisjoint({"auto", "peap"}) and inner == {"pap"}:
        raise ProfileError(
            f"{path}.inner", '"pap" cannot be said inside peap', 'Add "mschapv2", for example.'
        )
    if entry.peap_binding == "required" and words.isdisjoint({"auto", "peap"}):
        raise ProfileError(f"{path}.peap_binding", 'means nothing without "peap" in eap_methods')
    if entry.outer_identity is not None and not words <= {"tls", "ttls", "peap"}:
        raise ProfileError(
            f"{path}.outer_identity", "methods other than tls, ttls and peap would say it as well"
        )


def _proof(profile: Profile) -> None:
    trust = profile.trust
    has_authority = bool(trust.ca or trust.system_store)
    if profile.auth.proof == "cert" and not (has_authority or trust.keys or trust.pin):
        hint = "Name the gateway's CA in ca, or set system_store = true for a public CA."
        raise ProfileError("trust", "nobody may vouch for the gateway's certificate", hint)
    if "ask" in trust.pin and has_authority:
        raise ProfileError(
            "trust.pin", '"ask" means nothing beside ca or system_store', "Pin the key itself."
        )
    for n, pin in enumerate(trust.pin):
        if pin != "ask" and not _PIN.fullmatch(pin):
            hint = "sha256: and 64 hexadecimal digits, of the gateway's SubjectPublicKeyInfo."
            raise ProfileError(f"trust.pin[{n}]", f'"{pin}" is no fingerprint', hint)
    insists = any(entry.uses_tls and "auto" not in entry.eap_methods for entry in profile.auth.local)
    if insists and not (trust.ca or trust.system_store or profile.auth.remote.aaa_ca):
        hint = "Name its CA in aaa_ca, or the gateway's CA in [trust] ca."
        raise ProfileError("auth.remote.aaa_ca", "nobody may vouch for the login server inside EAP", hint)
    uses_tls = any(entry.uses_tls for entry in profile.auth.local)
    for name, value in (("aaa_name", profile.auth.remote.aaa_name), ("aaa_ca", profile.auth.remote.aaa_ca)):
        if value and not uses_tls:
            hint = 'It is about "tls", "ttls" and "peap" in eap_methods.'
            raise ProfileError(f"auth.remote.{name}", "means nothing with these methods", hint)
    if profile.auth.proof == "psk" and profile.auth.shared_key is None:
        raise ProfileError("auth.remote.secret", 'is missing, and there is no round with method = "psk"')
    if profile.auth.proof != "psk" and profile.auth.remote.secret is not None:
        raise ProfileError("auth.remote.secret", 'means nothing without method = "psk" there')
    if profile.auth.proof == "eap" and all(entry.method != "eap" for entry in profile.auth.local):
        raise ProfileError("auth.remote.method", '"eap" needs a round with method = "eap"')


def _legacy(profile: Profile) -> None:
    """What is weak is used only by who says so."""
    for name, proposals in (("ike", profile.crypto.ike), ("esp", profile.crypto.esp)):
        if not profile.crypto.allow_legacy and (weak := weak_words(proposals)):
            better = "group 14" if weak[0].startswith("modp") else "SHA-256"
            hint = f"Ask the administrator for {better} or better, or set allow_legacy = true under [crypto]."
            raise ProfileError(f"crypto.{name}", f'"{weak[0]}" is too weak to be used unasked', hint)


def _addresses(profile: Profile) -> None:
    section = profile.address
    given = [
        name for name in ("request", "static", "none") if getattr(section, name) not in (None, (), False)
    ]
    if len(given) > 1:
        raise ProfileError(f"address.{given[1]}", f"excludes {given[0]}")


def _routing(profile: Profile) -> None:
    routing = profile.routing
    if routing.mode == "full" and routing.include:
        hint = 'Set mode = "split" to send these networks alone through the tunnel.'
        raise ProfileError("routing.include", 'means nothing with mode = "full"', hint)
    if routing.mode == "split" and not routing.include and not routing.use_ts_from_gateway:
        raise ProfileError("routing.include", "a split tunnel without networks carries nothing")


def _references(profile: Profile) -> None:
    references.files_of(profile)
    for text, path in profile.auth.secrets:
        references.parse(text, path)


def _available(profile: Profile) -> None:
    """Refuse what has no effect yet: ignoring it would promise too much."""
    for path, what, asked in UNAVAILABLE:
        if asked(profile):
            raise ProfileError(path, f"{what} is not available in this version", "Remove the key for now.")


UNAVAILABLE: tuple[tuple[str, str, Callable[[Profile], object]], ...] = (
    ("gateway.transport", "a TCP transport alone", lambda profile: "udp" not in profile.gateway.transport),
    ("crypto.ppk", "a post-quantum pre-shared key", lambda profile: profile.crypto.ppk),
    ("address.none", "a tunnel without an inside address", lambda profile: profile.address.none),
    ("mobility.autoconnect", "coming up by itself", lambda profile: profile.mobility.autoconnect),
    ("mobility.trusted_networks", "a list of trusted networks", lambda p: p.mobility.trusted_networks),
)
"""Keys of schema 1 that this version refuses: (key, what it asks for, whether a profile asks for it)."""


_RULES: tuple[Callable[[Profile], None], ...] = (
    _names,
    _rounds,
    _proof,
    _legacy,
    _addresses,
    _routing,
    _references,
    _available,
)
