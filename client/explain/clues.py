"""Clues that several families of rules use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from .rule import Clue
from .sources import Source
from .view import AUTH, CHILD, INFO, INIT, View

_EXCHANGES = {INIT: "the first message", AUTH: "the login", CHILD: "the renewal of keys", INFO: "a message"}


def _called(exchange: str) -> str:
    return f"{_EXCHANGES[exchange]} ({exchange})"


def notified(exchange: str, *names: str) -> Clue:
    """The gateway sent such a notify."""

    def find(view: View) -> str:
        entry = view.notify(exchange, *names)
        if entry is None:
            return ""
        detail = f" ({entry.detail})" if entry.detail else ""
        return f"the gateway answered {_called(exchange)} with {entry.name}{detail}"

    return Clue(Source.NOTIFIES, f"{' or '.join(names)} in the answer to {exchange}", find)


def ended(kind: str, *words: str) -> Clue:
    """Roam itself ended the attempt for this reason; with `words`, one of them stands in it."""

    def find(view: View) -> str:
        if view.attempt.ended == kind:
            said = view.attempt.ended_by
        elif view.evidence.failure == kind and not view.attempt.ended:
            said = view.evidence.failure_text
        else:
            return ""
        if words and not any(word in said for word in words):
            return ""
        return f"Roam ended it ({kind}): {said.partition('; it shows ')[0]}"  # the rest has lines of its own

    expects = f"that Roam ended it ({kind}" + (f", with the words “{words[0]}”)" if words else ")")
    return Clue(Source.JUDGEMENT, expects, find)


def unanswered(exchange: str, least: int = 2) -> Clue:
    """A request was sent again and again."""

    def find(view: View) -> str:
        count = view.transmissions(exchange)
        if count < least:
            return ""
        return (
            f"{_called(exchange)} was sent {count} times to {view.attempt.remote or 'the gateway'}, "
            "without an answer"
        )

    return Clue(Source.SENT, f"{exchange} sent without an answer", find)


def answered(exchange: str) -> Clue:
    """The gateway answered this."""

    def find(view: View) -> str:
        count = len(view.answers(exchange))
        return f"the gateway answered {_called(exchange)}" if count else ""

    return Clue(Source.ANSWERS, f"an answer to {exchange}", find)


def checked(what: str, *outcomes: str) -> Clue:
    """A look after the failure had this outcome."""

    def find(view: View) -> str:
        outcome = view.check(what)
        return (
            f"{_port(what)} was asked besides: {_OUTCOMES.get(outcome, outcome)}"
            if outcome in outcomes
            else ""
        )

    expects = " or ".join(_OUTCOMES.get(outcome, outcome) for outcome in outcomes)
    return Clue(Source.CHECKS, f"that {_port(what)} was asked, with {expects}", find)


def _port(what: str) -> str:
    """ "udp 500" as people write it."""
    word, _, number = what.partition(" ")
    return f"{word.upper()} port {number}"


_OUTCOMES = {"silent": "no answer", "answered": "an answer"}


def reported(*meanings: str) -> Clue:
    """A router or the gateway reported an error."""
    return Clue(Source.ICMP, f'ICMP "{meanings[0]}"', lambda view: view.icmp(*meanings))


def logs_in_by(*means: str) -> Clue:
    """How the profile proves who we are."""

    def find(view: View) -> str:
        offer = view.offer
        if offer.login not in means:
            return ""
        kind = _KINDS.get(offer.id_type, offer.id_type)
        known = f", {kind}" if kind else ""
        return f"the profile logs in by {_MEANS[offer.login]} as {offer.identity or '?'}{known}"

    words = " or ".join(_MEANS[entry] for entry in means)
    return Clue(Source.OFFER, f"a profile that logs in by {words}", find)


_KINDS = {
    "RFC822_ADDR": "as an e-mail address",
    "FQDN": "as a host name",
    "KEY_ID": "as a key identifier",
    "DER_ASN1_DN": "as a distinguished name",
    "IPV4_ADDR": "as an IPv4 address",
    "IPV6_ADDR": "as an IPv6 address",
}
_MEANS = {"psk": "pre-shared key", "cert": "certificate", "eap": "EAP"}


def expects_proof(means: str) -> Clue:
    """How the gateway has to prove itself."""

    def find(view: View) -> str:
        return (
            f"the profile wants the gateway to prove itself by {_MEANS[means]}"
            if view.offer.proof == means
            else ""
        )

    return Clue(Source.OFFER, f"a profile in which the gateway proves itself by {_MEANS[means]}", find)


def stood(words: str, holds: Callable[[View], bool]) -> Clue:
    """Something of the session that stood."""

    def find(view: View) -> str:
        return _traffic(view) if view.standing is not None and holds(view) else ""

    return Clue(Source.STANDING, words, find)


def _traffic(view: View) -> str:
    standing = view.standing
    if standing is None:
        return ""
    parts = [f"it stood {duration(standing.seconds)}"]
    if standing.packets_out is not None:
        parts.append(f"{standing.packets_out} packets went out and {standing.packets_in or 0} came in")
    if standing.inbound_age is not None:
        parts.append(f"the last packet came in {duration(standing.inbound_age)} before the end")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def moment(text: str) -> datetime | None:
    """An ISO 8601 date; None where it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def day(unix: float) -> str:
    """A day, as people write it in logs."""
    return datetime.fromtimestamp(unix, UTC).date().isoformat()
