"""What the keys of a profile must be to each other, beyond their own types."""

from __future__ import annotations

import re
from collections.abc import Callable

from . import references
from .errors import ProfileError
from .model import Profile

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check(profile: Profile) -> None:
    """Raise `ProfileError` for the first thing that does not fit."""
    for rule in _RULES:
        rule(profile)


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
        for name in ("cert", "key"):
            if (getattr(entry, name) is None) == (entry.method == "cert"):
                word = (
                    "is missing"
                    if entry.method == "cert"
                    else f'means nothing with method = "{entry.method}"'
                )
                raise ProfileError(f"{path}.{name}", word)
        if entry.method == "eap" and not entry.eap_methods:
            raise ProfileError(f"{path}.eap_methods", "is empty")
        if entry.method == "eap" and profile.auth.proof != "cert":
            hint = "An EAP password must not go to a gateway that has not proven itself by a certificate."
            raise ProfileError("auth.remote.method", 'must be "cert" with EAP', hint)


def _proof(profile: Profile) -> None:
    trust = profile.trust
    if profile.auth.proof == "cert" and not (trust.ca or trust.system_store):
        hint = "Name the gateway's CA in ca, or set system_store = true for a public CA."
        raise ProfileError("trust", "nobody may vouch for the gateway's certificate", hint)
    if profile.auth.proof == "psk" and all(entry.method != "psk" for entry in profile.auth.local):
        raise ProfileError("auth.remote.method", '"psk" needs a round with method = "psk"')


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
    for n, entry in enumerate(profile.auth.local):
        references.parse(entry.secret, f"auth.local[{n}].secret")


def _available(profile: Profile) -> None:
    """Keys of schema 1 without an effect yet: refused, since ignoring them would promise too much."""
    wanted = (
        ("gateway.transport", "udp" not in profile.gateway.transport, "a TCP transport alone"),
        ("auth.local", len(profile.auth.local) > 1, "more than one round of authentication"),
        ("auth.remote.aaa_name", profile.auth.remote.aaa_name is not None, "a name for EAP-TLS"),
        ("trust.pin", bool(profile.trust.pin), "a pinned key"),
        ("trust.revocation", profile.trust.revocation == "strict", "strict revocation checking"),
        ("crypto.ppk", profile.crypto.ppk is not None, "a post-quantum pre-shared key"),
        ("mobility.autoconnect", profile.mobility.autoconnect, "coming up by itself"),
        ("mobility.trusted_networks", bool(profile.mobility.trusted_networks), "a list of trusted networks"),
    )
    for path, asked, what in wanted:
        if asked:
            raise ProfileError(path, f"{what} is not available in this version", "Remove the key for now.")


_RULES: tuple[Callable[[Profile], None], ...] = (
    _names,
    _rounds,
    _proof,
    _addresses,
    _routing,
    _references,
    _available,
)
