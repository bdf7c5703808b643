"""Questions to a record: what was sent, what was answered, what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from ..control.evidence import (
    AttemptRecord,
    CertificateRecord,
    Evidence,
    LinkRecord,
    MessageRecord,
    NotifyRecord,
    OfferRecord,
    StandingRecord,
)

INIT, AUTH, CHILD, INFO = "IKE_SA_INIT", "IKE_AUTH", "CREATE_CHILD_SA", "INFORMATIONAL"
CONNECTED = ("up", "moving")


class View:
    """One record, seen as the attempt that is to be explained and what surrounds it."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.attempts = evidence.attempts

    @cached_property
    def attempt(self) -> AttemptRecord:
        """The attempt that counts: the one in use, else the last that has ended, else the last.

        Of several that ended in silence, it is the last one after which the gateway's ports were looked at.
        """
        ended = [entry for entry in self.attempts if entry.ended or entry.ended_by]
        if self.evidence.state not in CONNECTED and ended:
            last = ended[-1]
            alike = [e for e in ended if e.checks and (e.ended, e.remote) == (last.ended, last.remote)]
            return alike[-1] if alike and last.ended == "net.no_response" else last
        return self.attempts[-1] if self.attempts else AttemptRecord(0.0)

    @property
    def offer(self) -> OfferRecord:
        """What the profile asked for; empty where nobody has noted it."""
        return self.attempt.offer or OfferRecord()

    @property
    def standing(self) -> StandingRecord | None:
        """What became of a session that stood."""
        return self.attempt.standing

    @property
    def is_up(self) -> bool:
        """Whether the tunnel stands now."""
        return self.evidence.state in CONNECTED

    @property
    def clock(self) -> float:
        """Unix seconds by this computer at the time; 0 where that is not noted."""
        return self.evidence.local.clock if self.evidence.local is not None else 0.0

    @property
    def links(self) -> tuple[LinkRecord, ...]:
        """This computer's interfaces."""
        return self.evidence.local.links if self.evidence.local is not None else ()

    @property
    def others(self) -> tuple[str, ...] | None:
        """Links of other VPNs that are active; None where nobody has looked."""
        return self.evidence.local.others if self.evidence.local is not None else None

    # Messages

    def sent(self, exchange: str) -> list[MessageRecord]:
        """Our requests of an exchange, repetitions included."""
        return [entry for entry in self.attempt.messages if entry.sent and entry.exchange == exchange]

    def received(self, exchange: str) -> list[MessageRecord]:
        """What the gateway sent of an exchange."""
        return [entry for entry in self.attempt.messages if not entry.sent and entry.exchange == exchange]

    def answers(self, exchange: str) -> list[MessageRecord]:
        """The gateway's responses of an exchange."""
        return [entry for entry in self.received(exchange) if entry.is_response]

    @cached_property
    def opened(self) -> MessageRecord | None:
        """The response to IKE_SA_INIT that made an IKE SA possible."""
        return next((entry for entry in self.answers(INIT) if entry.proposals), None)

    def transmissions(self, exchange: str) -> int:
        """How often the last request of an exchange was sent; 0 where none was, or it has been answered."""
        count = number = 0
        for entry in self.attempt.messages:
            if entry.exchange != exchange or entry.sent is entry.is_response:
                continue
            if not entry.sent:
                count = 0 if entry.message_id == number else count
            elif entry.attempt > 1 and entry.message_id == number:
                count = entry.attempt
            else:
                count, number = 1, entry.message_id
        return count

    def notify(self, exchange: str, *names: str) -> NotifyRecord | None:
        """The last of such notifies that the gateway sent in an exchange."""
        found = [
            entry for message in self.received(exchange) for entry in message.notifies if entry.name in names
        ]
        return found[-1] if found else None

    @property
    def certificates(self) -> tuple[CertificateRecord, ...]:
        """What the gateway showed, its own certificate first."""
        return next((entry.certificates for entry in self.answers(AUTH) if entry.certificates), ())

    def eap(self, *, sent: bool) -> Iterator[MessageRecord]:
        """The messages that carried EAP, in order."""
        return (entry for entry in self.attempt.messages if entry.eap and entry.sent is sent)

    @property
    def last_eap(self) -> str:
        """The gateway's last EAP packet."""
        return next((entry.eap for entry in reversed(list(self.eap(sent=False)))), "")

    # What is around

    def check(self, what: str) -> str:
        """The outcome of a check, empty where it was not made."""
        return next((entry.outcome for entry in self.attempt.checks if entry.what == what), "")

    @property
    def passing(self) -> int:
        """Octets of the largest packet inside the tunnel that is known to pass; 0 where none is."""
        sizes = [
            int(entry.what.split()[1])
            for entry in self.attempt.checks
            if entry.what.startswith("inside ") and entry.outcome == "answered"
        ]
        return max(sizes, default=0)

    def icmp(self, *meanings: str) -> str:
        """A router's report in words."""
        for entry in self.attempt.icmp:
            if entry.meaning in meanings:
                sender = f" from {entry.sender}" if entry.sender else ""
                size = f" ({entry.mtu} octets)" if entry.mtu else ""
                return f'ICMP "{entry.meaning}"{sender}{size}'
        return ""

    def dropped(self, words: str) -> str:
        """A reason for which something was dropped, that has these words."""
        return next((entry.reason for entry in self.attempt.dropped if words in entry.reason), "")
