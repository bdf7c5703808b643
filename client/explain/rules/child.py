"""What the gateway has against the tunnel's addresses and traffic, after a login that worked."""

from __future__ import annotations

from ..clues import ended, notified
from ..rule import Clue, Rule
from ..sources import Source
from ..view import AUTH, View


def _asks_for(count: int) -> Clue:
    def find(view: View) -> str:
        families = view.offer.families
        if len(families) != count:
            return ""
        return f"the profile asks for an inside address of {' and '.join(families)}"

    words = "one IP version alone" if count == 1 else "both IP versions"
    return Clue(Source.OFFER, f"a profile that asks for {words}", find)


def _asks_for_none(view: View) -> str:
    if view.attempt.offer is None or view.offer.families:
        return ""
    return "the profile asks for no inside address (static addresses, or request = [])"


def _gave_nothing(view: View) -> str:
    answers = [entry for entry in view.answers(AUTH) if entry.payloads]
    if not answers or "SA" not in answers[-1].payloads:  # it refuses more than the address
        return ""
    if any("_ADDRESS" in name for name in answers[-1].attributes):
        return ""
    return f"the gateway gave {', '.join(answers[-1].attributes) or 'nothing'}, and no address"


def _asked_selectors(view: View) -> str:
    asked = next((entry.selectors for entry in view.sent(AUTH) if entry.selectors), ())
    return f"asked for was {', '.join(asked)}" if asked else ""


RULES: tuple[Rule, ...] = (
    Rule(
        "address.pool_empty",
        "The gateway has no inside address left to give.",
        (
            "Try again later, or ask the administrator for a larger pool.",
            "An account that is logged in elsewhere may hold the last one.",
        ),
        (notified(AUTH, "INTERNAL_ADDRESS_FAILURE"), _asks_for(1)),
        unlike=("address.family", "address.cp_required"),
    ),
    Rule(
        "address.family",
        "The gateway gives no inside address: its pool is empty, or it serves only one IP version.",
        (
            'Roam asks for IPv4 alone next, as request = ["ipv4"] in [address] does from the start.',
            "If that fails too, the pool is empty: ask the administrator.",
        ),
        (notified(AUTH, "INTERNAL_ADDRESS_FAILURE"), _asks_for(2)),
        likely=True,
        unlike=("address.pool_empty", "address.cp_required"),
    ),
    Rule(
        "address.cp_required",
        "The gateway insists on giving an inside address, and the profile does not ask for one.",
        ('Set request = ["ipv4", "ipv6"] in [address] in place of static.',),
        (
            notified(AUTH, "FAILED_CP_REQUIRED"),
            Clue(Source.OFFER, "a profile that asks for none", _asks_for_none),
        ),
        unlike=("address.pool_empty", "ts.unacceptable"),
    ),
    Rule(
        "address.none_given",
        "The gateway lets us in, but gives no inside address.",
        ("Its pool may be empty, or it expects you to know yours: set static in [address].",),
        (ended("address.none"), Clue(Source.ATTRIBUTES, "an answer without an address", _gave_nothing)),
        unlike=("address.pool_empty", "address.family"),
    ),
    Rule(
        "ts.unacceptable",
        "The gateway does not carry the traffic that the profile asks for.",
        (
            "Set include in [routing] to networks that the gateway has, or ask for everything and let it narrow.",
            "'use_ts_from_gateway = true' takes what it offers.",
        ),
        (
            notified(AUTH, "TS_UNACCEPTABLE"),
            Clue(Source.SENT, "the networks asked for", _asked_selectors),
        ),
        unlike=("ts.single_pair", "address.cp_required"),
    ),
    Rule(
        "ts.single_pair",
        "The gateway carries one pair of networks only, not several at once.",
        ("Leave a single network in include of [routing].",),
        (notified(AUTH, "SINGLE_PAIR_REQUIRED"),),
        unlike=("ts.unacceptable",),
    ),
)
