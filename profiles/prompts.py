"""What a person is asked: one wording, whether the command line asks by itself or the daemon does."""

from __future__ import annotations

from .model import LocalRound, Profile
from .references import parse


def prompt_for(profile: Profile, secret: str, kind: str = "") -> str:
    """The question for a secret by its reference: the profile's own words, else what it is, whose, and where."""
    reference = parse(secret, "auth")
    if reference.scheme == "ask" and reference.target.strip():
        return reference.target.strip()
    gateway = profile.gateway.addresses[0]
    if kind == "choose-certificate":
        return f"Certificate for {profile.title}, by its number"
    entry = next((entry for entry in profile.auth.local if entry.secret == secret), None)
    if entry is None:
        return f"Pre-shared key of {gateway}"
    local = profile.identity.local.value if profile.identity.local else ""
    return f"{_word(entry, kind)} {entry.identity or local or profile.title} ({gateway})"


def _word(entry: LocalRound, kind: str) -> str:
    if entry.sim is not None:
        return "PIN of the SIM of"
    if kind == "pin" or (entry.key_is_elsewhere and not entry.needs_password):
        return "PIN of the card of"
    if kind == "passphrase" or not entry.needs_password:
        return "Passphrase of the key of"
    if kind == "otp" or entry.serves_once:
        return "One-time code of"
    if entry.uses_card:
        return "Key (K:OPc) of the subscription of"
    return "Pre-shared key of" if entry.method == "psk" else "Password of"
