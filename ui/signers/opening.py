"""Which holders a profile needs, opened in the user's session before the gateway is asked for anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from profiles.model import LocalRound, Profile
from profiles.prompts import prompt_for
from profiles.references import Reference, elsewhere, parse

from ..credentials import Prompter, collect
from .holder import IKE, TLS, Holder, KeyHolder, Trustee
from .pin import Pin


@dataclass(frozen=True, slots=True)
class Opened:
    """Holders by reference, and what the daemon may have of their keys."""

    holders: dict[str, Holder] = field(default_factory=dict)
    shown: dict[str, bytes] = field(default_factory=dict)


def open_holders(
    profile: Profile, files: Mapping[str, bytes], directory: Path, prompter: Prompter, *, ask: bool
) -> Opened:
    """Find every key and SIM that stays where it is, and unlock it; `ControlError` where that is not possible."""
    opened = Opened()
    for reference in elsewhere(profile):
        entry = next(e for e in profile.auth.local if reference.text in (e.cert, e.key))
        asks = _PinPrompt(profile, entry, directory, prompter, ask)
        if reference.scheme == "agent":
            _open_agent(opened, reference, profile, entry, files)
        elif reference.scheme == "sim":
            _open_sim(opened, reference, asks)
        else:
            _open_card(opened, reference, entry, files, asks)
    return opened


def _trustee(holder: KeyHolder, reference: Reference, profile: Profile) -> Trustee:
    """The holder, for the rounds that use its key."""
    methods = {entry.method for entry in profile.auth.local if entry.key_file == reference.text}
    return Trustee(holder, tuple(TLS if method == "eap" else IKE for method in sorted(methods)))


def _open_agent(
    opened: Opened, reference: Reference, profile: Profile, entry: LocalRound, files: Mapping[str, bytes]
) -> None:
    from .agent import find

    certificate = {**files, **opened.shown}.get(entry.cert or "")
    key = find(reference.target.strip(), certificate)
    opened.holders[reference.text] = _trustee(key, reference, profile)
    opened.shown[reference.text] = key.shown()


def _open_sim(opened: Opened, reference: Reference, ask_pin: _PinPrompt) -> None:
    from .sim import find
    from .uri import parse_sim

    sim = find(parse_sim(reference.target, reference.path), ask_pin)
    opened.holders[reference.text] = sim
    opened.shown[reference.text] = sim.shown()


def _open_card(
    opened: Opened, reference: Reference, entry: LocalRound, files: Mapping[str, bytes], ask_pin: _PinPrompt
) -> None:
    from .card import Card
    from .uri import parse_uri

    card = Card(parse_uri(reference.target, reference.path), ask_pin)
    certificate = files.get(entry.cert or "")
    opened.shown[reference.text] = card.shown() if certificate is None else certificate
    if reference.text == entry.key_file:
        card.unlock()
        opened.holders[reference.text] = _trustee(card, reference, ask_pin.profile)


@dataclass(frozen=True, slots=True)
class _PinPrompt:
    """Brings the PIN from where the profile says."""

    profile: Profile
    entry: LocalRound
    directory: Path
    prompter: Prompter
    ask: bool

    def __call__(self, warning: str) -> Pin:
        reference = parse(self.entry.secret, "auth.local.secret")
        prompt = prompt_for(self.profile, self.entry.secret, "pin")
        words = f"{prompt} ({warning})" if warning else prompt
        found = collect([reference], self.directory, self.prompter, owner=lambda _: words, ask=self.ask)
        return Pin(found.values[reference.text], found.typed)
