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

    `legacy` are values that stand instead of others where the profile says `crypto.allow_legacy = true`: what
    gateways of this kind have that nobody has configured.  `needs` are keys that a profile must give besides,
    each with the reason; `notes` are for people; `vendors` are the names that a gateway of this kind is
    recognised by (vendor IDs, as the daemon names them), `hosts` how the names of such gateways end.
    """

    name: str
    title: str
    values: tuple[Value, ...]
    legacy: tuple[Value, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    def values_for(self, *, allow_legacy: bool) -> tuple[Value, ...]:
        """The values, those for weak gateways in their place where the profile allows such things."""
        instead = {value.path: value for value in self.legacy} if allow_legacy else {}
        return tuple(instead.get(value.path, value) for value in self.values)


def offers(
    ike: tuple[str, ...], esp: tuple[str, ...], fact: str, known: str = "documented"
) -> tuple[Value, ...]:
    """The two lists of proposals, with the one fact behind them."""
    return (
        Value("crypto.ike", list(ike), fact, known),
        Value("crypto.esp", list(esp), fact, known),
    )
