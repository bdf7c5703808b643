"""What a person is asked: one wording, whether the command line asks by itself or the daemon does."""

from __future__ import annotations

from .model import LocalRound, Profile
from .references import SECRET_SCHEMES, parse


def prompt_for(profile: Profile, entry: LocalRound, kind: str = "") -> str:
    """The question for a round's secret: the profile's own words, else what it is, whose, and for which gateway."""
    reference = parse(entry.secret, "auth.local", SECRET_SCHEMES)
    if reference.scheme == "ask" and reference.target.strip():
        return reference.target.strip()
    local = profile.identity.local.value if profile.identity.local else ""
    whose = entry.identity or local or profile.title
    return f"{_word(entry, kind)} {whose} ({profile.gateway.addresses[0]})"


def _word(entry: LocalRound, kind: str) -> str:
    if kind == "passphrase" or not entry.needs_password:
        return "Passphrase of the key of"
    if kind == "otp" or entry.serves_once:
        return "One-time code of"
    return "Pre-shared key of" if entry.method == "psk" else "Password of"
