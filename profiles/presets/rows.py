"""The shape of a preset."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """One key of a profile, the value it gets, and why.

    `fact` is a sentence, `known` says from where ("documented", "seen in logs", "general knowledge"), `date` when
    that was looked at (the year and month), so that it can be doubted later.
    """

    path: str
    value: object
    fact: str
    known: str = "documented"
    date: str = "2026-11"


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of one kind of gateway.

    `needs` are keys that a profile must give besides, each with the reason; `notes` are for people; `vendors` are
    the names that a gateway of this kind is recognised by (vendor IDs, as the daemon names them), `hosts` how the
    names of such gateways end.
    """

    name: str
    title: str
    values: tuple[Value, ...]
    needs: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


def offers(
    ike: tuple[str, ...], esp: tuple[str, ...], fact: str, known: str = "documented"
) -> tuple[Value, ...]:
    """The two lists of proposals, with the one fact behind them."""
    return (
        Value("crypto.ike", list(ike), fact, known),
        Value("crypto.esp", list(esp), fact, known),
    )
