"""The PIN of a card, and who brings it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from client.control.messages import SecretText


@dataclass(frozen=True, slots=True)
class Pin:
    """A PIN; `typed`: by a person, just now.  None of both where the reader has a keypad of its own."""

    value: SecretText
    typed: bool


AskPin = Callable[[str], Pin]
"""Brings the PIN; takes what the person should know before typing it, or nothing."""
