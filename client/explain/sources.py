"""The parts of a record that conclusions rest on: how one gets each, and the record without it.

A conclusion names the sources of its clues.  Taking one away must take the conclusion with it: a test does that to
every verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from ..control.evidence import AttemptRecord, Evidence, MessageRecord

_EVERYTHING_SENT = "'roam up NAME' once more, and 'roam explain NAME' after it"


class Source(Enum):
    """A part of the record; the value says how one gets it."""

    ANSWERS = f"what the gateway answered: {_EVERYTHING_SENT}"
    ATTRIBUTES = f"what addresses the gateway gave: {_EVERYTHING_SENT}"
    AUTHORITIES = f"whose certificates the gateway accepts: {_EVERYTHING_SENT}"
    CERTIFICATES = "the gateway's certificate: 'roam probe HOST' shows it"
    CHECKS = "which ports of the gateway answer: 'roam probe HOST'"
    CLOCK = "this computer's date: 'date'"
    DOUBT = f"whether the gateway still answered when it ended: {_EVERYTHING_SENT}"
    DROPPED = f"what came in and was not understood: {_EVERYTHING_SENT}"
    EAP = f"what the gateway asked in the login: {_EVERYTHING_SENT}"
    FRAGMENTS = f"whether parts of answers came in: {_EVERYTHING_SENT}"
    ICMP = f"what routers on the way reported: {_EVERYTHING_SENT}"
    IDENTITIES = f"what the gateway calls itself: {_EVERYTHING_SENT}"
    JUDGEMENT = f"how the attempt ended: {_EVERYTHING_SENT}"
    LINKS = "this computer's network interfaces: 'roam doctor'"
    LOOKUP = "what the gateway's name resolves to: 'roam probe HOST'"
    MOVES = "what became of the last move to another network: 'roam explain NAME' after the next one"
    NOTIFIES = f"the notifies in the gateway's answers: {_EVERYTHING_SENT}"
    OFFER = f"what the profile asks for: {_EVERYTHING_SENT}"
    OTHERS = "which other VPNs are active: 'roam doctor'"
    PORTAL = "whether this network wants a login first: open any web page"
    PROPOSALS = f"which algorithms the gateway chose: {_EVERYTHING_SENT}"
    SENT = f"what was sent, and how often: {_EVERYTHING_SENT}"
    SIZES = f"how large the messages were: {_EVERYTHING_SENT}"
    STANDING = (
        "how long the connection stood and what its traffic did: 'roam explain NAME' when it drops next"
    )

    @property
    def gather(self) -> str:
        """How one gets it, as a sentence's beginning."""
        return str(self.value)


def without(evidence: Evidence, source: Source) -> Evidence:
    """The record as it would be had nobody noted this."""
    return _REMOVALS[source](evidence)


def _attempts(change: Callable[[AttemptRecord], AttemptRecord]) -> Callable[[Evidence], Evidence]:
    return lambda evidence: evidence.replace(attempts=tuple(change(entry) for entry in evidence.attempts))


def _cleared(**fields: Any) -> Callable[[Evidence], Evidence]:  # noqa: ANN401 - of any record
    return _attempts(lambda attempt: attempt.replace(**fields))


def _messages(change: Callable[[MessageRecord], MessageRecord | None]) -> Callable[[Evidence], Evidence]:
    def changed(attempt: AttemptRecord) -> AttemptRecord:
        kept = [other for entry in attempt.messages if (other := change(entry)) is not None]
        return attempt.replace(messages=tuple(kept))

    return _attempts(changed)


def _blank(**fields: Any) -> Callable[[Evidence], Evidence]:  # noqa: ANN401
    """All messages without some fields."""
    return _messages(lambda message: message.replace(**fields))


def _local(**fields: Any) -> Callable[[Evidence], Evidence]:  # noqa: ANN401
    return lambda evidence: evidence.replace(
        local=None if evidence.local is None else evidence.local.replace(**fields)
    )


def _without_judgement(evidence: Evidence) -> Evidence:
    bare = _cleared(ended="", ended_by="")(evidence)
    return bare.replace(failure="", failure_text="")


def _without_eap(message: MessageRecord) -> MessageRecord:
    payloads = tuple(entry for entry in message.payloads if entry != "EAP")
    return message.replace(eap="", eap_detail="", payloads=payloads)


_REMOVALS: dict[Source, Callable[[Evidence], Evidence]] = {
    Source.ANSWERS: _messages(lambda message: message if message.sent else None),
    Source.ATTRIBUTES: _blank(attributes=(), payloads=()),
    Source.AUTHORITIES: _blank(authorities=(), payloads=()),
    Source.CERTIFICATES: _blank(certificates=(), payloads=()),
    Source.CHECKS: _cleared(checks=()),
    Source.CLOCK: _local(clock=0.0),
    Source.DOUBT: _cleared(doubted=False, forgotten=False),
    Source.DROPPED: _cleared(dropped=()),
    Source.EAP: _messages(_without_eap),
    Source.FRAGMENTS: _cleared(fragments=None),
    Source.ICMP: _cleared(icmp=()),
    Source.IDENTITIES: _blank(identity="", id_type=""),
    Source.JUDGEMENT: _without_judgement,
    Source.LINKS: _local(links=()),
    Source.LOOKUP: lambda evidence: evidence.replace(lookup=None),
    Source.MOVES: _cleared(moves=()),
    Source.NOTIFIES: _blank(notifies=()),
    Source.OFFER: _cleared(offer=None),
    Source.OTHERS: _local(others=None),
    Source.PORTAL: _local(portal=""),
    Source.PROPOSALS: _blank(proposals=()),
    Source.SENT: _messages(lambda message: None if message.sent else message),
    Source.SIZES: _blank(octets=0, packets=0),
    Source.STANDING: _cleared(standing=None),
}
