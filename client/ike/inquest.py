"""One login's question whether a path of certificates still holds, from the first evidence to the verdict.

Pure: what is to be fetched comes out as `Inquiry`, what became of it goes in.  One place for each certificate is
asked at a time, the next one only if the first has nothing to say; so most logins need one answer for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from .events import Inquiry, Kind, Reply
from .refusal import Refusal, printable
from .revocation import (
    Elsewhere,
    Finding,
    Good,
    Link,
    Policy,
    Revoked,
    Unusable,
    ask_about,
    links_of,
    load_list,
    read_list,
    read_ocsp,
    sources_of,
)

MAX_FETCHES = 4  # of one login
WITHIN = 5.0  # seconds for all of them
EACH = 3.0  # seconds for the first place, where another one is left
SHORTEST = 0.2  # seconds in which nobody answers
NONCE = 16  # octets
MOST_REMEMBERED = 256


class Memory:
    """What earlier logins have found, as long as it holds."""

    def __init__(self) -> None:
        self._found: dict[tuple[bytes, bytes], Finding] = {}

    def recall(self, link: Link, wall: datetime) -> Finding | None:
        """A finding that still holds."""
        found = self._found.get(_key(link))
        if found is None or found.until is None or wall > found.until:
            return None
        return found

    def keep(self, link: Link, found: Finding) -> None:
        """Remember it; the oldest gives way."""
        if found.until is None:
            return
        self._found.pop(_key(link), None)
        self._found[_key(link)] = found
        if len(self._found) > MOST_REMEMBERED:
            del self._found[next(iter(self._found))]


def _key(link: Link) -> tuple[bytes, bytes]:
    return link.certificate.fingerprint(hashes.SHA256()), link.issuer.fingerprint(hashes.SHA256())


@dataclass(slots=True)
class _Open:
    """A certificate of which nothing is known yet."""

    link: Link
    sources: list[tuple[str, bool]]
    nonce: bytes = b""
    asked: tuple[str, bool] | None = None
    troubles: list[str] = field(default_factory=list)


class Inquest:
    """`offer` and `consult` take what is at hand, `inquiries` and `take` what must be fetched, `conclude` decides.

    Whoever of them finds that a certificate was revoked raises `Refusal`.
    """

    def __init__(
        self, path: tuple[x509.Certificate, ...], policy: Policy, memory: Memory, wall: datetime
    ) -> None:
        links = () if policy is Policy.OFF else links_of(path)
        self._policy = policy
        self._memory = memory
        self._wall = wall
        self._open = [_Open(link, list(sources_of(link))) for link in links]
        self._fetches = 0
        self.until = 0.0  # when all fetches must be over, once they have begun
        self._settle(lambda link: memory.recall(link, wall))

    @property
    def is_settled(self) -> bool:
        """Whether every certificate is known to be good."""
        return not self._open

    def consult(self, lists: Iterable[x509.CertificateRevocationList]) -> None:
        """Look into lists that the profile has."""
        for found in lists:
            self._try("in the profile", partial(read_list, found, wall=self._wall))

    def offer(self, responses: Iterable[bytes], whose: str) -> None:
        """Look into OCSP responses that came without being fetched (RFC 4806, RFC 6066 section 8), from `whose`."""
        for data in responses:
            self._try(f"from {whose} itself", partial(read_ocsp, data, wall=self._wall))

    def inquiries(self, rng: Callable[[int], bytes], now: float) -> tuple[Inquiry, ...]:
        """What to fetch next; nothing where all is known, or nobody is left to ask, or the time is over."""
        self.until = self.until or now + WITHIN
        if now > self.until - SHORTEST:
            return ()
        wanted = []
        for entry in self._open:
            entry.asked = None
            if entry.sources and self._fetches < MAX_FETCHES:
                self._fetches += 1
                entry.asked = url, is_ocsp = entry.sources.pop(0)
                entry.nonce = rng(NONCE) if is_ocsp else b""
                wanted.append(Inquiry(url, ask_about(entry.link, entry.nonce) if is_ocsp else b""))
        return tuple(wanted)

    def patience(self, now: float) -> float:
        """Seconds for what was last asked: a silent responder leaves time for the list."""
        left = self.until - now
        more = self._fetches < MAX_FETCHES and any(entry.sources for entry in self._open)
        return min(left, EACH) if more else left

    def take(self, replies: Sequence[Reply]) -> None:
        """What became of the inquiries, in their order; those that are missing were not answered in time."""
        asked = [entry for entry in self._open if entry.asked is not None]
        for n, entry in enumerate(asked):
            reply = replies[n] if n < len(replies) else Reply(trouble="no answer in time")
            self._take(entry, reply)

    def conclude(self) -> str:
        """What the user should know although the login may go on; `Refusal` where it may not."""
        if self.is_settled:
            return ""
        strict = self._policy is Policy.STRICT
        told = [entry for entry in self._open if entry.troubles or entry.sources or strict]
        sentences = "; ".join(f"{entry.link.called}: {_reasons(entry)}" for entry in told)
        evidence = printable(f"it is not known whether a certificate was revoked: {sentences}", 600)
        if strict:
            raise Refusal(Kind.TRUST_REVOCATION_UNKNOWN, evidence)
        return evidence if told else ""

    def _take(self, entry: _Open, reply: Reply) -> None:
        url, is_ocsp = entry.asked or ("", False)
        try:
            if reply.trouble:
                raise Unusable(reply.trouble)
            if is_ocsp:
                found = read_ocsp(reply.data, entry.link, self._wall, entry.nonce)
            else:
                found = read_list(load_list(reply.data), entry.link, self._wall)
        except Unusable as error:
            entry.troubles.append(f"{url}: {error}")
        else:
            self._memory.keep(entry.link, found)
            self._settle(lambda link: found if link is entry.link else None)

    def _try(self, where: str, read: Callable[..., Finding]) -> None:
        """What is at hand need not be about every certificate of the path; what is of no use is told in the end."""
        self._settle(lambda link: self._tried(where, read, link))

    def _tried(self, where: str, read: Callable[..., Finding], link: Link) -> Finding | None:
        try:
            found = read(link=link)
        except Elsewhere:
            return None
        except Unusable as error:
            for entry in self._open:
                if entry.link is link:
                    entry.troubles.append(f"{where}: {error}")
            return None
        self._memory.keep(link, found)
        return found

    def _settle(self, finding: Callable[[Link], Finding | None]) -> None:
        still = []
        for entry in self._open:
            match finding(entry.link):
                case None:
                    still.append(entry)
                case Revoked() as revoked:
                    raise Refusal(Kind.TRUST_REVOKED, printable(revoked.sentence(entry.link), 600))
                case Good():
                    pass
        self._open = still


def _reasons(entry: _Open) -> str:
    if entry.troubles:
        return ", ".join(entry.troubles)
    if entry.sources:
        return f"{entry.sources[0][0]} was not asked"  # TLS does not wait
    return "it does not say where to ask"
