"""What `doctor` says: one finding for each thing that was looked at."""

from __future__ import annotations

from .wire import Message

LEVELS = ("ok", "warn", "fail")
"""Of a finding.  `warn`: it works, but not as it could, or it cannot be told; `fail`: it will not work."""
TOPICS = ("", "dns")


class Examine(Message):
    """`doctor`: look at this machine; with the topic "dns", ask for names and see which servers are asked."""

    topic: str = ""

    def objection(self) -> str:
        return "" if self.topic in TOPICS else 'the topic is "dns" or none'


class Finding(Message):
    """One thing that was looked at: a stable name, how it is, what was seen, and what to do."""

    name: str
    level: str  # one of LEVELS
    evidence: str
    hint: str = ""


class Diagnosis(Message):
    """Answer to `doctor`; `uid` is as whom the look was taken."""

    findings: tuple[Finding, ...] = ()
    uid: int = 0
